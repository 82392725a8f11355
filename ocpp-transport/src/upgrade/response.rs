//! The response to a request for a WebSocket: as a CSMS writes it and as a station reads it.

use std::time::Duration;

use ocpp_types::Version;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::handshake::machine::TryParse;
use tokio_tungstenite::tungstenite::http::Response;
use tokio_tungstenite::tungstenite::http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};

use crate::deflate::{Agreed, Deflate, NegotiationError};
use crate::upgrade::headers::{VERSION, has_token, headers_of, only};
use crate::upgrade::request::Upgrade;

/// The answer to a station that speaks none of the versions of the CSMS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NoCommonSubprotocol {
    /// HTTP 400, as the certification tests expect (TC_B_58_CSMS; TC_088 of 1.6).
    #[default]
    Refuse,
    /// HTTP 101 without a subprotocol, and an immediate close, as the specification says (Part 4,
    /// 3.3).
    OpenAndClose,
}

/// The response that opens the WebSocket without a version of OCPP, and the frame that closes it
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

/// The response that refuses to open the WebSocket.
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

/// The parameters of an opened WebSocket, from a CSMS's response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) version: Version,
    pub(crate) deflate: Option<Agreed>,
}

/// Checks the CSMS's response to a request with `key`. Returns the version that it selected from
/// `offered`, and the compression.
pub(crate) fn check_response(
    head: &[u8],
    key: &str,
    offered: &[Version],
    deflate: Option<&Deflate>,
) -> Result<Opened, ResponseError> {
    let response = match (Response::<Option<Vec<u8>>>::try_parse(head), status_of(head)) {
        (Ok(Some((_, response))), _) => response,
        // For example a proxy of HTTP/1.0.
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
    // 2.0.1 Part 4, 3.3: the station must not continue without a subprotocol that it offered.
    let picked = only(headers, &SEC_WEBSOCKET_PROTOCOL).ok_or(ResponseError::Subprotocol)?;
    let mut offered = offered.iter().copied();
    let version = offered.find(|version| version.subprotocol().as_bytes() == picked);
    Ok(Opened { version: version.ok_or(ResponseError::Subprotocol)?, deflate })
}

/// The status of a response, which may be incomplete after the status.
pub(crate) fn status_of(response: &[u8]) -> Option<u16> {
    let line = response.strip_prefix(b"HTTP/1.")?;
    let (b' ', rest) = line.get(1..)?.split_first()? else { return None };
    let digits = rest.get(..3)?;
    let ends = rest.get(3).is_none_or(|byte| b" \r\n".contains(byte));
    let number = std::str::from_utf8(digits).ok()?.parse::<u16>().ok()?;
    (ends && digits.iter().all(u8::is_ascii_digit) && number >= 100).then_some(number)
}
