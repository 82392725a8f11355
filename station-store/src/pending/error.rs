//! Why the record of a key cannot be changed.

use crate::own::certificate::OwnId;
use crate::pending::bounds::{MAX_CONDEMNED, MAX_CSR, MAX_KEY_URI, MAX_NAME, MAX_PENDING};
use crate::pending::key::PendingId;
use crate::storage::StorageError;

/// Why the record of a key cannot be changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PendingError {
    /// No pending key has this number.
    #[error("there is no pending key {id}")]
    UnknownPending {
        /// The number.
        id: PendingId,
    },
    /// No own certificate for the connection has this number.
    #[error("there is no own certificate {id} to connect with")]
    UnknownOwn {
        /// The number.
        id: OwnId,
    },
    /// The text is not the name of a key.
    #[error("a key is named by a pkcs11: URI of at most {MAX_KEY_URI} characters that holds no PIN")]
    KeyUri,
    /// The store already names this key.
    #[error("the key is known already; generate a new one for each request (A02.FR.02)")]
    KeyKnown,
    /// The public key cannot be read.
    #[error("the public key is not a SubjectPublicKeyInfo in DER")]
    PublicKey {
        /// The fault of the encoding.
        #[source]
        source: der::Error,
    },
    /// The CSR was completed before, with another key or text.
    #[error("the pending key {id} has another CSR already")]
    Completed {
        /// The number.
        id: PendingId,
    },
    /// The CSR is longer than `SignCertificateRequest.csr` may be.
    #[error("the CSR has {characters} characters, at most {MAX_CSR} are allowed")]
    CsrTooLong {
        /// Characters of the PEM text.
        characters: usize,
    },
    /// The name is not valid in a subject.
    #[error("common name and organization of a subject have 1 to {MAX_NAME} characters")]
    SubjectName,
    /// The country is not valid in a subject.
    #[error("the country of a subject is a code of two letters (ISO 3166)")]
    Country,
    /// Another request has the same number, and the CSMS could not distinguish them.
    #[error("requestId {request_id} belongs to another pending request")]
    RequestIdKnown {
        /// The number.
        request_id: i64,
    },
    /// Too many keys wait for a certificate.
    #[error("{MAX_PENDING} keys wait for a certificate already; drop one")]
    TooManyPending,
    /// Too many keys wait to be destroyed.
    #[error("{MAX_CONDEMNED} keys wait to be destroyed; destroy them in the token and report it")]
    TooManyCondemned,
    /// The disk failed.
    #[error("the store could not keep the change")]
    Storage {
        /// The cause.
        #[source]
        source: StorageError,
    },
}

impl From<StorageError> for PendingError {
    fn from(source: StorageError) -> Self {
        Self::Storage { source }
    }
}
