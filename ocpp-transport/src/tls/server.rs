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

/// How a CSMS serves TLS: its certificates, and whose it accepts. A clone is the same
/// configuration.
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
    /// TLS by rustls: TLS 1.3, and of TLS 1.2 what has forward secrecy. The key may live in an HSM.
    ///
    /// A client certificate is asked for, but optional: profiles 2 and 3 share a port, and who has
    /// to present one is decided per station by [`Admission`](crate::Admission). Of the four cipher
    /// suites that A00.FR.318 and A00.FR.421 demand it serves the two with ECDHE; for all four see
    /// the cargo feature `openssl`.
    ///
    /// # Errors
    /// If a root or a revocation list is none, or key and certificate do not belong together.
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
        // Each connection is verified anew: what was revoked or has expired since does not come
        // back by a ticket.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self { engine: Engine::Rustls { config: Arc::new(config), signing }, rules })
    }

    /// TLS by the system's OpenSSL: TLS 1.3 and all four cipher suites of A00.FR.318 and
    /// A00.FR.421, which takes an ECDSA and an RSA certificate at once. ECDHE goes before static
    /// RSA wherever a station offers both.
    ///
    /// The keys are in memory. A key in an HSM needs [`ServerTls::rustls`], for OpenSSL's signing
    /// cannot be handed to another thread; where its provider `pkcs11-provider` is set up for the
    /// whole process, a PEM file that names the key by its URI is read as any other, and signs on
    /// the threads of the runtime.
    ///
    /// # Errors
    /// If a root or a revocation list is none, no key is given, or a key and its certificate do not
    /// belong together.
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
