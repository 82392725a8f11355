//! The service as a whole: token, authority, TLS, ledger, stations and operators.

use std::{
    future::Future,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ocpp_transport::{Csms, CsmsConfig, LinkSettings, MessageRate, record_frames};
use ocpp_types::Version;
use program::causes;
use tokio::{
    sync::Mutex,
    task::{JoinSet, spawn_blocking},
    time::sleep,
};

use crate::{
    config::{self, Config, live::LiveConfig},
    fleet::Fleet,
    ledger::{
        Ledger,
        io::{
            folder::FolderLock,
            open,
            sqlite::{database::SqliteLedger, guard::LedgerLost},
        },
    },
    service::io::{
        clock::{ServiceClock, unix_now},
        control::{ControlSocket, check_length},
        metrics::Metrics,
        operator_api::Office,
        reload::{Reloader, reload_signals},
        server_error::ServerError,
    },
    signing::io::{
        authority::{Authority, open_token, own_name},
        ocsp::{Inquiries, read_authorities},
        upkeep::{Upkeep, When},
    },
    stations::{
        io::{
            admission::Door,
            enrolment::Enrolment,
            forward::forward,
            handlers::{Desk, router},
            login::logins::Logins,
        },
        login::GuessLimits,
    },
};

/// The certificate service, bound to its addresses.
#[derive(Debug)]
pub struct Server {
    csms: Csms,
    control: ControlSocket,
    office: Office,
    ledger: SqliteLedger,
    /// Held as long as the ledger is used.
    lock: FolderLock,
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
        // What is wrong in the configuration is reported before anything is opened.
        check_length(&config.control_socket())?;
        let open = move || open_token(&config).map(|token| (config, token));
        let (config, token) = spawn_blocking(open).await??;
        // Nothing is appended to a record that is not as it was written, or is older than it was.
        let (ledger, lock) = open::open(&config, token.as_ref()).await?;
        let control = ControlSocket::bind(&config.control_socket()).await?;
        let record = Arc::new(ledger.clone());
        let clock = ServiceClock::new(config.clock_doubt);
        let opening_clock = clock.clone();
        let open = move || {
            let authority = Authority::open(&config, token.as_ref(), record, opening_clock)?;
            Ok::<_, ServerError>((config, token, Arc::new(authority)))
        };
        let (config, token, authority) = spawn_blocking(open).await??;
        let upkeep =
            Arc::new(Upkeep::new(Arc::clone(&authority), ledger.clone(), token, clock.clone(), &config));
        // Stations are served with a list that is a little old, and with a certificate that is not
        // over yet.
        if let Err(error) = upkeep.issue_own(&config, When::Due).await {
            tracing::error!(error = %causes(&error), "the CSMS's own certificate was not renewed");
        }
        if let Err(error) = upkeep.sign_lists(&config, When::Due).await {
            tracing::error!(error = %causes(&error), "a list of revoked certificates was not renewed");
        }
        let read = {
            let upkeep = Arc::clone(&upkeep);
            move || {
                let tls = upkeep.tls(&config)?;
                let (host, authorities) = (own_name(&config)?, read_authorities(&config.ocsp)?);
                Ok::<_, ServerError>((config, tls, host, authorities))
            }
        };
        let (config, tls, host, authorities) = spawn_blocking(read).await??;

        if !config.tls.request_client_certificate {
            tracing::warn!(
                "tls.request_client_certificate is off: a station cannot connect with the certificate that it gets here"
            );
        }
        let listen = &config.listen;
        let mut link = LinkSettings::default()
            .with_ping_interval(listen.ping_interval)
            .with_ping_timeout(listen.ping_timeout);
        if let Some(path) = frames {
            let tap = record_frames(path).map_err(ServerError::file(path))?;
            link = link.with_tap(tap);
        }
        let limits = listen.limits;
        let per_second = listen.messages_per_second;
        let transport = CsmsConfig::new(listen.address, tls)
            .with_base_path(listen.path.clone())
            .with_max_connections(limits.connections)
            .with_max_pending(limits.pending)
            .with_max_handshakes(limits.handshakes)
            .with_max_handshakes_per_address(limits.handshakes_per_address)
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
        let enrolment = Arc::new(Enrolment::new(authority, ledger.clone(), clock.clone()));
        let desk = Arc::new(Desk {
            config: Arc::clone(&config),
            enrolment: Arc::clone(&enrolment),
            fleet: Arc::clone(&fleet),
            inquiries: Inquiries::new(authorities, clock.clone()),
        });
        let router = router(&desk, &versions);
        let guesses = GuessLimits {
            per_station: limits.wrong_passwords_per_station,
            per_address: limits.wrong_passwords_per_address,
            under_way: limits.logins_per_address,
        };
        let logins = Arc::new(Logins::start(guesses).map_err(ServerError::Workers)?);
        let door = Door::new(config, enrolment, fleet, Arc::clone(&logins));
        let csms = Csms::bind(transport, router, door).await?;
        let address = csms.local_addr();
        let host = host.unwrap_or_else(|| address.ip().to_string());
        let url = format!("wss://{host}:{}{path}", address.port());
        let reloader = Reloader {
            desk: Arc::clone(&desk),
            csms: csms.handle(),
            upkeep,
            file: None,
            turn: Mutex::default(),
        };
        Ok(Self { csms, control, office: Office { reloader, logins, metrics: None, url }, ledger, lock })
    }

    /// Reads its configuration again from this file when it is asked to reload; without it, only
    /// the files that the configuration names.
    #[must_use]
    pub fn with_config_file(mut self, file: PathBuf) -> Self {
        self.office.reloader.file = Some(file);
        self
    }

    /// Shows operators what these count.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.office.metrics = Some(metrics);
        self
    }

    /// The URL that stations connect to, without their identity.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.office.url
    }

    /// Serves stations and operators until `shutdown` is ready, then closes every connection in
    /// order.
    ///
    /// # Errors
    /// [`ServerError::Lost`] where the ledger's files were removed or replaced: nothing is promised
    /// from then on.
    ///
    /// # Cancel safety
    /// Dropping the future cuts all connections; what was answered is in the ledger.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<(), ServerError> {
        let Self { csms, control, office, ledger, lock } = self;
        let office = Arc::new(office);
        let desk = &office.reloader.desk;
        let reloads = {
            let office = Arc::clone(&office);
            reload_signals(async move || match office.reloader.reload().await {
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(error = %causes(&error), "nothing was changed by the reload")
                }
            })
        };
        let deliveries = deliver_without_boot(Arc::clone(desk));
        let forwarding = forward(Arc::clone(desk));
        let noticing = office.logins.watch();
        let keeping = office.reloader.upkeep.keep(&office.reloader);
        let watching = office.reloader.upkeep.clock().keep();
        let sorting = office.metrics.clone();
        let sorting = async {
            match sorting {
                Some(metrics) => metrics.sort().await,
                None => std::future::pending().await,
            }
        };
        let operators = control.serve(Arc::clone(&office));
        let mut lost = None;
        tokio::select! {
            () = csms.serve(shutdown) => {}
            found = watch(&ledger) => lost = Some(found),
            never = ledger.keep_marks() => match never {},
            () = operators => {}
            () = deliveries => {}
            never = forwarding => match never {},
            () = noticing => {}
            () = keeping => {}
            never = watching => match never {},
            () = reloads => {}
            () = sorting => {}
        }
        let ended = match lost {
            None => ledger.finish().await,
            Some(lost) => Err(lost.into()),
        };
        drop(lock);
        ended
    }
}

/// Ready when the ledger's files are lost. Saves what can be saved.
async fn watch(ledger: &SqliteLedger) -> LedgerLost {
    loop {
        sleep(WATCH_INTERVAL).await;
        if let Err(lost) = ledger.check_files() {
            let saved = ledger.rescue().await;
            tracing::error!(error = %causes(&lost), saved, "the ledger is lost, and the service ends");
            return lost;
        }
    }
}

/// Delivers what is due again after a wait, and what is due to stations that connect again without
/// BootNotification, as they may: after
/// a crash of this service, or a connection that broke between SignCertificate and
/// CertificateSigned.
async fn deliver_without_boot<L: Ledger>(handlers: Arc<Desk<L>>) {
    let mut deliveries = JoinSet::new();
    loop {
        sleep(DELIVERY_ROUND).await;
        for peer in handlers.fleet.take_unbooted() {
            let handlers = Arc::clone(&handlers);
            deliveries.spawn(async move { handlers.see_to(&peer).await });
        }
        let due = handlers.enrolment.ledger.due_again(unix_now()).await;
        let due = due.unwrap_or_else(|error| {
            tracing::error!(error = %causes(&error), "which certificates to send again is not known");
            Vec::new()
        });
        for station in due {
            if let Some(peer) = handlers.fleet.peer(&station) {
                let handlers = Arc::clone(&handlers);
                deliveries.spawn(async move { handlers.enrolment.deliver_again(&peer).await });
            }
        }
        while deliveries.try_join_next().is_some() {}
    }
}

/// Between two looks for stations that have connected without BootNotification; one that boots does
/// so within it.
const DELIVERY_ROUND: Duration = Duration::from_secs(5);

/// Between two looks at the ledger's files; each change looks at them too.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
