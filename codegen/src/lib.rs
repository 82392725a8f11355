//! Turns the JSON schemas of OCPP into the source text of `ocpp-types`.
//!
//! Text in, texts out: the files under `schemas/` are [read](document) with every keyword understood, [corrected](fixups), given the
//! [names](places) that they lack, taken [together](merge), given to typify, and written as small documented files. The same input gives the same bytes on every machine.
//! `cargo xtask regen` runs it. Nothing depends on this crate when a station or a CSMS runs.

pub mod document;
pub mod edition;
mod emit;
pub mod facts;
pub mod fixups;
pub mod io;
pub mod merge;
mod names;
pub mod official;
pub mod pins;
pub mod places;
mod rust_types;

pub use rust_types::TypifyError;

use crate::{document::Document, edition::Edition};

/// A schema file, as text.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Its name, `SignCertificateRequest.json`.
    pub name: &'a str,
    /// What it holds.
    pub text: &'a str,
}

/// One file of generated Rust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratedFile {
    /// Relative to the edition's `generated` folder, with `/`.
    pub path: String,
    /// What it holds.
    pub text: String,
}

/// Why nothing was generated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// A schema file was not understood.
    #[error(transparent)]
    Read(#[from] document::ReadError),
    /// A file of another edition.
    #[error("{file} has the $id {id}, which is not that of such a file of {edition}")]
    OtherEdition {
        /// The file.
        file: String,
        /// Its `$id`.
        id: String,
        /// The edition that is generated.
        edition: &'static str,
    },
    /// A correction has lost its reason.
    #[error(transparent)]
    Fixup(#[from] fixups::FixupError),
    /// A type without a name, or a name without a type.
    #[error(transparent)]
    Place(#[from] places::PlaceError),
    /// Two files disagree.
    #[error(transparent)]
    Merge(#[from] merge::MergeError),
    /// typify.
    #[error("typify did not give the types that the schemas state")]
    Typify(#[source] TypifyError),
    /// A message whose action has no sender.
    #[error("{message} of {edition} has no sender: add its action to the edition in codegen/src/edition/")]
    NoSender {
        /// The message.
        message: String,
        /// The edition.
        edition: &'static str,
    },
    /// An action without schemas.
    #[error("{action} stands in the table of senders, but has no request and response among the schemas")]
    NoSchema {
        /// The action.
        action: String,
    },
    /// What was put together is not Rust.
    #[error("the generator wrote something that is not Rust")]
    NotRust(#[source] syn::Error),
    /// A message or data type that is not an object.
    #[error("{name} is neither an object nor an enumeration")]
    NotAnObject {
        /// The type.
        name: String,
    },
}

/// The files of one edition among those of several. A file that cannot be read belongs to none.
#[must_use]
pub fn of_edition<'a>(edition: &Edition, files: &'a [io::SchemaFile]) -> Vec<Source<'a>> {
    let sources = files.iter().map(|file| Source { name: &file.name, text: &file.text });
    sources
        .filter(|source| {
            document::read(source.name, source.text).is_ok_and(|document| {
                edition::edition_of(&document.id).is_some_and(|(of, ..)| of.module == edition.module)
            })
        })
        .collect()
}

/// Generates the Rust files of one edition.
///
/// # Errors
/// [`GenerateError`] says which schema is in the way, and where the project decides about it.
pub fn generate(
    edition: &'static Edition,
    sources: &[Source<'_>],
) -> Result<Vec<GeneratedFile>, GenerateError> {
    let mut documents = sources
        .iter()
        .map(|source| document::read(source.name, source.text))
        .collect::<Result<Vec<Document>, _>>()?;
    documents.sort_by(|one, other| one.file.cmp(&other.file));
    fixups::apply(edition.fixups, &mut documents)?;
    let mut named = Vec::new();
    for document in documents {
        match edition.message(&document) {
            Some(message) => named.push((message, document)),
            None => {
                let (file, id) = (format!("{}.json", document.file), document.id);
                return Err(GenerateError::OtherEdition { file, id, edition: edition.title });
            }
        }
    }
    places::name_all(edition.places, &mut named)?;
    let merged = merge::merge(named)?;
    let types = rust_types::generate(&merged, edition.module).map_err(GenerateError::Typify)?;
    emit::files(edition, &merged, &types)
}
