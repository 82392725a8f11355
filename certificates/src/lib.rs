//! Facts about X.509 that stations and central systems share, each implemented once.
//!
//! Functions take bytes and return values. Nothing here uses a clock, a file, a socket or a
//! runtime, or depends on OCPP's messages.
//!
//! | question | answer |
//! |---|---|
//! | How does OCPP name a certificate? | [`HashData`], [`CertificateId`] |
//! | How is a serial number written, and how a time? | [`SerialNumber`], [`UnixSeconds`] |
//! | How is a key named, and how a station? | [`KeyHash`], [`StationIdentity`] |
//! | What does a certificate contain? | [`Certificate`], [`Name`] |
//! | What does a file or a message in PEM contain? | [`pem`] |
//! | Does it lead to a trusted root, and may it be used? | [`path`] |
//! | Is it valid now, and by whose key? | [`validity`], [`signature`], [`key_strength`] |
//! | Is it revoked? | [`ocsp`], [`RevocationList`] |
//!
//! Readers are strict if two readers could understand different things, and lenient otherwise. A
//! refusal states the reason.
//!
//! ```
//! use certificates::{Attribute, Certificate, CertificateId, HashAlgorithm};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mut ca = rcgen::CertificateParams::default();
//! # ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
//! # ca.distinguished_name.push(rcgen::DnType::CommonName, "Example CSO Root");
//! # ca.serial_number = Some(rcgen::SerialNumber::from(4095_u64));
//! # let pem = ca.self_signed(&rcgen::KeyPair::generate()?)?.pem();
//! let root = Certificate::from_pem(&pem)?;
//! let hash = CertificateId::of_root(&root).hash_data(HashAlgorithm::Sha256);
//! assert_eq!(hash.to_text().serial_number, "fff");
//! assert!(root.subject().values(Attribute::CommonName)?.contains(&"Example CSO Root".to_owned()));
//! # Ok(())
//! # }
//! ```
//!
//! Signatures are verified by the algorithms of rustls-webpki.

mod asn1;
mod certificate;
mod crl;
mod hash_data;
pub mod key_strength;
mod name;
pub mod ocsp;
pub mod path;
pub mod pem;
pub mod signature;
mod types;
pub mod validity;

pub use crate::{
    asn1::Spki,
    certificate::{CaConstraints, Certificate, CertificateError},
    crl::{CrlEntry, CrlError, CrlRefused, RevocationList},
    hash_data::{CertificateId, HashAlgorithm, HashData, HashDataError, HashDataText},
    name::{Attribute, Name, NameError},
    pem::PemError,
    types::{
        Fingerprint, KeyHash, KeyHashError, SerialNumber, SerialNumberError, StationIdentity,
        StationIdentityError, UnixSeconds,
    },
};
