//! The TLS side of a CSMS.

use std::fmt;
use std::sync::Arc;

use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;
use rustls::{CipherSuite, ServerConfig};

#[cfg(feature = "openssl")]
use crate::tls::SoftwareKey;
use crate::tls::verify::client::StationVerifier;
use crate::tls::verify::trust::StationRules;
use crate::tls::{ClientTrust, ServerKey, Signing, TlsConfigError, VERSIONS, certified, provider};

/// The TLS configuration of a CSMS: its certificates, and the certificates that it accepts. A clone
/// is the same configuration.
#[derive(Clone)]
pub struct ServerTls {
    pub(crate) engine: Engine,
    pub(crate) rules: Arc<StationRules>,
}

/// The TLS library behind a [`ServerTls`].
#[derive(Clone)]
pub(crate) enum Engine {
    Rustls {
        config: Arc<ServerConfig>,
        signing: Signing,
    },
    #[cfg(feature = "openssl")]
    OpenSsl(Arc<crate::tls::openssl::OpenSslServer>),
}

impl ServerTls {
    /// TLS by rustls: TLS 1.3, and the cipher suites of TLS 1.2 with forward secrecy. The key may
    /// be in an HSM.
    ///
    /// A client certificate is requested but optional, because profiles 2 and 3 share a port.
    /// [`Admission`](crate::Admission) decides for each station whether it must present one. Of the
    /// four cipher suites that A00.FR.318 and A00.FR.421 require, it serves the two with ECDHE; for
    /// all four see the cargo feature `openssl`.
    ///
    /// # Errors
    /// If a root is not a certificate, a revocation list cannot be used, or key and certificate do
    /// not belong together.
    pub fn rustls(key: ServerKey, clients: &ClientTrust) -> Result<Self, TlsConfigError> {
        let rules = Arc::new(StationRules::new(clients)?);
        let provider = provider(&[
            CipherSuite::TLS13_AES_256_GCM_SHA384,
            CipherSuite::TLS13_AES_128_GCM_SHA256,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        ]);
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(VERSIONS)
            .map_err(TlsConfigError::Rejected)?;
        let builder = if rules.asks_for_certificates() {
            builder.with_client_cert_verifier(Arc::new(StationVerifier(Arc::clone(&rules))))
        } else {
            builder.with_no_client_auth()
        };
        let ServerKey { chain, key, signing } = key;
        let resolver = SingleCertAndKey::from(certified(chain, key)?);
        let mut config = builder.with_cert_resolver(Arc::new(resolver));
        config.ignore_client_order = true;
        // Each connection is verified again, so that a ticket cannot resume one whose certificate
        // has been revoked or has expired.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self { engine: Engine::Rustls { config: Arc::new(config), signing }, rules })
    }

    /// TLS by the system's OpenSSL: TLS 1.3 and all four cipher suites of A00.FR.318 and
    /// A00.FR.421, which require an ECDSA and an RSA certificate at once. ECDHE is preferred to
    /// static RSA if a station offers both.
    ///
    /// The keys are in memory. A key in an HSM needs [`ServerTls::rustls`], because OpenSSL's
    /// signing cannot be moved to another thread. If the provider `pkcs11-provider` is configured
    /// for the whole process, a PEM file that names the key by its URI is read like any other, and
    /// the key signs on the threads of the runtime.
    ///
    /// # Errors
    /// If a root is not a certificate, a revocation list cannot be used, no key is given, or a key
    /// and its certificate do not belong together.
    #[cfg(feature = "openssl")]
    pub fn openssl(keys: &[SoftwareKey], clients: &ClientTrust) -> Result<Self, TlsConfigError> {
        let rules = Arc::new(StationRules::new(clients)?);
        let server = crate::tls::openssl::OpenSslServer::new(keys, clients, &rules)?;
        Ok(Self { engine: Engine::OpenSsl(Arc::new(server)), rules })
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let engine = match &self.engine {
            Engine::Rustls { .. } => "rustls",
            #[cfg(feature = "openssl")]
            Engine::OpenSsl(_) => "openssl",
        };
        formatter.debug_struct("ServerTls").field("engine", &engine).field("clients", &self.rules).finish()
    }
}
