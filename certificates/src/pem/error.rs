//! Why a text is not the PEM that is expected.

use std::fmt;

use super::labels::{CERTIFICATE, PKCS8, REQUEST, REVOCATION_LIST};

/// Why a text is not the PEM that is expected. Lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PemError {
    /// No block at all.
    #[error("there is no PEM {} in the text", thing(expected))]
    Nothing {
        /// The label that is looked for.
        expected: &'static str,
    },
    /// Neither.
    #[error("the text is neither PEM of a {} nor base64", thing(expected))]
    NeitherPemNorBase64 {
        /// The label that is looked for.
        expected: &'static str,
    },
    /// DER where PEM is expected.
    #[error("this is DER and not PEM; `openssl … -inform DER -outform PEM` converts it")]
    Der,
    /// DER that breaks off.
    #[error("the DER breaks off or is damaged")]
    BrokenDer,
    /// Text that begins with a mark of UTF-16.
    #[error("the text is UTF-16; save it as ASCII or UTF-8")]
    Utf16,
    /// A BEGIN line without its END line.
    #[error("line {line}: the block of {label} that begins here is not closed")]
    NotClosed {
        /// Where it begins.
        line: usize,
        /// What it says it holds.
        label: Label,
    },
    /// An END line of something else.
    #[error("line {line}: the block of {label} is not closed by this line")]
    OtherEnd {
        /// Where it stands.
        line: usize,
        /// What the block says it holds.
        label: Label,
    },
    /// A boundary that is damaged, or base64 without a boundary before it.
    #[error("line {line} belongs to no PEM block and looks like a part of one; repair or remove it")]
    Stray {
        /// Where it stands.
        line: usize,
    },
    /// A block of something else: whoever put it there meant something else.
    #[error("line {line}: {expected} is expected, and this is PEM of {label}")]
    Label {
        /// Where it begins.
        line: usize,
        /// What it says it holds.
        label: Label,
        /// The label that is expected.
        expected: &'static str,
    },
    /// Headers of RFC 1421, as encrypted keys of old have them.
    #[error("line {line}: the block has headers, so it is encrypted or not PEM of X.509; decrypt it first")]
    Headers {
        /// Where the first one stands.
        line: usize,
    },
    /// Not base64, or base64 with stray bits at its end.
    #[error("line {line}: the text inside the block is not base64")]
    Base64 {
        /// The first line that is not, or the block's first line.
        line: usize,
    },
    /// More blocks than expected.
    #[error("line {line}: another {} begins here; the limit is {max}", thing(expected))]
    TooMany {
        /// Where the first one too many begins.
        line: usize,
        /// The most that are read.
        max: usize,
        /// Their label.
        expected: &'static str,
    },
}

/// What the boundary of a foreign block says, shortened and without control characters: a peer may
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

/// Characters of a foreign label that an error repeats.
pub(super) const MAX_QUOTED_LABEL: usize = 32;

/// What a label stands for, in words.
fn thing(label: &'static str) -> &'static str {
    match label {
        CERTIFICATE => "certificate",
        REVOCATION_LIST => "revocation list",
        REQUEST => "certificate signing request",
        PKCS8 => "private key",
        other => other,
    }
}
