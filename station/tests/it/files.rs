//! The station's files: their paths, their permissions, and the messages about a configuration that
//! is wrong.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    process::{Command, Stdio},
};

use serde_json::json;

use crate::{
    reusable::{booted, csr},
    stage::{Process, Stage},
};

#[test]
fn an_error_of_the_configuration_shows_place_and_rule_and_no_secret() {
    let stage = Stage::prepare();
    for (text, place) in [
        ("[csms]\npassword = \"correct-horse\\u001b[2Jbattery\"\n", "line 2, column 1: "),
        ("[csms]\npassword = \"correct-horse\u{1b}[2Jbattery\"\n", "line 2, column 26: invalid basic string"),
        ("[csms]\npassword = \"correct-horse-battery\n", "line 2, column 34: invalid basic string"),
        (
            "[token]\nkeep_alive_seconds = \"correct-horse-battery\"\n",
            "line 2, column 22: token.keep_alive_seconds",
        ),
        ("directory = \"data\"\n[csms]\nurl = \"correct-horse-battery\"\n", "line 3, column 7: csms.url: "),
    ] {
        fs::write(stage.path("station.toml"), text).expect("writes");
        let output = stage.plain_command(&["run"]).output().expect("starts");
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).expect("text");
        assert!(said.contains("station.toml cannot be used") && said.contains(place), "{said}");
        assert!(!said.contains("correct-horse") && !said.contains(['\u{1b}', '\u{fffd}']), "{said:?}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn relative_paths_are_seen_from_the_configuration_file() {
    let stage = Stage::prepare();
    let mut csms = stage.operator();
    stage.configure(csms.port);
    let config = stage.path("station.toml");
    let log = fs::File::create(stage.path("log")).expect("a log");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ocpp-station"));
    command.current_dir("/").arg("--config").arg(config).arg("run").stdout(Stdio::null()).stderr(log);
    let station = Process::new(command.spawn().expect("starts"));
    // A run with password, PIN, key and store.
    csms.wait_for(&stage, "BootNotification");
    csr(&stage, &mut csms, "SignChargingStationCertificate");
    station.terminate();
}

#[test]
fn a_folder_and_files_that_others_may_read_are_closed_to_them() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    csms.wait_for(&stage, "SecurityEventNotification");
    station.terminate();
    let data = stage.path("data");
    let open = |path: &std::path::Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("sets");
    };
    open(&data, 0o777);
    for entry in fs::read_dir(&data).expect("lists") {
        open(&entry.expect("an entry").path(), 0o644);
    }
    let station = stage.station();
    csms.wait_for(&stage, "BootNotification");
    let mode = |path: &std::path::Path| fs::metadata(path).expect("is there").mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    for entry in fs::read_dir(&data).expect("lists") {
        let path = entry.expect("an entry").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    let log = stage.log();
    assert!(log.contains("was open to other users, and is closed to them now"), "{log}");
    assert!(log.contains("0777"), "what it was: {log}");
    station.terminate();
}

/// Neighbours can read the trust bundles, even if they are in the station's folder.
#[test]
fn a_folder_with_trust_bundles_can_be_passed_through() {
    let stage = Stage::prepare();
    let (_csms, station) =
        crate::reusable::booted_with(&stage, "[certificates]\ntrust_bundles = \"data/bundles\"\n");
    station.terminate();
    let data = stage.path("data");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).expect("sets");
    let output = stage.command(&["inventory"]).output().expect("starts");
    assert!(output.status.success());
    assert_eq!(fs::metadata(&data).expect("is there").mode() & 0o777, 0o711);
}

/// The log has reached the limit of file sizes. Without a handler, SIGXFSZ would end the process.
#[test]
fn disk_full_a_log_at_the_limit_of_its_size_does_not_end_the_station() {
    let stage = Stage::prepare();
    let mut csms = stage.operator();
    stage.configure(csms.port);
    let limit = 8 * 1024 * 1024;
    let log = fs::File::options().create(true).append(true).open(stage.path("log")).expect("a log");
    log.set_len(limit).expect("sparse");
    let station = Command::new("prlimit")
        .arg(format!("--fsize={limit}"))
        .arg(env!("CARGO_BIN_EXE_ocpp-station"))
        .current_dir(stage.path("."))
        .args(["--config", "station.toml", "run"])
        .stdout(Stdio::null())
        .stderr(log.try_clone().expect("a handle"))
        .spawn()
        .expect("this test needs the prlimit command; install the package util-linux");
    let station = Process::new(station);
    csms.wait_for(&stage, "BootNotification");
    csr(&stage, &mut csms, "SignChargingStationCertificate");
    assert_eq!(log.metadata().expect("is there").len(), limit, "nothing was logged");
    // After the log was rotated, it continues.
    log.set_len(0).expect("truncated");
    let trigger = json!({ "requestedMessage": "SignChargingStationCertificate" });
    assert_eq!(csms.call(&stage, "TriggerMessage", trigger)["status"], "Accepted");
    csms.wait_until(&stage, "SignCertificate", |_| true);
    stage.wait_for_log("the certificate will follow");
    station.terminate();
}

/// Bytes are flipped in each of the station's files, and their ends are cut off. The program
/// reports that the file is damaged, or continues, and never panics.
#[test]
fn a_damaged_file_is_an_error_and_never_a_panic() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    csms.wait_for(&stage, "SecurityEventNotification");
    crate::reusable::renewed(&stage, &mut csms);
    crate::reusable::set(&stage, &mut csms, "OCPPCommCtrlr", "HeartbeatInterval", "77");
    csms.behave(&stage, "SecurityEventNotification", json!("silent"));
    let nonsense = json!({ "pem": "nonsense" });
    crate::reusable::signed(&stage, &mut csms, &nonsense, "ChargingStationCertificate");
    stage.wait_until("an event waits", || {
        fs::metadata(stage.path("data/security-events.jsonl")).is_ok_and(|metadata| metadata.len() > 0)
    });
    station.kill();
    drop(csms);
    // The agent itself reads all files, and reports why it cannot start. No CSMS is listening, so
    // it does nothing else.
    for name in
        ["certificates.redb", "device-model.json", "security-events.jsonl", "security.log", "last-slot"]
    {
        let path = stage.path("data").join(name);
        let sound = fs::read(&path).expect("reads");
        let used: Vec<usize> = (0..sound.len()).filter(|at| sound[*at] != 0).collect();
        let places = (0..8).map(|part| used[used.len() * part / 8]);
        let flipped = places.map(|at| {
            let mut damaged = sound.clone();
            damaged[at] ^= 0xFF;
            damaged
        });
        let cut = [0, sound.len() / 2, sound.len() - 1].map(|length| sound[..length].to_vec());
        for damaged in flipped.chain(cut) {
            fs::write(&path, &damaged).expect("writes");
            fs::write(stage.path("log"), "").expect("writes");
            let log = fs::File::options().append(true).open(stage.path("log")).expect("a log");
            let mut agent = stage.command(&["run"]);
            let mut agent = agent.stdout(Stdio::null()).stderr(log).spawn().expect("starts");
            let mut code = None;
            stage.wait_until("it runs, or has ended", || {
                stage.log().contains("StartupOfTheDevice") || stage.log().contains("ocpp-station: ")
            });
            if stage.log().contains("ocpp-station: ") {
                code = agent.wait().expect("ends").code();
                let file = path.display().to_string();
                assert!(stage.log().contains(&file), "{name}: it names the file: {}", stage.log());
            }
            drop(Process::new(agent));
            assert!(matches!(code, None | Some(1)), "{name}: {code:?}\n{}", stage.log());
            let log = stage.log();
            assert!(!log.contains("panicked") && !log.contains("battery"), "{name}: {log}");
            for command in ["inventory", "events"] {
                let output = stage.plain_command(&[command]).output().expect("starts");
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(!said.contains("panicked"), "{name}: {said}");
                assert!(matches!(output.status.code(), Some(0 | 1)), "{name}: {said}");
            }
        }
        fs::write(&path, &sound).expect("writes");
    }
}
