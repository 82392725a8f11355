//! The name of a key.

use std::fmt;

use crate::io::key::error::KeyError;

/// The name of a key in its token: label and CKA_ID.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyName {
    label: String,
    id: Vec<u8>,
}

impl KeyName {
    /// A name with a random 16-byte id.
    ///
    /// The caller may store the name durably before the key exists, so that a crash leaves no
    /// unknown key behind.
    ///
    /// # Errors
    /// [`KeyError::Name`], [`KeyError::Random`]
    pub fn random(label: impl Into<String>) -> Result<Self, KeyError> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|_| KeyError::Random)?;
        Self::new(label, id)
    }

    /// A name with the given id.
    ///
    /// # Errors
    /// [`KeyError::Name`]
    pub fn new(label: impl Into<String>, id: impl Into<Vec<u8>>) -> Result<Self, KeyError> {
        let (label, id) = (label.into(), id.into());
        let label_fits = (1..=64).contains(&label.chars().count()) && !label.chars().any(char::is_control);
        if !label_fits || !(1..=32).contains(&id.len()) {
            return Err(KeyError::Name);
        }
        Ok(Self { label, id })
    }

    /// CKA_LABEL.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// CKA_ID.
    #[must_use]
    pub fn id(&self) -> &[u8] {
        &self.id
    }

    /// A name that was read from a token. It is not checked. An empty label or id means that the
    /// key has none.
    pub(crate) fn read(label: String, id: Vec<u8>) -> Self {
        Self { label, id }
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" (id {})", self.label, hex::encode(&self.id))
    }
}
