//! Stations that connect at the same time, as after an outage, and retry until they are booted.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use crate::server::Server;
use crate::station::{self, Station};

/// Options of `generator herd`.
#[derive(clap::Args)]
pub(crate) struct HerdArguments {
    #[command(flatten)]
    server: Server,
    /// The number of stations
    #[arg(long)]
    stations: usize,
    /// How long a station waits until it is booted, in seconds
    #[arg(long)]
    patience: u64,
    /// How long a station waits before it tries again, in seconds
    #[arg(long)]
    retry: u64,
    /// Only shake hands: neither log in nor boot
    #[arg(long)]
    handshakes_only: bool,
    /// Log in with certificates of the root with this key, PEM, instead of passwords
    #[arg(long)]
    root_key: Option<PathBuf>,
    /// After how many seconds to stop, even if stations are not booted
    #[arg(long, default_value_t = 600)]
    limit: u64,
}

/// Options of `generator root`.
#[derive(clap::Args)]
pub(crate) struct RootArguments {
    /// The file to which the certificate is written, PEM
    #[arg(long)]
    certificate: PathBuf,
    /// The file to which the key is written, PEM
    #[arg(long)]
    key: PathBuf,
}

/// Makes the root of the stations' certificates.
pub(crate) fn make_root(arguments: &RootArguments) -> Result<serde_json::Value> {
    let key = KeyPair::generate()?;
    fs::write(&arguments.certificate, root().self_signed(&key)?.pem())?;
    fs::write(&arguments.key, key.serialize_pem())?;
    Ok(json!({ "made": arguments.certificate }))
}

/// Connects the stations until all are booted, and returns the cost for the server.
pub(crate) async fn run(arguments: &HerdArguments) -> Result<serde_json::Value> {
    let identities = arguments.root_key.as_ref().map(Identities::read).transpose()?;
    let connectors: Vec<_> = (0..arguments.stations)
        .map(|index| identities.as_ref().map(|identities| identities.connector(index)).transpose())
        .collect::<Result<_>>()?;
    let server = &arguments.server;
    let (booted, attempts) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (cpu, start) = (server.cpu_seconds()?, Instant::now());
    let mut stations = JoinSet::new();
    for (index, connector) in connectors.into_iter().enumerate() {
        let (server, booted, attempts) = (server.clone(), Arc::clone(&booted), Arc::clone(&attempts));
        let (patience, retry) =
            (Duration::from_secs(arguments.patience), Duration::from_secs(arguments.retry));
        let only_shake_hands = arguments.handshakes_only;
        stations.spawn(async move {
            let connector = connector.unwrap_or_else(|| LazyLock::force(&station::CONNECTOR).clone());
            loop {
                attempts.fetch_add(1, Ordering::Relaxed);
                let attempt = async {
                    if only_shake_hands {
                        return shake_hands(&server, index, &connector).await.map(|()| None);
                    }
                    Station::connect_with(&server, index, &connector).await.map(Some)
                };
                // A station that gives up closes its connection.
                if let Ok(Ok(station)) = timeout(patience, attempt).await {
                    booted.fetch_add(1, Ordering::Relaxed);
                    return station;
                }
                sleep(retry).await;
            }
        });
    }
    let end = tokio::time::Instant::now() + Duration::from_secs(arguments.limit);
    let (mut over_time, mut open, mut complete) = (Vec::new(), Vec::new(), None);
    let mut next = Instant::now();
    while complete.is_none() && tokio::time::Instant::now() < end {
        if next <= Instant::now() {
            over_time.push(json!([next.duration_since(start).as_secs(), booted.load(Ordering::Relaxed)]));
            next += SAMPLE;
        }
        match timeout_at(end.min(next.into()), stations.join_next()).await {
            Ok(Some(station)) => open.push(station.context("a station panicked")?),
            Ok(None) => complete = Some(start.elapsed()),
            Err(_) => {}
        }
    }
    let seconds = complete.unwrap_or_else(|| start.elapsed()).as_secs_f64();
    let count = booted.load(Ordering::Relaxed);
    over_time.push(json!([seconds.ceil(), count]));
    Ok(json!({
        "booted": count,
        "seconds": seconds,
        "cpu_seconds": server.cpu_seconds()? - cpu,
        "peak_bytes": server.peak_bytes()?,
        "attempts": attempts.load(Ordering::Relaxed),
        "booted_over_time": over_time,
    }))
}

async fn shake_hands(server: &Server, index: usize, connector: &TlsConnector) -> Result<()> {
    let tcp = TcpStream::connect(server.address(index)).await?;
    connector.connect(station::server_name(), tcp).await?;
    Ok(())
}

/// The issuer of the stations' certificates, and the key that all stations share. The cost of the
/// stations is not measured.
struct Identities {
    issuer: Issuer<'static, KeyPair>,
    key: KeyPair,
}

impl Identities {
    fn read(file: &PathBuf) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(Self { issuer: Issuer::new(root(), KeyPair::from_pem(&text)?), key: KeyPair::generate()? })
    }

    fn connector(&self, index: usize) -> Result<TlsConnector> {
        let mut params = CertificateParams::default();
        params.distinguished_name = name(&station::identity(index));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate: CertificateDer<'static> = params.signed_by(&self.key, &self.issuer)?.into();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        station::connector_with(vec![certificate], key)
    }
}

fn root() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name("Herd Root");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, ORGANIZATION);
    name.push(DnType::CommonName, common_name);
    name
}

/// The CSO in the configuration of the server.
const ORGANIZATION: &str = "Bench CSO";

/// The interval between two samples of the booted stations.
const SAMPLE: Duration = Duration::from_secs(5);
