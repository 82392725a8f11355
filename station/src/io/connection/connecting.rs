//! The station's side of its connections, as the transport's supervisor calls it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use ocpp_transport::{
    Attempt, AttemptError, AttemptFailure, BackOffSettings, CloseReason, ConnectError, ConnectionEvent,
    Endpoint, Exhausted, FrameTap, LinkSettings, Next, Peer, ReconnectSettings, Registration, Router,
    SessionSettings, Station, StationConfig, tls::TlsFailure,
};
use program::causes;
use signer_pkcs11::KeyError;

use crate::{
    config::Config,
    io::{
        EnrolmentError,
        connection::{
            confirmation::{Confirmation, Connected},
            link::LinkState,
            online::OnlineTasks,
            security::{AttemptSecurity, Attempting, PrepareError},
        },
        csms::BootReason,
        device_model::file::ModelFile,
        handlers::{parts::Handlers, router},
        locking::lock,
    },
    reconnect::RootFailure,
    security_events::SecurityEvent,
};

/// Makes connections, and serves the CSMS on them.
#[derive(Debug)]
pub(crate) struct Connecting {
    pub(crate) config: Config,
    pub(crate) model: Arc<ModelFile>,
    pub(crate) link: Arc<LinkState>,
    pub(crate) security: AttemptSecurity,
    pub(crate) confirmation: Confirmation,
    pub(crate) handlers: Handlers,
    pub(crate) online: OnlineTasks,
    /// Observes each frame.
    pub(crate) frames: Option<Frames>,
    /// The certificates of the present attempt.
    pub(crate) attempting: Mutex<Attempting>,
}

/// The observer of frames, which does not implement `Debug`.
pub(crate) struct Frames(pub(crate) FrameTap);

impl std::fmt::Debug for Frames {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Frames")
    }
}

impl Connecting {
    /// Sets the boot reason for BootNotification.
    pub(crate) fn set_boot_reason(&mut self, reason: BootReason) {
        self.online.set_boot_reason(reason);
    }

    /// The slot of the network profile that worked last.
    pub(crate) fn last_slot(&self) -> Option<u32> {
        self.confirmation.last_slot.worked()
    }
}

impl Station for Connecting {
    type Error = PrepareError;

    fn settings(&self) -> ReconnectSettings {
        let model = self.model.current();
        let (wait_minimum, random_range, repeat_times) = model.back_off();
        ReconnectSettings::default()
            .with_back_off(BackOffSettings::new(wait_minimum, random_range, repeat_times))
            .with_attempts_per_profile(model.connection_attempts())
            .with_exhausted(Exhausted::StartOverWithLastThatWorked)
    }

    fn priority(&self) -> Vec<u32> {
        self.model.current().network().priority().to_vec()
    }

    /// Uses the certificate whose turn it is, or the password if there is no certificate.
    async fn prepare(&self, attempt: &Attempt) -> Result<(StationConfig, Router), PrepareError> {
        self.confirmation.finished().await;
        self.online.handle_attempt();
        let model = self.model.current();
        let profile = model.network().profile(attempt.slot).ok_or(PrepareError::NoProfile)?;
        let (security, attempting) = self.security.choose(&model, profile, attempt).await?;
        *lock(&self.attempting) = attempting;
        let message_timeout = u64::try_from(profile.message_timeout).unwrap_or_default();
        let session = SessionSettings::default().with_call_timeout(Duration::from_secs(message_timeout));
        let mut link =
            LinkSettings::default().with_session(session).with_ping_interval(model.ping_interval());
        if let Some(Frames(tap)) = &self.frames {
            link = link.with_tap(Arc::clone(tap));
        }
        let url: Endpoint = profile.ocpp_csms_url.as_str().parse()?;
        // B01.FR.08: until the CSMS has accepted the station once, the connection sends no requests
        // but BootNotification and those that the CSMS triggers.
        let registration =
            if self.online.has_booted() { Registration::Accepted } else { Registration::NotBooted };
        let config = StationConfig::new(url, self.config.station.identity.clone(), security)
            .with_registration(registration)
            .with_link(link);
        Ok((config, router(&self.handlers, &self.config.csms.versions)))
    }

    async fn serve(&self, peer: &Peer, attempt: &Attempt) -> Next {
        let slot = attempt.slot;
        self.online.handle_connected(slot);
        self.security.handle_connected(slot);
        let Attempting { own, newest, proved_by, .. } = std::mem::take(&mut *lock(&self.attempting));
        let connected = Connected { slot, profile: peer.profile(), root: proved_by.root(), own, newest };
        let _session = self.confirmation.begin_session(&connected).await;
        let model = self.model.current();
        let url = model.network().profile(slot).map(|profile| profile.ocpp_csms_url.to_string());
        let url = url.unwrap_or_default();
        let _up = self.link.handle_connected(slot, url, peer.clone(), connected.own.clone());
        self.confirmation.settle(&connected).await;
        tracing::info!(profile = %peer.profile(), slot, "connected");
        tokio::select! {
            // Connects at once, with the certificate that has just been stored.
            () = self.online.reconnect_requested() => Next::Renew,
            () = self.online.run(peer, slot) => Next::Renew,
            () = self.confirmation.settle_again(&connected) => Next::Renew,
        }
    }

    fn failed(&self, attempt: &Attempt, error: &AttemptError<PrepareError>) -> AttemptFailure {
        self.link.handle_failed(attempt.slot, causes(error).to_string());
        if let AttemptError::Connect(error) = error {
            let failure = match error {
                ConnectError::Tls { source: TlsFailure::BadServerCertificate { .. }, .. } => {
                    RootFailure::NotProved
                }
                _ => RootFailure::Other,
            };
            let root = lock(&self.attempting).root;
            self.security.handle_failed(attempt.slot, root, failure);
        }
        match error {
            // A certificate without its key is not usable (A02.FR.28).
            AttemptError::Prepare(PrepareError::Key(EnrolmentError::Key(KeyError::NotFound { .. }))) => {
                AttemptFailure::Refused
            }
            error => error.failure(),
        }
    }

    fn disconnected(&self, _: &Peer, _: &CloseReason) {
        self.online.handle_disconnected();
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
        self.online.raise(event, info).await;
    }
}
