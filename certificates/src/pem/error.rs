//! Why a text is not the expected PEM.

use std::fmt;

use super::labels::{CERTIFICATE, PKCS8, REQUEST, REVOCATION_LIST};

/// Why a text is not the expected PEM. Lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PemError {
    /// No block at all.
    #[error("there is no PEM {} in the text", thing(expected))]
    Nothing {
        /// The expected label.
        expected: &'static str,
    },
    /// Neither PEM nor base64.
    #[error("the text is neither PEM of a {} nor base64", thing(expected))]
    NeitherPemNorBase64 {
        /// The expected label.
        expected: &'static str,
    },
    /// DER where PEM is expected.
    #[error("this is DER and not PEM; `openssl … -inform DER -outform PEM` converts it")]
    Der,
    /// Incomplete DER.
    #[error("the DER breaks off or is damaged")]
    BrokenDer,
    /// Text that begins with a byte-order mark of UTF-16.
    #[error("the text is UTF-16; save it as ASCII or UTF-8")]
    Utf16,
    /// A BEGIN line without its END line.
    #[error("line {line}: the block of {label} that begins here is not closed")]
    NotClosed {
        /// The line of its beginning.
        line: usize,
        /// The label of the block.
        label: Label,
    },
    /// An END line with another label.
    #[error("line {line}: the block of {label} is not closed by this line")]
    OtherEnd {
        /// Its line.
        line: usize,
        /// The label of the block.
        label: Label,
    },
    /// A damaged boundary, or base64 without a boundary before it.
    #[error("line {line} belongs to no PEM block and looks like a part of one; repair or remove it")]
    Stray {
        /// Its line.
        line: usize,
    },
    /// A block with another label. It is not ignored, because its author expects it to be used.
    #[error("line {line}: {expected} is expected, and this is PEM of {label}")]
    Label {
        /// The line of its beginning.
        line: usize,
        /// The label of the block.
        label: Label,
        /// The expected label.
        expected: &'static str,
    },
    /// Headers of RFC 1421, as in old encrypted keys.
    #[error("line {line}: the block has headers, so it is encrypted or not PEM of X.509; decrypt it first")]
    Headers {
        /// The line of the first header.
        line: usize,
    },
    /// Not base64, or base64 with stray bits at its end.
    #[error("line {line}: the text inside the block is not base64")]
    Base64 {
        /// The first invalid line, or the first line of the block.
        line: usize,
    },
    /// More blocks than expected.
    #[error("line {line}: another {} begins here; the limit is {max}", thing(expected))]
    TooMany {
        /// The line of the first surplus block.
        line: usize,
        /// The maximum number.
        max: usize,
        /// The label of the blocks.
        expected: &'static str,
    },
}

/// The label of an unexpected block, shortened and without control characters, because a peer may
/// have chosen it.
#[derive(Clone, PartialEq, Eq)]
pub struct Label(String);

impl Label {
    pub(super) fn of(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        Self(text.chars().filter(|letter| !letter.is_control()).take(MAX_QUOTED_LABEL).collect())
    }
}

impl fmt::Display for Label {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

/// The maximum number of characters of an unexpected label that an error repeats.
pub(super) const MAX_QUOTED_LABEL: usize = 32;

/// The meaning of a label, in words.
fn thing(label: &'static str) -> &'static str {
    match label {
        CERTIFICATE => "certificate",
        REVOCATION_LIST => "revocation list",
        REQUEST => "certificate signing request",
        PKCS8 => "private key",
        other => other,
    }
}
