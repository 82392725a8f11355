//! Security events while no CSMS can receive them.

use serde_json::{Value, json};

use crate::{
    python::PythonCsms,
    stage::{Process, Stage},
    v16::prepare,
};

/// The security log as `ocpp-station events --json` prints it: the name, the state, and the reason
/// if an event was not reported.
fn events(stage: &Stage) -> Vec<(String, String, String)> {
    let output = stage.command(&["events"]).output().expect("starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).expect("text");
    let events = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    events.map(|event| (text(&event["event"]), text(&event["state"]), text(&event["not_reported"]))).collect()
}

fn states(stage: &Stage) -> Vec<(String, String)> {
    events(stage).into_iter().map(|(event, state, _)| (event, state)).collect()
}

/// Sets the answer of the CSMS to SecurityEventNotification from now on.
fn answer_events(csms: &mut PythonCsms, stage: &Stage, answer: Value) {
    csms.behave(stage, "SecurityEventNotification", answer);
}

/// A station, and a CSMS that cannot accept its events.
fn start(stage: &Stage, version: &str) -> (PythonCsms, Process) {
    let mut csms = prepare(stage, version, &[version]);
    answer_events(&mut csms, stage, json!({ "error": "InternalError" }));
    let station = stage.station();
    (csms, station)
}

#[test]
fn a04_fr_02_events_of_before_a_crash_are_reported_when_the_csms_is_there() {
    let stage = Stage::prepare();
    let (server, port) = stage.openssl_server(&["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]);
    stage.configure(port);
    let station = stage.station();
    stage.wait_for_log("InvalidTLSVersion");
    // SIGKILL, after the event is on disk and before it is reported.
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
    // A04.FR.04: reported events stay in the log.
    assert_eq!(noted(), ["StartupOfTheDevice", "InvalidTLSVersion", "StartupOfTheDevice"]);

    let station = stage.station();
    assert_eq!(
        csms.wait_for(&stage, "SecurityEventNotification")["type"],
        "StartupOfTheDevice",
        "each is reported once"
    );
    station.terminate();
}

/// A04.FR.02: an answer with the id of the notification proves that it has arrived, whatever the
/// answer contains.
#[test]
fn a04_fr_03_an_answer_that_cannot_be_read_confirms_and_the_queue_goes_on() {
    for (version, answer) in [
        ("1.6", "[3,\"$ID\",null]"),
        ("2.0.1", "[3,\"$ID\",null]"),
        ("2.0.1", "[3,\"$ID\",{\"colour\":\"red\"}]"),
        ("2.0.1", "[3,\"$ID\",[]]"),
        ("2.0.1", "[3,\"$ID\",{},{}]"),
    ] {
        let stage = Stage::prepare();
        let mut csms = prepare(&stage, version, &[version]);
        answer_events(&mut csms, &stage, json!({ "raw": answer }));
        let station = stage.station();
        assert_eq!(csms.wait_for(&stage, "SecurityEventNotification")["type"], "StartupOfTheDevice");
        let reported = vec![("StartupOfTheDevice".to_owned(), "reported".to_owned())];
        stage.wait_until("confirmed", || states(&stage) == reported);
        // The next event is sent on the same connection.
        csms.call(&stage, "CertificateSigned", json!({ "certificateChain": "nonsense" }));
        let next = csms.wait_for(&stage, "SecurityEventNotification")["type"].clone();
        assert!(next.as_str().is_some_and(|name| name.starts_with("InvalidCharg")), "{next}");
        stage.wait_until("confirmed", || states(&stage).iter().all(|(_, state)| state == "reported"));
        assert_eq!(
            stage.log().matches("in a way that cannot be read").count(),
            2,
            "once each: {}",
            stage.log()
        );
        station.terminate();
    }
}

/// A04.FR.02: if a CSMS cannot accept an event now, it gets the event on later connections, a
/// bounded number of times.
#[test]
fn a04_fr_02_an_event_that_the_csms_cannot_take_now_is_sent_again() {
    let stage = Stage::prepare();
    let (mut csms, station) = start(&stage, "2.0.1");
    csms.wait_for(&stage, "connection");
    assert_eq!(csms.wait_for(&stage, "SecurityEventNotification")["type"], "StartupOfTheDevice");
    // The event does not block others, and is not sent twice on one connection.
    csms.call(&stage, "CertificateSigned", json!({ "certificateChain": "nonsense" }));
    assert_eq!(
        csms.wait_for(&stage, "SecurityEventNotification")["type"],
        "InvalidChargingStationCertificate"
    );
    let both = |state: &str| {
        [("StartupOfTheDevice", state), ("InvalidChargingStationCertificate", state)]
            .map(|(event, state)| (event.to_owned(), state.to_owned()))
    };
    assert_eq!(states(&stage), both("waiting"));
    // On the next connection both events are sent again, oldest first; a restart keeps the count.
    station.kill();
    answer_events(&mut csms, &stage, Value::Null);
    let station = stage.station();
    csms.wait_for(&stage, "connection");
    for event in ["StartupOfTheDevice", "InvalidChargingStationCertificate", "StartupOfTheDevice"] {
        assert_eq!(csms.wait_for(&stage, "SecurityEventNotification")["type"], event);
    }
    stage.wait_until("reported", || states(&stage).iter().all(|(_, state)| state == "reported"));
    station.terminate();
}

#[test]
fn a04_fr_02_an_event_that_is_never_taken_ends_and_is_not_called_reported() {
    let stage = Stage::prepare();
    let (mut csms, station) = start(&stage, "2.0.1");
    for _ in 0..5 {
        csms.wait_for(&stage, "connection");
        assert_eq!(csms.wait_for(&stage, "SecurityEventNotification")["type"], "StartupOfTheDevice");
        csms.tell(&stage, json!({ "close": true }), "closed");
    }
    stage.wait_until("given up", || states(&stage).iter().any(|(_, state)| state == "not-reported"));
    let (event, _, why) = events(&stage).remove(0);
    assert_eq!(event, "StartupOfTheDevice");
    assert!(why.contains("refused on 5 connections") && why.contains("InternalError"), "{why}");
    let text = stage.plain_command(&["events"]).output().expect("starts");
    let text = String::from_utf8(text.stdout).expect("text");
    assert!(text.contains("  not reported  StartupOfTheDevice"), "{text}");
    station.terminate();

    // An error that concerns the event itself would be repeated each time.
    let stage = Stage::prepare();
    let mut csms = prepare(&stage, "2.0.1", &["2.0.1"]);
    answer_events(&mut csms, &stage, json!({ "error": "NotImplemented" }));
    let station = stage.station();
    csms.wait_for(&stage, "SecurityEventNotification");
    stage.wait_until("given up", || states(&stage).iter().any(|(_, state)| state == "not-reported"));
    station.terminate();
}

/// 1.6, 3.14: ISO 8601. In 2.x the station does not boot, but loses no event (A04.FR.02).
#[test]
fn a_time_without_offset_is_read_in_1_6_and_costs_no_event_in_2_x() {
    for version in ["1.6", "2.0.1", "2.1"] {
        let stage = Stage::prepare();
        let mut csms = prepare(&stage, version, &[version]);
        let answer =
            r#"[3,"$ID",{"status":"Accepted","currentTime":"2026-11-30T12:00:00.123456","interval":300}]"#;
        csms.behave(&stage, "BootNotification", json!({ "raw": answer }));
        let station = stage.station();
        csms.wait_for(&stage, "BootNotification");
        if version != "1.6" {
            stage.wait_for_log("BootNotification brought no answer");
            assert_eq!(states(&stage), [("StartupOfTheDevice".to_owned(), "waiting".to_owned())]);
            csms.behave(&stage, "BootNotification", Value::Null);
            // The station boots again on the next connection.
            csms.tell(&stage, json!({ "close": true }), "closed");
        }
        assert_eq!(csms.wait_for(&stage, "SecurityEventNotification")["type"], "StartupOfTheDevice");
        station.terminate();
    }
}
