//! Keys, certificate requests and a certificate authority inside a PKCS #11 token.
//!
//! A station keeps the key of its OCPP certificate in a token ([`Key`]), requests the certificate
//! with a CSR that the token signs ([`csr::build`]), and presents the certificate in TLS
//! ([`Key::signing_key`]). A CSMS keeps the key of its authority in a token
//! ([`CertificateAuthority`]), decides about the requests of stations and issues their
//! certificates.
//!
//! It is not an OCPP transport and stores no certificates. No private key ever leaves a token.
//!
//! ```no_run
//! use signer_pkcs11::{KeyAlgorithm, KeyName, Token, TokenOptions, Uri, csr};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let uri: Uri =
//!     "pkcs11:token=station?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:pin".parse()?;
//! let token = Token::open(&uri, &TokenOptions::new())?;
//! let key = token.generate_key(&KeyName::random("cs-2026")?, KeyAlgorithm::EcdsaP256)?;
//! println!("{}", key.uri());
//! println!("{}", csr::build(&key, &csr::Subject::new("CS-0001", "Example CSO"))?);
//! # Ok(())
//! # }
//! ```
//!
//! # Blocking
//! A function that calls a token blocks, and its documentation says so. [`Key::sign`],
//! [`CertificateAuthority::issue`] and every other `async` function do not block. rustls signs
//! inside `poll`: run handshakes in `spawn_blocking(|| Handle::current().block_on(handshake))`.

pub mod csr;
mod io;
mod issuing;
mod key;
pub mod metrics;
mod policy;
mod record;
mod token;

pub use crate::{
    csr::{
        Csr, CsrError,
        name::{Subject, SubjectError},
    },
    io::{
        authority::{
            AuthorityError, CertificateAuthority,
            external::ForwardingAuthority,
            record_file::{FileRecord, FileRecordError},
        },
        key::{Key, error::KeyError, inventory::KeyInfo, name::KeyName},
        token::{
            Token,
            errors::TokenError,
            init::{init_token, init_token_within},
            module_from_environment,
            options::TokenOptions,
            pin_source::{is_readable_by_others, read_pin},
            slots::token_slots,
        },
    },
    issuing::{
        answer::{Issued, PendingCertificate},
        certificate::{IssuedCertificate, MAX_CHAIN_CHARACTERS, crl::Crl, issuer::IssuerError, plan::Lint},
        error::{ExternalError, IssueError},
        external::{ExternalAuthority, ExternalFuture},
        message::SignCertificate,
        present::{Clock, Present},
        record::{IssuanceRecord, RecordFuture},
    },
    key::{
        algorithm::{KeyAlgorithm, KeyFamily, RsaPadding, SignatureAlgorithm, UnknownKeyAlgorithm},
        error::{PublicKeyError, VerifyError},
        kind::{KeyKind, UnknownKeyKind},
        public_key::PublicKey,
        signer::{SignError, Signer},
    },
    policy::{
        applicant::Applicant,
        certificate_use::{CertificateUse, UnknownCertificateUse},
        issuance::{IssuancePolicy, ProposedCertificate, StandardPolicy},
        key_rules::{BlockedKeys, BlockedKeysError, KeyRules},
        profiles::{
            CommonNameRule, Hierarchy, LeafUsage, Profile, Profiles, ProfilesError, SubAuthority,
            parse_duration,
        },
        refused::{ReasonCode, Refused},
        server_name::{ServerName, ServerNameError},
        settings::{CaSettings, RequestLimits},
    },
    record::{
        chain::{AuditChain, AuditError, ChainEnd, EntryHash},
        event::{AuditEvent, Intent, RecordError, RevocationReason, StationChange, UnknownRevocationReason},
        index::{AuditIndex, Revocation},
    },
    token::{
        breaker::Health,
        config::TokenConfig,
        fault::TokenFault,
        pin::Pin,
        slot::{SlotContent, TokenDescription, TokenSlot},
        uri::{ObjectType, Uri, error::UriError, pin_source::PinSource},
    },
};
