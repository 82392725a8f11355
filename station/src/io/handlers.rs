//! What the station does when the CSMS calls.

use std::{
    collections::BTreeSet,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::SystemTime,
};

use ocpp_transport::{CallError, CallFailure, Peer, Reply, Router};
use ocpp_types::{
    Version,
    v201::{
        CertificateSignedRequest, CertificateSignedResponse, CertificateSigningUseEnumType,
        DeleteCertificateRequest, GenericStatusEnumType, GetInstalledCertificateIdsRequest, HeartbeatRequest,
        InstallCertificateRequest, MessageTriggerEnumType, RegistrationStatusEnumType,
        SignCertificateRequest, TriggerMessageRequest, TriggerMessageResponse, TriggerMessageStatusEnumType,
    },
};
use station_store::{PendingId, Store};
use tokio::{
    sync::{Notify, watch},
    task::spawn_blocking,
};

use crate::{
    config::CertificatesSection,
    io::{
        enrolment::{Keyring, ReadyRequest},
        model_file::ModelFile,
        model_handlers::with_model,
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
    registration: Mutex<Option<RegistrationStatusEnumType>>,
    /// The requests that were sent on this connection; each is sent once on it.
    asked: Mutex<BTreeSet<PendingId>>,
    /// Whether the certificate of this connection is confirmed. None is taken in before: confirming one discards the others.
    confirmed: watch::Sender<bool>,
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
            registration: Mutex::default(),
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

    /// What the CSMS answered to BootNotification; `None`: a new one is under way.
    pub(crate) fn handle_registration(&self, status: Option<RegistrationStatusEnumType>) {
        *lock(&self.registration) = status;
    }

    /// Refuses to serve a CSMS that has rejected the station (B03.FR.08, TC_B_30).
    pub(crate) fn permit(&self) -> Result<(), CallError> {
        match *lock(&self.registration) {
            Some(RegistrationStatusEnumType::Rejected) => {
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
        let mut message = SignCertificateRequest::new(csr);
        // A02.FR.13
        message.certificate_type = Some(CertificateSigningUseEnumType::ChargingStationCertificate);
        match peer.call(message).await {
            Ok(answer) if answer.status == GenericStatusEnumType::Accepted => {
                tracing::info!(request = %id, "the CSMS accepted the certificate request; the certificate will follow");
            }
            Ok(answer) => {
                let reason = answer.status_info.as_ref().map(|info| info.reason_code.as_str());
                tracing::warn!(request = %id, reason, "the CSMS rejected the certificate request; a new trigger starts anew");
                self.give_up(id).await;
            }
            Err(CallFailure::CallError { code, description }) => {
                tracing::warn!(request = %id, ?code, description, "the CSMS could not read the certificate request");
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
    async fn certificate_signed(
        self: Arc<Self>,
        request: CertificateSignedRequest,
    ) -> Result<Reply<CertificateSignedResponse>, CallError> {
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

    fn trigger(
        self: Arc<Self>,
        peer: Peer,
        request: &TriggerMessageRequest,
    ) -> Reply<TriggerMessageResponse> {
        use TriggerMessageStatusEnumType::{Accepted, NotImplemented, Rejected};
        let accepted = Reply::new(TriggerMessageResponse::new(Accepted));
        match request.requested_message {
            // A02: the response first, then the key and the request (F06.FR.04, A02.FR.02).
            MessageTriggerEnumType::SignChargingStationCertificate => accepted.then(self.enrol(peer)),
            MessageTriggerEnumType::Heartbeat => accepted.then(async move {
                if let Err(error) = peer.call(HeartbeatRequest::new()).await {
                    tracing::warn!(%error, "the heartbeat that was asked for brought no answer");
                }
            }),
            // F06.FR.17
            MessageTriggerEnumType::BootNotification
                if *lock(&self.registration) == Some(RegistrationStatusEnumType::Accepted) =>
            {
                Reply::new(TriggerMessageResponse::new(Rejected))
            }
            MessageTriggerEnumType::BootNotification => accepted.then(async move { self.boot.notify_one() }),
            // F06.FR.08, TC_F_27
            _ => Reply::new(TriggerMessageResponse::new(NotImplemented)),
        }
    }
}

/// The router of the station's handlers.
pub(crate) fn router(shared: &Arc<Shared>) -> Router {
    let [trigger, signed, install, list, delete] = [shared; 5].map(Arc::clone);
    with_model(Router::new(Version::V201), shared)
        .handle(move |peer, request: TriggerMessageRequest| {
            let shared = Arc::clone(&trigger);
            async move {
                shared.permit()?;
                Ok::<_, CallError>(shared.trigger(peer, &request))
            }
        })
        .handle(move |_, request: CertificateSignedRequest| {
            let shared = Arc::clone(&signed);
            async move {
                shared.permit()?;
                shared.certificate_signed(request).await
            }
        })
        .handle(move |_, request: InstallCertificateRequest| {
            let shared = Arc::clone(&install);
            async move {
                shared.permit()?;
                blocking(move || shared.store.install(&request, SystemTime::now())).await
            }
        })
        .handle(move |_, request: GetInstalledCertificateIdsRequest| {
            let shared = Arc::clone(&list);
            async move {
                shared.permit()?;
                Ok::<_, CallError>(shared.store.installed_certificate_ids(&request))
            }
        })
        .handle(move |_, request: DeleteCertificateRequest| {
            let shared = Arc::clone(&delete);
            async move {
                shared.permit()?;
                blocking(move || shared.store.delete(&request)).await
            }
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
