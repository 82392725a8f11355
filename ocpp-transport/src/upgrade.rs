//! The HTTP handshake that opens a WebSocket, as bytes (RFC 6455, section 4; 2.0.1 Part 4, 3).

use std::fmt::Write;

use ocpp_types::Version;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::handshake::machine::TryParse;
use tokio_tungstenite::tungstenite::handshake::server::create_response;
use tokio_tungstenite::tungstenite::http::header::{
    AUTHORIZATION, CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL,
    UPGRADE,
};
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderName, Request, Response};
use zeroize::Zeroizing;

use crate::basic::Credentials;
use crate::deflate::{Agreed, Deflate, NegotiationError};
use crate::identity::Identity;

/// The longest head of an HTTP request or response, in bytes. Real ones have a few hundred.
pub(crate) const MAX_HEAD_BYTES: usize = 8 * 1024;

/// What a station asks for, before anybody has decided whether it may.
#[derive(Debug)]
pub(crate) struct Upgrade {
    pub(crate) identity: Identity,
    pub(crate) credentials: Option<Credentials>,
    /// The first of the versions that the station offers which this side serves, if any.
    pub(crate) version: Option<Version>,
    /// The compression that is granted, with the header that says so.
    deflate: Option<(Agreed, String)>,
    accept_key: String,
}

/// The response to a request that is not granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("refused with HTTP {status}: {reason}")]
pub(crate) struct HttpRefusal {
    pub(crate) status: u16,
    pub(crate) reason: &'static str,
}

/// Why a CSMS's response does not open a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResponseError {
    #[error("HTTP status {status}")]
    Status { status: u16 },
    #[error("no common subprotocol")]
    Subprotocol,
    #[error("{0}")]
    Invalid(&'static str),
    #[error("{0}")]
    Extension(NegotiationError),
}

/// What a CSMS's response has opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) version: Version,
    pub(crate) deflate: Option<Agreed>,
}

impl Upgrade {
    /// The compression that is granted.
    pub(crate) fn deflate(&self) -> Option<Agreed> {
        self.deflate.as_ref().map(|(agreed, _)| *agreed)
    }
}

/// The request of a station that speaks `versions`, the one that it prefers first (OCPP-J 3.2), and offers compression.
/// It holds a password, so its memory is wiped.
pub(crate) fn request(
    host: &str,
    path: &str,
    key: &str,
    versions: &[Version],
    deflate: Option<&Deflate>,
    authorization: Option<&Zeroizing<String>>,
) -> Zeroizing<String> {
    let protocols = versions.iter().map(|version| version.subprotocol()).collect::<Vec<_>>().join(", ");
    // Room for everything at once: growing would leave copies of the password behind.
    let capacity =
        512 + protocols.len() + host.len() + path.len() + authorization.map_or(0, |value| value.len());
    let mut text = Zeroizing::new(String::with_capacity(capacity));
    let _ = write!(
        text,
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: {protocols}\r\n"
    );
    if let Some(deflate) = deflate {
        let _ = write!(text, "Sec-WebSocket-Extensions: {}\r\n", deflate.offer());
    }
    if let Some(authorization) = authorization {
        let _ = write!(text, "Authorization: {}\r\n", authorization.as_str());
    }
    text.push_str("\r\n");
    text
}

/// Checks the CSMS's response to a [`request`] with `key`, and returns what it picked of the `offered` versions and of the
/// compression.
pub(crate) fn check_response(
    head: &[u8],
    key: &str,
    offered: &[Version],
    deflate: Option<&Deflate>,
) -> Result<Opened, ResponseError> {
    let response = match Response::<Option<Vec<u8>>>::try_parse(head) {
        Ok(Some((_, response))) => response,
        _ => return Err(ResponseError::Invalid("the response is not HTTP/1.1")),
    };
    if response.status().as_u16() != 101 {
        return Err(ResponseError::Status { status: response.status().as_u16() });
    }
    let headers = response.headers();
    let upgrades = only(headers, &UPGRADE).is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"));
    let connection = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|token| token.trim_ascii().eq_ignore_ascii_case(b"upgrade"));
    if !upgrades || !connection {
        return Err(ResponseError::Invalid("the response does not upgrade to WebSocket"));
    }
    if only(headers, &SEC_WEBSOCKET_ACCEPT) != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
        return Err(ResponseError::Invalid("the response belongs to another request"));
    }
    let extensions = headers_of(headers, &SEC_WEBSOCKET_EXTENSIONS);
    let deflate = match deflate {
        Some(deflate) => deflate.check_answer(extensions),
        None if extensions.is_empty() => Ok(None),
        None => Err(NegotiationError::NotOffered),
    };
    let deflate = deflate.map_err(ResponseError::Extension)?;
    // 2.0.1 Part 4, 3.3: without a subprotocol that it offered the station must not go on.
    let picked = only(headers, &SEC_WEBSOCKET_PROTOCOL).ok_or(ResponseError::Subprotocol)?;
    let mut offered = offered.iter().copied();
    let version = offered.find(|version| version.subprotocol().as_bytes() == picked);
    Ok(Opened { version: version.ok_or(ResponseError::Subprotocol)?, deflate })
}

/// Reads the request of a station. `base_path` is what stands before `/` and the identity, `served` the versions of
/// this side, `deflate` the compression that it grants, if any.
pub(crate) fn parse_request(
    head: &[u8],
    base_path: &str,
    served: &[Version],
    deflate: Option<&Deflate>,
) -> Result<Upgrade, HttpRefusal> {
    let refusal = |status, reason| HttpRefusal { status, reason };
    let request = match Request::<()>::try_parse(head) {
        Ok(Some((_, request))) => request,
        _ => return Err(refusal(400, "not an HTTP/1.1 GET request")),
    };
    let response = create_response(&request).map_err(|_| refusal(400, "not a WebSocket request"))?;
    let accept_key = response.headers().get(SEC_WEBSOCKET_ACCEPT).and_then(|value| value.to_str().ok());
    let accept_key = accept_key.ok_or(refusal(400, "not a WebSocket request"))?.to_owned();

    // 2.0.1 Part 4, 3.1.1: endpoint, "/", percent-encoded identity.
    let identity = request
        .uri()
        .path()
        .strip_prefix(base_path.trim_end_matches('/'))
        .and_then(|path| path.strip_prefix('/'))
        .filter(|segment| !segment.contains('/'))
        .and_then(|segment| Identity::from_path_segment(segment).ok())
        .ok_or(refusal(404, "the path names no station"))?;

    // The station names first what it prefers.
    let offered = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL);
    let version =
        offered.iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).find_map(|name| {
            served.iter().copied().find(|version| version.subprotocol().as_bytes() == name.trim_ascii())
        });

    let credentials = match headers_of(request.headers(), &AUTHORIZATION).as_slice() {
        [] => None,
        [header] => {
            Some(Credentials::parse(header).map_err(|_| refusal(401, "unusable Authorization header"))?)
        }
        _ => return Err(refusal(400, "several Authorization headers")),
    };
    let deflate = match deflate {
        Some(deflate) => deflate
            .answer(headers_of(request.headers(), &SEC_WEBSOCKET_EXTENSIONS))
            .map_err(|_| refusal(400, "malformed Sec-WebSocket-Extensions header"))?,
        None => None,
    };
    Ok(Upgrade { identity, credentials, version, deflate, accept_key })
}

/// What a station is told that speaks none of the versions of the CSMS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NoCommonSubprotocol {
    /// HTTP 400, as the certification tests expect (TC_B_58_CSMS; TC_088 of 1.6).
    #[default]
    Refuse,
    /// HTTP 101 without a subprotocol, and the connection is closed at once, as the text has it (Part 4, 3.3).
    OpenAndClose,
}

/// The response that opens the WebSocket, but for no version of OCPP, and the frame that closes it (1002).
pub(crate) fn open_and_close(upgrade: &Upgrade) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        upgrade.accept_key
    );
    [head.as_bytes(), &[0x88, 2], &1002_u16.to_be_bytes()].concat()
}

/// The response that opens the WebSocket.
pub(crate) fn accept(upgrade: &Upgrade, version: Version) -> String {
    let extensions = match &upgrade.deflate {
        Some((_, header)) => format!("Sec-WebSocket-Extensions: {header}\r\n"),
        None => String::new(),
    };
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: {}\r\n{extensions}\r\n",
        upgrade.accept_key,
        version.subprotocol()
    )
}

/// The response that does not.
pub(crate) fn refuse(status: u16) -> String {
    let phrase = match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "Refused",
    };
    let challenge = match status {
        401 => "WWW-Authenticate: Basic realm=\"OCPP\", charset=\"UTF-8\"\r\n",
        _ => "",
    };
    format!("HTTP/1.1 {status} {phrase}\r\n{challenge}Connection: close\r\nContent-Length: 0\r\n\r\n")
}

fn headers_of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a [u8]> {
    headers.get_all(name).iter().map(|value| value.as_bytes()).collect()
}

/// The value of a header that is there exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    match headers_of(headers, name).as_slice() {
        [value] => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    fn station(path: &str, protocols: &str, more: &str) -> String {
        format!(
            "GET {path} HTTP/1.1\r\nHost: csms\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Protocol: {protocols}\r\n{more}\r\n"
        )
    }

    #[track_caller]
    fn check_request(request: &str, expected: Result<&str, u16>) {
        let result = parse_request(
            request.as_bytes(),
            "/ocpp/",
            &[Version::V16, Version::V201],
            Some(&Deflate::default()),
        );
        let found = match &result {
            Ok(Upgrade { version: None, .. }) => Err(400),
            Ok(upgrade) => Ok(upgrade.identity.as_str()),
            Err(refusal) => Err(refusal.status),
        };
        assert_eq!(found, expected, "{request}");
    }

    #[test]
    fn the_two_sides_understand_each_other() {
        use Version::{V16, V21, V201};
        let identity = Identity::try_from("RDAM 123").unwrap();
        let authorization = crate::basic::header(&identity, &"0123456789abcdef".into());
        let deflate = Deflate::default();
        let text = request(
            "csms:443",
            "/ocpp/RDAM%20123",
            KEY,
            &[V21, V201, V16],
            Some(&deflate),
            Some(&authorization),
        );
        assert!(text.capacity() >= text.len());
        let upgrade = parse_request(text.as_bytes(), "/ocpp", &[V16, V201], Some(&deflate)).unwrap();
        assert_eq!(upgrade.identity, identity);
        assert_eq!(upgrade.credentials.as_ref().unwrap().user, "RDAM 123");
        // The station's order decides.
        assert_eq!(upgrade.version, Some(V201));
        let response = accept(&upgrade, V201);
        let check = |offered: &[Version], deflate| check_response(response.as_bytes(), KEY, offered, deflate);
        let opened = check(&[V21, V201, V16], Some(&deflate)).unwrap();
        assert_eq!(opened.version, V201);
        assert_eq!(opened.deflate, upgrade.deflate());
        assert!(opened.deflate.is_some());
        assert_eq!(check(&[V21], Some(&deflate)), Err(ResponseError::Subprotocol));
        let not_offered = ResponseError::Extension(NegotiationError::NotOffered);
        assert_eq!(check(&[V201], None), Err(not_offered));
    }

    #[test]
    fn the_identity_is_the_last_segment_under_the_base_path() {
        check_request(&station("/ocpp/CS1", "ocpp2.0.1", ""), Ok("CS1"));
        check_request(&station("/ocpp/RDAM%7C123?x=y", "ocpp2.0.1", ""), Ok("RDAM|123"));
        for path in ["/", "/CS1", "/ocpp/", "/ocpp", "/ocppCS1", "/ocpp/x/CS1", "/ocpp/a%3Ab", "/ocpp/a%zz"] {
            check_request(&station(path, "ocpp2.0.1", ""), Err(404));
        }
    }

    #[test]
    fn tc_b_58_a_common_subprotocol_is_needed() {
        check_request(&station("/ocpp/CS1", "ocpp0.1", ""), Err(400));
        check_request(&station("/ocpp/CS1", "ocpp2.0", ""), Err(400));
        check_request(&station("/ocpp/CS1", "ocpp2.1", ""), Err(400));
        check_request(&station("/ocpp/CS1", "ocpp1.6", ""), Ok("CS1"));
        check_request(&station("/ocpp/CS1", "ocpp0.1,ocpp2.0.1", ""), Ok("CS1"));
        check_request(&station("/ocpp/CS1", "ocpp0.1", "Sec-WebSocket-Protocol: ocpp2.0.1\r\n"), Ok("CS1"));
    }

    #[test]
    fn requests_that_are_no_upgrade() {
        check_request("", Err(400));
        check_request("GET /ocpp/CS1 HTTP/1.1\r\nHost: csms\r\n\r\n", Err(400));
        check_request("POST /ocpp/CS1 HTTP/1.1\r\n\r\n", Err(400));
        check_request(&station("/ocpp/CS1", "ocpp2.0.1", "Authorization: Bearer x\r\n"), Err(401));
        check_request(&station("/ocpp/CS1", "ocpp2.0.1", "Sec-WebSocket-Extensions: a b\r\n"), Err(400));
        let twice = "Authorization: Basic QTpi\r\nAuthorization: Basic QTpi\r\n";
        check_request(&station("/ocpp/CS1", "ocpp2.0.1", twice), Err(400));
    }

    #[test]
    fn responses_that_open_nothing() {
        let check = |text: &str, expected: ResponseError| {
            assert_eq!(check_response(text.as_bytes(), KEY, &[Version::V201], None), Err(expected), "{text}");
        };
        check(&refuse(401), ResponseError::Status { status: 401 });
        let text = station("/ocpp/CS1", "ocpp2.0.1", "");
        let upgrade = parse_request(text.as_bytes(), "/ocpp", &[Version::V201], None).unwrap();
        let good = accept(&upgrade, Version::V201);
        check(&good.replace("ocpp2.0.1", "ocpp1.6"), ResponseError::Subprotocol);
        check(&good.replace("Sec-WebSocket-Protocol: ocpp2.0.1\r\n", ""), ResponseError::Subprotocol);
        check(
            &good.replace("Upgrade: websocket", "Upgrade: h2c"),
            ResponseError::Invalid("the response does not upgrade to WebSocket"),
        );
        let other = good.replace("Accept: ", "Accept: A");
        check(&other, ResponseError::Invalid("the response belongs to another request"));
        check("SSH-2.0-OpenSSH\r\n\r\n", ResponseError::Invalid("the response is not HTTP/1.1"));
    }
}
