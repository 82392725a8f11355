//! Security events while there is no CSMS to tell.

use serde_json::Value;

use crate::stage::Stage;

#[test]
fn a04_fr_02_events_of_before_a_crash_are_reported_when_the_csms_is_there() {
    let stage = Stage::prepare();
    let (server, port) = stage.openssl_server(&["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]);
    stage.configure(port);
    let station = stage.station();
    stage.wait_for_log("InvalidTLSVersion");
    // SIGKILL, after the event is on disk and before anybody was told.
    let noted = || {
        let output = stage.command(&["events"]).output().expect("starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).expect("text");
        let events = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        events.map(|event| event["event"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    stage.wait_until("two events on disk", || noted().len() == 2);
    station.kill();
    drop(server);

    let mut csms = stage.operator();
    stage.configure(csms.port);
    let station = stage.station();
    for event in ["StartupOfTheDevice", "InvalidTLSVersion", "StartupOfTheDevice"] {
        assert_eq!(csms.wait_for(&stage, "SecurityEventNotification")["type"], event);
    }
    station.terminate();
    // A04.FR.04: the log keeps what was reported.
    assert_eq!(noted(), ["StartupOfTheDevice", "InvalidTLSVersion", "StartupOfTheDevice"]);

    let station = stage.station();
    assert_eq!(
        csms.wait_for(&stage, "SecurityEventNotification")["type"],
        "StartupOfTheDevice",
        "each is reported once"
    );
    station.terminate();
}
