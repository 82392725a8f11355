//! From text to frame.

use std::fmt;

use ocpp_types::RpcErrorCode;
use serde::de::{self, Deserialize, Deserializer, IgnoredAny, SeqAccess};
use serde_json::value::RawValue;

use crate::frame::{Frame, FrameError, Limits, MAX_DESCRIPTION, no_details};
use crate::message_id::MessageId;

/// Reads one frame.
///
/// # Errors
/// If it breaks a limit or is not a frame; [`FrameError::answer`] says how to answer it.
pub fn parse(text: &str, limits: &Limits) -> Result<Frame, FrameError> {
    if text.len() > limits.max_bytes {
        return Err(FrameError::TooLarge { bytes: text.len(), max: limits.max_bytes });
    }
    if !nested_at_most(text, limits.max_depth) {
        return Err(FrameError::TooDeep { max: limits.max_depth });
    }
    let elements: Elements<'_> = serde_json::from_str(text).map_err(|_| FrameError::NotAnArray)?;
    let message_type = elements.slice().first().and_then(whole_number).ok_or(FrameError::MessageType)?;
    let id = elements.slice().get(1).and_then(string).and_then(|text| MessageId::try_from(text).ok());
    match message_type {
        CALL => call(&elements, id.ok_or(FrameError::MessageId)?),
        CALL_RESULT => call_result(&elements, id).ok_or(FrameError::Answer),
        CALL_ERROR => call_error(&elements, id).ok_or(FrameError::Answer),
        message_type => Err(FrameError::UnknownMessageType { id, message_type }),
    }
}

fn call(elements: &Elements<'_>, id: MessageId) -> Result<Frame, FrameError> {
    let [_, _, action, payload] = elements.slice() else {
        return Err(FrameError::ElementCount { id, found: elements.count });
    };
    let Some(action) = string(action) else { return Err(FrameError::Action { id }) };
    if !is_object(payload) {
        return Err(FrameError::Payload { id });
    }
    Ok(Frame::Call { id, action, payload: (*payload).to_owned() })
}

fn call_result(elements: &Elements<'_>, id: Option<MessageId>) -> Option<Frame> {
    let [_, _, payload] = elements.slice() else { return None };
    Some(Frame::CallResult { id: id?, payload: (*payload).to_owned() })
}

fn call_error(elements: &Elements<'_>, id: Option<MessageId>) -> Option<Frame> {
    // Description and details are of no use to a program, and often left out: their absence is forgiven.
    let [_, _, code, rest @ ..] = elements.slice() else { return None };
    let code = string(code)?;
    let description = rest.first().and_then(string).unwrap_or_default();
    let description = description.chars().take(MAX_DESCRIPTION).collect();
    let details = rest.get(1).filter(|details| is_object(details));
    Some(Frame::CallError {
        id: id?,
        code: RpcErrorCode::parse(&code),
        description,
        details: details.map_or_else(no_details, |details| (*details).to_owned()),
    })
}

/// The elements of the outer array, as text.
struct Elements<'a> {
    /// The first ones. No frame has more than five, so a sixth is enough to see that there are too many.
    kept: Vec<&'a RawValue>,
    /// How many there are in truth.
    count: usize,
}

impl<'a> Elements<'a> {
    const KEPT: usize = 6;

    fn slice(&self) -> &[&'a RawValue] {
        &self.kept
    }
}

impl<'de> Deserialize<'de> for Elements<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ElementsVisitor)
    }
}

struct ElementsVisitor;

impl<'de> de::Visitor<'de> for ElementsVisitor {
    type Value = Elements<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut elements = Elements { kept: Vec::with_capacity(Elements::KEPT), count: 0 };
        while elements.kept.len() < Elements::KEPT {
            match sequence.next_element()? {
                Some(element) => elements.kept.push(element),
                None => break,
            }
        }
        elements.count = elements.kept.len();
        while sequence.next_element::<IgnoredAny>()?.is_some() {
            elements.count += 1;
        }
        Ok(elements)
    }
}

fn whole_number(element: &&RawValue) -> Option<u64> {
    element.get().parse().ok()
}

fn string(element: &&RawValue) -> Option<String> {
    serde_json::from_str(element.get()).ok()
}

fn is_object(element: &&RawValue) -> bool {
    element.get().starts_with('{')
}

/// Whether arrays and objects nest at most `max` levels deep. The text need not be JSON: what is not is found later.
fn nested_at_most(text: &str, max: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                if depth > max {
                    return false;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

const CALL: u64 = 2;
const CALL_RESULT: u64 = 3;
const CALL_ERROR: u64 = 4;
