//! What the station does when the CSMS calls, in terms of no version of OCPP.
//!
//! A file for each version translates its messages to and from what stands here, and decides nothing.

mod v16;
mod v201;
mod v21;

use std::{
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::SystemTime,
};

use ocpp_transport::{CallError, Peer, Registration, Reply, Router};
use ocpp_types::Version;
use program::causes;
use station_store::{
    CertificateSigningUse,
    message::{DeleteMessage, InstallMessage, InventoryMessage, SignedMessage},
};
use tokio::{
    sync::{Notify, watch},
    task::spawn_blocking,
};

use crate::{
    config::{CertificatesSection, Versions},
    io::{
        csms,
        disk_faults::DiskFaults,
        enrolment::Keyring,
        last_slot::LastSlot,
        link::LinkState,
        locking::lock,
        model_file::ModelFile,
        renewing::{RenewError, Renewing, answered},
        security_log::SecurityLog,
        store::StationStore,
    },
    security_events::{Noted, SecurityEvent},
};

/// What the handlers and the agent share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Arc<StationStore>,
    pub(crate) keyring: Keyring,
    pub(crate) events: SecurityLog,
    pub(crate) model: ModelFile,
    pub(crate) last_slot: LastSlot,
    /// Which of the files cannot be written now.
    pub(crate) faults: Arc<DiskFaults>,
    pub(crate) certificates: CertificatesSection,
    pub(crate) renewing: Renewing,
    /// How the connection is, for local commands.
    pub(crate) link: LinkState,
    /// The slot of the network profile of the connection.
    slot: AtomicU32,
    /// Wakes the agent: an event waits to be reported.
    pub(crate) events_wait: Notify,
    /// Wakes the agent: connect anew, with the certificate that has come.
    pub(crate) reconnect: Notify,
    /// Wakes the agent: it is to start anew.
    pub(crate) reset: Notify,
    /// Wakes the agent: BootNotification was asked for.
    pub(crate) boot: Notify,
    /// Wakes the agent: the store names keys that nothing needs any more.
    pub(crate) disposal: Notify,
    /// Wakes the agent: a certificate for vehicles has come, whose status is to be asked for.
    pub(crate) statuses: Notify,
    /// What the CSMS answered to the last BootNotification.
    registration: Mutex<Registration>,
    /// Whether the store knows by which certificate and root this connection stands: see [`Shared::settled`].
    confirmed: watch::Sender<bool>,
}

/// The wish to connect anew, made when this is dropped: after the answer has left, or could not leave. A connection that ended
/// before its certificate was stored may have been followed by one with the certificate before.
struct Reconnection(Arc<Shared>);

impl Drop for Reconnection {
    fn drop(&mut self) {
        self.0.reconnect.notify_one();
    }
}

/// What a CSMS asks for with TriggerMessage (1.6: ExtendedTriggerMessage).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    BootNotification,
    Heartbeat,
    /// SignCertificate, for the EVSE that is named.
    Sign {
        use_: CertificateSigningUse,
        evse: Option<i64>,
    },
    /// What this station does not send.
    Other,
}

/// The answer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TriggerAnswer {
    Accepted,
    Rejected,
    NotImplemented,
}

impl Shared {
    pub(crate) fn new(
        store: Arc<StationStore>,
        keyring: Keyring,
        events: SecurityLog,
        model: ModelFile,
        last_slot: LastSlot,
        faults: Arc<DiskFaults>,
        certificates: CertificatesSection,
    ) -> Self {
        let renewing = Renewing::restore(&store, &model.current(), SystemTime::now());
        Self {
            store,
            keyring,
            events,
            model,
            last_slot,
            faults,
            certificates,
            renewing,
            link: LinkState::default(),
            slot: AtomicU32::new(1),
            events_wait: Notify::new(),
            reconnect: Notify::new(),
            reset: Notify::new(),
            boot: Notify::new(),
            disposal: Notify::new(),
            statuses: Notify::new(),
            registration: Mutex::new(Registration::NotBooted),
            confirmed: watch::Sender::new(false),
        }
    }

    /// An attempt to connect begins; what was meant for the connection before is over.
    pub(crate) fn handle_attempt(&self) {
        self.confirmed.send_replace(false);
        for wish in [&self.reconnect, &self.boot] {
            // Takes a wish that nobody waited for any more.
            pin!(wish.notified()).enable();
        }
    }

    /// The slot of the network profile of the connection.
    pub(crate) fn slot(&self) -> u32 {
        self.slot.load(Ordering::Relaxed)
    }

    /// A connection stands, by the network profile in `slot`.
    pub(crate) fn handle_slot(&self, slot: u32) {
        self.slot.store(slot, Ordering::Relaxed);
    }

    /// Waits until the store knows by which certificate and root the connection stands: both decide what it holds (A02.FR.10,
    /// M05.FR.13) and what it refuses. The first messages of a connection may come before.
    async fn settled(&self) {
        // The sender lives as long as `self`.
        let _ = self.confirmed.subscribe().wait_for(|confirmed| *confirmed).await;
    }

    /// The certificate of the connection is confirmed.
    pub(crate) fn handle_confirmed(&self) {
        self.confirmed.send_replace(true);
    }

    /// What the CSMS answered to BootNotification.
    pub(crate) fn handle_registration(&self, registration: Registration) {
        *lock(&self.registration) = registration;
    }

    /// What the CSMS answered to the last BootNotification.
    pub(crate) fn registration(&self) -> Registration {
        *lock(&self.registration)
    }

    /// Refuses to serve a CSMS that has rejected the station (B03.FR.08, TC_B_30).
    pub(crate) fn permit(&self) -> Result<(), CallError> {
        match *lock(&self.registration) {
            Registration::Rejected => {
                Err(CallError::security("the CSMS has rejected the station's BootNotification"))
            }
            _ => Ok(()),
        }
    }

    /// Notes a security event durably, to be reported when the CSMS listens. Blocks.
    pub(crate) fn record(&self, event: SecurityEvent, info: &str) {
        if self.events.record(event, info) == Noted::Queued {
            self.events_wait.notify_one();
        }
    }

    /// As [`Shared::record`], on a thread that may block.
    pub(crate) async fn raise(self: &Arc<Self>, event: SecurityEvent, info: String) {
        let shared = Arc::clone(self);
        if let Err(error) = on_blocking_thread(move || shared.record(event, &info)).await {
            tracing::error!(error = %causes(&error), event = event.name(), "a security event was not noted");
        }
    }

    /// Answers CertificateSigned after the certificate is durable, and reconnects after the answer has left (A02.FR.08).
    pub(crate) async fn certificate_signed<M>(
        self: Arc<Self>,
        request: M,
    ) -> Result<Reply<M::Response>, CallError>
    where
        M: SignedMessage + Send + 'static,
        M::Response: Send + 'static,
    {
        self.permit()?;
        self.settled().await;
        let shared = Arc::clone(&self);
        let (outcome, reconnection) = blocking(move || {
            let pending = answered(&shared.store, request.chain());
            let outcome = shared.store.writable().certificate_signed(&request, SystemTime::now());
            // Before anybody sends the request again, or gives its key up.
            shared.renewing.handle_certificate(&outcome, pending, request.signing_use());
            let connects = outcome.installed.as_ref().is_some_and(|own| own.use_.connects());
            (outcome, connects.then(|| Reconnection(Arc::clone(&shared))))
        })
        .await?;
        if let Some(refused) = &outcome.refused {
            // A02.FR.07
            let why = causes(refused).to_string();
            self.raise(SecurityEvent::InvalidChargingStationCertificate, why).await;
        }
        let reply = Reply::new(outcome.response);
        Ok(match outcome.installed {
            None => reply,
            Some(own) => {
                if own.use_.is_for_vehicles() {
                    // M06.FR.07
                    self.statuses.notify_one();
                    // The one that it replaced may have left a key behind.
                    self.disposal.notify_one();
                }
                if let Some(reconnection) = reconnection {
                    tracing::info!(certificate = %own.id, "the new certificate is stored; connecting anew with it");
                    reply.then(async move { drop(reconnection) })
                } else {
                    tracing::info!(certificate = %own.id, "the new certificate for vehicles is stored");
                    reply
                }
            }
        })
    }

    /// Answers InstallCertificate (M05).
    pub(crate) async fn install<M>(self: Arc<Self>, request: M) -> Result<M::Response, CallError>
    where
        M: InstallMessage + Send + 'static,
        M::Response: Send + 'static,
    {
        self.permit()?;
        self.settled().await;
        blocking(move || self.store.writable().install(&request, SystemTime::now())).await
    }

    /// Answers GetInstalledCertificateIds (M03).
    pub(crate) async fn list<M>(self: Arc<Self>, request: M) -> Result<M::Response, CallError>
    where
        M: InventoryMessage + Send + 'static,
    {
        self.permit()?;
        self.settled().await;
        Ok(self.store.installed_certificate_ids(&request))
    }

    /// Answers DeleteCertificate (M04).
    pub(crate) async fn delete<M>(self: Arc<Self>, request: M) -> Result<M::Response, CallError>
    where
        M: DeleteMessage + Send + 'static,
        M::Response: Send + 'static,
    {
        self.permit()?;
        self.settled().await;
        let shared = Arc::clone(&self);
        let response = blocking(move || shared.store.writable().delete(&request)).await?;
        // M04.FR.08: the keys of V2G chains are destroyed after the answer, which waits for no token.
        self.disposal.notify_one();
        self.renewing.handle_change();
        Ok(response)
    }

    /// Answers a request for a message, which follows the answer (F06.FR.04).
    pub(crate) async fn trigger(self: Arc<Self>, peer: Peer, wanted: Trigger) -> Reply<TriggerAnswer> {
        let accepted = Reply::new(TriggerAnswer::Accepted);
        match wanted {
            // A02: the response first, then the key and the request (F06.FR.04, A02.FR.02). That they follow is durable before
            // it is said (F06.FR.10).
            Trigger::Sign { use_, evse } => match self.promise(use_, evse).await {
                Ok(promises) => accepted.then(async move {
                    // A00.FR.807: also a station that is Pending sends what was triggered (B02.FR.02).
                    if *lock(&self.registration) != Registration::NotBooted {
                        self.renewing.handle_connected(&peer);
                    }
                    drop(promises);
                }),
                // F06.FR.08, TC_F_27
                Err(RenewError::NotServed) => Reply::new(TriggerAnswer::NotImplemented),
                Err(error) => {
                    tracing::error!(error = %causes(&error), "a certificate is not asked for");
                    Reply::new(TriggerAnswer::Rejected)
                }
            },
            Trigger::Heartbeat => accepted.then(async move {
                if let Err(error) = csms::heartbeat(&peer).await {
                    tracing::warn!(error = %causes(&error), "the heartbeat that was asked for brought no answer");
                }
            }),
            // F06.FR.17, which 1.6 does not have.
            Trigger::BootNotification
                if *lock(&self.registration) == Registration::Accepted && peer.version() != Version::V16 =>
            {
                Reply::new(TriggerAnswer::Rejected)
            }
            Trigger::BootNotification => accepted.then(async move { self.boot.notify_one() }),
            Trigger::Other => Reply::new(TriggerAnswer::NotImplemented),
        }
    }
}

/// The handlers of every version that the station speaks, the one that it prefers first.
pub(crate) fn router(shared: &Arc<Shared>, versions: &Versions) -> Router {
    let router = versions.others().iter().copied().fold(Router::new(versions.preferred()), Router::and);
    let spoken = router.versions().to_vec();
    spoken.into_iter().fold(router, |router, version| match version {
        Version::V16 => v16::with_handlers(router, shared),
        Version::V21 => v21::with_handlers(router, shared),
        _ => v201::with_handlers(router, shared),
    })
}

/// Runs work that waits for the disk or the token on a thread that may block.
pub(crate) async fn on_blocking_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    spawn_blocking(work).await
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, CallError> {
    on_blocking_thread(work).await.map_err(|_| CallError::internal("the station failed while it did this"))
}
