//! The service as a whole: token, authority, TLS, ledger, stations and operators.

use std::{
    future::Future,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ocpp_transport::{Csms, CsmsConfig, LinkSettings, MessageRate, record_frames};
use ocpp_types::Version;
use tokio::{
    sync::Mutex,
    task::{JoinSet, spawn_blocking},
    time::sleep,
};

use crate::{
    causes::in_one_line,
    config::{self, Config},
    control::ControlReply,
    fleet::Fleet,
    io::{
        admission::Door,
        authority::{Authority, open_token, own_name},
        control::ControlSocket,
        enrolment::Enrolment,
        forward::forward,
        handlers::{Desk, router},
        metrics::Metrics,
        ocsp::{Inquiries, read_authorities},
        operate::{Office, answer},
        reload::Reloader,
        reload_signals,
        server_error::ServerError,
        sqlite::SqliteLedger,
        tls::server_tls,
        upkeep::{Upkeep, When},
    },
    ledger::Ledger,
    live::LiveConfig,
};

/// The certificate service, bound to its addresses.
#[derive(Debug)]
pub struct Server {
    csms: Csms,
    control: ControlSocket,
    office: Office,
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
        let open = move || open_token(&config).map(|token| (config, token));
        let (config, token) = spawn_blocking(open).await??;
        let ledger = SqliteLedger::open(&config.ledger_file()).await?;
        // Nothing is appended to a record that is not as it was written.
        ledger.verify_record(None).await?;
        let control = ControlSocket::bind(&config.control_socket()).await?;
        let record = Arc::new(ledger.clone());
        let open = move || {
            let authority = Authority::open(&config, token.as_ref(), record)?;
            Ok::<_, ServerError>((config, token, Arc::new(authority)))
        };
        let (config, token, authority) = spawn_blocking(open).await??;
        let upkeep = Arc::new(Upkeep::new(Arc::clone(&authority), ledger.clone(), token, &config));
        // Stations are served with a list that is a little old, and with a certificate that is not over yet.
        if let Err(error) = upkeep.issue_own(&config, When::Due).await {
            tracing::error!(error = in_one_line(error), "the CSMS's own certificate was not renewed");
        }
        if let Err(error) = upkeep.sign_lists(&config, When::Due).await {
            tracing::error!(error = in_one_line(error), "a list of revoked certificates was not renewed");
        }
        let read = {
            let upkeep = Arc::clone(&upkeep);
            move || {
                let tls = server_tls(&config, upkeep.token(), &upkeep.list_files())?;
                let (host, authorities) = (own_name(&config)?, read_authorities(&config.ocsp)?);
                Ok::<_, ServerError>((config, tls, host, authorities))
            }
        };
        let (config, tls, host, authorities) = spawn_blocking(read).await??;

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
            inquiries: Inquiries::new(authorities),
        });
        let router = router(&desk, &versions);
        let csms = Csms::bind(transport, router, Door::new(config, enrolment, fleet)).await?;
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
        Ok(Self { csms, control, office: Office { reloader, metrics: None, url } })
    }

    /// Reads its configuration again from this file when it is asked to reload; without it, only the files that the
    /// configuration names.
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

    /// Serves stations and operators until `shutdown` is ready, then closes every connection in order.
    ///
    /// # Cancel safety
    /// Dropping the future cuts all connections; what was answered is in the ledger.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let Self { csms, control, office } = self;
        let office = Arc::new(office);
        let desk = &office.reloader.desk;
        let reloads = {
            let office = Arc::clone(&office);
            reload_signals(async move || match office.reloader.reload().await {
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(error = in_one_line(error), "nothing was changed by the reload")
                }
            })
        };
        let deliveries = deliver_without_boot(Arc::clone(desk));
        let forwarding = forward(Arc::clone(desk));
        let keeping = office.reloader.upkeep.keep(&office.reloader);
        let sorting = office.metrics.clone();
        let sorting = async {
            match sorting {
                Some(metrics) => metrics.sort().await,
                None => std::future::pending().await,
            }
        };
        let operators = {
            let office = Arc::clone(&office);
            control.serve(move |request| {
                let office = Arc::clone(&office);
                async move {
                    match answer(&office, request).await {
                        Ok(value) => ControlReply::Done(value),
                        Err(reason) => ControlReply::Failed(reason),
                    }
                }
            })
        };
        tokio::select! {
            () = csms.serve(shutdown) => {}
            () = operators => {}
            () = deliveries => {}
            never = forwarding => match never {},
            () = keeping => {}
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

/// Between two looks for stations that have connected without BootNotification; one that boots does so within it.
const DELIVERY_ROUND: Duration = Duration::from_secs(5);
