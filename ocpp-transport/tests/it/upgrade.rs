//! The HTTP request that opens a connection, by our client and by another one.

use std::sync::Arc;

use ocpp_transport::{
    Admission, Admitted, ConnectError, Csms, NoCommonSubprotocol, Password, Refusal, Router, Security,
    StationConfig, UpgradeRequest, connect,
};
use ocpp_types::Version;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Error;

use crate::lab::{Happened, Lab, PASSWORD, nothing, within};
use crate::pki::Authority;

/// `CS001:correct horse battery`
const BASIC: (&str, &str) = ("Authorization", "Basic Q1MwMDE6Y29ycmVjdCBob3JzZSBiYXR0ZXJ5");
const OCPP_201: (&str, &str) = ("Sec-WebSocket-Protocol", "ocpp2.0.1");

async fn lab() -> Lab {
    Lab::plain(nothing(), Default::default()).await
}

/// The status of the refusal, if there is one.
async fn status(lab: &Lab, path: &str, headers: &[(&'static str, &str)]) -> Option<u16> {
    match lab.upgrade(path, headers).await {
        Ok(_) => None,
        Err(Error::Http(response)) => Some(response.status().as_u16()),
        Err(other) => panic!("{other:?}"),
    }
}

async fn refusal(lab: &Lab, identity: &str, password: &str) -> u16 {
    let config = lab.config(identity, Security::profile_1(Password::from(password)));
    match within(connect(&config, nothing())).await.unwrap_err() {
        ConnectError::Refused { status, .. } => status,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn tc_a_01_identity_and_password_open_the_connection() {
    let mut lab = lab().await;
    let config = lab.config("RDAM|123", Security::profile_1(Password::from(PASSWORD)));
    let connection = within(connect(&config, nothing())).await.unwrap();
    let Happened::Asked(asked) = lab.next().await else { panic!() };
    assert_eq!(asked.identity.as_str(), "RDAM|123");
    assert!(connection.peer().is_open());
}

#[tokio::test]
async fn tc_a_02_another_user_than_the_identity_is_refused() {
    let mut lab = lab().await;
    assert_eq!(status(&lab, "/ocpp/RDAM%7C123", &[OCPP_201, BASIC]).await, Some(401));
    assert!(lab.log.try_recv().is_err());
    assert_eq!(status(&lab, "/ocpp/CS001", &[OCPP_201, BASIC]).await, None);
}

#[tokio::test]
async fn tc_a_03_a_wrong_password_is_refused_with_a_challenge() {
    let lab = lab().await;
    assert_eq!(refusal(&lab, "CS001", "wrong horse battery").await, 401);
    let Err(Error::Http(response)) = lab.upgrade("/ocpp/CS001", &[OCPP_201]).await else { panic!() };
    assert_eq!(response.status(), 401);
    let challenge = response.headers().get("WWW-Authenticate").unwrap();
    assert_eq!(challenge, "Basic realm=\"OCPP\", charset=\"UTF-8\"");
}

#[tokio::test]
async fn an_unknown_identity_is_not_found() {
    let lab = lab().await;
    assert_eq!(refusal(&lab, "CS999", PASSWORD).await, 404);
    assert_eq!(status(&lab, "/other/CS001", &[OCPP_201, BASIC]).await, Some(404));
    assert_eq!(status(&lab, "/ocpp/a%3Ab", &[OCPP_201, BASIC]).await, Some(404));
}

#[tokio::test]
async fn tc_b_58_csms_takes_the_common_subprotocol_or_does_not_upgrade() {
    let lab = lab().await;
    let offer = |names| [("Sec-WebSocket-Protocol", names), BASIC];
    assert_eq!(status(&lab, "/ocpp/CS001", &offer("ocpp0.1")).await, Some(400));
    assert_eq!(status(&lab, "/ocpp/CS001", &[BASIC]).await, Some(400));
    // tungstenite verifies that exactly one of the offered names is returned.
    assert_eq!(status(&lab, "/ocpp/CS001", &offer("ocpp0.1,ocpp2.0.1")).await, None);
    assert_eq!(status(&lab, "/ocpp/CS001", &offer("ocpp2.0.1, ocpp1.6")).await, None);
}

/// The text of Part 4, 3.3, which the certification tests contradict.
#[tokio::test]
async fn without_a_common_subprotocol_the_connection_may_be_opened_and_closed_at_once() {
    let config = Lab::unsecured_config().with_no_common_subprotocol(NoCommonSubprotocol::OpenAndClose);
    let mut lab = Lab::start(config, nothing(), Authority::root("unused").der()).await;
    for headers in [&[BASIC][..], &[("Sec-WebSocket-Protocol", "ocpp0.1"), BASIC]] {
        let mut tcp = TcpStream::connect(lab.address).await.unwrap();
        let more = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<String>();
        let request = format!(
            "GET /ocpp/CS001 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
        );
        tcp.write_all(request.as_bytes()).await.unwrap();
        let mut response = Vec::new();
        within(tcp.read_to_end(&mut response)).await.unwrap();
        let end = response.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        let (head, frames) = response.split_at(end);
        let head = std::str::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(!head.contains("Sec-WebSocket-Protocol"), "{head}");
        assert_eq!(frames, [0x88, 2, 0x03, 0xea], "Close with 1002");
    }
    // Our station recognizes it.
    let config = lab.config("CS001", Security::profile_1(Password::from(PASSWORD)));
    let error = within(connect(&config, Router::new(Version::V16))).await.unwrap_err();
    assert!(matches!(error, ConnectError::NoSubprotocol { .. }), "{error:?}");
    assert!(lab.log.try_recv().is_err(), "the admission is not asked");
    // With a common version nothing is different.
    within(connect(&lab.config("CS001", Security::profile_1(Password::from(PASSWORD))), nothing()))
        .await
        .unwrap();
}

/// `identifierString` of OCPP 2.x does not distinguish case.
#[tokio::test]
async fn another_spelling_is_the_same_station() {
    let mut lab = lab().await;
    // `cs001:correct horse battery` and `CS001` in the path.
    let lowercase = ("Authorization", "Basic Y3MwMDE6Y29ycmVjdCBob3JzZSBiYXR0ZXJ5");
    let first = lab.upgrade("/ocpp/CS001", &[OCPP_201, lowercase]).await.unwrap();
    assert_eq!(lab.connected().await.identity().as_str(), "CS001");
    let _second = lab.upgrade("/ocpp/cs001", &[OCPP_201, BASIC]).await.unwrap();
    // It replaces the first, and has the spelling of the CSMS.
    assert_eq!(lab.connected_again().await.identity().as_str(), "CS001");
    drop(first);
}

/// Admits every station as another one.
struct Confused;

impl Admission for Confused {
    async fn admit(&self, _: &UpgradeRequest) -> Result<Admitted, Refusal> {
        Ok(Admitted::new().with_identity("CS002".parse().unwrap()))
    }
}

#[tokio::test]
async fn no_station_is_admitted_as_another_one() {
    let csms = Csms::bind(Lab::unsecured_config(), nothing(), Confused).await.unwrap();
    let url = format!("ws://{}", csms.local_addr()).parse().unwrap();
    let server = tokio::spawn(csms.serve(std::future::pending()));
    let security = Security::profile_1(Password::from(PASSWORD));
    let config = StationConfig::new(url, "CS001".parse().unwrap(), security);
    let error = within(connect(&config, nothing())).await.unwrap_err();
    assert!(matches!(error, ConnectError::Refused { status: 503, .. }), "{error:?}");
    server.abort();
}

#[tokio::test]
async fn a_request_without_end_is_refused() {
    let lab = lab().await;
    let mut tcp = TcpStream::connect(lab.address).await.unwrap();
    tcp.write_all(b"GET /ocpp/CS001 HTTP/1.1\r\nX: ").await.unwrap();
    tcp.write_all(&[b'x'; 8192]).await.unwrap();
    let mut response = String::new();
    within(tcp.read_to_string(&mut response)).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 431 "), "{response}");
}

/// A server that answers one connection with a fixed text.
async fn answer_with(response: &'static str) -> ConnectError {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap()).parse().unwrap();
    let server = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        tcp.write_all(response.as_bytes()).await.unwrap();
        tcp.shutdown().await.unwrap();
        tcp.read_to_end(&mut Vec::new()).await.unwrap();
    });
    let security = Security::profile_1(Password::from(PASSWORD));
    let config = StationConfig::new(url, "CS001".parse().unwrap(), security);
    let error = within(connect(&config, nothing())).await.unwrap_err();
    within(server).await.unwrap();
    error
}

#[tokio::test]
async fn a_station_reports_a_server_that_is_no_csms() {
    let error = answer_with("HTTP/1.1 502 Bad Gateway\r\n\r\n").await;
    assert!(matches!(error, ConnectError::Refused { status: 502, .. }), "{error:?}");
    let error = answer_with("220 mail ready\r\n\r\n").await;
    assert!(matches!(error, ConnectError::NotWebSocket { .. }), "{error:?}");
    let error = answer_with("").await;
    assert!(matches!(error, ConnectError::Handshake { .. }), "{error:?}");
}

#[tokio::test]
async fn a_station_reports_an_unreachable_csms() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let security = Security::profile_1(Password::from(PASSWORD));
    let config = StationConfig::new(url, "CS001".parse().unwrap(), security);
    let error = within(connect(&config, nothing())).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn the_scheme_has_to_fit_the_profile() {
    let security = Security::profile_1(Password::from(PASSWORD));
    for url in ["wss://csms.example", "wss://127.0.0.1:1"] {
        let config = StationConfig::new(url.parse().unwrap(), "CS001".parse().unwrap(), security.clone());
        let error = connect(&config, nothing()).await.unwrap_err();
        assert!(matches!(error, ConnectError::Url { .. }), "{url}: {error:?}");
    }
}

/// The server's answer to these bytes, until it closes the connection.
async fn answer(lab: &Lab, request: &str) -> String {
    let mut tcp = TcpStream::connect(lab.address).await.unwrap();
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") && within(tcp.read_buf(&mut answer)).await.unwrap() > 0 {}
    String::from_utf8(answer).unwrap()
}

fn request(more: &str) -> String {
    format!(
        "GET /ocpp/CS001 HTTP/1.1\r\nHost: localhost\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: ocpp2.0.1\r\nAuthorization: Basic Q1MwMDE6Y29ycmVjdCBob3JzZSBiYXR0ZXJ5\r\n{more}\r\n"
    )
}

#[tokio::test]
async fn rfc_9110_5_3_headers_may_stand_in_several_lines() {
    let lab = lab().await;
    for more in [
        "Connection: keep-alive\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
        "Connection: Upgrade\r\nUpgrade: h2c, websocket\r\nSec-WebSocket-Version: 13\r\n",
        "Connection: keep-alive, upgrade\r\nUpgrade: h2c\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n",
    ] {
        let answer = answer(&lab, &request(more)).await;
        assert!(answer.starts_with("HTTP/1.1 101 "), "{more}: {answer}");
    }
}

#[tokio::test]
async fn rfc_6455_4_2_2_the_refusal_of_a_version_names_the_supported_one() {
    let lab = lab().await;
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    for version in ["8", "7", "0", "13, 8"] {
        let answer = answer(&lab, &request(&format!("{upgrade}Sec-WebSocket-Version: {version}\r\n"))).await;
        assert!(answer.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{version}: {answer}");
        assert!(answer.contains("\r\nSec-WebSocket-Version: 13\r\n"), "{version}: {answer}");
    }
    // RFC 9112, 3.2: the Host header is required.
    let without =
        request(&format!("{upgrade}Sec-WebSocket-Version: 13\r\n")).replace("Host: localhost\r\n", "");
    assert!(answer(&lab, &without).await.starts_with("HTTP/1.1 400 "));
}

/// A server that sends this and cuts TCP.
async fn cut_after(response: &'static str) -> ConnectError {
    let root = Authority::root("Root");
    let server = root.issue(&crate::pki::Leaf::new("localhost"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let key = rustls::sign::CertifiedKey::new(server.chain.clone(), server.key.clone());
    let key = Arc::new(rustls::sign::SingleCertAndKey::from(key));
    let config = config.unwrap().with_no_client_auth().with_cert_resolver(key);
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let serve = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut tls = acceptor.accept(tcp).await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            tls.read_buf(&mut request).await.unwrap();
        }
        tls.write_all(response.as_bytes()).await.unwrap();
        tls.flush().await.unwrap();
        // No close_notify.
    });
    let url = format!("wss://localhost:{port}/ocpp").parse().unwrap();
    let security = Security::profile_2(PASSWORD.into(), vec![root.der()]).unwrap();
    let config = StationConfig::new(url, "CS001".parse().unwrap(), security);
    let error = within(connect(&config, nothing())).await.unwrap_err();
    serve.await.unwrap();
    error
}

#[tokio::test]
async fn a_server_that_refuses_and_cuts_has_refused() {
    for response in [
        "HTTP/1.1 401",
        "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n",
        "HTTP/1.1 401 Unauthorized\r\n\r\n",
        "HTTP/1.0 401 Unauthorized\r\n\r\n",
    ] {
        let error = cut_after(response).await;
        assert!(matches!(error, ConnectError::Refused { status: 401, .. }), "{response}: {error:?}");
    }
    for response in ["", "HTTP/1.1 40", "HTTP/1.1 101 Switching Protocols\r\n"] {
        let error = cut_after(response).await;
        assert!(matches!(error, ConnectError::Handshake { .. }), "{response}: {error:?}");
        let text = program::causes(&error).to_string();
        assert!(text.ends_with("the peer cut the connection"), "{text}");
    }
}

/// A00.FR.401: under profile 3 the certificate is the proof, and an Authorization header has no
/// meaning.
#[tokio::test]
async fn a00_fr_401_beside_a_certificate_no_authorization_header_counts() {
    let root = Authority::root("Root");
    let lab = Lab::tls(&root, nothing()).await;
    let key = root.issue(&crate::pki::Leaf::new("SN-1"));
    let with_key = ocpp_transport::tls::client_config(vec![root.der()], Some(key.client())).unwrap();
    let without = ocpp_transport::tls::client_config(vec![root.der()], None).unwrap();
    for (config, authorization, expected) in [
        (&with_key, "", "101"),
        (&with_key, "Authorization: Bearer abc\r\n", "101"),
        (&with_key, "Authorization: Basic ***\r\n", "101"),
        (&with_key, "Authorization: Basic Q1MwMDE6d3Jvbmc=\r\n", "101"),
        (&with_key, "Authorization: Basic QTpi\r\nAuthorization: Basic QTpi\r\n", "101"),
        (&without, "Authorization: Bearer abc\r\n", "401"),
        (&without, "Authorization: Basic QTpi\r\nAuthorization: Basic QTpi\r\n", "400"),
        (&without, "", "401"),
    ] {
        let tcp = TcpStream::connect(lab.address).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config.clone()));
        let mut tls = within(connector.connect("localhost".try_into().unwrap(), tcp)).await.unwrap();
        let request = request("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
        let request =
            request.replace("Authorization: Basic Q1MwMDE6Y29ycmVjdCBob3JzZSBiYXR0ZXJ5\r\n", authorization);
        tls.write_all(request.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        within(tls.read_exact(&mut status)).await.unwrap();
        assert_eq!(&status[9..], expected.as_bytes(), "{authorization:?}");
    }
}
