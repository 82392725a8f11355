//! Generates the source text of `ocpp-types` from the JSON schemas of OCPP.
//!
//! The input and the output are texts: the files under `schemas/` are [read](document) with every
//! keyword understood, [corrected](fixups), given the missing [names](places), [merged](merge),
//! passed to typify, and written as small documented files. The same input gives the same bytes on
//! every machine. `cargo xtask regen` runs it. Neither a station nor a CSMS depends on this crate
//! at run time.

pub mod document;
pub mod edition;
mod emit;
mod error;
pub mod facts;
pub mod fixups;
pub mod io;
pub mod merge;
mod names;
pub mod official;
pub mod pins;
pub mod places;
mod rust_types;
mod source;

pub use self::{
    error::GenerateError,
    rust_types::TypifyError,
    source::{GeneratedFile, SchemaFile, Source},
};

use crate::{document::Document, edition::Edition};

/// The files of one edition among those of several. A file that cannot be read belongs to no
/// edition.
#[must_use]
pub fn of_edition<'a>(edition: &Edition, files: &'a [SchemaFile]) -> Vec<Source<'a>> {
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
/// [`GenerateError`] names the schema at fault, and the place where the project decides about it.
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
