//! The other end of a live connection.

use core::net::SocketAddr;
use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use ocpp_types::{Request, RpcErrorCode, Version};
use rustls_pki_types::CertificateDer;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot, watch};

use crate::call::CallFailure;
use crate::close::{Close, CloseReason};
use crate::identity::Identity;
use crate::name_rule::Subject;
use crate::profile::SecurityProfile;

/// A handle to the other end of a connection. Clones are handles to the same connection.
///
/// It does not keep the connection open: on a closed one every call fails with [`CallFailure::Disconnected`].
#[derive(Clone)]
pub struct Peer {
    inner: Arc<Inner>,
}

struct Inner {
    link: Link,
    commands: mpsc::Sender<Command>,
    close: watch::Sender<Option<Close>>,
    closed: watch::Receiver<Option<CloseReason>>,
}

/// What the handshake found out about a connection.
pub(crate) struct Link {
    pub(crate) version: Version,
    pub(crate) identity: Identity,
    pub(crate) profile: SecurityProfile,
    pub(crate) remote: SocketAddr,
    pub(crate) client_certificate: Option<Vec<CertificateDer<'static>>>,
    pub(crate) context: Option<Arc<dyn Any + Send + Sync>>,
}

/// A call for the driver.
pub(crate) struct Command {
    pub(crate) action: Cow<'static, str>,
    pub(crate) payload: Box<RawValue>,
    pub(crate) outcome: Outcome,
}

/// Takes the answer to a call; runs on the connection's task. Dropped: there is none.
pub(crate) type Outcome = Box<dyn FnOnce(Result<Box<RawValue>, CallFailure>) + Send>;

/// The driver's ends of a peer's channels.
pub(crate) struct PeerChannels {
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) close: watch::Receiver<Option<Close>>,
    pub(crate) closed: watch::Sender<Option<CloseReason>>,
}

impl Peer {
    pub(crate) fn new(link: Link) -> (Self, PeerChannels) {
        let (commands, command_receiver) = mpsc::channel(COMMAND_QUEUE_LEN);
        let (close, close_receiver) = watch::channel(None);
        let (closed_sender, closed) = watch::channel(None);
        let peer = Self { inner: Arc::new(Inner { link, commands, close, closed }) };
        let channels =
            PeerChannels { commands: command_receiver, close: close_receiver, closed: closed_sender };
        (peer, channels)
    }

    /// The identity of the station whose connection this is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
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

    /// The network address of the other end.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.inner.link.remote
    }

    /// The certificates that the station proved its identity with, its own first; only on a CSMS, under profile 3.
    /// Path and organization have been verified (A00.FR.403, A00.FR.404).
    #[must_use]
    pub fn client_certificate(&self) -> Option<&[CertificateDer<'static>]> {
        self.inner.link.client_certificate.as_deref()
    }

    /// The subject of [`Peer::client_certificate`]: its common name is to be the station's serial number, which
    /// BootNotification tells (A00.FR.405, B01.FR.11).
    #[must_use]
    pub fn client_subject(&self) -> Option<Subject> {
        Subject::of(self.client_certificate()?.first()?).ok()
    }

    /// What [`Admission::admit`](crate::Admission::admit) attached to the connection, if it is a `T`.
    #[must_use]
    pub fn context<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.inner.link.context.as_deref()?.downcast_ref()
    }

    /// Whether the connection is open, and nobody has begun to close it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.inner.close.borrow().is_none()
            && self.inner.closed.has_changed().is_ok()
            && self.inner.closed.borrow().is_none()
    }

    /// Calls the peer and waits for its response.
    ///
    /// Calls go one at a time (2.0.1 Part 4, 4.1.1); the time that one waits for those before it does not count
    /// against its timeout, 30 s by default.
    ///
    /// # Errors
    /// See [`CallFailure`].
    ///
    /// # Cancel safety
    /// The call is handed over at the first poll. Dropping the future after that does not take it back: the peer may
    /// act on it, and its answer is thrown away.
    pub async fn call<R: Request>(&self, request: R) -> Result<R::Response, CallFailure> {
        let payload = raw_request(&request)?;
        drop(request);
        let response = self.call_raw(Cow::Borrowed(R::ACTION), payload).await?;
        ocpp_types::decode(response.get()).map_err(CallFailure::InvalidResponse)
    }

    /// As [`Peer::call`]; `observe` sees the response before the peer's next frame is looked at, so what it changes holds
    /// for every CALL that comes after the response. It runs on the connection's task: return quickly.
    ///
    /// # Errors
    /// See [`CallFailure`]. Without a valid response `observe` does not run.
    ///
    /// # Cancel safety
    /// As [`Peer::call`]; `observe` runs also if the future was dropped.
    pub async fn call_observed<R>(
        &self,
        request: R,
        observe: impl FnOnce(&R::Response) + Send + 'static,
    ) -> Result<R::Response, CallFailure>
    where
        R: Request,
        R::Response: Send + 'static,
    {
        let payload = raw_request(&request)?;
        drop(request);
        self.exchange(Cow::Borrowed(R::ACTION), payload, |answer| {
            let response = ocpp_types::decode(answer?.get()).map_err(CallFailure::InvalidResponse)?;
            observe(&response);
            Ok(response)
        })
        .await
    }

    /// Calls the peer with an action and a payload that nobody checks. For tests of a peer, and for gateways.
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
        self.exchange(action, payload, |answer| answer).await
    }

    async fn exchange<T: Send + 'static>(
        &self,
        action: Cow<'static, str>,
        payload: Box<RawValue>,
        read: impl FnOnce(Result<Box<RawValue>, CallFailure>) -> Result<T, CallFailure> + Send + 'static,
    ) -> Result<T, CallFailure> {
        let (sender, answer) = oneshot::channel();
        let outcome: Outcome = Box::new(move |answer| {
            // The caller may have lost interest.
            let _ = sender.send(read(answer));
        });
        self.inner.commands.try_send(Command { action, payload, outcome }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => CallFailure::QueueFull,
            mpsc::error::TrySendError::Closed(_) => CallFailure::Disconnected,
        })?;
        // The driver ends each call by its timeout at the latest; without a driver the sender is gone.
        answer.await.unwrap_or(Err(CallFailure::Disconnected))
    }

    /// Closes the connection after pending answers are flushed, and returns when it is closed. CALLs of this side
    /// that wait for an answer fail with [`CallFailure::Disconnected`].
    ///
    /// The first to close decides the reason. Do not wait for this in a handler whose answer is pending; put it into
    /// [`Reply::then`](crate::Reply::then).
    ///
    /// # Cancel safety
    /// The connection closes also if the future is dropped after its first poll.
    pub async fn close(&self, close: Close) -> CloseReason {
        self.begin_close(close);
        self.closed().await
    }

    /// Waits until the connection is closed.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it.
    pub async fn closed(&self) -> CloseReason {
        let mut closed = self.inner.closed.clone();
        let reason = closed.wait_for(Option::is_some).await;
        reason.ok().and_then(|reason| reason.clone()).unwrap_or(CloseReason::Dropped)
    }

    pub(crate) fn begin_close(&self, close: Close) {
        self.inner.close.send_if_modified(|requested| {
            // Being replaced is more urgent than a close that still waits for something.
            let first = requested.is_none() || (close == Close::Replaced && *requested != Some(close));
            if first {
                *requested = Some(close);
            }
            first
        });
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

fn raw_request<R: Request>(request: &R) -> Result<Box<RawValue>, CallFailure> {
    let text = ocpp_types::encode(request).map_err(CallFailure::Unwritable)?;
    Ok(RawValue::from_string(text).expect("what serde_json wrote is JSON"))
}

/// A CALLERROR of the peer, as its caller sees it.
pub(crate) fn peer_error(code: RpcErrorCode, description: String) -> CallFailure {
    CallFailure::CallError { code, description }
}

/// Calls that wait for the driver to look; it empties this queue each time that it wakes up.
const COMMAND_QUEUE_LEN: usize = 16;
