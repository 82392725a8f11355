//! Public keys, named by their hash.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use super::text::serde_as_text;

/// SHA-256 over a SubjectPublicKeyInfo in DER: the name of a public key in records and ledgers.
///
/// Written in lower-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// The hash of a key. `spki` is the SubjectPublicKeyInfo as it was received: tag, length and
    /// content.
    #[must_use]
    pub fn of_spki(spki: &[u8]) -> Self {
        Self(Sha256::digest(spki).into())
    }

    /// The hash itself.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for KeyHash {
    fn from(hash: [u8; 32]) -> Self {
        Self(hash)
    }
}

impl FromStr for KeyHash {
    type Err = KeyHashError;

    fn from_str(text: &str) -> Result<Self, KeyHashError> {
        let mut hash = [0; 32];
        hex::decode_to_slice(text, &mut hash).map_err(|_| KeyHashError)?;
        Ok(Self(hash))
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KeyHash({self})")
    }
}

serde_as_text!(KeyHash, "SHA-256 of a public key in hexadecimal", str::parse);

/// The text is not the hash of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the hash of a key has 64 hexadecimal digits")]
pub struct KeyHashError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_is_written_and_either_case_is_read() {
        let hash = KeyHash::of_spki(b"abc");
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash.to_string(), text);
        assert_eq!(text.to_uppercase().parse(), Ok(hash));
        for wrong in ["", "ba", &text[1..], &format!("{text}00"), &text.replace('a', "g")] {
            assert_eq!(wrong.parse::<KeyHash>(), Err(KeyHashError), "{wrong}");
        }
    }
}
