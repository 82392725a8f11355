//! Keys, certificate requests and a certificate authority inside a PKCS #11 token.
//!
//! A station keeps the key of its OCPP certificate in a token ([`Key`]), asks for the certificate by a request that the
//! token signs ([`csr::build`]), and presents it in TLS ([`Key::signing_key`]). A CSMS keeps the key of its authority in
//! a token ([`CertificateAuthority`]), judges the requests of stations and issues their certificates.
//!
//! It is not an OCPP transport and keeps no certificates; no private key ever leaves a token.
//!
//! ```no_run
//! use signer_pkcs11::{KeyAlgorithm, KeyName, Token, TokenOptions, Uri, csr};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let uri: Uri = "pkcs11:token=station?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:pin".parse()?;
//! let token = Token::open(&uri, &TokenOptions::new())?;
//! let key = token.generate_key(&KeyName::random("cs-2026")?, KeyAlgorithm::EcdsaP256)?;
//! println!("{}", key.uri());
//! println!("{}", csr::build(&key, &csr::Subject::new("CS-0001", "Example CSO"))?);
//! # Ok(())
//! # }
//! ```
//!
//! # Blocking
//! What talks to a token blocks, and says so; [`Key::sign`], [`CertificateAuthority::issue`] and what else is `async`
//! does not. rustls signs inside `poll`: run handshakes in `spawn_blocking(|| Handle::current().block_on(handshake))`.

mod admissions;
mod algorithm;
mod answer;
mod audit;
mod breaker;
mod certificate_use;
mod crl;
pub mod csr;
mod edition;
mod encoding;
mod external;
mod io;
mod issue;
mod issuer;
mod key_rules;
pub mod metrics;
mod name;
mod pin;
mod policy;
mod profile;
mod profiles;
mod pss;
mod public_key;
mod record;
mod root_hash;
mod server_name;
mod settings;
mod sign;
mod uri;
mod weak_key;

pub use crate::{
    algorithm::{KeyAlgorithm, KeyFamily, RsaPadding, SignatureAlgorithm, UnknownKeyAlgorithm},
    answer::{Issued, PendingCertificate},
    audit::{AuditChain, AuditError, AuditIndex, ChainEnd, EntryHash, Revocation},
    breaker::Health,
    certificate_use::{CertificateUse, UnknownCertificateUse},
    crl::Crl,
    csr::{Csr, CsrError},
    edition::SignCertificate,
    external::{ExternalAuthority, ExternalError, ExternalFuture},
    issue::{IssueError, IssuedCertificate, MAX_CHAIN_CHARACTERS},
    issuer::IssuerError,
    key_rules::{BlockedKeys, BlockedKeysError, KeyRules},
    name::{Subject, SubjectError},
    pin::Pin,
    policy::{IssuancePolicy, Limits, Order, ReasonCode, Refused, StandardPolicy, StationIdentity},
    profile::Lint,
    profiles::{Hierarchy, LeafUsage, Profile, Profiles, ProfilesError, SubAuthority, parse_duration},
    public_key::{KeyKind, PublicKey, PublicKeyError, VerifyError},
    record::{
        AuditEvent, Intent, IssuanceRecord, RecordError, RecordFuture, RevocationReason,
        UnknownRevocationReason,
    },
    server_name::ServerName,
    settings::{CaSettings, CommonNameRule},
    sign::{SignError, Signer, TokenFault},
    uri::{ObjectType, PinSource, Uri, UriError},
};
pub use io::{
    authority::{AuthorityError, CertificateAuthority},
    external::ForwardingAuthority,
    init::{init_token, init_token_within},
    inventory::KeyInfo,
    key::{Key, KeyError, KeyName},
    pin_source::{is_readable_by_others, read_pin},
    record_file::{FileRecord, FileRecordError},
    token::{FinalTry, Token, TokenError, TokenOptions, module_from_environment},
};
