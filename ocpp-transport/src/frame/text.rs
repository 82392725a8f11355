//! The text of a frame, shared by the holders of its parts.

use std::fmt;
use std::ops::Deref;

use tokio_tungstenite::tungstenite::Utf8Bytes;

/// The text of a frame as it was received. Clones share it. `Debug` shows only the length, because
/// a payload may contain secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct FrameText(Utf8Bytes);

impl Deref for FrameText {
    type Target = str;

    fn deref(&self) -> &str {
        self.0.as_str()
    }
}

impl From<&str> for FrameText {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for FrameText {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<Utf8Bytes> for FrameText {
    fn from(text: Utf8Bytes) -> Self {
        Self(text)
    }
}

impl fmt::Debug for FrameText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "FrameText({} bytes)", self.len())
    }
}
