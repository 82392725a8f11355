//! The HTTP handshake that opens a WebSocket, as bytes (RFC 6455, section 4; 2.0.1 Part 4, 3).

use std::fmt::Write;
use std::time::Duration;

use base64ct::{Base64, Encoding};
use certificates::StationIdentity;
use ocpp_types::Version;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::handshake::machine::TryParse;
use tokio_tungstenite::tungstenite::http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderName, Request, Response};
use zeroize::Zeroizing;

use crate::basic::Credentials;
use crate::deflate::{Agreed, Deflate, NegotiationError};
use crate::path_segment;

/// The longest head of an HTTP request or response, in bytes. Real ones have a few hundred.
pub(crate) const MAX_HEAD_BYTES: usize = 8 * 1024;

/// What a station asks for, before anybody has decided whether it may.
#[derive(Debug)]
pub(crate) struct Upgrade {
    pub(crate) identity: StationIdentity,
    pub(crate) authorization: Authorization,
    /// The first of the versions that the station offers which this side serves; without one, the
    /// refusal.
    pub(crate) version: Result<Version, HttpRefusal>,
    /// The compression that is granted, with the header that says so.
    deflate: Option<(Agreed, String)>,
    accept_key: String,
}

/// What an Authorization header says. Under security profile 3 it has no meaning (A00.FR.401), so
/// nothing is refused for it before the profile is known.
#[derive(Debug)]
pub(crate) enum Authorization {
    None,
    Basic(Credentials),
    Unusable(HttpRefusal),
}

/// The response to a request that is not granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("refused with HTTP {status}: {reason}{asked}")]
pub(crate) struct HttpRefusal {
    pub(crate) status: u16,
    pub(crate) reason: &'static str,
    /// What was asked for, for the log: path and subprotocols, cut to [`MAX_SHOWN`].
    pub(crate) asked: String,
}

impl HttpRefusal {
    pub(crate) fn new(status: u16, reason: &'static str) -> Self {
        Self { status, reason, asked: String::new() }
    }

    fn of(self, request: &Request<()>) -> Self {
        let offers = headers_of(request.headers(), &SEC_WEBSOCKET_PROTOCOL).join(&b", "[..]);
        let cut = |text: &str| text.chars().take(MAX_SHOWN).collect::<String>();
        let path = cut(request.uri().path());
        let offers = match offers.is_empty() {
            true => "no subprotocol".to_owned(),
            false => format!("the subprotocols {}", cut(&String::from_utf8_lossy(&offers))),
        };
        Self { asked: format!(" (path {path}, offering {offers})"), ..self }
    }
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

/// The request of a station that speaks `versions`, the one that it prefers first (OCPP-J 3.2), and
/// offers compression. It holds a password, so its memory is wiped.
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

/// Checks the CSMS's response to a [`request`] with `key`, and returns what it picked of the
/// `offered` versions and of the compression.
pub(crate) fn check_response(
    head: &[u8],
    key: &str,
    offered: &[Version],
    deflate: Option<&Deflate>,
) -> Result<Opened, ResponseError> {
    let response = match (Response::<Option<Vec<u8>>>::try_parse(head), status_of(head)) {
        (Ok(Some((_, response))), _) => response,
        // A proxy of HTTP/1.0, for one.
        (_, Some(status)) if status != 101 => return Err(ResponseError::Status { status }),
        _ => return Err(ResponseError::Invalid("the response is not HTTP/1.1")),
    };
    if response.status().as_u16() != 101 {
        return Err(ResponseError::Status { status: response.status().as_u16() });
    }
    let headers = response.headers();
    let upgrades = only(headers, &UPGRADE).is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"));
    if !upgrades || !has_token(headers, &CONNECTION, b"upgrade") {
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

/// Reads the request of a station. `base_path` is what stands before `/` and the identity, `served`
/// the versions of this side, `deflate` the compression that it grants, if any.
pub(crate) fn parse_request(
    head: &[u8],
    base_path: &str,
    served: &[Version],
    deflate: Option<&Deflate>,
) -> Result<Upgrade, HttpRefusal> {
    let request = match Request::<()>::try_parse(head) {
        Ok(Some((_, request))) => request,
        _ => return Err(HttpRefusal::new(400, "not an HTTP/1.1 GET request")),
    };
    let refusal = |status, reason| HttpRefusal::new(status, reason).of(&request);
    check_framing(request.headers()).map_err(|reason| refusal(400, reason))?;
    let accept_key =
        check_web_socket(request.headers()).map_err(|(status, reason)| refusal(status, reason))?;

    // 2.0.1 Part 4, 3.1.1: endpoint, "/", percent-encoded identity.
    let identity = request
        .uri()
        .path()
        .strip_prefix(base_path.trim_end_matches('/'))
        .and_then(|path| path.strip_prefix('/'))
        .filter(|segment| !segment.contains('/'))
        .and_then(|segment| path_segment::read(segment).ok())
        .ok_or(refusal(404, "the path names no station"))?;

    // The station names first what it prefers.
    let offered = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL);
    let version =
        offered.iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).find_map(|name| {
            served.iter().copied().find(|version| version.subprotocol().as_bytes() == name.trim_ascii())
        });

    let authorization = match headers_of(request.headers(), &AUTHORIZATION).as_slice() {
        [] => Authorization::None,
        [header] => match Credentials::parse(header) {
            Ok(credentials) => Authorization::Basic(credentials),
            Err(_) => Authorization::Unusable(refusal(401, "unusable Authorization header")),
        },
        _ => Authorization::Unusable(refusal(400, "several Authorization headers")),
    };
    let deflate = match deflate {
        Some(deflate) => deflate
            .answer(headers_of(request.headers(), &SEC_WEBSOCKET_EXTENSIONS))
            .map_err(|_| refusal(400, "malformed Sec-WebSocket-Extensions header"))?,
        None => None,
    };
    let asked = HttpRefusal::new(400, "no common subprotocol").of(&request);
    let version = version.ok_or(asked);
    Ok(Upgrade { identity, authorization, version, deflate, accept_key })
}

/// Refuses requests that two readers could understand differently: their end, their host, and the
/// key of the response.
fn check_framing(headers: &HeaderMap) -> Result<(), &'static str> {
    // RFC 9112, section 3.2; RFC 9110, section 7.2.
    if only(headers, &HOST).is_none() {
        return Err("not exactly one Host header");
    }
    // RFC 9112, section 6.3. A request that opens a WebSocket has no body.
    if !headers_of(headers, &TRANSFER_ENCODING).is_empty() {
        return Err("a Transfer-Encoding header, and so a body");
    }
    match headers_of(headers, &CONTENT_LENGTH).as_slice() {
        [] | [b"0"] => {}
        [_] => return Err("a body"),
        _ => return Err("several Content-Length headers"),
    }
    // RFC 6455, section 11.3.
    for (name, reason) in [
        (&SEC_WEBSOCKET_KEY, "not exactly one Sec-WebSocket-Key header"),
        (&SEC_WEBSOCKET_VERSION, "not exactly one Sec-WebSocket-Version header"),
    ] {
        if only(headers, name).is_none() {
            return Err(reason);
        }
    }
    Ok(())
}

/// Whether a request asks for a WebSocket of RFC 6455, and the value of `Sec-WebSocket-Accept`.
/// Without, status and reason.
fn check_web_socket(headers: &HeaderMap) -> Result<String, (u16, &'static str)> {
    // RFC 9110, section 5.3: a list may stand in several lines.
    if !has_token(headers, &CONNECTION, b"upgrade") || !has_token(headers, &UPGRADE, b"websocket") {
        return Err((400, "not a WebSocket request"));
    }
    // RFC 6455, section 4.2.2: the versions that this side speaks go with the refusal.
    if only(headers, &SEC_WEBSOCKET_VERSION) != Some(VERSION.as_bytes()) {
        return Err((426, "another version of WebSocket than 13"));
    }
    let key = only(headers, &SEC_WEBSOCKET_KEY).unwrap_or_default();
    // Section 4.2.1: 16 bytes.
    let is_key =
        std::str::from_utf8(key).is_ok_and(|key| Base64::decode_vec(key).is_ok_and(|key| key.len() == 16));
    if is_key {
        Ok(derive_accept_key(key))
    } else {
        Err((400, "a Sec-WebSocket-Key of another length than 16 bytes"))
    }
}

/// The status of a response, of which no more than its first line need be there.
pub(crate) fn status_of(response: &[u8]) -> Option<u16> {
    let line = response.strip_prefix(b"HTTP/1.")?;
    let (b' ', rest) = line.get(1..)?.split_first()? else { return None };
    let digits = rest.get(..3)?;
    let ends = rest.get(3).is_none_or(|byte| b" \r\n".contains(byte));
    let number = std::str::from_utf8(digits).ok()?.parse::<u16>().ok()?;
    (ends && digits.iter().all(u8::is_ascii_digit) && number >= 100).then_some(number)
}

/// What a station is told that speaks none of the versions of the CSMS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NoCommonSubprotocol {
    /// HTTP 400, as the certification tests expect (TC_B_58_CSMS; TC_088 of 1.6).
    #[default]
    Refuse,
    /// HTTP 101 without a subprotocol, and the connection is closed at once, as the text has it
    /// (Part 4, 3.3).
    OpenAndClose,
}

/// The response that opens the WebSocket, but for no version of OCPP, and the frame that closes it
/// (1002).
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
pub(crate) fn refuse(status: u16, retry_after: Option<Duration>) -> String {
    let phrase = match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "Refused",
    };
    let challenge = match status {
        401 => "WWW-Authenticate: Basic realm=\"OCPP\", charset=\"UTF-8\"\r\n".to_owned(),
        // RFC 9110, section 15.5.22; RFC 6455, section 4.4.
        426 => format!("Upgrade: websocket\r\nSec-WebSocket-Version: {VERSION}\r\n"),
        _ => String::new(),
    };
    let connection = if status == 426 { "Upgrade, close" } else { "close" };
    // Rounded up to whole seconds.
    let retry_after = retry_after.map_or_else(String::new, |wait| {
        format!("Retry-After: {}\r\n", wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
    });
    format!(
        "HTTP/1.1 {status} {phrase}\r\n{challenge}{retry_after}Connection: {connection}\r\nContent-Length: 0\r\n\r\n"
    )
}

/// Whether a list in a header has this member, in whichever of its lines.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &[u8]) -> bool {
    let mut members =
        headers.get_all(name).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    members.any(|member| member.trim_ascii().eq_ignore_ascii_case(token))
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

/// Of WebSocket (RFC 6455).
const VERSION: &str = "13";

/// Characters of a path, or of an offer, that a log shows.
const MAX_SHOWN: usize = 200;

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
            Ok(Upgrade { version: Err(refusal), .. })
            | Ok(Upgrade { authorization: Authorization::Unusable(refusal), .. }) => Err(refusal.status),
            Ok(upgrade) => Ok(upgrade.identity.as_str()),
            Err(refusal) => Err(refusal.status),
        };
        assert_eq!(found, expected, "{request}");
    }

    #[test]
    fn the_two_sides_understand_each_other() {
        use Version::{V16, V21, V201};
        let identity = StationIdentity::try_from("RDAM 123").unwrap();
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
        let Authorization::Basic(credentials) = &upgrade.authorization else { panic!("Basic") };
        assert_eq!(credentials.user, "RDAM 123");
        // The station's order decides.
        assert_eq!(upgrade.version, Ok(V201));
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
    fn rfc_9110_5_3_a_list_may_stand_in_several_lines() {
        let request = station("/ocpp/CS1", "ocpp2.0.1", "");
        for (from, to) in [
            ("Connection: keep-alive, Upgrade\r\n", "Connection: keep-alive\r\nConnection: Upgrade\r\n"),
            ("Connection: keep-alive, Upgrade\r\n", "Connection: UPGRADE ,\r\n"),
            ("Upgrade: websocket\r\n", "Upgrade: h2c, websocket\r\n"),
            ("Upgrade: websocket\r\n", "Upgrade: h2c\r\nUpgrade: WebSocket\r\n"),
        ] {
            check_request(&request.replace(from, to), Ok("CS1"));
        }
        for (from, to) in [
            ("keep-alive, Upgrade", "keep-alive"),
            ("keep-alive, Upgrade", "upgrades"),
            ("Upgrade: websocket", "Upgrade: h2c"),
            ("Upgrade: websocket", "Upgrade: web,socket"),
            (KEY, "dGhlIHNhbXBsZSBub25j"),
            (KEY, "not base64 at all!!!!!!!"),
            (KEY, ""),
        ] {
            check_request(&request.replace(from, to), Err(400));
        }
    }

    #[test]
    fn rfc_6455_4_2_2_another_version_is_told_which_one_is_spoken() {
        for version in ["8", "7", "14", "013", "13, 8", ""] {
            let request = station("/ocpp/CS1", "ocpp2.0.1", "");
            check_request(&request.replace("Version: 13", &format!("Version: {version}")), Err(426));
        }
        let response = refuse(426, None);
        assert!(response.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{response}");
        assert!(response.contains("\r\nSec-WebSocket-Version: 13\r\n"), "{response}");
        assert!(response.contains("\r\nUpgrade: websocket\r\n"), "{response}");
    }

    #[test]
    fn a_refusal_names_what_was_asked_for() {
        let refused = |path: &str, protocols: &str| {
            let request = station(path, protocols, "");
            let upgrade = parse_request(request.as_bytes(), "/ocpp", &[Version::V201], None);
            upgrade.and_then(|upgrade| upgrade.version.map(drop)).unwrap_err().to_string()
        };
        assert_eq!(
            refused("/other/CS1", "ocpp2.0.1"),
            "refused with HTTP 404: the path names no station (path /other/CS1, offering the subprotocols ocpp2.0.1)"
        );
        assert_eq!(
            refused("/ocpp/CS1", "ocpp0.1, mqtt"),
            "refused with HTTP 400: no common subprotocol (path /ocpp/CS1, offering the subprotocols ocpp0.1, mqtt)"
        );
        assert!(refused(&format!("/{}", "x".repeat(5_000)), "ocpp2.0.1").len() < 400);
        let none = station("/ocpp/CS1", "", "").replace("Sec-WebSocket-Protocol: \r\n", "");
        let upgrade = parse_request(none.as_bytes(), "/ocpp", &[Version::V201], None).unwrap();
        assert!(upgrade.version.unwrap_err().to_string().ends_with("offering no subprotocol)"));
    }

    #[test]
    fn the_status_of_a_response_that_broke_off() {
        for (text, expected) in [
            ("HTTP/1.1 401", Some(401)),
            ("HTTP/1.1 401\r", Some(401)),
            ("HTTP/1.1 401 Unauthorized\r\nWWW-", Some(401)),
            ("HTTP/1.0 502 Bad Gateway\r\n\r\n", Some(502)),
            ("HTTP/1.1 40", None),
            ("HTTP/1.1 4011", None),
            ("HTTP/1.1 +01", None),
            ("HTTP/1.1 099", None),
            ("HTTP/2 401", None),
            ("HTTP/1.", None),
            ("", None),
        ] {
            assert_eq!(status_of(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn requests_that_two_readers_could_understand_differently() {
        for more in [
            "Host: other\r\n",
            "Host: csms\r\n",
            "Content-Length: 0\r\nContent-Length: 0\r\n",
            "Content-Length: 0\r\nContent-Length: 5\r\n",
            "Content-Length: 5\r\n",
            "Content-Length: 0, 0\r\n",
            "Content-Length: -1\r\n",
            "Content-Length:\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Transfer-Encoding: identity\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
            "Sec-WebSocket-Version: 13\r\n",
            "Sec-WebSocket-Version: 8\r\n",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        ] {
            check_request(&station("/ocpp/CS1", "ocpp2.0.1", more), Err(400));
        }
        check_request(&station("/ocpp/CS1", "ocpp2.0.1", "Content-Length: 0\r\n"), Ok("CS1"));
        let without_host = station("/ocpp/CS1", "ocpp2.0.1", "").replace("Host: csms\r\n", "");
        check_request(&without_host, Err(400));
    }

    #[test]
    fn a_refusal_says_when_to_come_again() {
        let seconds = Duration::from_millis(1_500);
        assert!(refuse(503, Some(seconds)).contains("\r\nRetry-After: 2\r\n"));
        assert!(
            refuse(429, Some(Duration::from_secs(60)))
                .starts_with("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 60\r\n")
        );
        assert!(!refuse(503, None).contains("Retry-After"));
    }

    #[test]
    fn responses_that_open_nothing() {
        let check = |text: &str, expected: ResponseError| {
            assert_eq!(check_response(text.as_bytes(), KEY, &[Version::V201], None), Err(expected), "{text}");
        };
        check(&refuse(401, None), ResponseError::Status { status: 401 });
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
        check("HTTP/1.0 502 Bad Gateway\r\n\r\n", ResponseError::Status { status: 502 });
        check("SSH-2.0-OpenSSH\r\n\r\n", ResponseError::Invalid("the response is not HTTP/1.1"));
    }
}
