//! The service as a whole: token, authority, TLS, ledger, stations and operators.

use std::{
    fs,
    future::Future,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ocpp_transport::{
    BindError, Close, Csms, CsmsConfig, CsmsHandle, LinkSettings, MessageRate, NotTls, Password, Peer,
    name_rule::Subject, record_frames, tls::TlsConfigError,
};
use ocpp_types::Version;
use serde_json::value::RawValue;
use signer_pkcs11::{
    AuthorityError, CaSettings, CertificateAuthority, Key, KeyError, Profiles, ProfilesError, Token,
    TokenError, TokenOptions, Uri, UriError, module_from_environment,
};
use tokio::{
    sync::Mutex,
    task::{JoinSet, spawn_blocking},
    time::sleep,
};

use crate::{
    config::{self, Config, ConfigError},
    control::{ControlReply, ControlRequest, IssuedCertificate, Reloaded, Status},
    fleet::Fleet,
    io::{
        admission::Door,
        control::{ControlError, ControlSocket},
        enrolment::Enrolment,
        handlers::{Desk, router},
        metrics::Metrics,
        passwords, reload_signals,
        sqlite::SqliteLedger,
        tls::{read_certificates, server_tls},
    },
    ledger::{Delivery, Ledger, LedgerEntry, LedgerError},
    live::LiveConfig,
    operator,
};

/// The certificate service, bound to its addresses.
#[derive(Debug)]
pub struct Server {
    csms: Csms,
    control: ControlSocket,
    desk: Arc<Desk<SqliteLedger>>,
    reloader: Reloader<SqliteLedger>,
    metrics: Option<Metrics>,
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
    /// A configuration cannot be used.
    #[error("{} cannot be used", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: ConfigError,
    },
    /// The profiles of the certificates cannot be used.
    #[error("{} cannot be used", path.display())]
    Profiles {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: ProfilesError,
    },
    /// What was changed cannot change while the service runs.
    #[error("{section} in the configuration cannot change while the service runs; start it again")]
    NeedsRestart {
        /// Where the change is.
        section: &'static str,
    },
    /// The transport serves no TLS whose certificates could be read anew.
    #[error("the certificates cannot be read anew")]
    Reload(#[from] NotTls),
    /// No key for TLS is named.
    #[error("the configuration names no key for TLS; set tls.key or tls.key_file")]
    NoTlsKey,
    /// The configuration asks for OpenSSL, which is not built in.
    #[error("tls.rsa needs OpenSSL; build this program with `--features openssl`")]
    WithoutOpenSsl,
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
    #[error(
        "the authority cannot start; do the key and the certificate_file of [ca] and of each [[ca.issuer]] belong together?"
    )]
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
        let open = move || {
            let (token, authority) = open_authority(&config)?;
            let (tls, host) = (server_tls(&config, &token)?, own_name(&config)?);
            Ok::<_, ServerError>((config, token, authority, tls, host))
        };
        let (config, token, authority, tls, host) = spawn_blocking(open).await??;
        let ledger = SqliteLedger::open(&config.ledger_file()).await?;
        // Nothing is appended to a record that is not as it was written.
        ledger.verify_record(None).await?;
        let authority = authority.with_record(Arc::new(ledger.clone()));
        let control = ControlSocket::bind(&config.control_socket()).await?;

        let mut link = LinkSettings::default();
        if let Some(path) = frames {
            let tap = record_frames(path)
                .map_err(|source| ServerError::File { path: path.to_path_buf(), source })?;
            link = link.with_tap(tap);
        }
        let listen = &config.listen;
        let per_second = listen.messages_per_second;
        let transport = CsmsConfig::new(listen.address, tls)
            .with_base_path(listen.path.clone())
            .with_drain(Duration::from_secs(listen.drain_seconds.into()))
            .with_message_rate(MessageRate { per_second, burst: per_second.saturating_mul(10) })
            .with_no_common_subprotocol(match listen.no_common_subprotocol {
                config::NoCommonSubprotocol::Refuse => ocpp_transport::NoCommonSubprotocol::Refuse,
                config::NoCommonSubprotocol::OpenAndClose => {
                    ocpp_transport::NoCommonSubprotocol::OpenAndClose
                }
            })
            .with_link(link);

        let path = listen.path.clone();
        let versions = listen.versions.iter().copied().map(Version::from).collect::<Vec<_>>();
        let config = Arc::new(LiveConfig::new(config));
        let fleet = Arc::new(Fleet::default());
        let enrolment = Arc::new(Enrolment::new(authority, ledger));
        let desk = Arc::new(Desk {
            config: Arc::clone(&config),
            enrolment: Arc::clone(&enrolment),
            fleet: Arc::clone(&fleet),
        });
        let router = router(&desk, &versions);
        let csms = Csms::bind(transport, router, Door::new(config, enrolment, fleet)).await?;
        let address = csms.local_addr();
        let host = host.unwrap_or_else(|| address.ip().to_string());
        let url = format!("wss://{host}:{}{path}", address.port());
        let reloader = Reloader {
            desk: Arc::clone(&desk),
            csms: csms.handle(),
            token,
            file: None,
            turn: Mutex::default(),
        };
        Ok(Self { csms, control, desk, reloader, metrics: None, url })
    }

    /// Reads its configuration again from this file when it is asked to reload; without it, only the files that the
    /// configuration names.
    #[must_use]
    pub fn with_config_file(mut self, file: PathBuf) -> Self {
        self.reloader.file = Some(file);
        self
    }

    /// Shows operators what these count.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics: Some(metrics), ..self }
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
        let Self { csms, control, desk, reloader, metrics, url } = self;
        let (url, reloader) = (Arc::new(url), Arc::new(reloader));
        let reloads = {
            let reloader = Arc::clone(&reloader);
            reload_signals(async move || match reloader.reload().await {
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(error = in_one_line(error), "nothing was changed by the reload")
                }
            })
        };
        let deliveries = deliver_without_boot(Arc::clone(&desk));
        let sorting = metrics.clone();
        let sorting = async {
            match sorting {
                Some(metrics) => metrics.sort().await,
                None => std::future::pending().await,
            }
        };
        let operators = control.serve(move |request| {
            let (desk, url, reloader) = (Arc::clone(&desk), Arc::clone(&url), Arc::clone(&reloader));
            let metrics = metrics.clone();
            async move {
                match answer(&desk, &url, &reloader, metrics.as_ref(), request).await {
                    Ok(value) => ControlReply::Done(value),
                    Err(reason) => ControlReply::Failed(reason),
                }
            }
        });
        tokio::select! {
            () = csms.serve(shutdown) => {}
            () = operators => {}
            () = deliveries => {}
            () = reloads => {}
            () = sorting => {}
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
            let desk = Arc::clone(&desk);
            deliveries.spawn(async move { desk.see_to(&peer).await });
        }
        while deliveries.try_join_next().is_some() {}
    }
}

/// Carries an operator's command out.
async fn answer<L: Ledger>(
    desk: &Desk<L>,
    url: &str,
    reloader: &Reloader<L>,
    metrics: Option<&Metrics>,
    request: ControlRequest,
) -> Result<Box<RawValue>, String> {
    let ledger = &desk.enrolment.ledger;
    match request {
        ControlRequest::Status => raw(&Status { url: url.to_owned(), stations: desk.fleet.stations() }),
        ControlRequest::Call { station, action, payload } => {
            let peer = connected(desk, &station)?;
            let response = operator::call(&peer, &action, payload.get()).await.map_err(in_one_line)?;
            RawValue::from_string(response).map_err(in_one_line)
        }
        ControlRequest::Certificates => {
            let entries = ledger.certificates(MOST_LISTED).await.map_err(in_one_line)?;
            raw(&entries.into_iter().map(shown).collect::<Vec<_>>())
        }
        ControlRequest::SetPassword { station, password } => {
            let peer = connected(desk, &station)?;
            let password = password.map(|password| Password::from(password.0.as_str()));
            raw(&passwords::change(ledger, &peer, password).await.map_err(in_one_line)?)
        }
        ControlRequest::Metrics => match metrics {
            Some(metrics) => raw(&metrics.text()),
            None => Err("this service counts nothing".to_owned()),
        },
        ControlRequest::Reload => raw(&reloader.reload().await.map_err(in_one_line)?),
        ControlRequest::Release { station } => {
            let config = desk.config.get();
            let record = config.station(&station);
            let record = record
                .ok_or_else(|| format!("{station} is not in the configuration; is it spelled right?"))?;
            ledger.release(&record.identity).await.map_err(in_one_line)?;
            raw(&record.identity)
        }
    }
}

/// The connection of a station that an operator names.
fn connected<L>(desk: &Desk<L>, station: &str) -> Result<Peer, String> {
    let config = desk.config.get();
    let spelling = config.station(station).map_or(station, |record| record.identity.as_str());
    let peer = desk.fleet.peer(spelling);
    peer.ok_or_else(|| format!("{station} is not connected; `ocpp-csms status` shows who is"))
}

/// Puts a changed configuration into force while the service runs.
#[derive(Debug)]
struct Reloader<L> {
    desk: Arc<Desk<L>>,
    csms: CsmsHandle,
    token: Token,
    file: Option<PathBuf>,
    /// One after the other, so that the last one to begin is the one that counts.
    turn: Mutex<()>,
}

impl<L: Ledger> Reloader<L> {
    /// Reads everything again, and changes all of it or nothing.
    async fn reload(&self) -> Result<Reloaded, ServerError> {
        let _turn = self.turn.lock().await;
        let (before, token, file) = (self.desk.config.get(), self.token.clone(), self.file.clone());
        let read = move || {
            let config = match &file {
                Some(file) => Arc::new(read_config(file)?),
                None => Arc::clone(&before),
            };
            match before.needs_restart(&config) {
                Some(section) => Err(ServerError::NeedsRestart { section }),
                None => server_tls(&config, &token).map(|tls| (config, tls)),
            }
        };
        let (config, tls) = spawn_blocking(read).await??;
        self.desk.config.replace(Arc::clone(&config));
        let revoked = self.csms.reload_tls(tls).await?;
        let mut closed = revoked.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut closing = JoinSet::new();
        for peer in self.desk.fleet.peers() {
            let identity = peer.identity().as_str();
            if config.station(identity).is_none() {
                tracing::warn!(
                    station = identity,
                    "it is not in the configuration any more; its connection is closed"
                );
                closed.push(identity.to_owned());
                closing.spawn(async move { peer.close(Close::PolicyViolation).await });
            }
        }
        // Each within its own deadlines.
        closing.join_all().await;
        tracing::info!(stations = config.stations.len(), "the configuration was read again");
        Ok(Reloaded { closed })
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

/// Opens the token, and the authority whose key is in it. Blocks.
fn open_authority(config: &Config) -> Result<(Token, CertificateAuthority), ServerError> {
    fs::create_dir_all(&config.directory)
        .map_err(|source| ServerError::File { path: config.directory.clone(), source })?;
    let mut options = TokenOptions::new();
    options.module = module_from_environment();
    let token = Token::open(&uri("token.uri", &config.token.uri)?, &options)?;
    // A station whose serial number were the CSMS's name could pass for it.
    let mut settings = CaSettings::new(&config.organization).reserved_names(own_name(config)?);
    settings = match &config.ca.profiles_file {
        Some(path) => {
            let profiles = Profiles::from_toml(&read_text(path)?);
            settings
                .profiles(profiles.map_err(|source| ServerError::Profiles { path: path.clone(), source })?)
        }
        None => settings.station_validity(config.certificate_validity()),
    };
    let pem = read_text(&config.ca.certificate_file)?;
    let key = find_key(&token, "ca.key", &config.ca.key)?;
    let mut authority = CertificateAuthority::new(key, &pem, settings)?;
    for issuer in &config.ca.issuers {
        let pem = read_text(&issuer.certificate_file)?;
        let key = find_key(&token, "ca.issuer.key", &issuer.key)?;
        authority = authority.with_issuer(issuer.hierarchy, key, &pem)?;
    }
    Ok((token, authority))
}

fn read_text(path: &Path) -> Result<String, ServerError> {
    fs::read_to_string(path).map_err(|source| ServerError::File { path: path.to_path_buf(), source })
}

/// The common name of the CSMS's own certificate, which stations know it by. Blocks.
fn own_name(config: &Config) -> Result<Option<String>, ServerError> {
    let chain = read_certificates(&config.tls.certificate_file)?;
    Ok(chain.first().and_then(|own| Subject::of(own).ok()).map(|subject| subject.common_name))
}

/// Finds a key in the token. Blocks.
pub(crate) fn find_key(token: &Token, field: &'static str, text: &str) -> Result<Key, ServerError> {
    token.find_key(&uri(field, text)?).map_err(|source| ServerError::Key { field, source })
}

fn uri(field: &'static str, text: &str) -> Result<Uri, ServerError> {
    text.parse().map_err(|source| ServerError::Uri { field, source })
}

/// Reads a configuration; its relative paths are seen from its folder. Blocks.
///
/// # Errors
/// [`ServerError::File`] and [`ServerError::Config`].
pub fn read_config(path: &Path) -> Result<Config, ServerError> {
    let file_error = |source| ServerError::File { path: path.to_path_buf(), source };
    let text = fs::read_to_string(path).map_err(file_error)?;
    let config =
        Config::parse(&text).map_err(|source| ServerError::Config { path: path.to_path_buf(), source })?;
    let absolute = path.canonicalize().map_err(file_error)?;
    Ok(config.relative_to(absolute.parent().unwrap_or(&absolute)))
}

/// Between two looks for stations that have connected without BootNotification; one that boots does so within it.
const DELIVERY_ROUND: Duration = Duration::from_secs(5);

/// Certificates that one command lists.
const MOST_LISTED: u32 = 1000;
