//! Metrics of the service, and a log without secrets.

use std::fs;

use crate::stage::{PASSWORD, Stage};

#[test]
fn operators_read_metrics_and_no_secret_is_in_the_log() {
    // The log contains the entries of all levels, of every library in the program.
    let mut stage = Stage::prepare();
    stage.launch_with_log("trace");
    // A station may not send this request, but the service reads it like any frame.
    let secret = "a-new-secret-of-16";
    let frame = format!(
        r#"[2,"raw-1","SetVariables",{{"setVariableData":[{{"attributeValue":"{secret}","component":{{"name":"SecurityCtrlr"}},"variable":{{"name":"BasicAuthPassword"}}}}]}}]"#
    );
    fs::write(stage.path("frame"), frame).expect("writes");
    let report = stage.station_with_password("CS001", &["--serial-number", "SN-0001", "--raw", "frame"]);
    assert_eq!(report.step("raw")[2], "NotSupported");
    assert_eq!(report.step("heartbeat"), true);
    let wrong = "the wrong password";
    stage.station("CS002", &["--password", wrong]);

    let output = stage.command(&["metrics"]).output().expect("starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text: String = serde_json::from_slice(&output.stdout).expect("JSON");
    for line in [
        r#"ocpp_calls_total{role="csms",direction="in",version="2.0.1",action="BootNotification",outcome="ok"} 1"#,
        r#"ocpp_calls_total{role="csms",direction="in",version="2.0.1",action="Heartbeat",outcome="ok"} 1"#,
        r#"ocpp_handshakes_refused_total{role="csms",reason="bad_credentials"} 1"#,
        r#"ocpp_connections{role="csms",version="2.0.1",profile="2"} 0"#,
        "# TYPE ocpp_call_duration_seconds histogram",
        "# TYPE pkcs11_sign_duration_seconds histogram",
        "pkcs11_module_restarts_total 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }

    let log = stage.log();
    assert!(log.contains("TRACE") && log.contains("BasicAuthPassword"), "the log is not complete: {log}");
    for secret in [PASSWORD, wrong, secret] {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "a secret is in the log");
    }
}
