//! The station's disk is full, and later has room again. The tests check the answers in between and
//! the output of `status`, and that no restart is necessary.

use std::{
    env, fs,
    io::Write as _,
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::{Value, json};
use station::control::Status;

use crate::{
    python::PythonCsms,
    reusable::{booted, csr, delete, install, listed, root_hash, set, signed},
    stage::Stage,
};

const SCENE: &str = "STATION_DISK_TEST_SCENE";

/// Runs a scene in a mount namespace of its own. The test run starts this test again in a child
/// process, and the child runs the scene. `name` is the name of the test.
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

/// A file system of a few MiB under the station's folder.
struct Disk(PathBuf);

impl Disk {
    fn mount(stage: &Stage) -> Self {
        let folder = stage.path("data");
        fs::create_dir(&folder).expect("made");
        let options = ["-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs"];
        let mounted = Command::new("mount").args(options).arg(&folder).status().expect("mount");
        assert!(mounted.success());
        Self(folder)
    }

    /// Uses up all the room that is left.
    fn fill(&self) {
        let mut ballast = fs::File::options().create(true).append(true).open(self.ballast()).expect("a file");
        for size in [65_536, 4096, 1] {
            while ballast.write_all(&vec![0x55; size]).is_ok() {}
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.ballast()).expect("removed");
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A process that a failed test has left may use it; the namespace ends with this process.
        drop(Command::new("umount").args(["--lazy"]).arg(&self.0).status());
    }
}

fn status(stage: &Stage) -> Status {
    let output = stage.command(&["status"]).output().expect("starts");
    assert!(output.status.success(), "{}\n{}", text(&output), stage.log());
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn set_password(stage: &Stage, csms: &mut PythonCsms, password: &str) -> Value {
    let data = json!({
        "component": { "name": "SecurityCtrlr" }, "variable": { "name": "BasicAuthPassword" },
        "attributeValue": password,
    });
    let mut answer = csms.call(stage, "SetVariables", json!({ "setVariableData": [data] }));
    answer["setVariableResult"][0].take()
}

/// Installs roots, from `root0` on, until one is refused because the disk is full. Returns how many
/// were accepted.
fn install_until_full(stage: &Stage, csms: &mut PythonCsms, disk: &Disk) -> usize {
    for number in 0..30 {
        // Space that the store has released may have become free.
        disk.fill();
        let name = format!("root{number}");
        stage.root(&name, &format!("/O=Test CSO/CN={name}"));
        let answer = install(stage, csms, "MORootCertificate", &name);
        if answer["status"] != "Accepted" {
            assert_eq!(answer["status"], "Failed", "M05.FR.03: {answer}");
            return number;
        }
    }
    panic!("the disk is never full");
}

#[test]
fn disk_full_fails_what_the_csms_asks_for_until_there_is_room() {
    in_a_namespace("disk_full_fails_what_the_csms_asks_for_until_there_is_room", || {
        let stage = Stage::prepare();
        let disk = Disk::mount(&stage);
        let (mut csms, station) = booted(&stage);
        assert_eq!(
            install(&stage, &mut csms, "ManufacturerRootCertificate", "manufacturer")["status"],
            "Accepted"
        );
        assert_eq!(status(&stage).disk_faults, []);

        let installed = install_until_full(&stage, &mut csms, &disk);
        let seen = status(&stage).disk_faults;
        let fault = seen.iter().find(|fault| fault.file == "certificates.redb").expect("named");
        assert!(fault.reason.contains("the disk is full"), "{fault:?}");
        assert!(fault.remedy.contains("make room on the disk of"), "{fault:?}");
        let shown = text(&stage.plain_command(&["status"]).output().expect("starts"));
        assert!(shown.contains("cannot write certificates.redb since"), "{shown}");

        // The answers match the state.
        let hash = root_hash(&stage, &mut csms, "manufacturer");
        let deleted = delete(&stage, &mut csms, &hash)["status"] == "Accepted";
        let left = listed(&stage, &mut csms, &["ManufacturerRootCertificate"]).len();
        assert_eq!(left, usize::from(!deleted));
        let password = "another-horse-battery";
        let answer = set_password(&stage, &mut csms, password);
        assert_eq!(answer["attributeStatus"], "Rejected", "{answer}");
        assert_eq!(answer["attributeStatusInfo"]["reasonCode"], "InternalError", "{answer}");
        assert!(status(&stage).disk_faults.iter().any(|fault| fault.file == "device-model.json"));
        let refused = signed(&stage, &mut csms, &json!({ "pem": "nonsense" }), "ChargingStationCertificate");
        assert_eq!(refused["status"], "Rejected");
        csms.wait_until(&stage, "SecurityEventNotification", |event| {
            event["type"] == "InvalidChargingStationCertificate"
        });

        disk.make_room();
        // This works at once, without a restart.
        assert_eq!(
            install(&stage, &mut csms, "MORootCertificate", &format!("root{installed}"))["status"],
            "Accepted"
        );
        assert_eq!(listed(&stage, &mut csms, &["MORootCertificate"]).len(), installed + 1);
        if !deleted {
            assert_eq!(delete(&stage, &mut csms, &hash)["status"], "Accepted");
        }
        let request = csr(&stage, &mut csms, "SignChargingStationCertificate");
        csms.accept_password(&stage, password);
        assert_eq!(set_password(&stage, &mut csms, password)["attributeStatus"], "Accepted");
        // The station connects with the new password.
        csms.wait_for(&stage, "connection");
        let issued = csms.issue(&stage, json!({ "csr": request["csr"], "issuer": "ca" }));
        let answer = signed(&stage, &mut csms, &issued, "ChargingStationCertificate");
        assert_eq!(answer["status"], "Accepted", "{answer}");
        assert_eq!(csms.wait_for(&stage, "connection")["serial"], issued["serial"]);
        stage.wait_until("no fault", || status(&stage).disk_faults.is_empty());
        let log = stage.log();
        let begun = log.matches("a file of the station cannot be written").count();
        let ended = log.matches("a file of the station can be written again").count();
        assert_eq!(begun, ended, "one line when a fault begins, and one when it ends: {log}");
        assert!(!log.contains("panicked"), "{log}");
        station.terminate();
    });
}

/// The agent detects the end of the fault by itself, even without a request.
#[test]
fn disk_full_ends_by_itself_when_there_is_room() {
    in_a_namespace("disk_full_ends_by_itself_when_there_is_room", || {
        let stage = Stage::prepare();
        let disk = Disk::mount(&stage);
        let (mut csms, station) = booted(&stage);
        install_until_full(&stage, &mut csms, &disk);
        set_password(&stage, &mut csms, "another-horse-battery");
        assert!(!status(&stage).disk_faults.is_empty());
        disk.make_room();
        stage.wait_until("no fault", || status(&stage).disk_faults.is_empty());
        station.terminate();
    });
}

/// A renewal continues if the disk is full for a while at each of its steps.
#[test]
fn disk_full_at_each_step_of_a_renewal() {
    in_a_namespace("disk_full_at_each_step_of_a_renewal", || {
        for step in ["triggered", "accepted", "requested", "signed", "connected"] {
            let stage = Stage::prepare();
            let disk = Disk::mount(&stage);
            let (mut csms, station) = booted(&stage);
            set(&stage, &mut csms, "SecurityCtrlr", "CertSigningWaitMinimum", "1");
            let trigger = json!({ "requestedMessage": "SignChargingStationCertificate" });
            if step == "triggered" {
                install_until_full(&stage, &mut csms, &disk);
                let answer = csms.call(&stage, "TriggerMessage", trigger.clone());
                // F06.FR.10: an accepted trigger leads to a request.
                if answer["status"] != "Accepted" {
                    assert_eq!(answer["status"], "Rejected", "{answer}");
                    disk.make_room();
                    assert_eq!(csms.call(&stage, "TriggerMessage", trigger)["status"], "Accepted");
                    disk.fill();
                }
            } else {
                assert_eq!(csms.call(&stage, "TriggerMessage", trigger)["status"], "Accepted");
            }
            if step == "accepted" {
                disk.fill();
                install_until_full(&stage, &mut csms, &disk);
            }
            if disk.ballast().exists() {
                disk.make_room();
            }
            let request = csms.wait_for(&stage, "SignCertificate");
            if step == "requested" {
                install_until_full(&stage, &mut csms, &disk);
                disk.make_room();
            }
            if step == "signed" {
                install_until_full(&stage, &mut csms, &disk);
            }
            let mut issued = csms.issue(&stage, json!({ "csr": request["csr"], "issuer": "ca" }));
            let mut answer = signed(&stage, &mut csms, &issued, "ChargingStationCertificate");
            if step == "signed" {
                disk.make_room();
                if answer["status"] == "Rejected" {
                    // The certificate was not the cause: the request is sent again.
                    let request = csms.wait_for(&stage, "SignCertificate");
                    issued = csms.issue(&stage, json!({ "csr": request["csr"], "issuer": "ca" }));
                    answer = signed(&stage, &mut csms, &issued, "ChargingStationCertificate");
                }
            }
            assert_eq!(answer["status"], "Accepted", "{step}: {answer}\n{}", stage.log());
            if step == "connected" {
                disk.fill();
            }
            csms.wait_until(&stage, "connection", |connection| connection["serial"] == issued["serial"]);
            if step == "connected" {
                disk.make_room();
            }
            stage.wait_until("the certificate is in use, and nothing waits", || {
                let inventory = stage.inventory();
                inventory.own.len() == 1
                    && inventory.pending.is_empty()
                    && inventory.condemned_keys.is_empty()
            });
            stage.wait_until("no fault", || status(&stage).disk_faults.is_empty());
            station.terminate();
            assert_eq!(stage.keys(), 1, "{step}: no key is left behind");
        }
    });
}

/// The power fails, or the station is killed, while the disk is full. The station still starts, and
/// no event is lost.
#[test]
fn disk_full_a04_fr_02_no_event_is_lost_over_a_restart() {
    in_a_namespace("disk_full_a04_fr_02_no_event_is_lost_over_a_restart", || {
        let stage = Stage::prepare();
        let disk = Disk::mount(&stage);
        let (mut csms, station) = booted(&stage);
        csms.wait_until(&stage, "SecurityEventNotification", |event| event["type"] == "StartupOfTheDevice");
        csms.behave(&stage, "SecurityEventNotification", json!("silent"));
        disk.fill();
        let refused = signed(&stage, &mut csms, &json!({ "pem": "nonsense" }), "ChargingStationCertificate");
        assert_eq!(refused["status"], "Rejected");
        csms.wait_until(&stage, "SecurityEventNotification", |event| {
            event["type"] == "InvalidChargingStationCertificate"
        });
        station.kill();
        csms.behave(&stage, "SecurityEventNotification", Value::Null);
        let station = stage.station();
        csms.wait_until(&stage, "SecurityEventNotification", |event| {
            event["type"] == "InvalidChargingStationCertificate"
        });
        disk.make_room();
        stage.wait_until("no fault", || status(&stage).disk_faults.is_empty());
        station.terminate();
        let output = stage.command(&["events"]).output().expect("starts");
        let events = text(&output);
        assert!(events.contains("InvalidChargingStationCertificate"), "{events}");
    });
}

/// Without room for a store the program reports the fix, and leaves no incomplete files.
#[test]
fn disk_full_at_the_first_start() {
    in_a_namespace("disk_full_at_the_first_start", || {
        let stage = Stage::prepare();
        let disk = Disk::mount(&stage);
        stage.configure_with("station.toml", 1, &stage.token_uri());
        disk.fill();
        let provision = || stage.command(&["provision", "--csms-root", "ca.pem"]).output().expect("starts");
        let output = provision();
        assert_eq!(output.status.code(), Some(1));
        let said = text(&output);
        assert!(said.contains("certificates.redb") && said.contains("No space left"), "{said}");
        disk.make_room();
        let output = provision();
        assert!(output.status.success(), "{}", text(&output));
    });
}
