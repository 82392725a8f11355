//! The agent: connects, boots, serves the CSMS, and connects again with what it has got.

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
    /// Where local commands come in; `None` where it could not be made.
    control: Option<ControlSocket>,
}

/// What the owner of an agent may ask of it while it runs. Clones are handles to the same agent.
#[derive(Clone, Debug)]
pub struct AgentHandle {
    renewals: Arc<Renewals>,
}

impl AgentHandle {
    /// The agent's store, for what is in one process with it: a display, an ISO 15118 stack.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.renewals.store
    }

    /// Asks for new certificates for `use_`, as a trigger of the CSMS does: for vehicles those of
    /// the SECCs that serve `evse`, or of all. Returns when it is durable that they will be asked
    /// for; what is under way for the same use is replaced.
    ///
    /// # Errors
    /// [`RenewError`]; nothing is asked for then.
    ///
    /// # Cancel safety
    /// They may be asked for all the same.
    pub async fn renew(&self, use_: CertificateSigningUse, evse: Option<i64>) -> Result<(), RenewError> {
        self.renewals.renew(use_, evse).await
    }
}

/// Why an agent has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to, by its owner.
    Shutdown,
    /// The CSMS asked it to start again: open another one, with the reason `RemoteReset`.
    Reset,
}

impl Agent {
    /// Opens token and store and finishes what a crash interrupted. Blocks.
    ///
    /// `frames`: append every frame to this file, one JSON object a line.
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

    /// Gives each part of the agent what it needs of the others.
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

    /// Says in BootNotification why the station starts; without it, that its power came up.
    #[must_use]
    pub fn with_boot_reason(mut self, reason: BootReason) -> Self {
        self.connecting.set_boot_reason(reason);
        self
    }

    /// What may be asked of the agent while it runs.
    #[must_use]
    pub fn handle(&self) -> AgentHandle {
        AgentHandle { renewals: Arc::clone(&self.renewals) }
    }

    /// Stays connected until `shutdown` is ready or the CSMS wants a reset. What goes wrong on the
    /// way is logged and tried again.
    ///
    /// # Cancel safety
    /// Dropping the future cuts the connection; what was answered is durable.
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
        // What the station does whether it is connected or not; it never ends by itself.
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

/// What was opened on the disk and in the token.
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
