//! What operators see: metrics with few labels, spans with identity and message id, and no secrets.

use std::io;
use std::sync::{Arc, Mutex};

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use ocpp_transport::{
    CallFailure, Close, LinkSettings, Password, Peer, Router, Security, connect, metrics as names,
};
use ocpp_types::{Version, v16, v201};
use tracing::Level;

use crate::lab::{Happened, Lab, PASSWORD, heartbeats, nothing, within};

/// The content of a recorder, by name and labels.
struct Counted(Vec<(String, Labels, DebugValue)>);

type Labels = Vec<(String, String)>;

impl Counted {
    fn take(snapshotter: &Snapshotter) -> Self {
        let metrics = snapshotter.snapshot().into_vec().into_iter();
        Self(
            metrics
                .map(|(key, _, _, value)| {
                    let (_, key) = key.into_parts();
                    let labels = key
                        .labels()
                        .map(|label| (label.key().to_owned(), label.value().to_owned()))
                        .collect();
                    (key.name().to_owned(), labels, value)
                })
                .collect(),
        )
    }

    /// The sum of the counters and gauges that have all these labels.
    fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.matching(name, labels)
            .map(|value| match value {
                DebugValue::Counter(count) => *count as f64,
                DebugValue::Gauge(value) => value.0,
                DebugValue::Histogram(_) => panic!("{name} is a histogram"),
            })
            .sum()
    }

    /// The number of values in the histograms with these labels, all of which must be plausible
    /// times.
    fn times(&self, name: &str, labels: &[(&str, &str)]) -> usize {
        self.matching(name, labels)
            .map(|value| match value {
                DebugValue::Histogram(values) => {
                    assert!(values.iter().all(|seconds| (0.0..20.0).contains(&seconds.0)), "{values:?}");
                    values.len()
                }
                _ => panic!("{name} is no histogram"),
            })
            .sum()
    }

    fn matching<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&str, &str)],
    ) -> impl Iterator<Item = &'a DebugValue> {
        self.0
            .iter()
            .filter(move |(key, has, _)| {
                key == name
                    && labels.iter().all(|(name, value)| has.iter().any(|(n, v)| n == name && v == value))
            })
            .map(|(_, _, value)| value)
    }
}

#[tokio::test]
async fn calls_connections_and_bytes_are_counted() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let mut lab = Lab::plain(heartbeats(), LinkSettings::default()).await;

    // Compressed, because both sides offer it.
    let security = Security::profile_1(Password::from(PASSWORD));
    let config = lab.config("CS001", security).with_link(LinkSettings::default());
    let connection = within(connect(&config, nothing())).await.unwrap();
    let station = lab.connected().await;
    for _ in 0..3 {
        within(connection.peer().call(v201::HeartbeatRequest::new())).await.unwrap();
    }
    let mut transfer = v201::DataTransferRequest::new("x".try_into().unwrap());
    transfer.data = Some(ocpp_types::decode(&format!("\"{}\"", "long ".repeat(2000))).unwrap());
    let failure = within(connection.peer().call(transfer)).await.unwrap_err();
    assert!(matches!(failure, CallFailure::CallError { .. }), "{failure:?}");
    let failure = within(station.call(v201::ClearCacheRequest::new())).await.unwrap_err();
    assert!(matches!(failure, CallFailure::CallError { .. }), "{failure:?}");

    let counted = Counted::take(&snapshotter);
    let open = [("role", "csms"), ("version", "2.0.1"), ("profile", "1")];
    assert_eq!(counted.sum(names::CONNECTIONS, &open), 1.0);
    assert_eq!(counted.sum(names::CONNECTIONS, &[("role", "station")]), 1.0);
    for (role, direction) in [("csms", "in"), ("station", "out")] {
        let beats = [("role", role), ("direction", direction), ("version", "2.0.1"), ("action", "Heartbeat")];
        assert_eq!(counted.sum(names::CALLS, &[&beats[..], &[("outcome", "ok")]].concat()), 3.0, "{role}");
        assert_eq!(counted.times(names::CALL_SECONDS, &beats), 3, "{role}");
        let refused = [("role", role), ("action", "DataTransfer"), ("outcome", "NotSupported")];
        assert_eq!(counted.sum(names::CALLS, &refused), 1.0, "{role}");
        let bytes = [("role", role), ("direction", direction)];
        let (payload, wire) =
            (counted.sum(names::PAYLOAD_BYTES, &bytes), counted.sum(names::WIRE_BYTES, &bytes));
        assert!(payload > 10_000.0 && wire > 0.0 && wire * 10.0 < payload, "{role}: {payload} {wire}");
    }
    let refused =
        [("role", "csms"), ("direction", "out"), ("action", "ClearCache"), ("outcome", "NotSupported")];
    assert_eq!(counted.sum(names::CALLS, &refused), 1.0);

    within(connection.close(Close::Normal)).await;
    loop {
        if let Happened::Disconnected(..) = lab.next().await {
            break;
        }
    }
    let counted = Counted::take(&snapshotter);
    // This recorder starts from zero after each snapshot, so this is the change.
    assert_eq!(counted.sum(names::CONNECTIONS, &[]), -2.0);
    assert_eq!(counted.sum(names::DISCONNECTIONS, &[("role", "csms"), ("reason", "closed_by_peer")]), 1.0);
    assert_eq!(counted.sum(names::DISCONNECTIONS, &[("role", "station"), ("reason", "closed")]), 1.0);
}

#[tokio::test]
async fn what_a_peer_makes_up_is_no_label() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let lab = Lab::plain(heartbeats(), LinkSettings::default()).await;
    let mut raw = lab.raw().await;
    for number in 0..5 {
        raw.send(format!(r#"[2,"{number}","MadeUp{number}",{{}}]"#)).await;
        raw.receive().await;
    }
    raw.send(r#"[3,"unsolicited",{}]"#).await;
    for frame in ["{}", r#"[2,"1"]"#, r#"[2,"2","Heartbeat",{"made up":1}]"#] {
        raw.send(frame).await;
        raw.receive().await;
    }
    let security = |password: &str| Security::profile_1(Password::from(password));
    let wrong = within(connect(&lab.config("CS001", security("wrong")), nothing())).await;
    let unknown = within(connect(&lab.config("CS404", security(PASSWORD)), nothing())).await;
    assert!(wrong.is_err() && unknown.is_err());

    let counted = Counted::take(&snapshotter);
    let other = [("role", "csms"), ("direction", "in"), ("action", "other"), ("outcome", "NotImplemented")];
    assert_eq!(counted.sum(names::CALLS, &other), 5.0);
    let invalid = [("action", "Heartbeat"), ("outcome", "FormatViolation")];
    assert_eq!(counted.sum(names::CALLS, &invalid), 1.0);
    assert_eq!(counted.sum(names::UNMATCHED_ANSWERS, &[("role", "csms")]), 1.0);
    assert_eq!(counted.sum(names::FRAMES_REFUSED, &[("role", "csms")]), 2.0);
    assert_eq!(counted.sum(names::FRAMES_REFUSED, &[("reason", "not_an_array")]), 1.0);
    for role in ["csms", "station"] {
        for reason in ["bad_credentials", "unknown_station"] {
            let refused = [("role", role), ("reason", reason)];
            assert_eq!(counted.sum(names::HANDSHAKES_REFUSED, &refused), 1.0, "{role} {reason}");
        }
    }
    for (name, labels, _) in &counted.0 {
        let made_up =
            |(_, value): &(String, String)| value.to_lowercase().replace('_', "").contains("madeup");
        assert!(!labels.iter().any(made_up), "{name} {labels:?}");
    }
}

/// Everything that is logged, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn record(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .with_ansi(false)
            .with_writer(move || log.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn accepted<R: serde::de::DeserializeOwned>() -> R {
    ocpp_types::decode(r#"{"status":"Accepted"}"#).unwrap()
}

#[tokio::test]
async fn secrets_are_in_no_log_not_even_at_trace() {
    let log = Log::default();
    let _recording = log.record();
    let new_password = "a-new-secret-of-16";
    let hex_key: String = new_password.bytes().map(|byte| format!("{byte:02X}")).collect();

    // 2.0.1: A01.FR.02. The credentials are on the wire, too: once correct, once wrong.
    let mut lab = Lab::plain(nothing(), LinkSettings::default()).await;
    let wrong = Security::profile_1(Password::from("the wrong password"));
    assert!(within(connect(&lab.config("CS001", wrong), nothing())).await.is_err());
    let router = nothing().handle(async |_: Peer, _: v201::SetVariablesRequest| {
        Ok(ocpp_types::decode::<v201::SetVariablesResponse>(
            r#"{"setVariableResult":[{"attributeStatus":"Accepted","component":{"name":"SecurityCtrlr"},"variable":{"name":"BasicAuthPassword"}}]}"#,
        )
        .unwrap())
    });
    let station = lab.station(router).await;
    let request = format!(
        r#"{{"setVariableData":[{{"attributeValue":"{new_password}","component":{{"name":"SecurityCtrlr"}},"variable":{{"name":"BasicAuthPassword"}}}}]}}"#
    );
    let peer = lab.connected().await;
    within(peer.call(ocpp_types::decode::<v201::SetVariablesRequest>(&request).unwrap())).await.unwrap();
    within(station.close(Close::Normal)).await;

    // 1.6: the key in hexadecimal, and one that breaks its schema.
    let mut lab = Lab::plain(Router::new(Version::V16), LinkSettings::default()).await;
    let router = Router::new(Version::V16).handle(async |_: Peer, _: v16::ChangeConfigurationRequest| {
        Ok(accepted::<v16::ChangeConfigurationResponse>())
    });
    let station = lab.station(router).await;
    let peer = lab.connected().await;
    for more in ["", r#","unknown":1"#] {
        let request = format!(r#"{{"key":"AuthorizationKey","value":"{hex_key}"{more}}}"#);
        let payload = serde_json::value::RawValue::from_string(request).unwrap();
        let _ = within(peer.call_raw("ChangeConfiguration".into(), payload)).await;
    }
    within(station.close(Close::Normal)).await;

    let text = log.text();
    for shown in ["TRACE", "ChangeConfiguration", "AuthorizationKey", "BasicAuthPassword", "[redacted]"] {
        assert!(text.contains(shown), "{shown} is not in the log, so this test sees nothing");
    }
    let basic = base64(&format!("CS001:{PASSWORD}"));
    for secret in [PASSWORD, "the wrong password", new_password, &hex_key, &basic] {
        let line = text.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "a secret is in the log");
    }
}

fn base64(text: &str) -> String {
    use base64ct::Encoding as _;
    base64ct::Base64::encode_string(text.as_bytes())
}

#[tokio::test]
async fn spans_name_the_station_and_the_message() {
    let log = Log::default();
    let _recording = log.record();
    let router = nothing().handle(async |_: Peer, _: v201::HeartbeatRequest| {
        tracing::info!("in the handler");
        Ok(v201::HeartbeatResponse::new("2026-01-01T00:00:00Z".parse().unwrap()))
    });
    let lab = Lab::plain(router, LinkSettings::default()).await;
    let mut raw = lab.raw().await;
    raw.send(r#"[2,"the-id","Heartbeat",{}]"#).await;
    raw.receive().await;
    let text = log.text();
    let line = text.lines().find(|line| line.contains("in the handler")).unwrap();
    for part in ["connection{", "station=CS001", "handle{", "Heartbeat", "the-id"] {
        assert!(line.contains(part), "{part}: {line}");
    }
}
