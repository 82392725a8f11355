//! The other end of an open connection.

use core::net::SocketAddr;
use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use certificates::StationIdentity;
use ocpp_types::{Notification, Request, Version};
use rustls_pki_types::CertificateDer;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use crate::calls::failure::CallFailure;
use crate::calls::mailbox::{Command, DriverEnd, Mailbox, Outcome};
use crate::connection::close::{Close, CloseReason};
use crate::connection::profile::SecurityProfile;
use crate::frame::{Fault, FrameError, IncomingResult, MessageKind, PayloadError};
use crate::message_id::MessageId;
use crate::metrics::Metrics;
use crate::name_rule::CertificateSubject;
use crate::session::{Outgoing, Registration, Retry, Role};

/// A handle to the other end of a connection. Clones are handles to the same connection.
///
/// A handle does not keep the connection open. On a closed connection every call fails with
/// [`CallFailure::Disconnected`].
#[derive(Clone)]
pub struct Peer {
    inner: Arc<Inner>,
}

struct Inner {
    link: Link,
    mailbox: Arc<Mailbox>,
}

/// The result of the handshake of a connection.
pub(crate) struct Link {
    /// The side of this process.
    pub(crate) role: Role,
    pub(crate) version: Version,
    /// The station's registration when the connection begins, as far as this side knows it.
    pub(crate) registration: Registration,
    pub(crate) identity: StationIdentity,
    pub(crate) profile: SecurityProfile,
    pub(crate) remote: SocketAddr,
    pub(crate) client_certificate: Option<Vec<CertificateDer<'static>>>,
    pub(crate) context: Option<Arc<dyn Any + Send + Sync>>,
    pub(crate) metrics: Metrics,
}

/// Options of a call.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CallOptions {
    /// Sends the CALL again if it fails.
    pub retry: Option<Retry>,
    /// The id of the CALL, if it was sent with that id on an earlier connection.
    pub id: Option<MessageId>,
}

impl CallOptions {
    /// Sends the CALL again if it fails.
    #[must_use]
    pub fn with_retry(self, retry: Retry) -> Self {
        Self { retry: Some(retry), ..self }
    }

    /// Sends the CALL with the id of its first transmission (2.0.1 errata 2024-09, 4.1.4).
    #[must_use]
    pub fn with_id(self, id: MessageId) -> Self {
        Self { id: Some(id), ..self }
    }
}

impl Peer {
    pub(crate) fn new(link: Link) -> (Self, DriverEnd) {
        let mailbox = Arc::new(Mailbox::default());
        let end = DriverEnd::new(Arc::clone(&mailbox));
        (Self { inner: Arc::new(Inner { link, mailbox }) }, end)
    }

    pub(crate) fn role(&self) -> Role {
        self.inner.link.role
    }

    pub(crate) fn initial_registration(&self) -> Registration {
        self.inner.link.registration
    }

    /// The identity of the station of this connection.
    #[must_use]
    pub fn identity(&self) -> &StationIdentity {
        &self.inner.link.identity
    }

    /// The version of OCPP that both sides agreed on.
    #[must_use]
    pub fn version(&self) -> Version {
        self.inner.link.version
    }

    /// The security profile of the connection.
    #[must_use]
    pub fn profile(&self) -> SecurityProfile {
        self.inner.link.profile
    }

    /// The metrics of this connection.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.inner.link.metrics
    }

    /// The network address of the other end.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.inner.link.remote
    }

    /// The certificates with which the station proved its identity, its own first. Only on a CSMS,
    /// under profile 3. Path and organization have been verified (A00.FR.403, A00.FR.404).
    #[must_use]
    pub fn client_certificate(&self) -> Option<&[CertificateDer<'static>]> {
        self.inner.link.client_certificate.as_deref()
    }

    /// The subject of [`Peer::client_certificate`]. Its common name must be the station's serial
    /// number, which BootNotification contains (A00.FR.405, B01.FR.11).
    #[must_use]
    pub fn client_subject(&self) -> Option<CertificateSubject> {
        CertificateSubject::of(self.client_certificate()?.first()?).ok()
    }

    /// The value that [`Admission::admit`](crate::Admission::admit) attached to the connection, if
    /// it is a `T`.
    #[must_use]
    pub fn context<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.inner.link.context.as_deref()?.downcast_ref()
    }

    /// Whether the connection is open and no close has begun.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.inner.mailbox.is_open()
    }

    /// Calls the peer and waits for its response.
    ///
    /// Calls are sent one at a time (2.0.1 Part 4, 4.1.1). The timeout of a call, 30 s by default,
    /// begins when the call is sent.
    ///
    /// # Errors
    /// See [`CallFailure`].
    ///
    /// # Cancel safety
    /// The call is queued at the first poll. Dropping the future after that does not cancel the
    /// call: the peer may act on it, and its answer is discarded.
    pub async fn call<R: Request>(&self, request: R) -> Result<R::Response, CallFailure> {
        self.call_with(request, CallOptions::default()).await
    }

    /// As [`Peer::call`], with options.
    ///
    /// # Errors
    /// See [`CallFailure`].
    ///
    /// # Cancel safety
    /// As [`Peer::call`].
    pub async fn call_with<R: Request>(
        &self,
        request: R,
        options: CallOptions,
    ) -> Result<R::Response, CallFailure> {
        let outgoing = self.outgoing(R::VERSION, R::ACTION, &request)?;
        drop(request);
        self.exchange(outgoing, options, |response| response.decode(R::VERSION)).await
    }

    /// As [`Peer::call`]. `observe` gets the response before the peer's next frame is processed, so
    /// its changes apply to every CALL after the response. It runs on the connection's task: return
    /// quickly.
    ///
    /// # Errors
    /// See [`CallFailure`]. Without a valid response `observe` does not run.
    ///
    /// # Cancel safety
    /// As [`Peer::call`]. `observe` also runs if the future was dropped.
    pub async fn call_observed<R>(
        &self,
        request: R,
        observe: impl FnOnce(&R::Response) + Send + 'static,
    ) -> Result<R::Response, CallFailure>
    where
        R: Request,
    {
        let outgoing = self.outgoing(R::VERSION, R::ACTION, &request)?;
        drop(request);
        let read = |response: &IncomingResult| {
            let response = response.decode(R::VERSION)?;
            observe(&response);
            Ok(response)
        };
        self.exchange(outgoing, CallOptions::default(), read).await
    }

    /// Calls the peer with an action and a payload that are not checked. For tests of a peer, and
    /// for gateways.
    ///
    /// # Errors
    /// See [`CallFailure`].
    ///
    /// # Cancel safety
    /// As [`Peer::call`].
    pub async fn call_raw(
        &self,
        action: Cow<'static, str>,
        payload: Box<RawValue>,
    ) -> Result<Box<RawValue>, CallFailure> {
        let version = self.version();
        let read = move |response: &IncomingResult| {
            response.check(version)?;
            serde_json::from_str::<&RawValue>(response.payload()).map(ToOwned::to_owned).map_err(|_| {
                let (kind, id) = (Some(MessageKind::CallResult), Some(response.id().clone()));
                FrameError { fault: Fault::NotAnArray, kind, id }.into()
            })
        };
        self.exchange(Outgoing::new(action, &payload), CallOptions::default(), read).await
    }

    /// Sends a message that the peer does not answer (SEND, OCPP 2.1). Returns when the message is
    /// queued for the socket.
    ///
    /// # Errors
    /// See [`CallFailure`]. [`CallFailure::QueueFull`] if the peer does not read earlier messages.
    ///
    /// # Cancel safety
    /// The message is queued at the first poll. Dropping the future after that does not cancel it.
    pub async fn send<N: Notification>(&self, notification: N) -> Result<(), CallFailure> {
        let outgoing = self.outgoing(N::VERSION, N::ACTION, &notification)?;
        drop(notification);
        let (outcome, sent) = oneshot::channel();
        self.inner.mailbox.put(Command::Send { outgoing, outcome })?;
        sent.await.unwrap_or(Err(CallFailure::Disconnected))
    }

    async fn exchange<T: Send + 'static>(
        &self,
        outgoing: Outgoing,
        options: CallOptions,
        read: impl FnOnce(&IncomingResult) -> Result<T, PayloadError> + Send + 'static,
    ) -> Result<T, CallFailure> {
        let mut outgoing = outgoing;
        if let Some(retry) = options.retry {
            outgoing = outgoing.with_retry(retry);
        }
        if let Some(id) = options.id {
            outgoing = outgoing.with_id(id);
        }
        let (sender, answer) = oneshot::channel();
        let outcome: Outcome = Box::new(move |answer, count| {
            let (result, verdict) = match answer.map(|response| read(&response)) {
                Ok(Ok(response)) => (Ok(response), Ok(())),
                Ok(Err(error)) => (Err(error.clone().into()), Err(error)),
                Err(failure) => (Err(failure), Ok(())),
            };
            count(&verdict);
            // The caller may have dropped its future.
            let _ = sender.send(result);
            verdict
        });
        self.inner.mailbox.put(Command::Call { outgoing, outcome })?;
        // The driver ends each call by its timeout at the latest. If there is no driver, the sender
        // is dropped.
        answer.await.unwrap_or(Err(CallFailure::Disconnected))
    }

    fn outgoing<T: serde::Serialize>(
        &self,
        version: Version,
        action: &'static str,
        payload: &T,
    ) -> Result<Outgoing, CallFailure> {
        let connection = self.version();
        if version != connection {
            return Err(CallFailure::WrongVersion { message: version, connection });
        }
        Ok(Outgoing::written(action, ocpp_types::encode(payload).map_err(CallFailure::Unwritable)?))
    }

    /// Closes the connection after pending answers are flushed, and returns when it is closed. Open
    /// CALLs of this side fail with [`CallFailure::Disconnected`].
    ///
    /// The first close decides the reason. Do not wait for it in a handler whose answer is pending;
    /// use [`Reply::then`](crate::Reply::then).
    ///
    /// # Cancel safety
    /// The connection closes even if the future is dropped after its first poll.
    pub async fn close(&self, close: Close) -> CloseReason {
        self.begin_close(close);
        self.closed().await
    }

    /// Waits until the connection is closed.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn closed(&self) -> CloseReason {
        loop {
            let mut closed = pin!(self.inner.mailbox.ended.notified());
            closed.as_mut().enable();
            if let Some(reason) = self.inner.mailbox.close_reason() {
                return reason;
            }
            closed.await;
        }
    }

    pub(crate) fn begin_close(&self, close: Close) {
        self.inner.mailbox.begin_close(close);
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Peer")
            .field("identity", self.identity())
            .field("version", &self.version())
            .field("profile", &self.profile())
            .field("remote", &self.remote())
            .finish_non_exhaustive()
    }
}
