//! The keys that an authority certifies.

use std::{collections::HashSet, fmt, sync::Arc};

use certificates::KeyHash;

use crate::key::{error::PublicKeyError, kind::KeyKind, public_key::PublicKey};

/// An operator's allow-list of kinds and sizes, and the keys that it blocks.
///
/// By default P-256, P-384 and RSA of 2048, 3072 and 4096 bits are certified. RSA keys of other
/// lengths come from unusual software, and many TLS peers support neither P-521 nor Ed25519.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRules {
    kinds: Vec<KeyKind>,
    blocked: BlockedKeys,
}

impl Default for KeyRules {
    fn default() -> Self {
        let rsa = [2048, 3072, 4096].map(|bits| KeyKind::Rsa { bits });
        let kinds = [KeyKind::P256, KeyKind::P384].into_iter().chain(rsa).collect();
        Self { kinds, blocked: BlockedKeys::default() }
    }
}

impl KeyRules {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets which kinds are certified.
    #[must_use]
    pub fn kinds(mut self, kinds: impl IntoIterator<Item = KeyKind>) -> Self {
        self.kinds = kinds.into_iter().collect();
        self
    }

    /// Sets which keys are refused, whatever their kind.
    #[must_use]
    pub fn blocked(mut self, blocked: BlockedKeys) -> Self {
        self.blocked = blocked;
        self
    }

    /// Whether a key is certified.
    ///
    /// # Errors
    /// [`PublicKeyError::NotAllowed`], [`PublicKeyError::Blocked`]
    pub fn check(&self, key: &PublicKey) -> Result<(), PublicKeyError> {
        if !self.kinds.contains(&key.kind()) {
            return Err(PublicKeyError::NotAllowed(key.kind()));
        }
        if self.blocked.contains(key) { Err(PublicKeyError::Blocked) } else { Ok(()) }
    }
}

/// Public keys that are known to others, each by SHA-256 over its `SubjectPublicKeyInfo`: keys of
/// Debian's broken generator, keys from documentation, stolen keys. Clones share the list.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct BlockedKeys(Arc<HashSet<KeyHash>>);

/// A line of a list of blocked keys that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {line} of the list of blocked keys is not a SHA-256 hash in hexadecimal: write what `openssl pkey -pubin -in KEY -outform DER | sha256sum` prints"
)]
pub struct BlockedKeysError {
    /// Counted from 1.
    pub line: usize,
}

impl BlockedKeys {
    /// Parses a list. Each line begins with a hash in hexadecimal. The rest of a line, empty lines,
    /// and lines that begin with `#` are comments.
    ///
    /// # Errors
    /// [`BlockedKeysError`]: a list that is only half read would accept blocked keys.
    pub fn parse(text: &str) -> Result<Self, BlockedKeysError> {
        let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
        let entries = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let hashes = entries.map(|(line, entry)| {
            let word = entry.split_ascii_whitespace().next().unwrap_or_default();
            word.parse().map_err(|_| BlockedKeysError { line })
        });
        hashes.collect::<Result<_, _>>().map(|hashes| Self(Arc::new(hashes)))
    }

    /// Whether the key is on the list.
    #[must_use]
    pub fn contains(&self, key: &PublicKey) -> bool {
        self.0.contains(&key.hash())
    }

    /// How many keys are on the list.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no key is on the list.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for BlockedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlockedKeys({})", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::{BlockedKeys, BlockedKeysError, KeyRules};
    use crate::key::{
        error::PublicKeyError,
        kind::KeyKind,
        signer::{Signer as _, software::SoftwareKey},
    };

    #[test]
    fn a_list_of_blocked_keys() {
        let key = SoftwareKey::generate();
        let hash = key.public_key().hash().to_string().to_uppercase();
        let list = BlockedKeys::parse(&format!("# stolen\n\n  {hash}  of CS-7\r\n{hash}\n")).unwrap();
        assert_eq!(list.len(), 1);
        let rules = KeyRules::new().blocked(list);
        assert_eq!(rules.check(key.public_key()), Err(PublicKeyError::Blocked));
        assert_eq!(rules.check(SoftwareKey::generate().public_key()), Ok(()));
        for (text, line) in [("00", 1), ("# x\nzz", 2), (&format!("\n{hash}00"), 2)] {
            assert_eq!(BlockedKeys::parse(text), Err(BlockedKeysError { line }), "{text}");
        }
    }

    #[test]
    fn kinds_that_are_not_allowed() {
        let key = SoftwareKey::generate();
        let rules = KeyRules::new().kinds([KeyKind::P384]);
        assert_eq!(rules.check(key.public_key()), Err(PublicKeyError::NotAllowed(KeyKind::P256)));
    }
}
