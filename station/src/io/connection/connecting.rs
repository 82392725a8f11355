//! With what the station connects, and what it does when it is connected: the transport's
//! supervisor asks.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use ocpp_transport::{
    Attempt, AttemptError, AttemptFailure, BackOffSettings, CloseReason, ConnectError, ConnectionEvent,
    Endpoint, EndpointError, Exhausted, FrameTap, LinkSettings, Next, Peer, ReconnectSettings, Registration,
    Router, Security, SecurityProfile, SessionSettings, Station, StationConfig,
    name_rule::Wildcards,
    tls::{ClientKey, ProvedBy, TlsConfigError, TlsFailure, client_config_proving},
};
use ocpp_types::v201::{InstallCertificateUseEnumType, NetworkConnectionProfileType};
use program::causes;
use rustls_pki_types::CertificateDer;
use signer_pkcs11::KeyError;
use station_store::{OwnCertificate, OwnId, OwnState, Session};

use crate::{
    config::Config,
    device_model::DeviceModel,
    io::{
        EnrolmentError,
        blocking::on_blocking_thread,
        connection::{link::LinkState, online::OnlineTasks, signals::Signals, state::ConnectionState},
        csms::BootReason,
        device_model::file::ModelFile,
        disk::{faults::DiskFaults, last_slot::LastSlot, store::StationStore},
        enrolment::{disposal::KeyDisposal, keyring::Keyring},
        handlers::{parts::Handlers, router},
        locking::lock,
        renewal::{state::RenewalState, subjects::validity},
        security_events::recorder::SecurityEvents,
    },
    reconnect::{CsmsRoot, RootChoice, RootFailure, presented},
    security_events::SecurityEvent,
};

/// What the connection needs of the agent's parts.
#[derive(Debug)]
pub(crate) struct ConnectionParts {
    pub(crate) config: Config,
    pub(crate) state: Arc<ConnectionState>,
    pub(crate) signals: Arc<Signals>,
    pub(crate) link: Arc<LinkState>,
    pub(crate) store: Arc<StationStore>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) model: Arc<ModelFile>,
    pub(crate) last_slot: Arc<LastSlot>,
    pub(crate) faults: Arc<DiskFaults>,
    pub(crate) events: Arc<SecurityEvents>,
    pub(crate) renewals: Arc<RenewalState>,
    pub(crate) disposal: Arc<KeyDisposal>,
    pub(crate) handlers: Handlers,
    pub(crate) online: OnlineTasks,
    /// Sees each frame.
    pub(crate) frames: Option<Frames>,
}

/// The station as the transport's supervisor asks it.
#[derive(Debug)]
pub(crate) struct Connecting {
    parts: ConnectionParts,
    /// With what the attempt in hand is made.
    attempting: Mutex<Attempting>,
    /// On which CSMS root the next attempt relies.
    root_choice: Mutex<RootChoice>,
    /// Held while the certificate of a connection is being confirmed.
    confirming: Arc<tokio::sync::Mutex<()>>,
}

/// The observer of frames, which has no `Debug` of its own.
pub(crate) struct Frames(pub(crate) FrameTap);

impl std::fmt::Debug for Frames {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Frames")
    }
}

/// With what an attempt is made.
#[derive(Debug, Default)]
struct Attempting {
    /// The certificate that the station presents; without, it has its password.
    own: Option<OwnCertificate>,
    /// The newest certificate at that time.
    newest: Option<OwnId>,
    /// On which root it relies.
    root: CsmsRoot,
    /// Which root proved the CSMS.
    proved_by: ProvedBy,
}

impl Connecting {
    pub(crate) fn new(parts: ConnectionParts) -> Self {
        let root_choice = Mutex::new(RootChoice::new(parts.last_slot.worked()));
        Self { parts, attempting: Mutex::default(), root_choice, confirming: Arc::default() }
    }

    /// Why the station starts, as BootNotification reports it.
    pub(crate) fn set_boot_reason(&mut self, reason: BootReason) {
        self.parts.online.set_boot_reason(reason);
    }

    /// The slot of the network profile that worked last.
    pub(crate) fn last_slot(&self) -> Option<u32> {
        self.parts.last_slot.worked()
    }

    /// The security of an attempt, and with what it is made.
    async fn security(
        &self,
        model: &DeviceModel,
        profile: &NetworkConnectionProfileType,
        attempt: &Attempt,
    ) -> Result<(Security, Attempting), PrepareError> {
        let fallback = self.parts.store.fallback_root();
        let choice = lock(&self.root_choice).root(attempt.slot, fallback.is_some());
        let present = self.parts.store.roots(InstallCertificateUseEnumType::CSMSRootCertificate);
        let (root, roots) = match fallback {
            // Also where the present root is damaged, and the fallback is all that is left.
            Some(fallback) if choice == CsmsRoot::Fallback || present.is_empty() => {
                (CsmsRoot::Fallback, vec![fallback])
            }
            _ => (CsmsRoot::Present, present),
        };
        let wildcards = if model.allows_wildcards() { Wildcards::Allow } else { Wildcards::Refuse };
        let (mut own, mut newest, proved_by) = (None, None, ProvedBy::default());
        if profile.security_profile == i64::from(SecurityProfile::TlsWithClientCertificate.number()) {
            let all = self.parts.store.own_certificates();
            let skew = Duration::from_secs(self.parts.config.certificates.clock_skew_s.into());
            let latest = SystemTime::now() + skew;
            let is_early = |own: &OwnCertificate| validity(own).is_some_and(|own| own.not_before > latest);
            own = presented(&all, |own| own.state == OwnState::InUse, is_early, attempt.credential).cloned();
            // Those that were left out for being of the future are kept beside the one that is
            // tried.
            newest = all.iter().find(|own| !is_early(own)).or(all.first()).map(|newest| newest.id);
        }
        let security = match &own {
            // A00.FR.401, A00.FR.402; an expired certificate is offered too (A00.FR.430).
            Some(own) => {
                let (keyring, uri) = (Arc::clone(&self.parts.keyring), own.key_uri.clone());
                let key = on_blocking_thread(move || keyring.key(&uri)).await??;
                let key = ClientKey { chain: own.chain.clone(), key: key.signing_key() };
                let tls = Arc::new(client_config_proving(roots, Some(key), wildcards, proved_by.clone())?);
                Security::TlsWithClientCertificate { tls }
            }
            None => {
                let tls = Arc::new(client_config_proving(roots, None, wildcards, proved_by.clone())?);
                Security::TlsWithBasicAuth { password: model.password().clone(), tls }
            }
        };
        Ok((security, Attempting { own, newest, root, proved_by }))
    }

    /// Takes note of a connection: by which profile, and which root proved the CSMS. What is
    /// returned is to be kept as long as the connection stands: until then that root is in use.
    async fn begin_session(&self, slot: u32, root: Option<CertificateDer<'static>>) -> Option<Session> {
        lock(&self.root_choice).handle_connected(slot);
        let (last_slot, store) = (Arc::clone(&self.parts.last_slot), Arc::clone(&self.parts.store));
        let begin = move || {
            last_slot.handle_connected(slot);
            // M05.FR.13, TC_M_30, TC_M_31
            let (session, noted) = store.writable().session(&root?);
            if let Err(error) = noted {
                tracing::error!(error = %causes(&error), "the fallback root is kept, though the new one has proved itself");
            }
            Some(session)
        };
        on_blocking_thread(begin).await.unwrap_or_else(|error| {
            tracing::error!(error = %causes(&error), "which root is in use is not known");
            None
        })
    }

    /// The station is connected with `own`, chosen when `newest` was its newest: the other
    /// certificate is discarded (A02.FR.10).
    async fn confirm(&self, own: Option<OwnCertificate>, newest: Option<OwnId>) {
        if let (Some(own), Some(newest)) = (own, newest) {
            let ConnectionParts { store, events, disposal, .. } = &self.parts;
            let (store, events, disposal) = (Arc::clone(store), Arc::clone(events), Arc::clone(disposal));
            // It goes on if the connection ends meanwhile; the next attempt waits for it.
            let confirming = Arc::clone(&self.confirming).lock_owned().await;
            let confirm = move || {
                confirm(&store, &events, &disposal, &own, newest);
                drop(confirming);
            };
            if let Err(error) = on_blocking_thread(confirm).await {
                tracing::error!(error = %causes(&error), "the former certificate is kept");
            }
        }
        self.parts.state.handle_confirmed();
        self.parts.renewals.handle_change();
    }

    /// A05.FR.06: once connected by a higher profile, those of a lower level are gone.
    async fn discard_lower_profiles(&self, connected: SecurityProfile) {
        let model = Arc::clone(&self.parts.model);
        let discard = move || model.change(|model| ((), model.handle_connected(connected)));
        match on_blocking_thread(discard).await {
            Ok(((), Ok(()))) => {}
            Ok(((), Err(error))) => {
                tracing::warn!(error = %causes(&error), "network profiles of a lower level are kept for now");
            }
            Err(error) => {
                tracing::error!(error = %causes(&error), "network profiles of a lower level are kept")
            }
        }
    }

    /// Does again what follows from a connection, each time when the disk takes writes again; where
    /// it has been done, nothing changes. Never ends.
    async fn settle_again(
        &self,
        peer: &Peer,
        slot: u32,
        root: Option<CertificateDer<'static>>,
        own: Option<OwnCertificate>,
        newest: Option<OwnId>,
    ) {
        let mut written = self.parts.faults.ended();
        // The sender lives as long as `self`.
        while written.changed().await.is_ok() {
            // The connection has a session already.
            drop(self.begin_session(slot, root.clone()).await);
            self.confirm(own.clone(), newest).await;
            self.discard_lower_profiles(peer.profile()).await;
        }
    }
}

impl Station for Connecting {
    type Error = PrepareError;

    fn settings(&self) -> ReconnectSettings {
        let model = self.parts.model.current();
        let (wait_minimum, random_range, repeat_times) = model.back_off();
        ReconnectSettings::default()
            .with_back_off(BackOffSettings::new(wait_minimum, random_range, repeat_times))
            .with_attempts_per_profile(model.connection_attempts())
            .with_exhausted(Exhausted::StartOverWithLastThatWorked)
    }

    fn priority(&self) -> Vec<u32> {
        self.parts.model.current().network().priority().to_vec()
    }

    /// With the certificate whose turn it is, or with the password where there is none.
    async fn prepare(&self, attempt: &Attempt) -> Result<(StationConfig, Router), PrepareError> {
        drop(self.confirming.lock().await);
        self.parts.state.handle_attempt();
        self.parts.signals.handle_attempt();
        let model = self.parts.model.current();
        let profile = model.network().profile(attempt.slot).ok_or(PrepareError::NoProfile)?;
        // B10.FR.07: the profile that worked last is gone back to, unless it is gone itself.
        lock(&self.root_choice).retain(|slot| model.network().profile(slot).is_some());
        let (security, attempting) = self.security(&model, profile, attempt).await?;
        *lock(&self.attempting) = attempting;
        let message_timeout = u64::try_from(profile.message_timeout).unwrap_or_default();
        let session = SessionSettings::default().with_call_timeout(Duration::from_secs(message_timeout));
        let mut link =
            LinkSettings::default().with_session(session).with_ping_interval(model.ping_interval());
        if let Some(Frames(tap)) = &self.parts.frames {
            link = link.with_tap(Arc::clone(tap));
        }
        let url: Endpoint = profile.ocpp_csms_url.as_str().parse()?;
        // B01.FR.08: until the CSMS has accepted the station once, the connection sends nothing
        // that it did not ask for.
        let registration =
            if self.parts.online.has_booted() { Registration::Accepted } else { Registration::NotBooted };
        let config = StationConfig::new(url, self.parts.config.station.identity.clone(), security)
            .with_registration(registration)
            .with_link(link);
        Ok((config, router(&self.parts.handlers, &self.parts.config.csms.versions)))
    }

    async fn serve(&self, peer: &Peer, attempt: &Attempt) -> Next {
        self.parts.state.handle_slot(attempt.slot);
        let Attempting { own, newest, proved_by, .. } = std::mem::take(&mut *lock(&self.attempting));
        let root = proved_by.root();
        let _session = self.begin_session(attempt.slot, root.clone()).await;
        let model = self.parts.model.current();
        let url = model.network().profile(attempt.slot).map(|profile| profile.ocpp_csms_url.to_string());
        let url = url.unwrap_or_default();
        let _up = self.parts.link.handle_connected(attempt.slot, url, peer.clone(), own.clone());
        self.confirm(own.clone(), newest).await;
        self.discard_lower_profiles(peer.profile()).await;
        tracing::info!(profile = %peer.profile(), slot = attempt.slot, "connected");
        tokio::select! {
            // At once, with what has just been stored.
            () = self.parts.signals.reconnect.notified() => Next::Renew,
            () = self.parts.online.run(peer, attempt.slot) => Next::Renew,
            () = self.settle_again(peer, attempt.slot, root, own, newest) => Next::Renew,
        }
    }

    fn failed(&self, attempt: &Attempt, error: &AttemptError<PrepareError>) -> AttemptFailure {
        self.parts.link.handle_failed(attempt.slot, causes(error).to_string());
        if let AttemptError::Connect(error) = error {
            let failure = match error {
                ConnectError::Tls { source: TlsFailure::BadServerCertificate { .. }, .. } => {
                    RootFailure::NotProved
                }
                _ => RootFailure::Other,
            };
            let root = lock(&self.attempting).root;
            lock(&self.root_choice).handle_failed(attempt.slot, root, failure);
        }
        match error {
            // A certificate whose key is gone is none (A02.FR.28).
            AttemptError::Prepare(PrepareError::Key(EnrolmentError::Key(KeyError::NotFound { .. }))) => {
                AttemptFailure::Refused
            }
            error => error.failure(),
        }
    }

    fn disconnected(&self, _: &Peer, _: &CloseReason) {
        self.parts.renewals.handle_disconnected();
    }

    async fn security_event(&self, event: ConnectionEvent, info: &str) {
        let event = match event {
            // A00.FR.310, A00.FR.413
            ConnectionEvent::InvalidCsmsCertificate => SecurityEvent::InvalidCsmsCertificate,
            // A00.FR.317, A00.FR.420
            ConnectionEvent::InvalidTlsVersion => SecurityEvent::InvalidTlsVersion,
            // A00.FR.323, A00.FR.426
            ConnectionEvent::InvalidTlsCipherSuite => SecurityEvent::InvalidTlsCipherSuite,
            _ => SecurityEvent::FailedToAuthenticateAtCsms,
        };
        self.parts.events.raise(event, info.to_owned()).await;
    }
}

/// Why the agent has nothing to connect with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrepareError {
    /// The slot has lost its profile meanwhile.
    #[error("the slot holds no network profile")]
    NoProfile,
    /// The profile's URL is none.
    #[error("ocppCsmsUrl of the network profile cannot be used")]
    Url(#[from] EndpointError),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up; is a CSMS root installed? `ocpp-station provision` installs one")]
    Tls(#[from] TlsConfigError),
    /// The key of the certificate is not in the token, or the token fails.
    #[error("the key of the station's certificate cannot be used")]
    Key(#[from] EnrolmentError),
    /// The thread that looked for the key failed.
    #[error("the thread that looked for the key failed")]
    Thread(#[from] tokio::task::JoinError),
}

/// Keeps `own`, with which the station is connected, and discards what was kept beside it when
/// `newest` was the newest: what has come since is still to be tried. Blocks.
fn confirm(
    store: &StationStore,
    events: &SecurityEvents,
    disposal: &KeyDisposal,
    own: &OwnCertificate,
    newest: OwnId,
) {
    match store.writable().confirm_own_of(own.id, newest) {
        // A02.FR.29
        Ok(_) if newest != own.id => {
            events.record(SecurityEvent::DiscardedRenewedClientCertificate, "the CSMS did not accept it");
        }
        Ok(_) => {}
        Err(error) => {
            return tracing::error!(error = %causes(&error), "the former certificate is kept");
        }
    }
    disposal.handle_condemned();
}
