//! Which key of a token a command uses: by its label, its id, or both.

use std::str::FromStr;

use anyhow::{Context as _, Result};
use clap::Args;
use signer_pkcs11::{Key, KeyError, Token, Uri};

/// A key that exists.
#[derive(Args)]
#[group(required = true, multiple = true)]
pub(crate) struct KeyArguments {
    /// Label of the key
    #[arg(long)]
    label: Option<String>,
    /// Id of the key (CKA_ID) in hexadecimal, as `hsm list` prints it; needed where several keys
    /// have one label, or the key has none
    #[arg(long, value_name = "HEX")]
    id: Option<KeyId>,
}

/// The key of an authority.
#[derive(Args)]
#[group(required = true, multiple = true)]
pub(crate) struct AuthorityKeyArguments {
    /// Label of the authority's key
    #[arg(long)]
    ca_label: Option<String>,
    /// Id of the authority's key in hexadecimal, where several keys have one label
    #[arg(long, value_name = "HEX")]
    ca_id: Option<KeyId>,
}

/// CKA_ID, in hexadecimal on the command line.
#[derive(Clone, Debug)]
pub(crate) struct KeyId(Vec<u8>);

impl FromStr for KeyId {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let id = hex::decode(text.replace(':', "")).context("not hexadecimal, as in 0a1b2c")?;
        anyhow::ensure!(!id.is_empty(), "empty");
        Ok(Self(id))
    }
}

impl KeyArguments {
    pub(crate) fn find(&self, token: &Token) -> Result<Key, KeyError> {
        token.find_key(&key_uri(self.label.as_deref(), self.id.as_ref()))
    }
}

impl AuthorityKeyArguments {
    pub(crate) fn find(&self, token: &Token) -> Result<Key, KeyError> {
        token.find_key(&key_uri(self.ca_label.as_deref(), self.ca_id.as_ref()))
    }
}

/// The part of a key's URI that names it within its token.
pub(crate) fn key_uri(label: Option<&str>, id: Option<&KeyId>) -> Uri {
    let uri = label.into_iter().fold(Uri::new(), |uri, label| uri.with_object(label));
    id.into_iter().fold(uri, |uri, id| uri.with_id(id.0.clone()))
}

/// Whether the label and the id name this key.
pub(crate) fn is_meant(label: Option<&str>, id: Option<&KeyId>, key: &signer_pkcs11::KeyInfo) -> bool {
    label.is_none_or(|label| label == key.label) && id.is_none_or(|id| id.0 == key.id)
}
