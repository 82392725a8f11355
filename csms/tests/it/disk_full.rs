//! The disk of the CSMS is full, and later has room again. Nothing is sent that is not recorded,
//! and no restart is needed.

use std::{
    env, fs,
    io::Write as _,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::json;

use crate::stage::Stage;

const SCENE: &str = "CSMS_DISK_TEST_SCENE";
const SUBJECT: &str = "/O=Test CSO/CN=SN-0001";

/// Runs `scene` in its own mount namespace. The test run starts this test again in a child process,
/// and the child runs the scene. `name` is the name of the test.
fn in_a_namespace(name: &str, scene: impl FnOnce()) {
    if env::var(SCENE).is_ok_and(|scene| scene == name) {
        scene();
        return println!("scene played");
    }
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount"])
        .arg(env::current_exe().expect("this test"))
        .args(["--exact", &format!("disk_full::{name}"), "--nocapture", "--test-threads=1"])
        .env(SCENE, name)
        .output()
        .expect("this test needs the unshare command; install the package util-linux");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "this test needs a user namespace of its own (sysctl kernel.unprivileged_userns_clone=1), or something failed in it: {text}"
    );
    assert!(text.contains("scene played"), "{text}");
}

/// A file system of a few MiB for the folder of ledger and lists.
struct Disk(PathBuf);

impl Disk {
    fn mount(stage: &Stage) -> Self {
        let folder = stage.path("data");
        fs::create_dir(&folder).expect("made");
        let options = ["-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs"];
        let mounted = Command::new("mount").args(options).arg(&folder).status().expect("mount");
        assert!(mounted.success());
        Self(folder)
    }

    /// Fills the remaining room.
    fn fill(&self) {
        let mut ballast =
            fs::File::options().create(true).append(true).open(self.0.join("ballast")).expect("a file");
        for size in [65_536, 4096, 1] {
            while ballast.write_all(&vec![0x55; size]).is_ok() {}
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.0.join("ballast")).expect("removed");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A process of a failed test may still use it. The namespace ends with this process.
        drop(Command::new("umount").args(["--lazy"]).arg(&self.0).status());
    }
}

fn wait_until(stage: &Stage, what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "not seen: {what}\n{}", stage.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Requests certificates until one is refused because the disk is full. Returns the number of
/// signed certificates.
fn sign_until_full(stage: &Stage, disk: &Disk) -> usize {
    for signed in 0..100 {
        disk.fill();
        let csr = stage.request(SUBJECT, &[]);
        let report = stage.station_with_password("CS001", &["--serial-number", "SN-0001", "--csr", csr]);
        let answer = report.step("sign certificate");
        if answer["status"] != "Accepted" {
            assert_eq!(answer["reason"], "InternalError", "{answer}");
            return signed;
        }
        report.step("certificate signed");
    }
    panic!("the disk is never full\n{}", stage.log());
}

#[test]
fn disk_full_refuses_enrolment_revocation_and_lists_until_there_is_room() {
    in_a_namespace("disk_full_refuses_enrolment_revocation_and_lists_until_there_is_room", || {
        let mut stage = Stage::prepare();
        let disk = Disk::mount(&stage);
        stage.launch();
        let csr = stage.request(SUBJECT, &[]);
        stage
            .station_with_password("CS001", &["--serial-number", "SN-0001", "--csr", csr])
            .step("certificate signed");
        let first = stage.certificates()[0]["serial_number"].as_str().expect("a number").to_owned();
        let signed = 1 + sign_until_full(&stage, &disk);
        assert_eq!(stage.certificates().len(), signed, "what was refused is in no ledger");
        let revoked = stage.operator(&["revoke", "--serial", &first]);
        let list = stage.operator(&["crl"]);
        let error = list.expect_err("no room for a list");
        let problem = problems(&stage).into_iter().find(|problem| problem.contains("in the ledger"));
        assert!(problem.expect("a problem").starts_with("cannot "));
        assert!(metrics(&stage).contains("csms_ledger_writable 0"));
        assert!(error.contains("No space left on device") || error.contains("full"), "{error}");

        disk.make_room();
        if let Err(error) = revoked {
            assert!(error.contains("full") || error.contains("No space left"), "{error}");
            stage.operator(&["revoke", "--serial", &first]).expect("there is room");
        }
        let lists = stage.operator(&["crl"]).expect("there is room");
        assert_eq!(lists[0]["revoked"], 1, "{lists}");
        let csr = stage.request(SUBJECT, &[]);
        stage
            .station_with_password("CS001", &["--serial-number", "SN-0001", "--csr", csr])
            .step("certificate signed");
        assert_eq!(stage.certificates().len(), signed + 1);
        assert_eq!(problems(&stage), <[String; 0]>::default());
        let verified = stage.operator(&["audit", "verify"]).expect("whole");
        assert_eq!((&verified["certificates"], &verified["unfinished"]), (&json!(signed + 1), &json!(0)));
        assert!(!stage.log().contains("panicked"), "{}", stage.log());
    });
}

/// The CSMS's own certificate becomes due while the disk is full. No signature is made in vain, and
/// the certificate is renewed as soon as there is room.
#[test]
fn disk_full_delays_the_own_certificate_and_signs_none_in_vain() {
    in_a_namespace("disk_full_delays_the_own_certificate_and_signs_none_in_vain", || {
        let mut stage = Stage::prepare();
        let disk = Disk::mount(&stage);
        let own = "certificate_file = \"data/tls.pem\"\nnames = [\"localhost\"]";
        stage.configure("certificate_file = \"tls.pem\"", own);
        stage.launch();
        stage.signal(Signal::TERM);
        assert!(stage.ended());
        stage.configure("[\"localhost\"]", "[\"localhost\", \"second.example\"]");
        let before = announced(&stage);
        disk.fill();
        // The failure occurs at the start, and in each round of renewals.
        stage.launch();
        wait_until(&stage, "two failures", || {
            stage.log().matches("own certificate was not renewed").count() > 1
        });
        assert_eq!(announced(&stage), before, "nothing was signed that could not be written");
        let problem = problems(&stage)
            .into_iter()
            .find(|problem| problem.contains("own certificate was not renewed: "));
        assert!(problem.expect("a problem").contains("data"));
        assert!(metrics(&stage).contains("csms_renewal_failing{of=\"own_certificate\"} 1"));
        disk.make_room();
        wait_until(&stage, "the new name", || {
            let shown = stage.openssl(&["x509", "-in", "data/tls.pem", "-noout", "-text"]);
            shown.contains("second.example")
        });
        wait_until(&stage, "no problem", || problems(&stage).is_empty());
    });
}

/// The problems that `status` shows to an operator.
fn problems(stage: &Stage) -> Vec<String> {
    let status = stage.operator(&["status"]).expect("a status");
    serde_json::from_value(status["problems"].clone()).expect("sentences")
}

fn metrics(stage: &Stage) -> String {
    stage.operator(&["metrics"]).expect("metrics").as_str().expect("a text").to_owned()
}

/// The number of signatures that the record announces.
fn announced(stage: &Stage) -> usize {
    let output = stage.command(&["audit", "export"]).output().expect("starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").matches("\"kind\":\"signing\"").count()
}

/// The log has reached the limit of file sizes. The system then sends SIGXFSZ, which ends a process
/// that does not catch it.
#[test]
fn disk_full_a_log_at_the_limit_of_its_size_does_not_end_the_service() {
    let mut stage = Stage::prepare();
    let limit = 32 * 1024 * 1024;
    let log = fs::File::options().create(true).append(true).open(stage.path("log")).expect("a log");
    log.set_len(limit).expect("sparse");
    stage.launch_with_file_limit(limit);
    stage.station_with_password("CS001", &["--serial-number", "SN-0001"]).step("finished");
    assert_eq!(log.metadata().expect("is there").len(), limit, "nothing was logged");
    log.set_len(0).expect("truncated");
    stage.operator(&["reload"]).expect("runs");
    assert!(log.metadata().expect("is there").len() > 0, "and it goes on when the log was rotated");
}
