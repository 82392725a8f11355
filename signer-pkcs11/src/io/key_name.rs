//! What a key is called.

use std::fmt;

use crate::{
    io::{inventory, key_error::KeyError, token::Token},
    uri::Uri,
};

/// What a key is called in its token: label and CKA_ID.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyName {
    label: String,
    id: Vec<u8>,
}

impl KeyName {
    /// A name with a random 16-byte id.
    ///
    /// A caller may write the name down durably before the key exists, so that a crash leaves no unknown key behind.
    ///
    /// # Errors
    /// [`KeyError::Name`], [`KeyError::Random`]
    pub fn random(label: impl Into<String>) -> Result<Self, KeyError> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|_| KeyError::Random)?;
        Self::new(label, id)
    }

    /// A name with a given id.
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
    pub fn label(&self) -> &str {
        &self.label
    }

    /// CKA_ID.
    pub fn id(&self) -> &[u8] {
        &self.id
    }

    /// The URI by which the key is found in this token, now and after a restart.
    pub fn to_uri(&self, token: &Token) -> Uri {
        inventory::key_uri(token.uri(), &self.label, &self.id)
    }

    /// For what was read from a token, which may be anything.
    pub(crate) fn read(label: String, id: Vec<u8>) -> Self {
        Self { label, id }
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" (id {})", self.label, hex::encode(&self.id))
    }
}
