//! Parses a text as a frame and checks every rule.

use std::borrow::Cow;
use std::fmt;

use ocpp_types::{RpcErrorCode, Version};
use serde::de::{self, Deserialize, Deserializer, IgnoredAny, SeqAccess};
use serde_json::value::RawValue;

use crate::frame::head::beginning;
use crate::frame::{Fault, Frame, FrameError, Limits, MAX_DESCRIPTION, MessageKind, Refused};
use crate::message_id::MessageId;

/// Reads one frame of a version.
///
/// # Errors
/// If it breaks a limit or is not a frame. [`FrameError::answer`] returns the answer to it.
pub fn parse<'a>(text: &'a str, version: Version, limits: &Limits) -> Result<Frame<'a>, FrameError> {
    check_limits(text, limits)?;
    let Ok(elements) = serde_json::from_str::<Elements<'_>>(text) else {
        return Err(unreadable(text, Fault::NotAnArray));
    };
    let Some(number) = elements.slice().first().and_then(whole_number) else {
        return Err(FrameError { fault: Fault::MessageType, kind: None, id: None });
    };
    let kind = MessageKind::from_number(number);
    let id =
        elements.slice().get(1).and_then(string).and_then(|text| MessageId::try_from(text.as_ref()).ok());
    let error = |fault, id| FrameError { fault, kind: Some(kind), id };
    if !kind.is_in(version) {
        return Err(error(Fault::UnknownMessageType { number }, id));
    }
    let Some(id) = id else { return Err(error(Fault::MessageId, None)) };
    let read = match kind {
        MessageKind::Call => request(&elements).map(|(action, payload)| {
            let id = id.clone();
            Frame::Call { id, action, payload }
        }),
        MessageKind::Send => request(&elements).map(|(action, payload)| {
            let id = id.clone();
            Frame::Send { id, action, payload }
        }),
        MessageKind::CallResult => match elements.slice() {
            [_, _, payload] => Ok(Frame::CallResult { id: id.clone(), payload }),
            _ => Err(Fault::ElementCount { found: elements.count }),
        },
        MessageKind::CallError => refused(&elements, &id).map(Frame::CallError),
        MessageKind::CallResultError => refused(&elements, &id).map(Frame::CallResultError),
        MessageKind::Other(number) => Err(Fault::UnknownMessageType { number }),
    };
    read.map_err(|fault| error(fault, Some(id)))
}

/// Checks the bounds of a frame.
///
/// # Errors
/// If it is too long or nested too deeply.
pub(crate) fn check_limits(text: &str, limits: &Limits) -> Result<(), FrameError> {
    if text.len() > limits.max_bytes {
        // The text is not parsed, not even for its id.
        let fault = Fault::TooLarge { bytes: text.len(), max: limits.max_bytes };
        return Err(FrameError { fault, kind: None, id: None });
    }
    if !nested_at_most(text, limits.max_depth) {
        return Err(unreadable(text, Fault::TooDeep { max: limits.max_depth }));
    }
    Ok(())
}

/// For a text that cannot be parsed as a whole. Its beginning may be readable, and with it the id.
fn unreadable(text: &str, fault: Fault) -> FrameError {
    let (kind, id) = beginning(text).unzip();
    FrameError { fault, kind, id: id.and_then(|id| MessageId::try_from(id).ok()) }
}

fn request<'a>(elements: &Elements<'a>) -> Result<(Cow<'a, str>, &'a RawValue), Fault> {
    let [_, _, action, payload] = elements.slice() else {
        return Err(Fault::ElementCount { found: elements.count });
    };
    let action = string(action).ok_or(Fault::Action)?;
    if !is_object(payload) {
        return Err(Fault::Payload);
    }
    Ok((action, payload))
}

fn refused<'a>(elements: &Elements<'a>, id: &MessageId) -> Result<Refused<'a>, Fault> {
    // Programs do not need description and details, and peers often omit them. So both may be
    // missing.
    let [_, _, code, rest @ ..] = elements.slice() else {
        return Err(Fault::ElementCount { found: elements.count });
    };
    let code = string(code).ok_or(Fault::Code)?;
    let description = rest.first().and_then(string).unwrap_or_default();
    Ok(Refused {
        id: id.clone(),
        code: RpcErrorCode::parse(&code),
        description: description.chars().take(MAX_DESCRIPTION).collect(),
        details: rest.get(1).copied().filter(|details| is_object(details)),
    })
}

/// The elements of the outer array, as text.
struct Elements<'a> {
    /// The first elements. A frame has at most five, so the sixth shows that there are too many.
    kept: Vec<&'a RawValue>,
    /// The number of all elements.
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

fn string<'a>(element: &&'a RawValue) -> Option<Cow<'a, str>> {
    let text = element.get();
    let content = text.strip_prefix('"')?.strip_suffix('"')?;
    if content.contains('\\') {
        serde_json::from_str(text).map(Cow::Owned).ok()
    } else {
        Some(Cow::Borrowed(content))
    }
}

fn is_object(element: &RawValue) -> bool {
    element.get().starts_with('{')
}

/// Whether arrays and objects nest at most `max` levels deep. The text may not be JSON; that is
/// found later.
fn nested_at_most(text: &str, max: usize) -> bool {
    // A text with at most `max` opening brackets cannot nest deeper. This is true of most texts.
    opened(text.as_bytes()) <= max || walk(text, max)
}

/// Counts `[` and `{` in a text, including those in strings. It works on blocks, which the compiler
/// turns into a few instructions.
fn opened(text: &[u8]) -> usize {
    // The two differ in one bit.
    let in_block = |block: &[u8]| block.iter().map(|byte| u8::from(byte | 0x20 == b'{')).sum::<u8>();
    text.chunks(255).map(|block| usize::from(in_block(block))).sum()
}

fn walk(text: &str, max: usize) -> bool {
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
