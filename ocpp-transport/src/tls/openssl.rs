//! TLS by the system's OpenSSL, for the cipher suites that rustls does not have. The rules for
//! stations' certificates are the same as with rustls: OpenSSL builds the path, and these rules
//! override its other decisions.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::pkey::PKey;
use openssl::ssl::{
    Error as SslError, Ssl, SslContext, SslContextBuilder, SslMethod, SslMode, SslOptions, SslRef,
    SslSessionCacheMode, SslVerifyMode, SslVersion,
};
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::{
    X509, X509Builder, X509NameBuilder, X509StoreContext, X509StoreContextRef, X509VerifyResult,
};
use rustls::CertificateError;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};

use crate::tls::handshake_error::HandshakeError;
use crate::tls::verify::trust::StationRules;
use crate::tls::{BadCertificate, ClientTrust, PresentedCertificate, SoftwareKey, TlsConfigError};

/// A context of OpenSSL with the certificates of a CSMS.
pub(crate) struct OpenSslServer {
    context: SslContext,
    /// For each key whose chain has intermediates: its certificate, and the intermediates.
    intermediates: Vec<(X509, Vec<X509>)>,
    judgement: Index<Ssl, Judgement>,
}

/// The state of a handshake about the station's certificate.
struct Judgement {
    now: UnixTime,
    /// Made at the first call. OpenSSL calls once for each certificate of the path.
    verdict: Mutex<Option<Result<(), Refused>>>,
}

/// A station's certificate was refused.
#[derive(Clone)]
struct Refused {
    /// `None` if OpenSSL has no path, and so no certificate either.
    presented: Option<Box<PresentedCertificate>>,
    reason: BadCertificate,
}

impl OpenSslServer {
    pub(crate) fn new(
        keys: &[SoftwareKey],
        clients: &ClientTrust,
        rules: &Arc<StationRules>,
    ) -> Result<Self, TlsConfigError> {
        if keys.is_empty() || keys.iter().any(|key| key.chain.is_empty()) {
            return Err(TlsConfigError::NoCertificate);
        }
        Self::build(keys, clients, rules).map_err(TlsConfigError::OpenSsl)
    }

    fn build(
        keys: &[SoftwareKey],
        clients: &ClientTrust,
        rules: &Arc<StationRules>,
    ) -> Result<Self, ErrorStack> {
        let mut context = SslContextBuilder::new(SslMethod::tls_server())?;
        // A00.FR.313, A00.FR.416: nothing older than TLS 1.2.
        context.set_min_proto_version(Some(SslVersion::TLS1_2))?;
        context.set_cipher_list(CIPHERS_TLS12)?;
        context.set_ciphersuites(CIPHERS_TLS13)?;
        context.set_groups_list("X25519:P-256:P-384")?;
        context.set_sigalgs_list(SIGNATURES)?;
        context.set_options(
            // A00.FR.321, A00.FR.424: no compression.
            SslOptions::NO_COMPRESSION
                | SslOptions::NO_RENEGOTIATION
                // Each connection is verified again, so nothing is resumed.
                | SslOptions::NO_TICKET
                | SslOptions::CIPHER_SERVER_PREFERENCE,
        );
        context.set_num_tickets(0)?;
        context.set_session_cache_mode(SslSessionCacheMode::OFF);
        // Most connections are idle and keep no buffers. A chain is sent as it was configured.
        context.set_mode(SslMode::RELEASE_BUFFERS | SslMode::NO_AUTO_CHAIN);

        let mut intermediates = Vec::new();
        for SoftwareKey { chain, key } in keys {
            let mut chain = chain.iter().map(|der| X509::from_der(der)).collect::<Result<Vec<_>, _>>()?;
            let own = chain.remove(0);
            context.set_certificate(&own)?;
            context.set_private_key(&*private_key(key)?)?;
            context.check_private_key()?;
            if !chain.is_empty() {
                intermediates.push((own, chain));
            }
        }
        if rules.asks_for_certificates() {
            let mut roots = X509StoreBuilder::new()?;
            for root in &clients.roots {
                roots.add_cert(X509::from_der(root)?)?;
            }
            context.set_cert_store(roots.build());
            // No fail_if_no_peer_cert: profiles 2 and 3 share a port.
            context.set_verify_callback(SslVerifyMode::PEER, verify_callback(Arc::clone(rules))?);
        }
        Ok(Self { context: context.build(), intermediates, judgement: judgement_index()? })
    }

    /// The state of one handshake.
    pub(crate) fn begin(&self, now: UnixTime) -> Result<Ssl, ErrorStack> {
        let mut ssl = Ssl::new(&self.context)?;
        for (own, intermediates) in &self.intermediates {
            // The certificates that are added next belong to this one.
            ssl.set_certificate(own)?;
            for intermediate in intermediates {
                ssl.add_chain_cert(intermediate.clone())?;
            }
        }
        ssl.set_ex_data(self.judgement, Judgement { now, verdict: Mutex::new(None) });
        Ok(ssl)
    }

    /// Why a handshake failed.
    pub(crate) fn failure(&self, ssl: &SslRef, error: SslError) -> HandshakeError {
        if let Some(Err(Refused { presented, reason })) =
            ssl.ex_data(self.judgement).and_then(Judgement::verdict)
        {
            return HandshakeError::Certificate { presented, reason };
        }
        let reason =
            error.ssl_error().and_then(|stack| stack.errors().first()).and_then(|error| error.reason());
        match reason {
            Some("unsupported protocol" | "version too low" | "inappropriate fallback") => {
                HandshakeError::Version
            }
            Some(
                "no shared cipher" | "no suitable signature algorithm" | "no shared signature algorithms",
            ) => HandshakeError::CipherSuite(error.into()),
            // The station does not have the key of the certificate that it presents.
            Some("bad signature") => HandshakeError::Certificate {
                presented: presented(ssl).map(Box::new),
                reason: BadCertificate::Other(CertificateError::BadSignature.into()),
            },
            Some(_) => HandshakeError::Other(error.into()),
            None => match error.into_io_error() {
                Ok(error) => HandshakeError::Io(error),
                Err(_) => HandshakeError::Io(io::ErrorKind::UnexpectedEof.into()),
            },
        }
    }
}

/// The certificate of a station that was refused after OpenSSL had read it.
fn presented(ssl: &SslRef) -> Option<PresentedCertificate> {
    let der = ssl.peer_certificate()?.to_der().ok()?;
    Some(PresentedCertificate::of(&der.into()))
}

/// The certificates that the station presented, its own first.
pub(crate) fn peer_certificates(ssl: &SslRef) -> Option<Vec<CertificateDer<'static>>> {
    let own = ssl.peer_certificate()?.to_der().ok()?;
    // On the server's side this chain does not contain the station's own certificate.
    let rest =
        ssl.peer_cert_chain().into_iter().flatten().filter_map(|certificate| certificate.to_der().ok());
    Some(std::iter::once(own).chain(rest).map(CertificateDer::from).collect())
}

impl Refused {
    fn without_path() -> Self {
        Self { presented: None, reason: BadCertificate::UnknownIssuer }
    }
}

impl Judgement {
    fn verdict(&self) -> Option<Result<(), Refused>> {
        self.verdict.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn judge(&self, rules: &StationRules, context: &X509StoreContextRef) -> Result<(), Refused> {
        let mut verdict = self.verdict.lock().unwrap_or_else(PoisonError::into_inner);
        verdict.get_or_insert_with(|| judge(rules, context, self.now)).clone()
    }
}

/// Passes the path that OpenSSL has built to the rules.
fn judge(rules: &StationRules, context: &X509StoreContextRef, now: UnixTime) -> Result<(), Refused> {
    let path = context
        .chain()
        .into_iter()
        .flatten()
        .filter_map(|certificate| certificate.to_der().ok())
        .map(CertificateDer::from)
        .collect::<Vec<_>>();
    let Some((own, others)) = path.split_first() else { return Err(Refused::without_path()) };
    rules
        .judge(own, others, now)
        .map(drop)
        .map_err(|reason| Refused { presented: Some(Box::new(PresentedCertificate::of(own))), reason })
}

/// Answers OpenSSL's call for each certificate of a path with the one verdict on the whole path.
fn verify_callback(
    rules: Arc<StationRules>,
) -> Result<impl Fn(bool, &mut X509StoreContextRef) -> bool + Send + Sync + 'static, ErrorStack> {
    let (ssl, judgement) = (X509StoreContext::ssl_idx()?, judgement_index()?);
    let refusal = unspecific_refusal()?;
    Ok(move |fine: bool, context: &mut X509StoreContextRef| {
        let verdict = context
            .ex_data(ssl)
            .and_then(|ssl| ssl.ex_data(judgement))
            .map_or(Err(Refused::without_path()), |judgement| judgement.judge(&rules, context));
        match verdict {
            Ok(()) => true,
            // OpenSSL has a reason of its own, and an alert for it.
            Err(_) if !fine => false,
            // It may find one further up. If not, the station still gets an alert.
            Err(_) if context.error_depth() > 0 => true,
            Err(_) => {
                context.set_error(refusal);
                false
            }
        }
    })
}

/// A reason for which OpenSSL sends the alert `certificate_unknown`. For `APPLICATION_VERIFICATION`
/// it sends `handshake_failure`, which suggests to a station that the cipher suites do not match.
fn unspecific_refusal() -> Result<X509VerifyResult, ErrorStack> {
    let name = |text: &str| {
        let mut name = X509NameBuilder::new()?;
        name.append_entry_by_text("CN", text)?;
        Ok::<_, ErrorStack>(name.build())
    };
    let mut certificate = X509Builder::new()?;
    certificate.set_subject_name(&*name("subject")?)?;
    certificate.set_issuer_name(&*name("issuer")?)?;
    let certificate = certificate.build();
    Ok(certificate.issued(&certificate))
}

/// The index under which handshakes keep their [`Judgement`]. OpenSSL never frees such an index, so
/// all share one.
fn judgement_index() -> Result<Index<Ssl, Judgement>, ErrorStack> {
    static INDEX: OnceLock<Index<Ssl, Judgement>> = OnceLock::new();
    match INDEX.get() {
        Some(index) => Ok(*index),
        None => {
            let index = Ssl::new_ex_index()?;
            Ok(*INDEX.get_or_init(|| index))
        }
    }
}

fn private_key(key: &PrivateKeyDer<'_>) -> Result<PKey<openssl::pkey::Private>, ErrorStack> {
    PKey::private_key_from_der(key.secret_der())
}

impl fmt::Debug for OpenSslServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("OpenSslServer").finish_non_exhaustive()
    }
}

/// The four of A00.FR.318 and A00.FR.421, and the others with forward secrecy for an RSA
/// certificate.
const CIPHERS_TLS12: &str = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:\
                             ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256:\
                             AES256-GCM-SHA384:AES128-GCM-SHA256";

const CIPHERS_TLS13: &str = "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256";

/// The algorithms that rustls accepts, too. None uses SHA-1.
const SIGNATURES: &str = "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519:\
                          RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:RSA+SHA256:RSA+SHA384:RSA+SHA512";
