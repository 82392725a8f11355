//! Why nothing was generated.

use crate::{document, fixups, merge, places, rust_types::TypifyError};

/// Why nothing was generated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// A schema file cannot be read.
    #[error(transparent)]
    Read(#[from] document::ReadError),
    /// The file belongs to another edition.
    #[error("{file} has the $id {id}, which is not that of such a file of {edition}")]
    OtherEdition {
        /// The file.
        file: String,
        /// Its `$id`.
        id: String,
        /// The edition for which types are generated.
        edition: &'static str,
    },
    /// A correction is no longer needed.
    #[error(transparent)]
    Fixup(#[from] fixups::FixupError),
    /// A type without a name, or a name without a type.
    #[error(transparent)]
    Place(#[from] places::PlaceError),
    /// Two files disagree.
    #[error(transparent)]
    Merge(#[from] merge::MergeError),
    /// typify failed.
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
    /// The generated text is not Rust.
    #[error("the generator wrote something that is not Rust")]
    NotRust(#[source] syn::Error),
    /// A message or data type that is not an object.
    #[error("{name} is neither an object nor an enumeration")]
    NotAnObject {
        /// The type.
        name: String,
    },
}
