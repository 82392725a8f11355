//! The request that asks for a WebSocket: as a station writes it and as a CSMS reads it.

use std::fmt::Write;

use base64ct::{Base64, Encoding};
use certificates::StationIdentity;
use ocpp_types::Version;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::handshake::machine::TryParse;
use tokio_tungstenite::tungstenite::http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use tokio_tungstenite::tungstenite::http::{HeaderMap, Request};
use zeroize::Zeroizing;

use crate::deflate::{Agreed, Deflate};
use crate::upgrade::basic::Credentials;
use crate::upgrade::headers::{VERSION, has_token, headers_of, only};
use crate::upgrade::path_segment;

/// The request of a station, before the decision whether it may connect.
#[derive(Debug)]
pub(crate) struct Upgrade {
    pub(crate) identity: StationIdentity,
    pub(crate) authorization: Authorization,
    /// The first version in the station's offer that this side serves; otherwise the refusal.
    pub(crate) version: Result<Version, HttpRefusal>,
    /// The granted compression, with its header.
    pub(super) deflate: Option<(Agreed, String)>,
    pub(super) accept_key: String,
}

/// The content of an Authorization header. It has no meaning under security profile 3 (A00.FR.401),
/// so it causes no refusal before the profile is known.
#[derive(Debug)]
pub(crate) enum Authorization {
    None,
    Basic(Credentials),
    Unusable(HttpRefusal),
}

/// The response to a refused request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("refused with HTTP {status}: {reason}{asked}")]
pub(crate) struct HttpRefusal {
    pub(crate) status: u16,
    pub(crate) reason: &'static str,
    /// The requested path and subprotocols, for the log, each cut to [`MAX_SHOWN`].
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

impl Upgrade {
    /// The granted compression.
    pub(crate) fn deflate(&self) -> Option<Agreed> {
        self.deflate.as_ref().map(|(agreed, _)| *agreed)
    }
}

/// The request of a station that speaks `versions`, the preferred one first (OCPP-J 3.2), and
/// offers compression. It contains a password, so its memory is wiped.
pub(crate) fn request(
    host: &str,
    path: &str,
    key: &str,
    versions: &[Version],
    deflate: Option<&Deflate>,
    authorization: Option<&Zeroizing<String>>,
) -> Zeroizing<String> {
    let protocols = versions.iter().map(|version| version.subprotocol()).collect::<Vec<_>>().join(", ");
    // Reserves the whole capacity: growing would leave copies of the password in memory.
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

/// Parses the request of a station. `base_path` is the path before `/` and the identity. `served`
/// are the versions of this side. `deflate` is the compression that it grants, if any.
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

    // The station lists its preferred version first.
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

/// Refuses requests that two readers could interpret differently: their end, their host, and the
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

/// Checks that a request asks for a WebSocket of RFC 6455, and returns the value of
/// `Sec-WebSocket-Accept`. Otherwise returns status and reason.
fn check_web_socket(headers: &HeaderMap) -> Result<String, (u16, &'static str)> {
    // RFC 9110, section 5.3: a list may be split over several lines.
    if !has_token(headers, &CONNECTION, b"upgrade") || !has_token(headers, &UPGRADE, b"websocket") {
        return Err((400, "not a WebSocket request"));
    }
    // RFC 6455, section 4.2.2: the refusal contains the supported version.
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

/// Characters of a path, or of an offer, that are logged.
const MAX_SHOWN: usize = 200;
