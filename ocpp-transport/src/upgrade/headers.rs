//! The headers of a handshake, as bytes.

use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderName};

/// Whether a list in a header contains this member, in any of its lines.
pub(crate) fn has_token(headers: &HeaderMap, name: &HeaderName, token: &[u8]) -> bool {
    let mut members =
        headers.get_all(name).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    members.any(|member| member.trim_ascii().eq_ignore_ascii_case(token))
}

pub(crate) fn headers_of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a [u8]> {
    headers.get_all(name).iter().map(|value| value.as_bytes()).collect()
}

/// The value of a header that occurs exactly once.
pub(crate) fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    match headers_of(headers, name).as_slice() {
        [value] => Some(value),
        _ => None,
    }
}

/// The version of WebSocket (RFC 6455).
pub(crate) const VERSION: &str = "13";
