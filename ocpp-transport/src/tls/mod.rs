//! TLS as required by OCPP's security profiles 2 and 3.
//!
//! TLS 1.2 and 1.3 only (A00.FR.312, A00.FR.415), AES-GCM only, no compression (A00.FR.321,
//! A00.FR.424), and no resumption, because each connection must be verified again. rustls serves
//! the cipher suites with forward secrecy. OpenSSL also serves those without it that the
//! specification requires: see [`ServerTls`]. With either library, [`certificates::path`] (RFC
//! 5280, section 6) and OCPP's own rules for names decide which certificates are valid.

mod event;
mod failure;
pub(crate) mod handshake_error;
pub(crate) mod io;
#[cfg(feature = "openssl")]
pub(crate) mod openssl;
pub(crate) mod presented;
mod proved_by;
mod server;
mod server_key;
mod verify;

use std::fmt;
use std::sync::Arc;

use certificates::{Certificate, path};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use rustls::{CipherSuite, ClientConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::name_rule::Wildcards;
use crate::tls::verify::server::CsmsVerifier;

pub use crate::tls::event::{SecurityEvent, SecurityEventKind};
pub use crate::tls::failure::{BadCertificate, MAX_INTERMEDIATES, TlsFailure};
pub use crate::tls::presented::{PresentedCertificate, PresentedNames};
pub use crate::tls::proved_by::ProvedBy;
pub use crate::tls::server::ServerTls;
pub use crate::tls::server_key::{ServerKey, SoftwareKey};
pub use crate::tls::verify::trust::{ClientTrust, RevocationPolicy};

pub(crate) use crate::tls::server::Engine;
pub(crate) use crate::tls::server_key::Signing;

/// The certificate chain and key with which a station proves its identity (A00.FR.401, A00.FR.402).
#[derive(Clone)]
pub struct ClientKey {
    /// The certificates, the station's own first, without the root.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key. It may be in an HSM, because it is only used to sign.
    pub key: Arc<dyn SigningKey>,
}

/// The TLS configuration of a station that trusts `roots`: without a key for profile 2, with a key
/// for profile 3.
///
/// # Errors
/// If no root is given, a root is not a certificate, or key and certificate do not belong together.
pub fn client_config(
    roots: Vec<CertificateDer<'static>>,
    client: Option<ClientKey>,
) -> Result<ClientConfig, TlsConfigError> {
    client_config_with(roots, client, Wildcards::Refuse)
}

/// As [`client_config`], with the choice whether the CSMS's name may contain wildcards
/// (`AllowCSMSTLSWildcards`).
///
/// # Errors
/// As [`client_config`].
pub fn client_config_with(
    roots: Vec<CertificateDer<'static>>,
    client: Option<ClientKey>,
    wildcards: Wildcards,
) -> Result<ClientConfig, TlsConfigError> {
    client_config_proving(roots, client, wildcards, ProvedBy::default())
}

/// As [`client_config_with`]. `proved_by` reports which root has proved the CSMS's certificate.
///
/// # Errors
/// As [`client_config`].
pub fn client_config_proving(
    roots: Vec<CertificateDer<'static>>,
    client: Option<ClientKey>,
    wildcards: Wildcards,
    proved_by: ProvedBy,
) -> Result<ClientConfig, TlsConfigError> {
    let roots = read_roots(&roots)?;
    if roots.is_empty() {
        return Err(TlsConfigError::NoRoots);
    }
    // A00.FR.319, A00.FR.422: the ECDHE_ECDSA pair, and the suites of TLS 1.3 of the same strength.
    let provider = provider(&[
        CipherSuite::TLS13_AES_256_GCM_SHA384,
        CipherSuite::TLS13_AES_128_GCM_SHA256,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ]);
    let verifier =
        CsmsVerifier { roots, wildcards, algorithms: provider.signature_verification_algorithms, proved_by };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(VERSIONS)
        .map_err(TlsConfigError::Rejected)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match client {
        Some(ClientKey { chain, key }) => {
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified(chain, key)?)))
        }
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// A key in memory, for tests and for stations without an HSM.
///
/// # Errors
/// If the key is of a kind that cannot sign a TLS handshake.
pub fn software_key(der: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, TlsConfigError> {
    aws_lc_rs::sign::any_supported_type(&der).map_err(TlsConfigError::Rejected)
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ClientKey").field("certificates", &self.chain.len()).finish_non_exhaustive()
    }
}

/// Why a TLS configuration cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsConfigError {
    /// No root is given. A station without roots cannot connect.
    #[error("no root certificate is given; install the root of the CSMS first")]
    NoRoots,
    /// A root is not a certificate.
    #[error("root certificate {position} cannot be used as a root")]
    BadRoot {
        /// Its position in the list, from 1.
        position: usize,
        /// The cause.
        #[source]
        source: certificates::CertificateError,
    },
    /// A root has an unknown critical extension.
    #[error("root certificate {position} cannot be used as a root")]
    UnusableRoot {
        /// Its position in the list, from 1.
        position: usize,
        /// The cause.
        #[source]
        source: path::PathError,
    },
    /// A revocation list must not be used, or cannot be parsed completely.
    #[error("revocation list {position} cannot be used")]
    BadCrl {
        /// Its position in the list, from 1.
        position: usize,
        /// The cause.
        #[source]
        source: certificates::CrlError,
    },
    /// A chain is empty, or its first element is not a certificate.
    #[error("the chain contains no certificate for the key")]
    NoCertificate,
    /// The first certificate of a chain belongs to another key.
    #[error("the key does not belong to the first certificate of the chain")]
    KeyMismatch,
    /// The first certificate of a chain cannot be parsed.
    #[error("the first certificate of the chain cannot be read")]
    UnreadableCertificate {
        /// The cause.
        #[source]
        source: certificates::CertificateError,
    },
    /// OpenSSL cannot use a key, a certificate or a setting.
    #[cfg(feature = "openssl")]
    #[error(
        "OpenSSL refuses the configuration; check that each key belongs to the first certificate of its chain"
    )]
    OpenSsl(#[source] ::openssl::error::ErrorStack),
    /// rustls cannot use the configuration.
    #[error("the TLS library refuses the configuration")]
    Rejected(#[source] rustls::Error),
}

fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: Arc<dyn SigningKey>,
) -> Result<CertifiedKey, TlsConfigError> {
    let leaf = chain.first().ok_or(TlsConfigError::NoCertificate)?;
    let leaf = Certificate::from_der(leaf.to_vec())
        .map_err(|source| TlsConfigError::UnreadableCertificate { source })?;
    // If a signer does not provide its public key, the first handshake shows whether it matches.
    if key.public_key().is_some_and(|public| public.as_ref() != leaf.spki()) {
        return Err(TlsConfigError::KeyMismatch);
    }
    Ok(CertifiedKey::new(chain, key))
}

fn read_roots(roots: &[CertificateDer<'static>]) -> Result<Vec<Certificate>, TlsConfigError> {
    let read = |(index, root): (usize, &CertificateDer<'static>)| {
        let position = index + 1;
        let root = Certificate::from_der(root.to_vec())
            .map_err(|source| TlsConfigError::BadRoot { position, source })?;
        match path::check_root(&root) {
            Ok(()) => Ok(root),
            Err(source) => Err(TlsConfigError::UnusableRoot { position, source }),
        }
    };
    roots.iter().enumerate().map(read).collect()
}

fn provider(suites: &[CipherSuite]) -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.retain(|suite| suites.contains(&suite.suite()));
    Arc::new(provider)
}

/// A00.FR.313, A00.FR.416: nothing older than TLS 1.2.
const VERSIONS: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];
