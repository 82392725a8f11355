//! The charging station's inventory of certificates: installed, listed and deleted durably.
//!
//! [`Store`] answers the certificate messages of a CSMS to a station, in OCPP 2.0.1, and with the
//! features `v16` and `v21` in OCPP 1.6 and 2.1:
//!
//! | message | method |
//! |---|---|
//! | InstallCertificate | [`Store::install`] |
//! | GetInstalledCertificateIds | [`Store::installed_certificate_ids`] |
//! | DeleteCertificate | [`Store::delete`] |
//! | CertificateSigned | [`Store::certificate_signed`] |
//!
//! A certificate that was accepted is listed, and a certificate that is listed can be deleted,
//! across any crash. An answer is returned only after its content is on the disk. A certificate
//! that could not be listed is not accepted.
//!
//! The store also keeps the names of the station's own keys, from before a key is generated until
//! after it is destroyed ([`Store::begin_pending`], [`Store::complete_pending`],
//! [`Store::confirm_own`], [`Store::condemned_keys`]), so that no crash orphans a key. The keys
//! themselves stay in a PKCS#11 token; none ever enters the store. The crate communicates neither
//! with the CSMS nor with the token.
//!
//! ```
//! use std::time::SystemTime;
//!
//! use ocpp_types::v201::{
//!     DeleteCertificateRequest, DeleteCertificateStatusEnumType,
//!     GetInstalledCertificateIdsRequest, InstallCertificateRequest,
//!     InstallCertificateStatusEnumType, InstallCertificateUseEnumType,
//! };
//! use station_store::{Settings, Store};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("store.redb");
//! # let mut ca = rcgen::CertificateParams::default();
//! # ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
//! # let pem = ca.self_signed(&rcgen::KeyPair::generate()?)?.pem();
//! let store = Store::open(path, Settings::new("CS-0042"))?;
//!
//! let use_ = InstallCertificateUseEnumType::CSMSRootCertificate;
//! let install = InstallCertificateRequest::new(use_, pem.as_str().try_into()?);
//! let response = store.install(&install, SystemTime::now());
//! assert_eq!(response.status, InstallCertificateStatusEnumType::Accepted);
//!
//! let inventory = store.installed_certificate_ids(&GetInstalledCertificateIdsRequest::new());
//! let listed = &inventory.certificate_hash_data_chain.ok_or("one root is installed")?[0];
//!
//! let delete = DeleteCertificateRequest::new(listed.certificate_hash_data.clone());
//! assert_eq!(store.delete(&delete).status, DeleteCertificateStatusEnumType::Accepted);
//! # Ok(())
//! # }
//! ```
//!
//! Methods that change the store block until the change is on the disk. Call them where blocking is
//! allowed (`tokio::task::spawn_blocking`).

mod catalog;
mod io;
pub mod message;
mod ocsp;
mod outcome;
mod own;
mod pending;
mod roots;
mod session;
mod settings;
pub mod storage;
mod store;
mod uses;

/// The types for certificates in this crate's methods.
pub use certificates::{
    Certificate, CertificateError, CertificateId, HashAlgorithm, HashData, HashDataError,
    key_strength::WeakKey,
    ocsp::{CertificateStatus, OcspRefused},
    signature::BadSignature,
    validity::OutsideValidity,
};
pub use io::{OpenError, is_catching_panic};
pub use message::SignedOutcome;
pub use ocsp::answer::{OcspAnswer, OcspDue, OcspError};
pub use outcome::{DeleteError, InstallError, TrustError};
pub use own::{
    certificate::{MAX_SECCS, OwnCertificate, OwnId, OwnState},
    refused::ChainRefused,
};
pub use pending::{
    bounds::{MAX_PENDING, MAX_PENDING_OF_SUBJECT},
    error::PendingError,
    key::{NewPending, PendingCsr, PendingId, PendingState, SendNote},
};
/// The disk for [`Store::on_backend`].
pub use redb::StorageBackend;
pub use roots::rules::RootRefused;
pub use session::Session;
pub use settings::{AdditionalRootCheck, DomainComponent, LastCsmsRoot, RootInUse, Settings};
pub use storage::StorageError;
pub use store::{InstalledRoot, Store};
pub use uses::{CertificateSigningUse, RootUse};
