//! What the station does when the CSMS calls.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use ocpp_transport::{CallError, CallFailure, Peer, Reply, Router};
use ocpp_types::{
    Timestamp, Version,
    v201::{
        CertificateSignedRequest, CertificateSignedResponse, CertificateSigningUseEnumType,
        DeleteCertificateRequest, GenericStatusEnumType, GetInstalledCertificateIdsRequest, HeartbeatRequest,
        InstallCertificateRequest, MessageTriggerEnumType, SignCertificateRequest, TriggerMessageRequest,
        TriggerMessageResponse, TriggerMessageStatusEnumType,
    },
};
use station_store::Store;
use tokio::{sync::Notify, task::spawn_blocking};

use crate::{
    io::enrolment::{Keyring, ReadyRequest},
    security_events::{SecurityEvent, SecurityEventQueue},
};

/// What the handlers and the agent share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Arc<Store>,
    pub(crate) keyring: Keyring,
    events: Mutex<SecurityEventQueue>,
    /// Wakes the agent: an event waits to be reported.
    pub(crate) events_wait: Notify,
    /// Wakes the agent: connect anew, with the certificate that has come.
    pub(crate) reconnect: Notify,
    /// Wakes the agent: BootNotification was asked for.
    pub(crate) boot: Notify,
    /// Whether the CSMS has accepted BootNotification.
    pub(crate) booted: AtomicBool,
}

impl Shared {
    pub(crate) fn new(store: Arc<Store>, keyring: Keyring) -> Self {
        Self {
            store,
            keyring,
            events: Mutex::default(),
            events_wait: Notify::new(),
            reconnect: Notify::new(),
            boot: Notify::new(),
            booted: AtomicBool::new(false),
        }
    }

    pub(crate) fn events(&self) -> MutexGuard<'_, SecurityEventQueue> {
        // Nothing that holds the lock can leave the queue half changed.
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a security event, to be reported when the CSMS listens.
    pub(crate) fn raise(&self, event: SecurityEvent, info: &str) {
        tracing::warn!(event = event.name(), info, "security event");
        self.events().push(event, Timestamp::from(SystemTime::now()).to_milliseconds(), info);
        self.events_wait.notify_one();
    }

    /// Makes a key and sends a request for its certificate.
    pub(crate) async fn enrol(self: Arc<Self>, peer: Peer) {
        let shared = Arc::clone(&self);
        match on_blocking_thread(move || shared.keyring.new_request()).await {
            Ok(Ok(request)) => self.send_request(&peer, request).await,
            Ok(Err(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "no certificate request was made")
            }
            Err(error) => tracing::error!(%error, "no certificate request was made"),
        }
    }

    /// Sends a request; where the CSMS rejects it, the key goes (A02.FR.12). In doubt it stays and is sent again.
    pub(crate) async fn send_request(self: &Arc<Self>, peer: &Peer, request: ReadyRequest) {
        let ReadyRequest { id, csr } = request;
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
                tracing::warn!(request = %id, %error, "no answer; the request is sent again after the next boot")
            }
        }
    }

    async fn give_up(self: &Arc<Self>, id: station_store::PendingId) {
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
        let store = Arc::clone(&self.store);
        let outcome = blocking(move || store.certificate_signed(&request, SystemTime::now())).await?;
        if let Some(refused) = &outcome.refused {
            // A02.FR.07
            self.raise(SecurityEvent::InvalidChargingStationCertificate, &explain(refused));
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
            MessageTriggerEnumType::BootNotification if self.booted.load(Ordering::Relaxed) => {
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
    Router::new(Version::V201)
        .handle(move |peer, request: TriggerMessageRequest| {
            let shared = Arc::clone(&trigger);
            async move { Ok::<_, CallError>(shared.trigger(peer, &request)) }
        })
        .handle(move |_, request: CertificateSignedRequest| Arc::clone(&signed).certificate_signed(request))
        .handle(move |_, request: InstallCertificateRequest| {
            let store = Arc::clone(&install.store);
            async move { blocking(move || store.install(&request, SystemTime::now())).await }
        })
        .handle(move |_, request: GetInstalledCertificateIdsRequest| {
            let store = Arc::clone(&list.store);
            async move { Ok::<_, CallError>(store.installed_certificate_ids(&request)) }
        })
        .handle(move |_, request: DeleteCertificateRequest| {
            let store = Arc::clone(&delete.store);
            async move { blocking(move || store.delete(&request)).await }
        })
}

/// Runs work that waits for the disk or the token on a thread that may block.
pub(crate) async fn on_blocking_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    spawn_blocking(work).await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, CallError> {
    on_blocking_thread(work).await.map_err(|_| CallError::internal("the station failed while it did this"))
}

/// An error and its causes in one line.
fn explain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
