//! Reads the parts of a frame before its payload, without parsing the payload.
//!
//! A payload is parsed once, by the decoder of its type, which also finds whether it is JSON. This
//! reader finds the payload by the punctuation of the frame. It reads frames as peers usually write
//! them; [`parse`](crate::frame::parse()) reads all others.

use crate::frame::MessageKind;
use crate::message_id::MessageId;

/// The parts of a CALL, a CALLRESULT or a SEND whose payload looks like an object.
///
/// Invariant: if `payload` is one JSON value, the frame is the one that
/// [`parse`](crate::frame::parse()) reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head<'a> {
    pub(crate) kind: MessageKind,
    pub(crate) id: &'a str,
    /// Empty in a CALLRESULT.
    pub(crate) action: &'a str,
    /// From a `{` to a `}`.
    pub(crate) payload: &'a str,
}

/// Reads frames such as `[2,"id","Action",{…}]`; `None` if anything is unusual.
pub(crate) fn head(text: &str) -> Option<Head<'_>> {
    let mut cursor = Cursor { text, at: 0 };
    let (kind, id) = cursor.kind_and_id()?;
    let action = match kind {
        MessageKind::Call | MessageKind::Send => {
            let action = cursor.string()?;
            cursor.separator()?;
            action
        }
        MessageKind::CallResult => "",
        _ => return None,
    };
    let payload = cursor.rest().trim_end_matches(WHITE_SPACE).strip_suffix(']')?;
    let payload = payload.trim_end_matches(WHITE_SPACE);
    let is_object = payload.len() >= 2 && payload.starts_with('{') && payload.ends_with('}');
    is_object.then_some(Head { kind, id, action, payload })
}

/// The kind and the id of a text that begins like a frame. The rest is not read.
pub(crate) fn beginning(text: &str) -> Option<(MessageKind, &str)> {
    Cursor { text, at: 0 }.kind_and_id()
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// `[2,"id",`
    fn kind_and_id(&mut self) -> Option<(MessageKind, &'a str)> {
        self.white_space();
        self.expect(b'[')?;
        self.white_space();
        let digit = self.next()?;
        let kind = digit.is_ascii_digit().then(|| MessageKind::from_number(u64::from(digit - b'0')))?;
        self.separator()?;
        let id = self.string()?;
        self.separator()?;
        MessageId::is_id(id).then_some((kind, id))
    }

    /// A string without escapes.
    fn string(&mut self) -> Option<&'a str> {
        self.expect(b'"')?;
        let begin = self.at;
        loop {
            match self.next()? {
                b'"' => return self.text.get(begin..self.at - 1),
                b'\\' | ..0x20 => return None,
                _ => {}
            }
        }
    }

    /// A comma and the white space around it.
    fn separator(&mut self) -> Option<()> {
        self.white_space();
        self.expect(b',')?;
        self.white_space();
        Some(())
    }

    fn white_space(&mut self) {
        while self.peek().is_some_and(|byte| WHITE_SPACE.contains(&char::from(byte))) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }
}

/// The white space of JSON (RFC 8259, section 2).
const WHITE_SPACE: [char; 4] = [' ', '\t', '\n', '\r'];
