//! TLS: mutual handshakes with both keys in a token, and the effect of a slow token on the other
//! tasks of a runtime.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, Result};
use ocpp_types::{BoundedString, v201::SignCertificateRequest};
use rustls::{
    ClientConfig, ClientConnection, Connection, Error, RootCertStore, ServerConfig, ServerConnection,
    SignatureAlgorithm, SignatureScheme,
    client::WebPkiServerVerifier,
    pki_types::{CertificateDer, SubjectPublicKeyInfoDer, pem::PemObject},
    server::WebPkiClientVerifier,
    sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey},
    version::TLS13,
};
use signer_pkcs11::{CaSettings, CertificateAuthority, ServerName, Applicant, Subject, csr};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::{cpu, median, tell, token};

const HANDSHAKES: usize = 2000;

/// The duration of a signature in the slow token.
const SLOW: Duration = Duration::from_millis(200);

pub(crate) fn measure(rounds: usize) -> Result<()> {
    let stage = Stage::new(None)?;
    let costs: Vec<_> = (0..rounds).map(|_| stage.cost()).collect::<Result<_>>()?;
    tell("handshake", "ours", median(costs), "us");
    let slow = Arc::new(Stage::new(Some(SLOW))?);
    for (whom, runtime) in [
        ("1-thread", Builder::new_current_thread().enable_all().build()?),
        ("2-threads", Builder::new_multi_thread().worker_threads(2).enable_all().build()?),
    ] {
        let delays: Vec<_> = (0..rounds).map(|_| worst_delay(&runtime, &slow)).collect::<Result<_>>()?;
        tell("timer-delay", whom, median(delays), "ms");
    }
    Ok(())
}

/// The worst delay of a timer of 5 ms while eight handshakes wait for a slow token, in
/// milliseconds.
fn worst_delay(runtime: &Runtime, stage: &Arc<Stage>) -> Result<f64> {
    runtime.block_on(async {
        let handshakes: Vec<_> = (0..8)
            .map(|_| {
                let stage = Arc::clone(stage);
                // Like ocpp-transport, this runs a whole handshake on a thread that may block.
                tokio::task::spawn_blocking(move || Handle::current().block_on(async { stage.shake_hands() }))
            })
            .collect();
        let mut worst = Duration::ZERO;
        let begin = Instant::now();
        while begin.elapsed() < 3 * SLOW {
            let asked = Instant::now();
            tokio::time::sleep(Duration::from_millis(5)).await;
            worst = worst.max(asked.elapsed().saturating_sub(Duration::from_millis(5)));
        }
        for handshake in handshakes {
            handshake.await??;
        }
        Ok(worst.as_secs_f64() * 1e3)
    })
}

/// Two configurations whose keys are in one token.
struct Stage {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl Stage {
    fn new(delay: Option<Duration>) -> Result<Self> {
        let token = token::new(4)?;
        let [ca, station, csms] = ["ca", "station", "csms"].map(|label| token::key(&token, label));
        let (ca, station, csms) = (ca?, station?, csms?);
        let year = Duration::from_secs(365 * 24 * 3600);
        let root = CertificateAuthority::create_root(
            &ca,
            &Subject::new("Root", "Example"),
            year,
            SystemTime::now(),
        )?;
        let authority = CertificateAuthority::new(ca, &root, CaSettings::new("Example"))?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let host = ServerName::new("localhost")?;
        let server = runtime.block_on(authority.issue_server_certificate(&host, csms.public_key()))?;
        let request = csr::build(&station, &Subject::new("SN-1", "Example"))?;
        let request = SignCertificateRequest::new(BoundedString::try_from(request).ok().context("it fits")?);
        let identity = Applicant { identity: "CS1".parse().unwrap(), serial_number: "SN-1".into() };
        let (_, pending) = authority.answer(&request, &identity);
        let issued = runtime.block_on(authority.issue(pending?))?;

        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(chain(&root)?);
        let roots = Arc::new(roots);
        let certified = |pem: &str, key: Arc<dyn SigningKey>| {
            let key: Arc<dyn SigningKey> = match delay {
                Some(delay) => Arc::new(Delayed { key, delay }),
                None => key,
            };
            Ok::<_, anyhow::Error>(Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain(pem)?, key))))
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut server_config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
                    .build()?,
            )
            .with_cert_resolver(certified(&server.chain_pem, csms.signing_key())?);
        server_config.send_tls13_tickets = 0;
        let mut client_config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])?
            .with_webpki_verifier(WebPkiServerVerifier::builder_with_provider(roots, provider).build()?)
            .with_client_cert_resolver(certified(&issued.certificate.chain_pem, station.signing_key())?);
        client_config.resumption = rustls::client::Resumption::disabled();
        Ok(Self { client: Arc::new(client_config), server: Arc::new(server_config) })
    }

    /// CPU per mutual handshake, both ends together.
    fn cost(&self) -> Result<f64> {
        let before = cpu::used_us("self", cpu::OWN)?;
        (0..HANDSHAKES).try_for_each(|_| self.shake_hands())?;
        #[allow(clippy::cast_precision_loss)]
        Ok((cpu::used_us("self", cpu::OWN)? - before) / HANDSHAKES as f64)
    }

    fn shake_hands(&self) -> Result<()> {
        let host = "localhost".try_into()?;
        let mut client = Connection::from(ClientConnection::new(Arc::clone(&self.client), host)?);
        let mut server = Connection::from(ServerConnection::new(Arc::clone(&self.server))?);
        while carry(&mut client, &mut server)? + carry(&mut server, &mut client)? > 0 {}
        anyhow::ensure!(!client.is_handshaking() && !server.is_handshaking(), "the handshake does not end");
        Ok(())
    }
}

fn carry(from: &mut Connection, to: &mut Connection) -> Result<usize> {
    let mut bytes = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut bytes)?;
    }
    let mut left = &bytes[..];
    while !left.is_empty() {
        to.read_tls(&mut left)?;
        to.process_new_packets()?;
    }
    Ok(bytes.len())
}

fn chain(pem: &str) -> Result<Vec<CertificateDer<'static>>> {
    Ok(CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>()?)
}

/// A key in a slow token.
#[derive(Debug)]
struct Delayed {
    key: Arc<dyn SigningKey>,
    delay: Duration,
}

#[derive(Debug)]
struct DelayedSigner {
    signer: Box<dyn Signer>,
    delay: Duration,
}

impl SigningKey for Delayed {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let signer = self.key.choose_scheme(offered)?;
        Some(Box::new(DelayedSigner { signer, delay: self.delay }))
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        self.key.public_key()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.key.algorithm()
    }
}

impl Signer for DelayedSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        thread::sleep(self.delay);
        self.signer.sign(message)
    }

    fn scheme(&self) -> SignatureScheme {
        self.signer.scheme()
    }
}
