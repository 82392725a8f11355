//! The outcomes of changes of the store, and the reasons of their failures.

use std::error::Error;
use std::path::PathBuf;

use crate::own::certificate::Own;
use crate::own::refused::ChainRefused;
use crate::roots::rules::RootRefused;
use crate::storage::StorageError;

/// The outcome for a signed chain.
#[derive(Debug)]
pub(crate) enum Signed {
    /// It is stored, and the station should connect with it.
    Renewed(Own),
    /// The station is already connected with it.
    AlreadyInUse,
}

/// Why a root certificate was not installed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// The certificate is invalid (M05.FR.07).
    #[error("the certificate is not accepted as a root")]
    Refused {
        /// The fault of the certificate.
        #[source]
        source: RootRefused,
    },
    /// The store is full (M05.FR.06).
    #[error("{max} certificates are installed, which is the maximum; delete one first (M05.FR.06)")]
    NoRoom {
        /// `CertificateEntries.maxLimit`.
        max: usize,
    },
    /// The disk failed (M05.FR.03).
    #[error("the certificate could not be stored")]
    Storage {
        /// The cause.
        #[source]
        source: StorageError,
    },
}

/// Why a certificate was not deleted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeleteError {
    /// No certificate with this hash is installed (M04.FR.04).
    #[error("no installed certificate has this hash")]
    NotFound,
    /// It is the station's own certificate for the connection, or a sub-CA of such a certificate
    /// that also serves vehicles (M04.FR.06).
    #[error("the station's own certificate is not deleted on request (M04.FR.06)")]
    Own,
    /// It is a CSMS root on which the connection relies, and such roots are kept (OCPP 1.6:
    /// M04.FR.06; 2.x: M04.FR.03).
    #[error("the connection relies on this root certificate; install another one and connect with it first")]
    InUse,
    /// It is the only CSMS root, and the settings keep it (M04.FR.03, note).
    #[error(
        "this is the last CSMS root certificate: without one no CSMS can be verified; install another one first"
    )]
    LastCsmsRoot,
    /// The disk failed (M04.FR.03).
    #[error("the deletion could not be stored")]
    Storage {
        /// The cause.
        #[source]
        source: StorageError,
    },
}

/// Why a signed chain was not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignedError {
    #[error("the certificate is not accepted as the station's own")]
    Refused {
        #[source]
        source: ChainRefused,
    },
    #[error("too many own certificates wait to be connected with; connect with one first")]
    NoRoom,
    #[error("the certificate could not be stored")]
    Storage {
        #[source]
        source: StorageError,
    },
}

impl From<StorageError> for InstallError {
    fn from(source: StorageError) -> Self {
        Self::Storage { source }
    }
}

impl From<StorageError> for DeleteError {
    fn from(source: StorageError) -> Self {
        Self::Storage { source }
    }
}

impl From<StorageError> for SignedError {
    fn from(source: StorageError) -> Self {
        Self::Storage { source }
    }
}

/// Why a trust bundle could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot replace the trust bundle {}; the directory must exist and be writable", path.display())]
#[non_exhaustive]
pub struct TrustError {
    /// The file.
    pub path: PathBuf,
    /// The system's error.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}
