//! The kinds of key that a station generates.

use std::fmt;

use serde::Deserialize;
use signer_pkcs11::KeyAlgorithm;

/// The kinds of key that the station generates for its connection, the preferred one first: at
/// least one, without duplicates. The station uses the first kind that the token can generate.
///
/// In the file: `key_algorithms = ["ecdsa-p256", "rsa-2048"]`, which is the default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct KeyAlgorithms(Vec<KeyAlgorithm>);

/// Why a list of kinds of key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyAlgorithmsError {
    /// The list is empty.
    #[error("certificates.key_algorithms is empty: name one kind of key or several")]
    Empty,
    /// An entry is not a kind of key.
    #[error("certificates.key_algorithms")]
    Unknown(#[source] signer_pkcs11::UnknownKeyAlgorithm),
    /// The list names a kind of key twice.
    #[error("certificates.key_algorithms names {0} twice")]
    Twice(KeyAlgorithm),
}

impl KeyAlgorithms {
    /// A list of one kind of key.
    pub(crate) fn only(algorithm: KeyAlgorithm) -> Self {
        Self(vec![algorithm])
    }

    /// The kinds, the preferred one first.
    pub fn iter(&self) -> impl Iterator<Item = KeyAlgorithm> {
        self.0.iter().copied()
    }
}

impl Default for KeyAlgorithms {
    /// P-256, which nearly all tokens support, else RSA, which A00.FR.503 allows from 2048 bits.
    fn default() -> Self {
        Self(vec![KeyAlgorithm::EcdsaP256, KeyAlgorithm::Rsa2048])
    }
}

impl fmt::Display for KeyAlgorithms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, algorithm) in self.iter().enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            write!(f, "{separator}{algorithm}")?;
        }
        Ok(())
    }
}

impl TryFrom<Vec<String>> for KeyAlgorithms {
    type Error = KeyAlgorithmsError;

    fn try_from(names: Vec<String>) -> Result<Self, KeyAlgorithmsError> {
        let mut algorithms = Vec::new();
        for name in names {
            let algorithm = name.parse().map_err(KeyAlgorithmsError::Unknown)?;
            if algorithms.contains(&algorithm) {
                return Err(KeyAlgorithmsError::Twice(algorithm));
            }
            algorithms.push(algorithm);
        }
        if algorithms.is_empty() { Err(KeyAlgorithmsError::Empty) } else { Ok(Self(algorithms)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_known_kinds_each_once() {
        let read = |names: &[&str]| {
            KeyAlgorithms::try_from(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
        };
        let both = read(&["rsa-3072", "ecdsa-p384"]).expect("known");
        assert_eq!(both.to_string(), "rsa-3072, ecdsa-p384");
        assert_eq!(read(&[]), Err(KeyAlgorithmsError::Empty));
        assert_eq!(read(&["rsa-2048", "rsa-2048"]), Err(KeyAlgorithmsError::Twice(KeyAlgorithm::Rsa2048)));
        assert!(matches!(read(&["rsa-1024"]), Err(KeyAlgorithmsError::Unknown(_))));
    }
}
