//! Versions, cipher suites, and slow keys.

use std::sync::{Arc, Mutex, mpsc as blocking};
use std::time::Duration;

use ocpp_transport::tls::{ClientKey, TlsFailure};
use ocpp_transport::{ConnectError, Security};
use ocpp_types::v201;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey};
use rustls::{
    CipherSuite, ClientConfig, DigitallySignedStruct, SignatureAlgorithm, SignatureScheme,
    SupportedProtocolVersion,
};
use rustls_pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use tokio::sync::mpsc;

use crate::lab::{Lab, heartbeats, nothing, within};
use crate::pki::{Authority, Leaf};

/// A client that accepts every certificate, because these tests are about the server.
#[derive(Debug)]
struct Trusting(Arc<CryptoProvider>);

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Connects with exactly one version and one cipher suite, and makes a call.
async fn connect_with(
    version: &'static SupportedProtocolVersion,
    suite: CipherSuite,
) -> Result<(), ConnectError> {
    let root = Authority::root("CSO root");
    let lab = Lab::tls(&root, heartbeats()).await;
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.retain(|supported| supported.suite() == suite);
    let provider = Arc::new(provider);
    let ClientKey { chain, key } = root.issue(&Leaf::new("SN-1")).client();
    let tls = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Trusting(provider)))
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key))));
    let security = Security::TlsWithClientCertificate { tls: Arc::new(tls) };
    let connection = lab.connect(security, nothing()).await?;
    within(connection.peer().call(v201::HeartbeatRequest::new())).await.unwrap();
    Ok(())
}

#[tokio::test]
async fn a00_fr_318_the_csms_serves_tls_1_2_and_1_3_with_aes_gcm() {
    use rustls::version::{TLS12, TLS13};
    for (version, suite) in [
        (&TLS12, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
        (&TLS12, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
        (&TLS13, CipherSuite::TLS13_AES_128_GCM_SHA256),
        (&TLS13, CipherSuite::TLS13_AES_256_GCM_SHA384),
    ] {
        connect_with(version, suite).await.unwrap();
    }
}

#[tokio::test]
async fn a00_fr_323_a_peer_that_offers_other_suites_only_is_refused() {
    use rustls::version::{TLS12, TLS13};
    for (version, suite) in [
        (&TLS12, CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
        (&TLS13, CipherSuite::TLS13_CHACHA20_POLY1305_SHA256),
    ] {
        let error = connect_with(version, suite).await.unwrap_err();
        assert!(matches!(error, ConnectError::Tls { source: TlsFailure::CipherSuite, .. }), "{error:?}");
    }
}

/// A key as in a token: signing blocks the thread until something else has happened.
#[derive(Debug)]
struct SlowKey {
    key: Arc<dyn SigningKey>,
    begun: mpsc::Sender<()>,
    go: Arc<Mutex<blocking::Receiver<()>>>,
}

#[derive(Debug)]
struct SlowSigner {
    signer: Box<dyn Signer>,
    begun: mpsc::Sender<()>,
    go: Arc<Mutex<blocking::Receiver<()>>>,
}

impl SigningKey for SlowKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let signer = self.key.choose_scheme(offered)?;
        Some(Box::new(SlowSigner { signer, begun: self.begun.clone(), go: Arc::clone(&self.go) }))
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        self.key.public_key()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.key.algorithm()
    }
}

impl Signer for SlowSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        self.begun.try_send(()).unwrap();
        let go = self.go.lock().unwrap().recv_timeout(Duration::from_secs(10));
        go.map_err(|_| rustls::Error::General("the runtime stood still while the key signed".into()))?;
        self.signer.sign(message)
    }

    fn scheme(&self) -> SignatureScheme {
        self.signer.scheme()
    }
}

/// Both sides sign in a runtime of one thread. They can finish only if that thread continues
/// meanwhile.
#[tokio::test(flavor = "current_thread")]
async fn a_key_that_blocks_does_not_block_the_runtime() {
    let (begun, mut signing) = mpsc::channel(1);
    let (go, released) = blocking::channel();
    let go_on = Arc::new(Mutex::new(released));
    let slow = |key| -> Arc<dyn SigningKey> {
        Arc::new(SlowKey { key, begun: begun.clone(), go: Arc::clone(&go_on) })
    };
    let root = Authority::root("CSO root");
    let mut server = root.issue(&Leaf::new("localhost"));
    server.key = slow(server.key);
    let mut client = root.issue(&Leaf::new("SN-1"));
    client.key = slow(client.key);
    let lab = Lab::tls_as(&root, server, heartbeats()).await;
    let releaser = tokio::spawn(async move {
        for _ in 0..2 {
            signing.recv().await.unwrap();
            go.send(()).unwrap();
        }
    });
    let connection = lab.connect(lab.profile_3(client), nothing()).await.unwrap();
    within(releaser).await.unwrap();
    within(connection.peer().call(v201::HeartbeatRequest::new())).await.unwrap();
}

/// A client whose first hello the server cannot use. The server signs after the second one, again
/// on a thread that may block.
#[tokio::test(flavor = "current_thread")]
async fn a_key_that_blocks_does_not_block_the_runtime_after_a_second_hello() {
    let (begun, mut signing) = mpsc::channel(1);
    let (go, released) = blocking::channel();
    let root = Authority::root("CSO root");
    let mut server = root.issue(&Leaf::new("localhost"));
    server.key = Arc::new(SlowKey { key: server.key, begun, go: Arc::new(Mutex::new(released)) });
    let lab = Lab::tls_as(&root, server, heartbeats()).await;
    let releaser = tokio::spawn(async move {
        signing.recv().await.unwrap();
        go.send(()).unwrap();
    });
    let mut provider = aws_lc_rs::default_provider();
    // The server does not support the first group, for which the client sends its share.
    provider.kx_groups = vec![aws_lc_rs::kx_group::MLKEM768, aws_lc_rs::kx_group::SECP256R1];
    let provider = Arc::new(provider);
    let ClientKey { chain, key } = root.issue(&Leaf::new("SN-1")).client();
    let tls = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Trusting(provider)))
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key))));
    let security = Security::TlsWithClientCertificate { tls: Arc::new(tls) };
    let connection = lab.connect(security, nothing()).await.unwrap();
    within(releaser).await.unwrap();
    within(connection.peer().call(v201::HeartbeatRequest::new())).await.unwrap();
}
