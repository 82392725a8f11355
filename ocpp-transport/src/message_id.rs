//! Message ids, which connect an answer with its CALL.

use std::fmt;
use std::sync::Arc;

/// The id of a CALL: 1 to 36 characters without control characters.
///
/// 2.0.1 Part 4, 4.1.4 defines ids as printable text. An id with a line break would forge a line in
/// every log that shows it (CWE-117).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MessageId(Arc<str>);

impl MessageId {
    /// The longest id, in characters. A UUID fits (2.0.1 Part 4, 4.1.4).
    pub const MAX_CHARACTERS: usize = 36;

    /// The id of the answer to a frame whose own id cannot be read (2.0.1 Part 4, 4.2.3).
    #[must_use]
    pub fn unreadable() -> Self {
        Self("-1".into())
    }

    /// Whether a text is an id.
    pub(crate) fn is_id(text: &str) -> bool {
        // A character takes at least one byte and at most four.
        !text.is_empty()
            && !text.chars().any(char::is_control)
            && (text.len() <= Self::MAX_CHARACTERS
                || text.chars().take(Self::MAX_CHARACTERS + 1).count() <= Self::MAX_CHARACTERS)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for MessageId {
    type Error = MessageIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::try_from(text.as_str())
    }
}

impl TryFrom<&str> for MessageId {
    type Error = MessageIdError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        if Self::is_id(text) { Ok(Self(text.into())) } else { Err(MessageIdError) }
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// An empty text, a text of more than 36 characters, or one with a control character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message id has 1 to {max} characters and no control character", max = MessageId::MAX_CHARACTERS)]
pub struct MessageIdError;

/// An unlimited sequence of ids in the form of UUIDs (version 4).
///
/// An id must be unique among all CALLs of one side, over all connections of one identity (2.0.1
/// Part 4, 4.1.4). 60 random bits distinguish the connections, and a counter distinguishes the
/// CALLs.
#[derive(Debug)]
pub struct MessageIds {
    connection: u64,
    next: u64,
}

impl MessageIds {
    /// Ids for one connection. `seed` must be random and must never have been used before.
    #[must_use]
    pub fn new(seed: [u8; 16]) -> Self {
        let (high, low) = seed.split_at(8);
        let number = |bytes: &[u8]| bytes.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        // The counter starts at a random number, so that ids do not show the age of a connection.
        Self { connection: number(high), next: number(low) }
    }

    /// The next id.
    pub fn next_id(&mut self) -> MessageId {
        let counter = self.next & COUNTER_MASK;
        self.next = self.next.wrapping_add(1);
        let connection = self.connection;
        let id = format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            connection >> 32,
            connection >> 16 & 0xffff,
            connection >> 4 & 0xfff,
            0x8000 | counter >> 48,
            counter & 0xffff_ffff_ffff,
        );
        MessageId(id.into())
    }
}

/// The last 62 bits of a UUID, after the two bits of its variant.
const COUNTER_MASK: u64 = (1 << 62) - 1;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_have_the_form_of_a_uuid_and_differ() {
        let mut ids = MessageIds::new([0xff; 16]);
        let first = ids.next_id();
        assert_eq!(first.as_str(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        let seen: HashSet<MessageId> =
            std::iter::once(first).chain(std::iter::repeat_with(|| ids.next_id()).take(1000)).collect();
        assert_eq!(seen.len(), 1001);
        assert!(seen.iter().all(|id| id.as_str().len() == 36));
        assert_ne!(MessageIds::new([1; 16]).next_id(), MessageIds::new([2; 16]).next_id());
    }

    #[test]
    fn an_id_has_1_to_36_characters_without_controls() {
        for text in ["x\nFORGED-ID", "\r", "a\u{1b}[2J", "\u{0}", "\u{7f}", "\u{85}", "\u{9b}2J"] {
            assert_eq!(MessageId::try_from(text), Err(MessageIdError), "{text:?}");
        }
        assert!(MessageId::try_from("ä".repeat(36)).is_ok());
        assert_eq!(MessageId::try_from("x".repeat(37)), Err(MessageIdError));
        assert_eq!(MessageId::try_from(""), Err(MessageIdError));
    }
}
