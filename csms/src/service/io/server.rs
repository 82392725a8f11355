//! The whole service: token, authority, TLS, ledger, stations and operators.

use std::{
    future::Future,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ocpp_transport::{Csms, CsmsConfig, LinkSettings, MessageRate, record_frames};
use program::causes;
use tokio::{sync::Mutex, task::spawn_blocking, time::sleep};

use crate::{
    config::{self, Config, live::LiveConfig},
    fleet::{
        Fleet,
        io::{deliveries::deliver_without_boot, renewals::keep_renewed},
    },
    ledger::{
        Ledger,
        io::{folder::FolderLock, marks::Reach, open, sqlite::guard::LedgerLost},
    },
    service::io::{
        clock::ServiceClock,
        control::{ControlSocket, check_length},
        metrics::Metrics,
        operator_api::OperatorApi,
        reload::{Reloader, reload_signals},
        server_error::ServerError,
    },
    signing::{
        io::{
            authority::{Authority, own_name},
            ocsp::{Inquiries, read_authorities},
            token::open_token,
            upkeep::Upkeep,
        },
        serving::When,
    },
    stations::{
        io::{
            admission::AdmissionControl, delivery::Deliveries, enrolment::Enrolment, forward::forward,
            handlers::router, login::logins::Logins, lookup::StationLookup, registry::StationRegistry,
            stations::Stations,
        },
        login::GuessLimits,
        registry::Station,
    },
};

/// The certificate service, bound to its addresses.
#[derive(Debug)]
pub struct Server {
    csms: Csms,
    control: ControlSocket,
    operators: OperatorApi,
    ledger: Ledger,
    /// Held as long as the ledger is used.
    lock: FolderLock,
}

impl Server {
    /// Opens token and ledger and binds the addresses.
    ///
    /// `frames`: append each frame to this file, one JSON object per line.
    ///
    /// # Errors
    /// [`ServerError`].
    ///
    /// # Cancel safety
    /// Dropping the future releases everything.
    pub async fn bind(config: Config, frames: Option<&Path>) -> Result<Self, ServerError> {
        // Faults of the configuration are reported before anything is opened.
        check_length(&config.control_socket())?;
        let open = move || open_token(&config).map(|token| (config, token));
        let (config, token) = spawn_blocking(open).await??;
        // No entry is appended to a record that was changed or is older than its marks.
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
        // A list that is a little old, or a certificate that has not expired yet, is still served.
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
        let versions = listen.versions.clone();
        let config = Arc::new(LiveConfig::new(config));
        let fleet = Arc::new(Fleet::default());
        let deliveries = Arc::new(Deliveries::new(ledger.clone(), clock.clone()));
        let enrolment = Enrolment::new(authority, ledger.clone(), clock.clone(), Arc::clone(&deliveries));
        let stations = StationLookup::new(Arc::clone(&config), ledger.clone());
        name_conflicts(&config.get(), &ledger).await?;
        let operated = Stations::new(Arc::clone(&config), ledger.clone());
        let registry = Arc::new(StationRegistry {
            config: Arc::clone(&config),
            stations: stations.clone(),
            ledger: ledger.clone(),
            enrolment: Arc::new(enrolment),
            deliveries,
            fleet: Arc::clone(&fleet),
            inquiries: Inquiries::new(authorities, clock.clone()),
        });
        let router = router(&registry, &versions);
        let guesses = GuessLimits {
            per_station: limits.wrong_passwords_per_station,
            per_address: limits.wrong_passwords_per_address,
            under_way: limits.logins_per_address,
        };
        let logins = Arc::new(Logins::start(guesses).map_err(ServerError::Workers)?);
        let admission = AdmissionControl::new(stations, ledger.clone(), fleet, Arc::clone(&logins));
        let csms = Csms::bind(transport, router, admission).await?;
        let address = csms.local_addr();
        let host = host.unwrap_or_else(|| address.ip().to_string());
        let url = format!("wss://{host}:{}{path}", address.port());
        let reloader = Reloader { registry, csms: csms.handle(), upkeep, file: None, turn: Mutex::default() };
        Ok(Self {
            csms,
            control,
            operators: OperatorApi { reloader, stations: operated, logins, metrics: None, url },
            ledger,
            lock,
        })
    }

    /// Sets the file from which a reload reads the configuration. Without it, only the files that
    /// the configuration names are read again.
    #[must_use]
    pub fn with_config_file(mut self, file: PathBuf) -> Self {
        self.operators.reloader.file = Some(file);
        self
    }

    /// Sets the metrics that operators are shown.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.operators.metrics = Some(metrics);
        self
    }

    /// What an operator does with the stations. It may be used as long as the server is served.
    #[must_use]
    pub fn stations(&self) -> Stations {
        self.operators.stations.clone()
    }

    /// The URL that stations connect to, without their identity.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.operators.url
    }

    /// Serves stations and operators until `shutdown` is ready, then closes all connections in
    /// order.
    ///
    /// # Errors
    /// [`ServerError::Lost`] if the ledger's files were removed or replaced. Nothing is promised
    /// after that.
    ///
    /// # Cancel safety
    /// Dropping the future cuts all connections. What was answered is in the ledger.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<(), ServerError> {
        let Self { csms, control, operators, ledger, lock } = self;
        let operators = Arc::new(operators);
        let registry = &operators.reloader.registry;
        let reloads = {
            let operators = Arc::clone(&operators);
            reload_signals(async move || match operators.reloader.reload().await {
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(error = %causes(&error), "the reload failed and changed nothing")
                }
            })
        };
        let deliveries = deliver_without_boot(Arc::clone(registry));
        let forwarding = forward(Arc::clone(registry));
        let noticing = operators.logins.watch();
        let keeping = keep_renewed(&operators.reloader);
        let watching = operators.reloader.upkeep.clock().keep();
        let sorting = operators.metrics.clone();
        let sorting = async {
            match sorting {
                Some(metrics) => metrics.sort().await,
                None => std::future::pending().await,
            }
        };
        let commands = control.serve(Arc::clone(&operators));
        let mut lost = None;
        tokio::select! {
            () = csms.serve(shutdown) => {}
            found = watch(&ledger) => lost = Some(found),
            never = ledger.keep_marks() => match never {},
            () = commands => {}
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

/// Logs each station whose identity or serial number is in the file and in the ledger with other
/// values.
async fn name_conflicts(config: &Config, ledger: &Ledger) -> Result<(), ServerError> {
    let in_file = config.stations.iter().map(Station::from).collect::<Vec<_>>();
    for other in ledger.taken(&in_file).await? {
        let same =
            |one: &&Station| one.identity == other.identity || one.serial_number == other.serial_number;
        for station in in_file.iter().filter(same) {
            if station.identity != other.identity
                || station.serial_number != other.serial_number
                || station.password_hash != other.password_hash
            {
                tracing::warn!(
                    station = %station.identity,
                    serial_number = station.serial_number,
                    station_of_ledger = %other.identity,
                    serial_number_of_ledger = other.serial_number,
                    "a station is in the configuration file and in the ledger with other values; the file counts; \
                     remove it from one of them"
                );
            }
        }
    }
    Ok(())
}

/// Ready when the ledger's files are lost. Saves what can be saved.
async fn watch(ledger: &Ledger) -> LedgerLost {
    loop {
        sleep(WATCH_INTERVAL).await;
        if let Err(lost) = ledger.state.check_files() {
            let saved = ledger.rescue().await;
            // The database lacks what was promised, and the next start has to notice it, too.
            if matches!(lost, LedgerLost::WentBack { .. } | LedgerLost::Forked { .. })
                && let Err(error) = ledger.advance_marks(Reach::Everywhere).await
            {
                tracing::error!(error = %causes(&error), "the high-water mark was not advanced");
            }
            tracing::error!(error = %causes(&lost), saved, "the ledger is lost, and the service ends");
            return lost;
        }
    }
}

/// The interval between two checks of the ledger's files; each change checks them too.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
