//! The agent: connects, boots, serves the CSMS, and reconnects with new certificates.

pub(crate) mod error;

use std::{
    future::Future,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use ocpp_transport::{Supervisor, record_frames};
use signer_pkcs11::{Subject, Token, TokenOptions, module_from_environment};
use station_store::{CertificateSigningUse, Store};

pub use self::error::AgentError;
use crate::{
    config::Config,
    io::{
        RenewError,
        certificates::{handlers::CertificateHandlers, statuses::StatusKeeper},
        connection::{
            clock::Clock,
            confirmation::Confirmation,
            connecting::{Connecting, Frames},
            link::LinkState,
            online::OnlineTasks,
            security::AttemptSecurity,
            signals::Signals,
            state::ConnectionState,
        },
        control::{
            commands::LocalCommands,
            serving::{bind, serve_commands},
            socket::ControlSocket,
        },
        csms::{Boot, BootReason},
        device_model::{file::ModelFile, handlers::ModelHandlers, opening::open_model},
        disk::{
            faults::DiskFaults, last_slot::LastSlot, opening::open_store_of, password::read_password,
            repair::DiskRepair, store::StationStore,
        },
        enrolment::{disposal::KeyDisposal, keyring::Keyring},
        handlers::{parts::Handlers, station::StationHandlers},
        renewal::{driver::RenewalDriver, requests::Renewals, state::RenewalState},
        security_events::{log::SecurityLog, recorder::SecurityEvents},
    },
    security_events::SecurityEvent,
};

/// A charging station that serves its CSMS.
#[derive(Debug)]
pub struct Agent {
    config: Config,
    connecting: Connecting,
    renewals: Arc<Renewals>,
    driver: Arc<RenewalDriver>,
    disposal: Arc<KeyDisposal>,
    repair: Arc<DiskRepair>,
    signals: Arc<Signals>,
    commands: LocalCommands,
    /// The socket for local commands. `None` if it could not be created.
    control: Option<ControlSocket>,
}

/// Access to a running agent for its owner. Clones are handles to the same agent.
#[derive(Clone, Debug)]
pub struct AgentHandle {
    renewals: Arc<Renewals>,
}

impl AgentHandle {
    /// The agent's store, for other parts of the same process: a display, an ISO 15118 stack.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.renewals.store
    }

    /// Asks for new certificates for `use_`, as a trigger of the CSMS does. For vehicles, these are
    /// the certificates of the SECCs that serve `evse`, or of all SECCs. Returns when it is durable
    /// that they will be requested. Replaces a request for the same use that is under way.
    ///
    /// # Errors
    /// [`RenewError`]. Nothing is requested then.
    ///
    /// # Cancel safety
    /// The certificates may be requested even if the future is dropped.
    pub async fn renew(&self, use_: CertificateSigningUse, evse: Option<i64>) -> Result<(), RenewError> {
        self.renewals.renew(use_, evse).await
    }
}

/// Why an agent has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Its owner requested the stop.
    Shutdown,
    /// The CSMS requested a restart: open another agent, with the reason `RemoteReset`.
    Reset,
}

impl Agent {
    /// Opens the token and the store, and finishes work that a crash interrupted. Blocks.
    ///
    /// `frames`: append every frame to this file, one JSON object per line.
    ///
    /// # Errors
    /// [`AgentError`].
    pub fn open(config: Config, frames: Option<&Path>) -> Result<Self, AgentError> {
        let password = read_password(&config)?;
        let mut options = TokenOptions::configured(&config.token);
        options.module = module_from_environment();
        let token = Token::open(&config.token.uri, &options)?;
        let faults = Arc::new(DiskFaults::new(config.directory.clone()));
        let model = open_model(&config, password, Arc::clone(&faults))?;
        let organization = model.current().organization().to_owned();
        let store = StationStore::new(open_store_of(&config, &organization)?, Arc::clone(&faults));
        let store = Arc::new(store);
        let control = bind(&config, &faults);
        let subject = Subject::new(&config.station.serial_number, organization);
        let keyring = Keyring::restore(token, Arc::clone(&store), subject)
            .with_algorithms(config.certificates.key_algorithms.clone());
        let frames = match frames {
            Some(path) => {
                let failed = |source| AgentError::Frames { path: path.display().to_string(), source };
                Some(Frames(record_frames(path).map_err(failed)?))
            }
            None => None,
        };
        let failed = |source| AgentError::Events { path: config.directory.display().to_string(), source };
        let events = SecurityLog::open(&config.directory, Arc::clone(&faults)).map_err(failed)?;
        let last_slot = LastSlot::open(&config.directory, Arc::clone(&faults));
        let opened = Opened {
            store,
            keyring: Arc::new(keyring),
            model: Arc::new(model),
            events: Arc::new(SecurityEvents::new(events)),
            last_slot: Arc::new(last_slot),
            faults,
            control,
            frames,
        };
        Ok(Self::assemble(config, opened))
    }

    /// Connects the parts of the agent to each other.
    fn assemble(config: Config, opened: Opened) -> Self {
        let Opened { store, keyring, model, events, last_slot, faults, control, frames } = opened;
        let state = RenewalState::restore(&store, &model.current(), SystemTime::now());
        let state = Arc::new(state);
        let connection = Arc::new(ConnectionState::new());
        let signals = Arc::new(Signals::default());
        let link = Arc::new(LinkState::default());
        let disposal = Arc::new(KeyDisposal::new(Arc::clone(&keyring)));
        let statuses = Arc::new(StatusKeeper::new(Arc::clone(&store)));
        let renewals = Arc::new(Renewals {
            state: Arc::clone(&state),
            store: Arc::clone(&store),
            keyring: Arc::clone(&keyring),
            model: Arc::clone(&model),
            disposal: Arc::clone(&disposal),
        });
        events.record(SecurityEvent::StartupOfTheDevice, "the certificate agent has started");
        let skew = Duration::from_secs(config.certificates.clock_skew_s.into());
        let handlers = Handlers {
            station: Arc::new(StationHandlers {
                connection: Arc::clone(&connection),
                signals: Arc::clone(&signals),
                renewals: Arc::clone(&renewals),
            }),
            certificates: Arc::new(CertificateHandlers {
                connection: Arc::clone(&connection),
                signals: Arc::clone(&signals),
                store: Arc::clone(&store),
                renewals: Arc::clone(&state),
                events: Arc::clone(&events),
                disposal: Arc::clone(&disposal),
                statuses: Arc::clone(&statuses),
            }),
            model: Arc::new(ModelHandlers {
                connection: Arc::clone(&connection),
                signals: Arc::clone(&signals),
                store: Arc::clone(&store),
                model: Arc::clone(&model),
                certificates: config.certificates.clone(),
                renewals: Arc::clone(&state),
                events: Arc::clone(&events),
            }),
        };
        let online = OnlineTasks {
            boot: boot(&config),
            connection: Arc::clone(&connection),
            signals: Arc::clone(&signals),
            model: Arc::clone(&model),
            events: Arc::clone(&events),
            renewals: Arc::clone(&state),
            statuses: Arc::clone(&statuses),
            clock: Clock::new(skew, SystemTime::now()),
            booted: Mutex::default(),
        };
        let commands = LocalCommands {
            connection: Arc::clone(&connection),
            link: Arc::clone(&link),
            store: Arc::clone(&store),
            model: Arc::clone(&model),
            events: Arc::clone(&events),
            faults: Arc::clone(&faults),
            renewals: Arc::clone(&renewals),
            max_roots: config.certificates.max_entries.into(),
        };
        let repair = Arc::new(DiskRepair {
            faults: Arc::clone(&faults),
            store: Arc::clone(&store),
            model: Arc::clone(&model),
            events: Arc::clone(&events),
            last_slot: Arc::clone(&last_slot),
        });
        let driver = RenewalDriver::new(Arc::clone(&renewals), Arc::clone(&faults), statuses, skew);
        let connecting = Connecting {
            config: config.clone(),
            model: Arc::clone(&model),
            link,
            security: AttemptSecurity::new(Arc::clone(&store), keyring, skew, last_slot.worked()),
            confirmation: Confirmation {
                state: connection,
                store,
                model,
                last_slot,
                faults,
                events,
                renewals: state,
                disposal: Arc::clone(&disposal),
                running: Arc::default(),
            },
            handlers,
            online,
            frames,
            attempting: Mutex::default(),
        };
        let driver = Arc::new(driver);
        Self { config, connecting, renewals, driver, disposal, repair, signals, commands, control }
    }

    /// Sets the boot reason in BootNotification; the default is power-up.
    #[must_use]
    pub fn with_boot_reason(mut self, reason: BootReason) -> Self {
        self.connecting.set_boot_reason(reason);
        self
    }

    /// A handle to the agent while it runs.
    #[must_use]
    pub fn handle(&self) -> AgentHandle {
        AgentHandle { renewals: Arc::clone(&self.renewals) }
    }

    /// Stays connected until `shutdown` is ready or the CSMS requests a reset. Failures on the way
    /// are logged, and the agent tries again.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection. Everything that was answered is durable.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Ended {
        let Self { config, connecting, renewals: _, driver, disposal, repair, signals, commands, control } =
            self;
        let mut ended = Ended::Shutdown;
        let stop = async {
            tokio::select! {
                () = shutdown => {}
                () = signals.reset.notified() => ended = Ended::Reset,
            }
        };
        let worked = connecting.last_slot();
        let mut supervisor = Supervisor::new(connecting);
        if let Some(slot) = worked {
            supervisor = supervisor.with_last_that_worked(slot);
        }
        // The work that does not depend on the connection; it never ends by itself.
        tokio::select! {
            () = supervisor.run(stop) => {}
            () = driver.run() => {}
            () = disposal.run() => {}
            () = repair.run() => {}
            () = serve_commands(config, control, commands) => {}
        }
        ended
    }
}

/// The parts that were opened on the disk and in the token.
struct Opened {
    store: Arc<StationStore>,
    keyring: Arc<Keyring>,
    model: Arc<ModelFile>,
    events: Arc<SecurityEvents>,
    last_slot: Arc<LastSlot>,
    faults: Arc<DiskFaults>,
    control: Option<ControlSocket>,
    frames: Option<Frames>,
}

fn boot(config: &Config) -> Boot {
    let station = &config.station;
    Boot {
        model: station.model.clone(),
        vendor: station.vendor.clone(),
        serial_number: station.serial_number.clone(),
        firmware_version: station.firmware_version.clone(),
        reason: BootReason::default(),
    }
}
