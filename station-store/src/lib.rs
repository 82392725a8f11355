//! The charging station's inventory of certificates: installed, listed and deleted durably.
mod answer;
mod asn1;
mod catalog;
mod certificate;
mod chain;
mod hash;
mod io;
mod key;
mod pem;
mod pending;
mod record;
mod rules;
mod settings;
mod signature;
pub mod storage;
mod store;
mod validity;

pub use answer::SignedOutcome;
pub use catalog::RootUse;
pub use certificate::{Certificate, CertificateError};
pub use chain::ChainRefused;
pub use hash::{CertificateHash, CertificateId, HashAlgorithm};
pub use io::OpenError;
pub use key::WeakKey;
pub use pending::{
    CertificateSigningUse, NewPending, OwnCertificate, OwnId, OwnState, PendingCsr, PendingError, PendingId,
    PendingState,
};
pub use rules::RootRefused;
pub use settings::Settings;
pub use signature::BadSignature;
pub use storage::StorageError;
pub use store::{DeleteError, InstallError, Store};
pub use validity::OutsideValidity;
