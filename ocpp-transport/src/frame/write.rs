//! Writes frames as text.

use ocpp_types::{RpcErrorCode, Version};
use serde_json::value::RawValue;

use crate::frame::MessageKind;
use crate::message_id::MessageId;

/// A CALL or a SEND. `payload` is a JSON object.
pub(crate) fn request(kind: MessageKind, id: &MessageId, action: &str, payload: &str) -> String {
    let mut text = begin(kind, id, action.len() + payload.len());
    push_quoted(&mut text, action);
    text.push(',');
    text.push_str(payload);
    text.push(']');
    text
}

/// A CALLRESULT. `payload` is JSON.
pub(crate) fn call_result(id: &MessageId, payload: &str) -> String {
    let mut text = begin(MessageKind::CallResult, id, payload.len());
    text.push_str(payload);
    text.push(']');
    text
}

/// A CALLERROR. The description is cut to its bound.
pub(crate) fn call_error(
    version: Version,
    id: &MessageId,
    code: &RpcErrorCode,
    description: &str,
    details: Option<&RawValue>,
) -> String {
    refused(MessageKind::CallError, version, id, code, description, details)
}

/// A CALLRESULTERROR (2.1). The description is cut to its bound.
pub(crate) fn call_result_error(
    version: Version,
    id: &MessageId,
    code: &RpcErrorCode,
    description: &str,
    details: Option<&RawValue>,
) -> String {
    refused(MessageKind::CallResultError, version, id, code, description, details)
}

fn refused(
    kind: MessageKind,
    version: Version,
    id: &MessageId,
    code: &RpcErrorCode,
    description: &str,
    details: Option<&RawValue>,
) -> String {
    let end = description.char_indices().nth(MAX_DESCRIPTION).map_or(description.len(), |(end, _)| end);
    let description = description.get(..end).unwrap_or_default();
    let mut text = begin(kind, id, 64 + description.len());
    push_quoted(&mut text, code.as_str(version));
    text.push(',');
    push_quoted(&mut text, description);
    text.push(',');
    text.push_str(details.map_or("{}", RawValue::get));
    text.push(']');
    text
}

/// `[2,"id",`, with capacity for `more` bytes and the separators.
fn begin(kind: MessageKind, id: &MessageId, more: usize) -> String {
    let mut text = String::with_capacity(id.as_str().len() + more + 16);
    text.push('[');
    // Every message type number that is sent has one digit. Formatting it would cost more than the
    // rest of this function.
    match u32::try_from(kind.number()).ok().and_then(|number| char::from_digit(number, 10)) {
        Some(digit) => text.push(digit),
        None => text.push_str(&kind.number().to_string()),
    }
    text.push(',');
    push_quoted(&mut text, id.as_str());
    text.push(',');
    text
}

/// A JSON string.
fn push_quoted(text: &mut String, content: &str) {
    if content.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        text.push_str(&serde_json::Value::from(content).to_string());
    } else {
        text.push('"');
        text.push_str(content);
        text.push('"');
    }
}

/// The longest description of a CALLERROR, in characters (2.0.1 Part 4, 4.2.3).
pub const MAX_DESCRIPTION: usize = 255;
