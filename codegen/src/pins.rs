//! `schemas/SOURCES.toml`: the official file from which each file of the project was made.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::{document::ReadError, edition::SchemaSet, facts};

/// The pins of all sets, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Pins(pub BTreeMap<String, SetPins>);

/// The pins of one set.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetPins {
    /// The document that contains the files.
    pub document: String,
    /// File name → SHA-256 of the official file's canonical JSON, in hexadecimal.
    pub sha256: BTreeMap<String, String>,
}

/// Why a `SOURCES.toml` cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("SOURCES.toml is not what `cargo xtask schemas import` writes")]
pub struct PinsError(#[source] toml::de::Error);

impl Pins {
    /// Reads the text of `SOURCES.toml`.
    ///
    /// # Errors
    /// [`PinsError`] if the text is not TOML of this form.
    pub fn parse(text: &str) -> Result<Self, PinsError> {
        toml::from_str(text).map_err(PinsError)
    }

    /// The text of `SOURCES.toml`. Equal pins give equal text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::from(HEADER);
        for (set, pins) in &self.0 {
            // Names of documents and files contain no character that TOML and Rust escape
            // differently.
            let _ = write!(text, "\n[{set}]\ndocument = {:?}\n\n[{set}.sha256]\n", pins.document);
            for (file, hash) in &pins.sha256 {
                let _ = writeln!(text, "{file:?} = {hash:?}");
            }
        }
        text
    }

    /// Sets the pins of one set.
    pub fn set(&mut self, set: &SchemaSet, sha256: BTreeMap<String, String>) {
        let document = set.document.to_owned();
        self.0.insert(set.name.to_owned(), SetPins { document, sha256 });
    }
}

/// SHA-256 of a file's canonical JSON (RFC 8785), in hexadecimal. Spaces, line ends, a byte order
/// mark and the order of members do not affect it; prose does.
///
/// # Errors
/// [`ReadError::NotJson`].
pub fn canonical_hash(name: &str, text: &str) -> Result<String, ReadError> {
    let value = facts::parse(name, text)?;
    let canonical = serde_json_canonicalizer::to_vec(&value)
        .map_err(|source| ReadError::NotJson { file: name.to_owned(), source })?;
    let mut hash = String::new();
    for byte in Sha256::digest(&canonical) {
        let _ = write!(hash, "{byte:02x}");
    }
    Ok(hash)
}

const HEADER: &str = "\
# Where the files of this folder come from; written by `cargo xtask schemas import`.
#
# Each hash is the SHA-256 of the canonical JSON (RFC 8785) of the official file of that name.
# `cargo xtask schemas verify DIR_OR_ZIP` compares these files with the official download.
";
