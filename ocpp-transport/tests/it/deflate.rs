//! permessage-deflate with other libraries, in both roles (RFC 7692).

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use ocpp_transport::deflate::{ContextTakeover, Deflate, DeflateSettings, WindowBits};
use ocpp_transport::{
    Admission, Admitted, Close, CloseReason, Csms, CsmsConfig, LinkSettings, Peer, Refusal, Router, Security,
    StationConfig, StationIdentity, UpgradeRequest, connect,
};
use ocpp_types::v201;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::lab::{Lab, PASSWORD, nothing, within};

/// The settings of our side.
fn settings() -> [DeflateSettings; 4] {
    let generous = DeflateSettings::default()
        .with_own_takeover(ContextTakeover::Allowed)
        .with_peer_takeover(ContextTakeover::Allowed);
    let bits = |bits| WindowBits::new(bits).unwrap();
    [
        DeflateSettings::default(),
        generous,
        generous.with_own_window_bits(bits(10)).with_peer_window_bits(bits(9)).with_min_bytes(0),
        DeflateSettings::default().with_peer_window_bits(bits(11)).with_level(9),
    ]
}

fn link(settings: DeflateSettings) -> LinkSettings {
    LinkSettings::default().with_deflate(Some(Deflate::new(settings)))
}

/// A CSMS that admits every station and echoes data.
async fn csms(settings: DeflateSettings) -> (u16, mpsc::Receiver<CloseReason>) {
    let (sender, ended) = mpsc::channel(1024);
    let config = CsmsConfig::unsecured("127.0.0.1:0".parse().unwrap()).with_link(link(settings));
    let csms = Csms::bind(config, echo(), Everybody(sender)).await.unwrap();
    let port = csms.local_addr().port();
    tokio::spawn(csms.serve(std::future::pending()));
    (port, ended)
}

struct Everybody(mpsc::Sender<CloseReason>);

impl Admission for Everybody {
    async fn admit(&self, _: &UpgradeRequest) -> Result<Admitted, Refusal> {
        Ok(Admitted::new())
    }

    fn disconnected(&self, _: &Peer, reason: &CloseReason) {
        let _ = self.0.try_send(reason.clone());
    }
}

fn echo() -> Router {
    nothing().handle(async |_: Peer, request: v201::DataTransferRequest| {
        let mut response = v201::DataTransferResponse::new(v201::DataTransferStatusEnumType::Accepted);
        response.data = request.data;
        Ok(response)
    })
}

/// A peer in another language, and the lines that it prints.
struct Foreign {
    process: Child,
    lines: mpsc::Receiver<Value>,
}

#[derive(Clone, Copy)]
enum Library {
    PythonWebsockets,
    NodeWs,
}

impl Library {
    fn start(self, arguments: &[&str], cases: &[Value]) -> Foreign {
        let environment = |name: &str| {
            std::env::var_os(name)
                .unwrap_or_else(|| panic!("{name} is not set; run the tests with `cargo xtask test`"))
        };
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
        let mut command = match self {
            Self::PythonWebsockets => {
                let mut command = Command::new(environment("OCPP_PYTHON"));
                command.arg(here.join("deflate_peer.py"));
                command
            }
            Self::NodeWs => {
                environment("OCPP_NODE_MODULES");
                let mut command = Command::new("node");
                command.arg(here.join("deflate_peer.cjs"));
                command
            }
        };
        let cases = Value::from(cases).to_string();
        let mut process =
            command.args(arguments).arg(cases).stdout(Stdio::piped()).spawn().expect("the peer starts");
        let output = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel(1024);
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = sender.blocking_send(serde_json::from_str(&line).expect("a line of JSON"));
            }
        });
        Foreign { process, lines }
    }
}

impl Foreign {
    async fn next(&mut self) -> Value {
        within(self.lines.recv()).await.expect("the peer ended early")
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// All combinations of these values for these names; `null` omits the name.
fn combinations(names: [&str; 4], values: [&[Value]; 4]) -> Vec<Value> {
    let mut all = vec![BTreeMap::new()];
    for (name, values) in names.into_iter().zip(values) {
        let mut longer = Vec::new();
        for known in &all {
            for value in values {
                let mut known: BTreeMap<_, _> = known.clone();
                if !value.is_null() {
                    known.insert(name, value.clone());
                }
                longer.push(known);
            }
        }
        all = longer;
    }
    all.into_iter().map(|case| json!(case)).collect()
}

const PYTHON: [&str; 4] = [
    "server_no_context_takeover",
    "client_no_context_takeover",
    "server_max_window_bits",
    "client_max_window_bits",
];

const NODE: [&str; 4] =
    ["serverNoContextTakeover", "clientNoContextTakeover", "serverMaxWindowBits", "clientMaxWindowBits"];

fn flags() -> [Value; 2] {
    [json!(false), json!(true)]
}

/// A foreign station with all combinations of parameters. Each of its messages is echoed, and
/// compressed if that is worthwhile.
async fn check_clients(library: Library, cases: Vec<Value>) {
    for settings in settings() {
        let (port, _ended) = csms(settings).await;
        let mut client = library.start(&["client", &format!("ws://localhost:{port}/CS001")], &cases);
        for case in &cases {
            let line = client.next().await;
            let context = format!("{settings:?} {case} {line}");
            assert_eq!(line["echoed"], 10, "{context}");
            let answer = line["answer"].as_str().unwrap();
            let expected = if answer.contains("server_max_window_bits=8") {
                // zlib has no window of this size.
                0
            } else if settings.min_bytes == 0 && !answer.contains("server_no_context_takeover") {
                10
            } else {
                // All except the short one, twice.
                8
            };
            assert_eq!(line["compressed"], expected, "{context}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_websockets_as_a_station_with_all_parameters() {
    let server_bits = [Value::Null, json!(8), json!(9), json!(12), json!(15)];
    let client_bits = [Value::Null, json!(true), json!(9), json!(15)];
    let mut cases = combinations(PYTHON, [&flags(), &flags(), &server_bits, &client_bits]);
    for case in cases.iter_mut().skip(1).step_by(2) {
        case["fragments"] = json!(true);
    }
    check_clients(Library::PythonWebsockets, cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_ws_as_a_station_with_all_parameters() {
    // `false` forbids that ws grants the request of the other side.
    let flags = [Value::Null, json!(true)];
    let server_bits = [Value::Null, json!(9), json!(12), json!(15)];
    let client_bits = [Value::Null, json!(true), json!(9), json!(15)];
    let mut cases = combinations(NODE, [&flags, &flags, &server_bits, &client_bits]);
    for case in cases.iter_mut() {
        case["threshold"] = json!(0);
    }
    for case in cases.iter_mut().skip(1).step_by(2) {
        case["fragments"] = json!(true);
    }
    check_clients(Library::NodeWs, cases).await;
}

async fn data_transfer(peer: &Peer, vendor: &str, data: &str) -> Option<String> {
    let mut request = v201::DataTransferRequest::new(vendor.parse().unwrap());
    request.data = Some(ocpp_types::decode(&Value::from(data).to_string()).unwrap());
    let response = within(peer.call(request)).await.ok()?;
    Some(ocpp_types::encode(&response.data?).unwrap())
}

fn station(port: u16, settings: DeflateSettings) -> StationConfig {
    let url = format!("ws://localhost:{port}/ocpp").parse().unwrap();
    let identity = StationIdentity::try_from("CS001").unwrap();
    StationConfig::new(url, identity, Security::profile_1(PASSWORD.into())).with_link(link(settings))
}

/// Our station with a foreign CSMS and all combinations of parameters.
async fn check_servers(library: Library, cases: Vec<Value>) {
    let mut server = library.start(&["server"], &cases);
    let ports = server.next().await;
    let payloads = ["short".to_owned(), "{\"unité\":\"Wh\"},".repeat(100), "0123456789".repeat(2000)];
    let mut uncompressed = 0;
    for settings in settings() {
        for (number, port) in ports["ports"].as_array().unwrap().iter().enumerate() {
            let port = u16::try_from(port.as_u64().unwrap()).unwrap();
            let context = format!("{settings:?} {}", cases[number]);
            let connection = match within(connect(&station(port, settings), nothing())).await {
                Ok(connection) => connection,
                Err(error) => panic!("{context}: {error:?}"),
            };
            for data in payloads.iter().chain(&payloads) {
                let echoed = data_transfer(connection.peer(), "echo", data).await;
                assert_eq!(echoed, Some(Value::from(data.as_str()).to_string()), "{context}");
            }
            within(connection.close(Close::Normal)).await;
            let line = server.next().await;
            assert_eq!(line["case"], number, "{context}");
            let compressed = line["compressed"].as_u64().unwrap();
            // A server that requires more than this offer contains declines compression.
            uncompressed += u32::from(compressed == 0);
            let expected = if settings.min_bytes == 0 { 6 } else { 4 };
            assert!([0, expected].contains(&compressed), "{context} {line}");
        }
    }
    let all = u32::try_from(settings().len() * cases.len()).unwrap();
    assert!(uncompressed * 2 < all, "{uncompressed} of {all} connections without compression");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_websockets_as_a_csms_with_all_parameters() {
    let bits = [Value::Null, json!(9), json!(12), json!(15)];
    check_servers(Library::PythonWebsockets, combinations(PYTHON, [&flags(), &flags(), &bits, &bits])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_ws_as_a_csms_with_all_parameters() {
    let flags = [Value::Null, json!(true)];
    let bits = [Value::Null, json!(9), json!(12), json!(15)];
    let mut cases = combinations(NODE, [&flags, &flags, &bits, &bits]);
    for case in &mut cases {
        case["threshold"] = json!(0);
    }
    check_servers(Library::NodeWs, cases).await;
}

#[tokio::test]
async fn a_bomb_of_a_station_is_closed_with_1009() {
    for (library, case) in
        [(Library::PythonWebsockets, json!({ "bomb": true })), (Library::NodeWs, json!({ "bomb": true }))]
    {
        let (port, mut ended) = csms(DeflateSettings::default()).await;
        let mut client = library.start(&["client", &format!("ws://localhost:{port}/CS001")], &[case]);
        let line = client.next().await;
        assert_eq!(line["closed"], 1009, "{line}");
        let reason = within(ended.recv()).await.unwrap();
        assert!(matches!(reason, CloseReason::Misbehaved { code: 1009, .. }), "{reason:?}");
    }
}

#[tokio::test]
async fn a_bomb_of_a_csms_is_closed_with_1009() {
    for library in [Library::PythonWebsockets, Library::NodeWs] {
        let mut server = library.start(&["server"], &[json!({})]);
        let port = u16::try_from(server.next().await["ports"][0].as_u64().unwrap()).unwrap();
        let mut connection =
            within(connect(&station(port, DeflateSettings::default()), nothing())).await.unwrap();
        assert_eq!(data_transfer(connection.peer(), "bomb", "").await, None);
        let reason = within(connection.closed()).await;
        assert!(matches!(reason, CloseReason::Misbehaved { code: 1009, .. }), "{reason:?}");
        assert_eq!(server.next().await["closed"], 1009);
    }
}

/// Opens a WebSocket by hand and sends `frames` after it. Returns the response's head and the code
/// of the Close frame.
async fn by_hand(lab: &Lab, extensions: &str, frames: &[u8]) -> (String, u16) {
    let mut tcp = TcpStream::connect(lab.address).await.unwrap();
    let request = format!(
        "GET /ocpp/CS001 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: ocpp2.0.1\r\nAuthorization: Basic Q1MwMDE6Y29ycmVjdCBob3JzZSBiYXR0ZXJ5\r\n\
         {extensions}\r\n"
    );
    // In one segment, so that the frames arrive with the head.
    tcp.write_all(&[request.as_bytes(), frames].concat()).await.unwrap();
    let mut received = Vec::new();
    within(tcp.read_to_end(&mut received)).await.unwrap();
    let end = received.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let head = String::from_utf8_lossy(&received[..end]).into_owned();
    let close = &received[end..];
    assert_eq!(close[0], 0x88, "{head} {close:x?}");
    (head, u16::from_be_bytes([close[2], close[3]]))
}

/// A frame of a client, with a mask of zeros.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first, 0x80 | u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0];
    frame.extend_from_slice(payload);
    frame
}

#[tokio::test]
async fn frames_that_break_the_extension_are_closed_with_their_code() {
    let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    for (frames, code) in [
        // Not DEFLATE; RSV1 on a ping; a message within another; inflated data that is not UTF-8.
        (masked(0xc1, &[0xff, 0xff, 0xff]), 1007),
        (masked(0xc9, b"ping"), 1002),
        ([masked(0x41, &[0xf2, 0x48]), masked(0xc1, &[0x00])].concat(), 1002),
        (masked(0xc1, &[0x00, 0x01, 0x00, 0xfe, 0xff, 0xff, 0x00]), 1007),
    ] {
        let lab = Lab::plain(nothing(), LinkSettings::default()).await;
        let (head, closed) = by_hand(&lab, offer, &frames).await;
        assert!(head.contains("permessage-deflate; server_no_context_takeover; client_no_context_takeover"));
        assert_eq!(closed, code, "{frames:x?}");
    }
}

#[tokio::test]
async fn without_an_offer_nothing_is_compressed_and_rsv1_is_an_error() {
    let lab = Lab::plain(nothing(), LinkSettings::default()).await;
    let (head, closed) = by_hand(&lab, "", &masked(0xc1, &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00])).await;
    assert!(!head.contains("Extensions"), "{head}");
    assert_eq!(closed, 1002);
    // The same for a CSMS that is configured without compression.
    let lab = Lab::plain(nothing(), LinkSettings::default().with_deflate(None)).await;
    let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    let (head, closed) = by_hand(&lab, offer, &masked(0xc1, &[0x00])).await;
    assert!(!head.contains("Extensions"), "{head}");
    assert_eq!(closed, 1002);
}
