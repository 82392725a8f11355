//! Stations and central systems on the Python package `ocpp`, in each version and each role, as
//! independent implementations.

use std::path::Path;
use std::process::Stdio;

use ocpp_transport::{
    CallError, CallFailure, Close, LinkSettings, Password, Peer, Router, Security, StationConfig,
    StationIdentity, connect,
};
use ocpp_types::{RpcErrorCode, Version, v16, v21, v201};
use serde_json::{Value, json, value::RawValue};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::lab::{Lab, PASSWORD, within};

/// The Python program, which reports its results step by step.
struct Python {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Python {
    fn start(role: &str, version: Version, arguments: &[&str]) -> Self {
        let python = std::env::var("OCPP_PYTHON")
            .expect("OCPP_PYTHON is not set; run the tests with `cargo xtask test`");
        let mut process = Command::new(python)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/python_peer.py"))
            .args([role, "--protocol", version.subprotocol()])
            .args(arguments)
            .args(ODD_FRAMES.iter().flat_map(|(frame, ..)| ["--raw", frame]))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// The result of the next step, which must have this name.
    async fn step(&mut self, step: &str) -> Value {
        let line = within(self.lines.next_line()).await.unwrap();
        let Some(line) = line else {
            let mut text = String::new();
            within(self.process.stderr.take().unwrap().read_to_string(&mut text)).await.unwrap();
            panic!("no step {step}: {text}");
        };
        let mut report: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(report["step"], step, "{report}");
        report["result"].take()
    }

    /// The answers to frames that our programs never send.
    async fn odd_frames(&mut self, version: Version) {
        for (frame, old, new) in ODD_FRAMES {
            let answer = self.step("raw").await;
            let (id, code) = if version == Version::V16 { old } else { new };
            assert_eq!(
                (&answer[0], &answer[1], &answer[2]),
                (&json!(4), &json!(id), &json!(code)),
                "{frame}"
            );
            assert_eq!(answer.as_array().map(Vec::len), Some(5), "{answer}");
        }
        assert_eq!(self.step("ready").await, true);
    }
}

/// Id and code of a CALLERROR.
type Answer = (&'static str, &'static str);

/// Frames, and their answers in 1.6, then in 2.0.1 and 2.1.
#[rustfmt::skip]
const ODD_FRAMES: &[(&str, Answer, Answer)] = &[
    (r#"[2,"raw-1","NoSuchAction",{}]"#, ("raw-1", "NotImplemented"), ("raw-1", "NotImplemented")),
    (r#"[2,"raw-2","ClearCache",{}]"#, ("raw-2", "NotSupported"), ("raw-2", "NotSupported")),
    (r#"[2,"raw-3","TriggerMessage",{}]"#,
        ("raw-3", "OccurenceConstraintViolation"), ("raw-3", "OccurrenceConstraintViolation")),
    (r#"[2,"raw-4","TriggerMessage",{"requestedMessage":1}]"#,
        ("raw-4", "TypeConstraintViolation"), ("raw-4", "TypeConstraintViolation")),
    (r#"[2,"raw-5","TriggerMessage",{"requestedMessage":"Nonsense"}]"#,
        ("raw-5", "TypeConstraintViolation"), ("raw-5", "TypeConstraintViolation")),
    (r#"[2,"raw-6","TriggerMessage",{"requestedMessage":"Heartbeat","extra":1}]"#,
        ("raw-6", "FormationViolation"), ("raw-6", "FormatViolation")),
    (r#"[2,"raw-7","Heartbeat"]"#, ("raw-7", "FormationViolation"), ("raw-7", "RpcFrameworkError")),
    (r#"{"not":"a frame"}"#, ("-1", "FormationViolation"), ("-1", "RpcFrameworkError")),
    (r#"[2,"raw-8","#, ("raw-8", "FormationViolation"), ("raw-8", "RpcFrameworkError")),
];

/// One version of OCPP: the types of the calls that these tests make.
macro_rules! conversations {
    ($version:expr, $types:ident, $trigger:ident, $boot:expr, $station:ident, $csms:ident) => {
        #[tokio::test]
        async fn $station() {
            let router = Router::new($version)
                .handle(async |_: Peer, _: $types::BootNotificationRequest| {
                    Ok(decode::<$types::BootNotificationResponse>(BOOTED))
                })
                .handle(async |_: Peer, _: $types::HeartbeatRequest| {
                    Ok($types::HeartbeatResponse::new(NOW.parse().unwrap()))
                })
                .handle(async |_: Peer, _: $types::TriggerMessageRequest| {
                    Ok(decode::<$types::TriggerMessageResponse>(ACCEPTED))
                });
            let mut lab = Lab::plain(router, LinkSettings::default()).await;
            let url = format!("ws://{}/ocpp", lab.address);
            let mut python = Python::start("station", $version, &["--url", &url, "--password", PASSWORD]);
            assert_eq!(python.step("connected").await, $version.subprotocol());
            let station = lab.connected().await;
            assert_eq!(station.version(), $version);
            assert_eq!(python.step("boot").await, "Accepted");
            assert!(python.step("heartbeat").await.as_str().unwrap().starts_with("2026-01-01T00:00:00"));
            python.odd_frames($version).await;
            let response =
                within(station.call(decode::<$types::TriggerMessageRequest>(TRIGGER))).await.unwrap();
            assert_eq!(serde_json::to_value(&response.status).unwrap(), "Accepted");
            assert_eq!(python.step("triggered").await, "Heartbeat");
            refusals_of_python(&station).await;
            within(station.close(Close::Normal)).await;
            within(python.process.wait()).await.unwrap();
            lab.stop().await;
        }

        #[tokio::test]
        async fn $csms() {
            let mut python = Python::start("csms", $version, &[]);
            let port = python.step("listening").await;
            let url = format!("ws://127.0.0.1:{port}/ocpp").parse().unwrap();
            let security = Security::profile_1(Password::from(PASSWORD));
            let config = StationConfig::new(url, StationIdentity::try_from("CS001").unwrap(), security);
            let router =
                Router::new($version).handle(async |_: Peer, request: $types::TriggerMessageRequest| {
                    match request.requested_message {
                        $types::$trigger::Heartbeat => Ok(decode::<$types::TriggerMessageResponse>(ACCEPTED)),
                        _ => Err(CallError::security("not this one")),
                    }
                });
            let connection = within(connect(&config, router)).await.unwrap();
            let csms = connection.peer().clone();
            assert_eq!(csms.version(), $version);
            assert_eq!(python.step("connected").await, $version.subprotocol());
            assert_eq!(python.step("path").await, "/ocpp/CS001");
            assert_eq!(python.step("authorization").await, "Basic Q1MwMDE6Y29ycmVjdCBob3JzZSBiYXR0ZXJ5");
            assert_eq!(python.step("trigger").await, "Accepted");
            assert_eq!(python.step("refused trigger").await, "SecurityError");
            python.odd_frames($version).await;
            let boot = within(csms.call(decode::<$types::BootNotificationRequest>($boot))).await.unwrap();
            assert_eq!(serde_json::to_value(&boot.status).unwrap(), "Accepted");
            within(csms.call($types::HeartbeatRequest::new())).await.unwrap();
            refusals_of_python(&csms).await;
            within(connection.close(Close::Normal)).await;
            within(python.process.wait()).await.unwrap();
        }
    };
}

conversations!(
    Version::V16,
    v16,
    MessageTrigger,
    r#"{"chargePointModel":"Rust","chargePointVendor":"Interop"}"#,
    python_station_speaks_1_6_with_our_csms,
    python_csms_speaks_1_6_with_our_station
);
conversations!(
    Version::V201,
    v201,
    MessageTriggerEnumType,
    BOOT,
    python_station_speaks_2_0_1_with_our_csms,
    python_csms_speaks_2_0_1_with_our_station
);
conversations!(
    Version::V21,
    v21,
    MessageTriggerEnumType,
    BOOT,
    python_station_speaks_2_1_with_our_csms,
    python_csms_speaks_2_1_with_our_station
);

/// CALLERRORs of the package, by their codes.
async fn refusals_of_python(peer: &Peer) {
    // Actions without a handler: the package swaps these two codes, compared with the
    // specification, and in 2.1 it does not answer.
    let unhandled: &[_] = match peer.version() {
        Version::V21 => &[],
        _ => &[
            ("ClearCache", "{}", RpcErrorCode::NotImplemented),
            ("NoSuchAction", "{}", RpcErrorCode::NotSupported),
        ],
    };
    // The handler raises an exception of the package, and one of Python. The third payload breaks
    // the schema.
    let handled = [
        ("DataTransfer", r#"{"vendorId":"secret"}"#, RpcErrorCode::SecurityError),
        ("DataTransfer", r#"{"vendorId":"other"}"#, RpcErrorCode::InternalError),
        ("Heartbeat", r#"{"extra":1}"#, RpcErrorCode::FormatViolation),
    ];
    for (action, payload, expected) in handled.iter().chain(unhandled) {
        let payload = RawValue::from_string((*payload).to_owned()).unwrap();
        let failure = within(peer.call_raw((*action).into(), payload)).await.unwrap_err();
        assert!(
            matches!(&failure, CallFailure::CallError { code, .. } if code == expected),
            "{action}: {failure:?}"
        );
    }
}

fn decode<T: serde::de::DeserializeOwned>(text: &str) -> T {
    ocpp_types::decode(text).unwrap()
}

const NOW: &str = "2026-01-01T00:00:00Z";
const BOOT: &str = r#"{"reason":"PowerUp","chargingStation":{"model":"Rust","vendorName":"Interop"}}"#;
const BOOTED: &str = r#"{"status":"Accepted","currentTime":"2026-01-01T00:00:00Z","interval":300}"#;
const TRIGGER: &str = r#"{"requestedMessage":"Heartbeat"}"#;
const ACCEPTED: &str = r#"{"status":"Accepted"}"#;
