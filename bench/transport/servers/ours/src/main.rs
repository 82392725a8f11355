//! A CSMS on `ocpp-transport` as an application would build it: the real [`Csms`], typed handlers,
//! and a check of every payload.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use ocpp_transport::{
    Admission, Admitted, Csms, CsmsConfig, Password, Peer, Refusal, Router, UpgradeRequest, tls,
};
use ocpp_types::{Version, v201};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

/// The options of all servers of the bench, and one more.
#[derive(clap::Parser)]
struct Arguments {
    /// Serve TLS with this certificate chain, in PEM
    #[arg(long, requires = "key")]
    certificate: Option<PathBuf>,
    /// The key of the certificate, PKCS #8 in PEM
    #[arg(long)]
    key: Option<PathBuf>,
    /// Read no more messages of one station than a CSMS does by default
    #[arg(long)]
    message_rate: bool,
}

/// Knows every station by the same password. The work of an application here is not a cost of the
/// transport.
struct OnePassword(Password);

impl Admission for OnePassword {
    async fn admit(&self, upgrade: &UpgradeRequest) -> Result<Admitted, Refusal> {
        match &upgrade.basic {
            Some(basic) if basic.password.matches(&self.0) => Ok(Admitted::new()),
            _ => Err(Refusal::BadCredentials),
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    rlimit::increase_nofile_limit(u64::MAX).context("cannot raise the limit of open files")?;
    let address: SocketAddr = ([0, 0, 0, 0], 0).into();
    let config = match (&arguments.certificate, &arguments.key) {
        (Some(certificate), Some(key)) => {
            let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
            let key = tls::SoftwareKey { chain, key: PrivateKeyDer::from_pem_file(key)? };
            let tls = tls::ServerTls::rustls(tls::ServerKey::software(key)?, &tls::ClientTrust::default())?;
            CsmsConfig::new(address, tls)
        }
        _ => CsmsConfig::unsecured(address),
    };
    let router = Router::new(Version::V201)
        .handle(async |_: Peer, _: v201::BootNotificationRequest| {
            let now = SystemTime::now().into();
            Ok(v201::BootNotificationResponse::new(now, 300, v201::RegistrationStatusEnumType::Accepted))
        })
        .handle(async |_: Peer, _: v201::HeartbeatRequest| {
            Ok(v201::HeartbeatResponse::new(SystemTime::now().into()))
        })
        .handle(async |_: Peer, _: v201::TransactionEventRequest| Ok(v201::TransactionEventResponse::new()))
        .handle(async |_: Peer, _: v201::DataTransferRequest| {
            Ok(v201::DataTransferResponse::new(v201::DataTransferStatusEnumType::Accepted))
        });
    // The server is measured, not its limits.
    let config = config.with_max_connections(usize::MAX >> 4);
    let config = if arguments.message_rate { config } else { config.with_unlimited_message_rate() };
    let csms = Csms::bind(config, router, OnePassword(Password::from("0123456789abcdef"))).await?;
    println!("{}", csms.local_addr().port());
    std::io::stdout().flush()?;
    csms.serve(std::future::pending()).await;
    Ok(())
}
