//! Stations and central systems on the Node.js package `ocpp-rpc`, as independent implementations.
//! Its strict mode checks each payload.

use std::path::Path;
use std::process::Stdio;

use ocpp_transport::{
    CallFailure, Close, LinkSettings, Password, Peer, Router, Security, StationConfig, StationIdentity,
    connect,
};
use ocpp_types::{RpcErrorCode, Version, v16, v21, v201};
use serde_json::{Value, value::RawValue};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::lab::{Lab, PASSWORD, within};

/// The program in JavaScript, which reports its results step by step.
struct Node {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Node {
    fn start(role: &str, version: Version, arguments: &[&str]) -> Self {
        assert!(
            std::env::var_os("OCPP_NODE_MODULES").is_some(),
            "OCPP_NODE_MODULES is not set; run the tests with `cargo xtask test`"
        );
        let mut process = Command::new("node")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/ocpp_rpc_peer.cjs"))
            .args([role, version.subprotocol()])
            .args(arguments)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// The result of the next step, which must have this name.
    async fn step(&mut self, step: &str) -> Value {
        let line = within(self.lines.next_line()).await.unwrap();
        let line = line.unwrap_or_else(|| panic!("the peer ended before the step {step}"));
        let mut report: [Value; 2] = serde_json::from_str(&line).unwrap();
        assert_eq!(report[0], step, "{}", report[1]);
        report[1].take()
    }
}

/// The code with which the peer refuses a call.
async fn refusal(peer: &Peer, action: &str, payload: &str) -> RpcErrorCode {
    let payload = RawValue::from_string(payload.to_owned()).unwrap();
    match within(peer.call_raw(action.to_owned().into(), payload)).await.unwrap_err() {
        CallFailure::CallError { code, .. } => code,
        other => panic!("{action}: {other:?}"),
    }
}

/// The refusals of the library: an action without a handler, an exception of a handler, and a
/// payload that breaks the schema.
async fn refusals(peer: &Peer) {
    assert_eq!(refusal(peer, "DataTransfer", r#"{"vendorId":"a"}"#).await, RpcErrorCode::SecurityError);
    assert_eq!(refusal(peer, "ClearCache", "{}").await, RpcErrorCode::NotImplemented);
    let broken = refusal(peer, "DataTransfer", r#"{"vendorId":1}"#).await;
    assert_eq!(broken, RpcErrorCode::TypeConstraintViolation);
}

fn decode<T: serde::de::DeserializeOwned>(text: &str) -> T {
    ocpp_types::decode(text).unwrap()
}

/// One version of OCPP: the types of the calls that these tests make.
macro_rules! conversations {
    ($version:expr, $types:ident, $boot:expr, $station:ident, $csms:ident) => {
        #[tokio::test]
        async fn $station() {
            let router = Router::new($version)
                .handle(async |_: Peer, _: $types::BootNotificationRequest| {
                    Ok(decode::<$types::BootNotificationResponse>(BOOTED))
                })
                .handle(async |_: Peer, _: $types::HeartbeatRequest| {
                    Ok($types::HeartbeatResponse::new(NOW.parse().unwrap()))
                });
            let mut lab = Lab::plain(router, LinkSettings::default()).await;
            let url = format!("ws://{}/ocpp", lab.address);
            let mut node = Node::start("station", $version, &[&url, PASSWORD]);
            assert_eq!(node.step("connected").await, $version.subprotocol());
            let station = lab.connected().await;
            assert_eq!(station.version(), $version);
            assert_eq!(node.step("boot").await, "Accepted");
            assert!(node.step("heartbeat").await.as_str().unwrap().starts_with("2026-01-01T00:00:00"));
            assert_eq!(node.step("unsupported").await, "NotSupported");
            let response =
                within(station.call(decode::<$types::TriggerMessageRequest>(TRIGGER))).await.unwrap();
            assert_eq!(serde_json::to_value(&response.status).unwrap(), "Accepted");
            assert_eq!(node.step("triggered").await, "Heartbeat");
            refusals(&station).await;
            assert!(node.step("invalid").await.as_str().unwrap().contains("vendorId"));
            within(station.close(Close::Normal)).await;
            assert_eq!(node.step("closed").await, 1000);
            within(node.process.wait()).await.unwrap();
            lab.stop().await;
        }

        #[tokio::test]
        async fn $csms() {
            let mut node = Node::start("csms", $version, &[PASSWORD]);
            let port = node.step("listening").await;
            let url = format!("ws://127.0.0.1:{port}/ocpp").parse().unwrap();
            let security = Security::profile_1(Password::from(PASSWORD));
            let config = StationConfig::new(url, StationIdentity::try_from("CS001").unwrap(), security);
            let router = Router::new($version).handle(async |_: Peer, _: $types::TriggerMessageRequest| {
                Ok(decode::<$types::TriggerMessageResponse>(ACCEPTED))
            });
            let connection = within(connect(&config, router)).await.unwrap();
            let csms = connection.peer().clone();
            assert_eq!(csms.version(), $version);
            assert_eq!(node.step("connected").await, $version.subprotocol());
            assert_eq!(node.step("trigger").await, "Accepted");
            assert_eq!(node.step("unsupported").await, "NotSupported");
            let boot = within(csms.call(decode::<$types::BootNotificationRequest>($boot))).await.unwrap();
            assert_eq!(serde_json::to_value(&boot.status).unwrap(), "Accepted");
            within(csms.call($types::HeartbeatRequest::new())).await.unwrap();
            refusals(&csms).await;
            assert!(node.step("invalid").await.as_str().unwrap().contains("vendorId"));
            within(connection.close(Close::Normal)).await;
            assert_eq!(node.step("closed").await, 1000);
            within(node.process.wait()).await.unwrap();
        }
    };
}

conversations!(
    Version::V16,
    v16,
    r#"{"chargePointModel":"Rust","chargePointVendor":"Interop"}"#,
    ocpp_rpc_station_speaks_1_6_with_our_csms,
    ocpp_rpc_csms_speaks_1_6_with_our_station
);
conversations!(
    Version::V201,
    v201,
    BOOT,
    ocpp_rpc_station_speaks_2_0_1_with_our_csms,
    ocpp_rpc_csms_speaks_2_0_1_with_our_station
);
conversations!(
    Version::V21,
    v21,
    BOOT,
    ocpp_rpc_station_speaks_2_1_with_our_csms,
    ocpp_rpc_csms_speaks_2_1_with_our_station
);

const NOW: &str = "2026-01-01T00:00:00Z";
const BOOT: &str = r#"{"reason":"PowerUp","chargingStation":{"model":"Rust","vendorName":"Interop"}}"#;
const BOOTED: &str = r#"{"status":"Accepted","currentTime":"2026-01-01T00:00:00Z","interval":300}"#;
const TRIGGER: &str = r#"{"requestedMessage":"Heartbeat"}"#;
const ACCEPTED: &str = r#"{"status":"Accepted"}"#;
