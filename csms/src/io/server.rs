//! The service as a whole: token, authority, TLS, ledger, stations and operators.

use std::{
    fs,
    future::Future,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use ocpp_transport::{
    BindError, Csms, CsmsConfig, LinkSettings, record_frames,
    tls::{ClientTrust, ServerKey, ServerTls, TlsConfigError},
};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::value::RawValue;
use signer_pkcs11::{
    AuthorityError, CaSettings, CertificateAuthority, KeyError, Token, TokenError, TokenOptions, Uri,
    UriError, module_from_environment,
};
use tokio::{
    task::{JoinSet, spawn_blocking},
    time::sleep,
};
use x509_cert::{Certificate, der::Decode as _};

use crate::{
    config::Config,
    control::{ControlReply, ControlRequest, IssuedCertificate, Status},
    fleet::Fleet,
    io::{
        admission::Door,
        control::{ControlError, ControlSocket},
        enrolment::Enrolment,
        handlers::{Desk, router},
        sqlite::SqliteLedger,
    },
    ledger::{Delivery, Ledger, LedgerEntry, LedgerError},
    operator,
};

/// The certificate service, bound to its addresses.
#[derive(Debug)]
pub struct Server {
    csms: Csms,
    control: ControlSocket,
    desk: Arc<Desk<SqliteLedger>>,
    url: String,
}

/// Why the service cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// A file cannot be read or made.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A file holds no certificate.
    #[error("{} holds no PEM certificates", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    /// A URI in the configuration is none.
    #[error("{field} in the configuration is no PKCS #11 URI")]
    Uri {
        /// The member.
        field: &'static str,
        /// What is wrong with it.
        #[source]
        source: UriError,
    },
    /// The token cannot be opened.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// A key cannot be used.
    #[error("the key that {field} names cannot be used")]
    Key {
        /// The member.
        field: &'static str,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// The authority cannot be put together.
    #[error("the authority cannot start; do ca.key and ca.certificate_file belong together?")]
    Authority(#[from] AuthorityError),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up; do tls.key and tls.certificate_file belong together?")]
    Tls(#[from] TlsConfigError),
    /// The ledger cannot be opened.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The address cannot be taken.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The control socket cannot be made.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// A thread of the service failed.
    #[error("a thread of the service failed while it started")]
    Thread(#[from] tokio::task::JoinError),
}

impl Server {
    /// Opens token and ledger and takes the addresses.
    ///
    /// `frames`: append every frame to this file, one JSON object a line.
    ///
    /// # Errors
    /// [`ServerError`].
    ///
    /// # Cancel safety
    /// Dropping the future gives everything back.
    pub async fn bind(config: Config, frames: Option<&Path>) -> Result<Self, ServerError> {
        let config = Arc::new(config);
        let opened = Arc::clone(&config);
        let Keys { authority, tls, roots } = spawn_blocking(move || open_keys(&opened)).await??;
        let ledger = SqliteLedger::open(&config.directory.join("ledger.sqlite")).await?;
        let control = ControlSocket::bind(&config.control_socket()).await?;

        let mut link = LinkSettings::default();
        if let Some(path) = frames {
            let tap = record_frames(path)
                .map_err(|source| ServerError::File { path: path.to_path_buf(), source })?;
            link = link.with_tap(tap);
        }
        let host = ocpp_transport::name_rule::Subject::of(&tls.chain()[0]).map(|subject| subject.common_name);
        let clients = ClientTrust::new(roots, vec![config.organization.clone()]);
        let transport = CsmsConfig::new(config.listen.address, ServerTls::rustls(tls, &clients)?)
            .with_base_path(config.listen.path.clone())
            .with_link(link);

        let fleet = Arc::new(Fleet::default());
        let enrolment = Arc::new(Enrolment::new(authority, ledger));
        let desk = Arc::new(Desk {
            config: Arc::clone(&config),
            enrolment: Arc::clone(&enrolment),
            fleet: Arc::clone(&fleet),
        });
        let csms = Csms::bind(transport, router(&desk), Door::new(config, enrolment, fleet)).await?;
        let address = csms.local_addr();
        let host = host.unwrap_or_else(|_| address.ip().to_string());
        let url = format!("wss://{host}:{}{}", address.port(), desk.config.listen.path);
        Ok(Self { csms, control, desk, url })
    }

    /// The URL that stations connect to, without their identity.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Serves stations and operators until `shutdown` is ready, then closes every connection in order.
    ///
    /// # Cancel safety
    /// Dropping the future cuts all connections; what was answered is in the ledger.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let Self { csms, control, desk, url } = self;
        let url = Arc::new(url);
        let deliveries = deliver_without_boot(Arc::clone(&desk));
        let operators = control.serve(move |request| {
            let (desk, url) = (Arc::clone(&desk), Arc::clone(&url));
            async move {
                match answer(&desk, &url, request).await {
                    Ok(value) => ControlReply::Done(value),
                    Err(reason) => ControlReply::Failed(reason),
                }
            }
        });
        tokio::select! {
            () = csms.serve(shutdown) => {}
            () = operators => {}
            () = deliveries => {}
        }
    }
}

/// Delivers what is due to stations that connect again without BootNotification, as they may: after a crash of this
/// service, or a connection that broke between SignCertificate and CertificateSigned.
async fn deliver_without_boot<L: Ledger>(desk: Arc<Desk<L>>) {
    let mut deliveries = JoinSet::new();
    loop {
        sleep(DELIVERY_ROUND).await;
        for peer in desk.fleet.take_unbooted() {
            let enrolment = Arc::clone(&desk.enrolment);
            deliveries.spawn(async move { enrolment.deliver(&peer).await });
        }
        while deliveries.try_join_next().is_some() {}
    }
}

/// Carries an operator's command out.
async fn answer<L: Ledger>(
    desk: &Desk<L>,
    url: &str,
    request: ControlRequest,
) -> Result<Box<RawValue>, String> {
    let ledger = &desk.enrolment.ledger;
    match request {
        ControlRequest::Status => raw(&Status { url: url.to_owned(), stations: desk.fleet.stations() }),
        ControlRequest::Call { station, action, payload } => {
            let not_connected = || format!("{station} is not connected; `ocpp-csms status` shows who is");
            let peer = desk.fleet.peer(&station).ok_or_else(not_connected)?;
            let response = operator::call(&peer, &action, payload.get()).await.map_err(in_one_line)?;
            RawValue::from_string(response).map_err(in_one_line)
        }
        ControlRequest::Certificates => {
            let entries = ledger.certificates(MOST_LISTED).await.map_err(in_one_line)?;
            raw(&entries.into_iter().map(shown).collect::<Vec<_>>())
        }
        ControlRequest::Release { station } => {
            if desk.config.station(&station).is_none() {
                return Err(format!(
                    "{station} is not in the configuration; are its letters right, also in case?"
                ));
            }
            ledger.release_security_profile(&station).await.map_err(in_one_line)?;
            raw(&station)
        }
    }
}

fn shown(entry: LedgerEntry) -> IssuedCertificate {
    let (state, reason) = match entry.state {
        Delivery::Issued => ("Issued", None),
        Delivery::Accepted => ("Accepted", None),
        Delivery::Rejected { reason } => ("Rejected", reason),
    };
    IssuedCertificate {
        serial_number: entry.serial_number,
        station: entry.station,
        state: state.to_owned(),
        reason,
        not_after: entry.not_after,
    }
}

fn raw(value: &impl serde::Serialize) -> Result<Box<RawValue>, String> {
    serde_json::value::to_raw_value(value).map_err(in_one_line)
}

/// An error with its causes, for an operator.
fn in_one_line(error: impl std::error::Error + Send + Sync + 'static) -> String {
    format!("{:#}", anyhow::Error::new(error))
}

struct Keys {
    authority: CertificateAuthority,
    tls: ServerKey,
    /// What stations' certificates have to lead to.
    roots: Vec<CertificateDer<'static>>,
}

/// Opens the token and finds its keys. Blocks.
fn open_keys(config: &Config) -> Result<Keys, ServerError> {
    fs::create_dir_all(&config.directory)
        .map_err(|source| ServerError::File { path: config.directory.clone(), source })?;
    let uri = |field, text: &str| text.parse::<Uri>().map_err(|source| ServerError::Uri { field, source });
    let mut options = TokenOptions::new();
    options.module = module_from_environment();
    let token = Token::open(&uri("token.uri", &config.token.uri)?, &options)?;
    let key = |field, text: &str| {
        let uri = uri(field, text)?;
        token.find_key(&uri).map_err(|source| ServerError::Key { field, source })
    };

    let chain = read_certificates(&config.tls.certificate_file)?;
    warn_of_expiry(&config.tls.certificate_file, &chain);
    let names = chain.first().and_then(|leaf| ocpp_transport::name_rule::Subject::of(leaf).ok());
    // A station whose serial number were the CSMS's name could pass for it.
    let settings = CaSettings::new(&config.organization)
        .station_validity(config.certificate_validity())
        .reserved_names(names.map(|subject| subject.common_name));
    let path = &config.ca.certificate_file;
    let pem = fs::read_to_string(path).map_err(|source| ServerError::File { path: path.clone(), source })?;
    let authority = CertificateAuthority::new(key("ca.key", &config.ca.key)?, &pem, settings)?;
    let tls = ServerKey::new(chain, key("tls.key", &config.tls.key)?.signing_key());
    Ok(Keys { authority, tls, roots: read_certificates(path)? })
}

/// A CSMS whose own certificate has expired starts all the same, and every station refuses it (A00.FR.310).
fn warn_of_expiry(path: &Path, chain: &[CertificateDer<'static>]) {
    let leaf = chain.first().and_then(|leaf| Certificate::from_der(leaf).ok());
    let not_after = leaf.map(|leaf| leaf.tbs_certificate().validity().not_after);
    if let Some(not_after) = not_after.filter(|not_after| not_after.to_system_time() <= SystemTime::now()) {
        tracing::error!(
            file = %path.display(),
            %not_after,
            "the certificate of this service has expired, and no station will connect; issue a new one and start again"
        );
    }
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ServerError> {
    let text = fs::read(path).map_err(|source| ServerError::File { path: path.to_path_buf(), source })?;
    let failed = |source| ServerError::Pem { path: path.to_path_buf(), source };
    let certificates =
        CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    if certificates.is_empty() {
        return Err(failed(rustls_pki_types::pem::Error::NoItemsFound));
    }
    Ok(certificates)
}

/// Between two looks for stations that have connected without BootNotification; one that boots does so within it.
const DELIVERY_ROUND: Duration = Duration::from_secs(5);

/// Certificates that one command lists.
const MOST_LISTED: u32 = 1000;
