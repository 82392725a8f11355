//! What the station does when the CSMS calls, in terms of no version of OCPP.
//!
//! A file for each version translates its messages to and from what stands here, and decides nothing.

mod v16;
mod v201;
mod v21;

use std::{
    collections::BTreeSet,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::SystemTime,
};

use ocpp_transport::{CallError, Peer, Registration, Reply, Router};
use ocpp_types::Version;
use station_store::{
    CertificateSigningUse, PendingId, Store,
    message::{DeleteMessage, InstallMessage, InventoryMessage, SignedMessage},
};
use tokio::{
    sync::{Notify, watch},
    task::spawn_blocking,
};

use crate::{
    config::{CertificatesSection, Versions},
    io::{
        csms::{self, SignAnswer, SignRequest},
        enrolment::{Keyring, ReadyRequest},
        model_file::ModelFile,
        security_log::SecurityLog,
    },
    security_events::{Noted, SecurityEvent},
};

/// What the handlers and the agent share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Arc<Store>,
    pub(crate) keyring: Keyring,
    pub(crate) events: SecurityLog,
    pub(crate) model: ModelFile,
    pub(crate) certificates: CertificatesSection,
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
    /// Wakes the agent: a certificate request was made; whoever made it may be gone with its connection.
    pub(crate) request_made: Notify,
    /// What the CSMS answered to the last BootNotification.
    registration: Mutex<Registration>,
    /// The requests that were sent on this connection; each is sent once on it.
    asked: Mutex<BTreeSet<PendingId>>,
    /// Whether the certificate of this connection is confirmed. None is taken in before: confirming one discards the others.
    confirmed: watch::Sender<bool>,
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
        store: Arc<Store>,
        keyring: Keyring,
        events: SecurityLog,
        model: ModelFile,
        certificates: CertificatesSection,
    ) -> Self {
        Self {
            store,
            keyring,
            events,
            model,
            certificates,
            slot: AtomicU32::new(1),
            events_wait: Notify::new(),
            reconnect: Notify::new(),
            reset: Notify::new(),
            boot: Notify::new(),
            request_made: Notify::new(),
            registration: Mutex::new(Registration::NotBooted),
            asked: Mutex::default(),
            confirmed: watch::Sender::new(false),
        }
    }

    /// An attempt to connect begins; what was meant for the connection before is over.
    pub(crate) fn handle_attempt(&self) {
        self.confirmed.send_replace(false);
        lock(&self.asked).clear();
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

    /// The certificate of the connection is confirmed.
    pub(crate) fn handle_confirmed(&self) {
        self.confirmed.send_replace(true);
    }

    /// What the CSMS answered to BootNotification.
    pub(crate) fn handle_registration(&self, registration: Registration) {
        *lock(&self.registration) = registration;
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
            tracing::error!(%error, event = event.name(), "a security event was not noted");
        }
    }

    /// Makes a key and sends a request for its certificate.
    pub(crate) async fn enrol(self: Arc<Self>, peer: Peer) {
        let shared = Arc::clone(&self);
        let make = move || {
            let request = shared.keyring.new_request();
            // F06.FR.10: it is sent also if the connection, and with it this handler, is gone meanwhile.
            shared.request_made.notify_one();
            request
        };
        match on_blocking_thread(make).await {
            Ok(Ok(request)) => self.send_request(&peer, request).await,
            Ok(Err(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "no certificate request was made")
            }
            Err(error) => tracing::error!(%error, "no certificate request was made"),
        }
    }

    /// Sends the requests that wait for a certificate and were not sent on this connection.
    pub(crate) async fn send_requests(self: &Arc<Self>, peer: &Peer) {
        for request in self.keyring.ready_requests() {
            self.send_request(peer, request).await;
        }
    }

    /// Sends a request; where the CSMS rejects it, the key goes (A02.FR.12). In doubt it stays and is sent again on the next
    /// connection.
    async fn send_request(self: &Arc<Self>, peer: &Peer, request: ReadyRequest) {
        let ReadyRequest { id, csr } = request;
        if !lock(&self.asked).insert(id) {
            return;
        }
        let use_ = CertificateSigningUse::ChargingStation;
        let request = SignRequest { csr: csr.as_str().to_owned(), use_, request_id: None, root: None };
        match csms::sign_certificate(peer, &request).await {
            Ok(SignAnswer::Accepted) => {
                tracing::info!(request = %id, "the CSMS accepted the certificate request; the certificate will follow");
            }
            Ok(SignAnswer::Rejected { reason }) => {
                tracing::warn!(request = %id, reason, "the CSMS rejected the certificate request; a new trigger starts anew");
                self.give_up(id).await;
            }
            Err(error) if error.is_answer() => {
                tracing::warn!(request = %id, %error, "the CSMS could not read the certificate request");
                self.give_up(id).await;
            }
            Err(error) => {
                tracing::warn!(request = %id, %error, "no answer; the request is sent again on the next connection")
            }
        }
    }

    async fn give_up(self: &Arc<Self>, id: PendingId) {
        let shared = Arc::clone(self);
        match on_blocking_thread(move || shared.keyring.give_up(id)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a key was not destroyed")
            }
            Err(error) => tracing::warn!(%error, "a key was not destroyed"),
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
        // The sender lives as long as `self`.
        let _ = self.confirmed.subscribe().wait_for(|confirmed| *confirmed).await;
        let store = Arc::clone(&self.store);
        let outcome = blocking(move || store.certificate_signed(&request, SystemTime::now())).await?;
        if let Some(refused) = &outcome.refused {
            // A02.FR.07
            self.raise(SecurityEvent::InvalidChargingStationCertificate, explain(refused)).await;
        }
        let reply = Reply::new(outcome.response);
        Ok(match outcome.installed {
            None => reply,
            Some(own) => {
                tracing::info!(certificate = %own.id, "the new certificate is stored; connecting anew with it");
                reply.then(async move { self.reconnect.notify_one() })
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
        blocking(move || self.store.install(&request, SystemTime::now())).await
    }

    /// Answers GetInstalledCertificateIds (M03).
    pub(crate) fn list<M: InventoryMessage>(&self, request: &M) -> Result<M::Response, CallError> {
        self.permit()?;
        Ok(self.store.installed_certificate_ids(request))
    }

    /// Answers DeleteCertificate (M04).
    pub(crate) async fn delete<M>(self: Arc<Self>, request: M) -> Result<M::Response, CallError>
    where
        M: DeleteMessage + Send + 'static,
        M::Response: Send + 'static,
    {
        self.permit()?;
        // Until then the store may not know that the connection relies on a root.
        let _ = self.confirmed.subscribe().wait_for(|confirmed| *confirmed).await;
        blocking(move || self.store.delete(&request)).await
    }

    /// Answers a request for a message, which follows the answer (F06.FR.04).
    pub(crate) fn trigger(self: Arc<Self>, peer: Peer, wanted: Trigger) -> Reply<TriggerAnswer> {
        let accepted = Reply::new(TriggerAnswer::Accepted);
        match wanted {
            // A02: the response first, then the key and the request (F06.FR.04, A02.FR.02).
            Trigger::Sign { use_: CertificateSigningUse::ChargingStation, .. } => {
                accepted.then(self.enrol(peer))
            }
            Trigger::Heartbeat => accepted.then(async move {
                if let Err(error) = csms::heartbeat(&peer).await {
                    tracing::warn!(%error, "the heartbeat that was asked for brought no answer");
                }
            }),
            // F06.FR.17, which 1.6 does not have.
            Trigger::BootNotification
                if *lock(&self.registration) == Registration::Accepted && peer.version() != Version::V16 =>
            {
                Reply::new(TriggerAnswer::Rejected)
            }
            Trigger::BootNotification => accepted.then(async move { self.boot.notify_one() }),
            // F06.FR.08, TC_F_27
            Trigger::Sign { .. } | Trigger::Other => Reply::new(TriggerAnswer::NotImplemented),
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

/// Nothing that holds one of these locks can leave what is in it half changed.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

/// An error and its causes in one line.
pub(crate) fn explain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
