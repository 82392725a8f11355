//! The agent: connects, boots, serves the CSMS, and connects anew with what it has got.

use std::{
    collections::BTreeMap,
    future::Future,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use ocpp_transport::{
    CallFailure, FrameTap, Password, Peer, Registration, SecurityProfile, Supervisor, record_frames,
};
use ocpp_types::{
    BoundedString, TooLong, Version,
    v201::{NetworkConnectionProfileType, OCPPInterfaceEnumType, OCPPTransportEnumType, OCPPVersionEnumType},
};
use program::causes;
use signer_pkcs11::{Subject, Token, TokenError, TokenOptions, UriError, module_from_environment};
use station_store::{CertificateSigningUse, Store};
use tokio::time::sleep;

use crate::{
    config::{Config, ConfigError},
    device_model::{Defaults, NetworkConfiguration, Variable},
    io::{
        ModelError, OpenStoreError, ReadPasswordError, RenewError,
        clock::Clock,
        connecting::Attempting,
        control::ControlSocket,
        csms::{self, AskError, Boot, BootReason, Reporting},
        disk_faults::{DiskFaults, DiskFile},
        disk_repair::{LONGEST_WAIT, SHORTEST_WAIT},
        enrolment::Keyring,
        folder::make_folder,
        handlers::{Shared, on_blocking_thread},
        last_slot::LastSlot,
        locking::lock,
        model_file::ModelFile,
        open_store_of, read_password,
        security_log::SecurityLog,
        store::StationStore,
    },
    reconnect::RootChoice,
    security_events::{MAX_REFUSALS, SecurityEvent},
};

/// A charging station that serves its CSMS.
#[derive(Debug)]
pub struct Agent {
    pub(super) config: Config,
    boot: Boot,
    pub(super) shared: Arc<Shared>,
    pub(super) frames: Option<Frames>,
    /// With what the attempt in hand is made.
    pub(super) attempting: Mutex<Attempting>,
    /// On which CSMS root the next attempt relies.
    pub(super) root_choice: Mutex<RootChoice>,
    clock: Clock,
    /// Where local commands come in; `None` where it could not be made.
    control: Option<ControlSocket>,
    /// Held while the certificate of a connection is being confirmed.
    pub(super) confirming: Arc<tokio::sync::Mutex<()>>,
    /// On which slot, under which profile and in which version the CSMS has accepted the station.
    pub(super) booted: Mutex<Option<(u32, SecurityProfile, Version)>>,
}

/// Why the agent cannot start, or had to stop.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// A value of the configuration breaks a rule.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A value of the configuration is longer than a message carries.
    #[error("the configuration holds a text that no message can carry")]
    TooLong(#[from] TooLong),
    /// The password cannot be read.
    #[error(transparent)]
    Password(#[from] ReadPasswordError),
    /// The token's URI is none.
    #[error("token.uri in the configuration is no PKCS #11 URI")]
    TokenUri(#[from] UriError),
    /// The token cannot be opened.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The device model cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenStoreError),
    /// The security events of before cannot be read.
    #[error("cannot read the security events in {path}; check the permissions of the folder")]
    Events {
        /// The folder.
        path: String,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// The record of frames cannot be written.
    #[error("cannot write the frames to {path}")]
    Frames {
        /// The file.
        path: String,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
}

/// What the owner of an agent may ask of it while it runs. Clones are handles to the same agent.
#[derive(Clone, Debug)]
pub struct AgentHandle {
    shared: Arc<Shared>,
}

impl AgentHandle {
    /// The agent's store, for what is in one process with it: a display, an ISO 15118 stack.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    /// Asks for new certificates for `use_`, as a trigger of the CSMS does: for vehicles those of the SECCs that serve `evse`,
    /// or of all. Returns when it is durable that they will be asked for; what is under way for the same use is replaced.
    ///
    /// # Errors
    /// [`RenewError`]; nothing is asked for then.
    ///
    /// # Cancel safety
    /// They may be asked for all the same.
    pub async fn renew(&self, use_: CertificateSigningUse, evse: Option<i64>) -> Result<(), RenewError> {
        self.shared.renew(use_, evse).await
    }
}

/// Why an agent has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to, by its owner.
    Shutdown,
    /// It was asked to start anew, by the CSMS: open another one, with the reason `RemoteReset`.
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
        let boot = boot(&config);
        let mut options = TokenOptions::configured(&config.token);
        options.module = module_from_environment();
        let token = Token::open(&config.token.uri.parse()?, &options)?;
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
        let worked = last_slot.worked();
        let certificates = config.certificates.clone();
        let shared = Shared::new(store, keyring, events, model, last_slot, faults, certificates);
        let shared = Arc::new(shared);
        shared.record(SecurityEvent::StartupOfTheDevice, "the certificate agent has started");
        let root_choice = Mutex::new(RootChoice::new(worked));
        let skew = Duration::from_secs(config.certificates.clock_skew_s.into());
        let clock = Clock::new(skew, SystemTime::now());
        Ok(Self {
            config,
            boot,
            shared,
            frames,
            attempting: Mutex::default(),
            root_choice,
            clock,
            control,
            confirming: Arc::default(),
            booted: Mutex::default(),
        })
    }

    /// Says in BootNotification why the station starts; without it, that its power came up.
    #[must_use]
    pub fn with_boot_reason(mut self, reason: BootReason) -> Self {
        self.boot.reason = reason;
        self
    }

    /// What may be asked of the agent while it runs.
    #[must_use]
    pub fn handle(&self) -> AgentHandle {
        AgentHandle { shared: Arc::clone(&self.shared) }
    }

    /// Stays connected until `shutdown` is ready or the CSMS wants a reset. What goes wrong on the way is logged and tried
    /// again.
    ///
    /// # Cancel safety
    /// Dropping the future cuts the connection; what was answered is durable.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) -> Ended {
        let shared = Arc::clone(&self.shared);
        let mut ended = Ended::Shutdown;
        let stop = async {
            tokio::select! {
                () = shutdown => {}
                () = shared.reset.notified() => ended = Ended::Reset,
            }
        };
        let worked = self.shared.last_slot.worked();
        let control = self.control.take();
        let serve_commands = serve_commands(self.config.clone(), control, Arc::clone(&self.shared));
        let mut supervisor = Supervisor::new(self);
        if let Some(slot) = worked {
            supervisor = supervisor.with_last_that_worked(slot);
        }
        // What the station does whether it is connected or not; it never ends by itself.
        tokio::select! {
            () = supervisor.run(stop) => {}
            () = Arc::clone(&shared).drive_renewal() => {}
            () = Arc::clone(&shared).dispose_of_keys() => {}
            () = Arc::clone(&shared).keep_disk_written() => {}
            () = serve_commands => {}
        }
        ended
    }

    /// Boots where that is due, then reports events and shows signs of life until the connection ends.
    pub(super) async fn live(&self, peer: &Peer, slot: u32) {
        // B01.FR.01: after a start. B10.FR.10: and after the network profile has changed.
        let now = (slot, peer.profile(), peer.version());
        let booted = *lock(&self.booted);
        if booted != Some(now) {
            if self.boot(peer).await.is_none() {
                return std::future::pending().await;
            }
            *lock(&self.booted) = Some(now);
        }
        // Requests that a restart interrupted, that a connection cut off, and those that become due.
        self.shared.renewing.handle_connected(peer);
        tokio::join!(Arc::clone(&self.shared).keep_statuses(peer), self.report(peer));
    }

    /// Reports events and shows signs of life.
    async fn report(&self, peer: &Peer) {
        // Of this connection; the queue holds no more events than it has a bound for.
        let mut refused = Vec::new();
        loop {
            self.report_events(peer, &mut refused).await;
            tokio::select! {
                () = self.shared.events_wait.notified() => {}
                // Asked for by a central system of OCPP 1.6.
                () = self.shared.boot.notified() => {
                    if self.boot(peer).await.is_none() {
                        return std::future::pending().await;
                    }
                }
                () = sleep(self.shared.model.current().heartbeat_interval()) => {
                    match csms::heartbeat(peer).await {
                        Ok(time) => self.clock.handle_csms_time(time, SystemTime::now()),
                        Err(error) => tracing::warn!(error = %causes(&error), "a heartbeat brought no answer"),
                    }
                }
            }
        }
    }

    /// BootNotification until the CSMS accepts; `None` where the connection ended.
    async fn boot(&self, peer: &Peer) -> Option<()> {
        self.shared.handle_registration(Registration::NotBooted);
        loop {
            // A CALL may come right behind the answer, and what it may do depends on the answer.
            let shared = Arc::clone(&self.shared);
            let register = move |registration| shared.handle_registration(registration);
            let wait = match csms::boot(peer, &self.boot, register).await {
                Ok(answer) => {
                    let interval =
                        if answer.interval.is_zero() { DEFAULT_HEARTBEAT } else { answer.interval };
                    self.clock.handle_csms_time(answer.time, SystemTime::now());
                    if answer.registration == Registration::Accepted {
                        self.shared.model.adopt_heartbeat_interval(interval);
                        tracing::info!("the CSMS accepted the station");
                        return Some(());
                    }
                    tracing::warn!(status = ?answer.registration, "the CSMS does not accept the station yet");
                    interval
                }
                Err(AskError::Call(CallFailure::Disconnected)) => return None,
                Err(error) => {
                    tracing::warn!(
                        error = %causes(&error),
                        "BootNotification brought no answer"
                    );
                    DEFAULT_HEARTBEAT
                }
            };
            tokio::select! {
                () = sleep(wait) => {}
                () = self.shared.boot.notified() => {}
            }
        }
    }

    /// Reports the events that wait, oldest first; one that is not confirmed stays (A04.FR.02).
    /// `refused` are those that the CSMS cannot take on this connection.
    async fn report_events(&self, peer: &Peer, refused: &mut Vec<u64>) {
        while let Some(event) = self.shared.events.first_but(refused) {
            let number = event.number();
            match csms::security_event(peer, &event).await {
                // A04.FR.03
                Ok(Reporting::Reported) => {
                    self.note_event(move |events| events.handle_confirmed(&event)).await
                }
                Ok(Reporting::LogOnly) => {
                    let reason = "it is not critical in the version of the connection";
                    self.note_event(move |events| events.handle_not_reported(&event, reason)).await;
                }
                Err(error) if error.has_arrived() => {
                    tracing::warn!(
                        event = event.event.name(),
                        error = %causes(&error),
                        "the CSMS has confirmed a security event in a way that cannot be read"
                    );
                    self.note_event(move |events| events.handle_confirmed(&event)).await;
                }
                Err(error) if error.may_pass() => {
                    refused.push(number);
                    let reason = format!("refused on {MAX_REFUSALS} connections: {}", causes(&error));
                    tracing::warn!(
                        event = event.event.name(),
                        connections = event.refusals + 1,
                        of = MAX_REFUSALS,
                        error = %causes(&error),
                        "the CSMS cannot take a security event now"
                    );
                    self.note_event(move |events| events.handle_refused(&event, &reason)).await;
                }
                // The same event would be refused each time.
                Err(error) if error.is_answer() => {
                    let reason = causes(&error).to_string();
                    self.note_event(move |events| events.handle_not_reported(&event, &reason)).await;
                }
                Err(error) => {
                    tracing::warn!(error = %causes(&error), "a security event waits for the next occasion");
                    return;
                }
            }
        }
    }

    /// Writes down what became of an event.
    async fn note_event(&self, note: impl FnOnce(&SecurityLog) + Send + 'static) {
        let shared = Arc::clone(&self.shared);
        if let Err(error) = on_blocking_thread(move || note(&shared.events)).await {
            tracing::error!(error = %causes(&error), "a security event may be reported again");
        }
    }
}

/// The observer of frames, which has no `Debug` of its own.
pub(super) struct Frames(pub(super) FrameTap);

impl std::fmt::Debug for Frames {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Frames")
    }
}

/// Makes the control socket. The station's work does not depend on it. Blocks.
fn bind(config: &Config, faults: &DiskFaults) -> Option<ControlSocket> {
    match ControlSocket::bind(&config.control_socket()) {
        Ok(control) => {
            faults.handle_written(DiskFile::ControlSocket);
            Some(control)
        }
        Err(error) => {
            faults.handle_failed(DiskFile::ControlSocket, causes(&error).to_string());
            None
        }
    }
}

/// Serves local commands, as soon as there is a socket to serve them on.
async fn serve_commands(config: Config, mut control: Option<ControlSocket>, commands: Arc<Shared>) {
    let mut wait = SHORTEST_WAIT;
    loop {
        if let Some(control) = control.take() {
            return control.serve(commands).await;
        }
        sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
        let (config, faults) = (config.clone(), Arc::clone(&commands.faults));
        let bound = on_blocking_thread(move || bind(&config, &faults)).await;
        control = bound.unwrap_or_else(|error| {
            tracing::error!(error = %causes(&error), "the thread that makes the control socket failed");
            None
        });
    }
}

/// The device model, with the network profile of the configuration in slot 1 as long as the CSMS has set none.
fn open_model(config: &Config, password: Password, faults: Arc<DiskFaults>) -> Result<ModelFile, AgentError> {
    let csms = &config.csms;
    // Without a certificate the station uses the password, and never again once it has one (A05.FR.06).
    let profile = SecurityProfile::TlsWithClientCertificate;
    let profile = NetworkConnectionProfileType::new(
        OCPPVersionEnumType::OCPP20,
        OCPPTransportEnumType::JSON,
        BoundedString::try_from(csms.url.as_str())?,
        MESSAGE_TIMEOUT_S,
        profile.number().into(),
        OCPPInterfaceEnumType::Wired0,
    );
    let mut defaults = Defaults::new(config.station.identity.clone(), &config.station.organization, password);
    defaults.values = BTreeMap::from([
        (Variable::RetryBackOffWaitMinimum, csms.retry_wait_minimum_s.to_string()),
        (Variable::RetryBackOffRandomRange, csms.retry_random_range_s.to_string()),
        (Variable::RetryBackOffRepeatTimes, csms.retry_repeat_times.to_string()),
    ]);
    defaults.iso15118 = config.iso15118_defaults();
    make_folder(config)
        .map_err(|source| OpenStoreError::Folder { path: config.directory.clone(), source })?;
    Ok(ModelFile::open(&config.directory, defaults, NetworkConfiguration::new(profile), faults)?)
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

/// What the specification suggests (2.0.1 Part 4, 4.1).
const MESSAGE_TIMEOUT_S: i64 = 30;

/// Between heartbeats where the CSMS leaves the choice to the station (interval 0), and between boot attempts.
const DEFAULT_HEARTBEAT: Duration = Duration::from_secs(300);
