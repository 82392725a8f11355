//! The examples of ocpp-types and ocpp-transport, verified with Python's `ocpp`.

use std::process::Command;

use crate::{Running, checkout, python, run};

#[test]
fn answer_a_message_gives_what_the_schema_wants_and_explains_what_breaks_it() {
    let answer = |frame: &str| run(&mut Command::new(env!("CARGO_BIN_EXE_answer_a_message")), frame);
    let good = answer(r#"[2,"1","GetInstalledCertificateIds",{}]"#);
    let judge = "import json, sys; from ocpp.messages import CallResult, validate_payload; \
                 _, id, payload = json.load(sys.stdin); \
                 validate_payload(CallResult(id, payload, 'GetInstalledCertificateIds'), '2.0.1'); print('valid')";
    assert_eq!(run(python().args(["-c", judge]), &good), "valid\n", "{good}");

    let bad = answer(r#"[2,"2","DeleteCertificate",{"certificateHashData":{"hashAlgorithm":"MD5"}}]"#);
    assert!(bad.starts_with(r#"[4,"2","#) && bad.contains("/certificateHashData"), "{bad}");
}

#[test]
fn accept_stations_serves_a_station_of_python() {
    let mut csms = Running::start(&mut Command::new(env!("CARGO_BIN_EXE_accept_stations")));
    let url = csms.line();
    let mut command = python();
    command.arg("-B").arg(checkout("ocpp-transport/tests/it/python_peer.py"));
    command.args(["station", "--protocol", "ocpp2.0.1", "--password", "0123456789abcdef", "--url", &url]);
    let mut station = Running::start(&mut command);
    assert_eq!(station.line(), r#"{"step": "connected", "result": "ocpp2.0.1"}"#);
    assert_eq!(station.line(), r#"{"step": "boot", "result": "Accepted"}"#);
    assert!(station.line().starts_with(r#"{"step": "heartbeat", "result": "2"#));
}

#[test]
fn connect_to_csms_boots_at_a_csms_of_python() {
    let mut command = python();
    command.arg("-B").arg(checkout("ocpp-transport/tests/it/python_peer.py"));
    let mut csms = Running::start(command.args(["csms", "--protocol", "ocpp2.0.1"]));
    let listening = csms.line();
    let port = listening.rsplit(' ').next().and_then(|port| port.strip_suffix('}')).expect("a port");
    let url = format!("ws://127.0.0.1:{port}");
    let status = run(Command::new(env!("CARGO_BIN_EXE_connect_to_csms")).arg(url), "");
    assert_eq!(status, "Accepted\n");
}
