//! Finds the handler of a message by its action.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use ocpp_types::{Notification, Request, RpcErrorCode, Sender, Version};

use crate::calls::failure::CallError;
use crate::calls::io::peer::Peer;
use crate::calls::io::reply::{Next, Reply};
use crate::frame::Incoming;

/// The handlers of one side of a connection, for one or several versions of OCPP. The type of the
/// request selects the handler.
///
/// A payload is checked against its schema before its handler runs. A payload that breaks the
/// schema, an action that no version of OCPP has, and an action without a handler are answered with
/// the CALLERROR of the specification's table.
///
/// ```
/// use ocpp_transport::{Peer, Reply, Router};
/// use ocpp_types::{Version, v201};
///
/// let heartbeat = |peer: Peer, _: v201::HeartbeatRequest| async move {
///     tracing::info!(station = %peer.identity(), "alive");
///     Ok(v201::HeartbeatResponse::new(std::time::SystemTime::now().into()))
/// };
/// let router = Router::new(Version::V201).handle(heartbeat);
/// # let _ = router;
/// ```
#[derive(Clone)]
pub struct Router {
    versions: Vec<Version>,
    calls: HashMap<&'static str, PerVersion<CallHandler>>,
    sends: HashMap<&'static str, PerVersion<SendHandler>>,
    invalid: Option<Arc<InvalidObserver>>,
}

type InvalidObserver = dyn Fn(&Peer, &Incoming) + Send + Sync;
type CallHandler = dyn Fn(Peer, &Incoming) -> Result<Pending, CallError> + Send + Sync;
type SendHandler = dyn Fn(Peer, &Incoming) -> Result<PendingSend, CallError> + Send + Sync;

/// A handler that has been called, and its future answer.
pub(crate) type Pending = Pin<Box<dyn Future<Output = Result<Handled, CallError>> + Send>>;

/// A handler of a SEND that has been called.
pub(crate) type PendingSend = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A response that is ready to be sent, as JSON.
pub(crate) struct Handled {
    pub(crate) payload: String,
    pub(crate) then: Option<Next>,
}

/// The handlers of one action by version, because versions share most names.
struct PerVersion<H: ?Sized>(Vec<(Version, Arc<H>)>);

impl Router {
    /// A router without handlers, for the requests of one version of OCPP.
    #[must_use]
    pub fn new(version: Version) -> Self {
        Self { versions: vec![version], calls: HashMap::new(), sends: HashMap::new(), invalid: None }
    }

    /// Adds a version of OCPP. A station offers the versions of its router in the order in which
    /// they were added, the preferred one first. A CSMS selects the first version in a station's
    /// offer that its router has.
    ///
    /// ```
    /// use ocpp_transport::Router;
    /// use ocpp_types::Version;
    ///
    /// let router = Router::new(Version::V21).and(Version::V201).and(Version::V16);
    /// assert_eq!(router.versions(), [Version::V21, Version::V201, Version::V16]);
    /// ```
    #[must_use]
    pub fn and(mut self, version: Version) -> Self {
        if !self.versions.contains(&version) {
            self.versions.push(version);
        }
        self
    }

    /// Handles requests of type `R`. The handler returns a response, or a [`Reply`] if work follows
    /// the response.
    ///
    /// One request of a connection is handled at a time, on the connection's task. If a handler
    /// panics or takes longer than
    /// [`SessionSettings::answer_deadline`](crate::session::SessionSettings), the request is
    /// answered with InternalError; a slow handler is dropped at its next `await`. Blocking work
    /// belongs in `spawn_blocking`, because it delays the connection. A handler outlives its
    /// connection by that deadline at most. It may call the peer, but a `close` that waits belongs
    /// in [`Reply::then`].
    ///
    /// An earlier handler of the same type is replaced.
    ///
    /// # Panics
    /// If `R` belongs to a version of OCPP that the router does not have.
    #[must_use]
    pub fn handle<R, O, F, Fut>(mut self, handler: F) -> Self
    where
        R: Request,
        O: Into<Reply<R::Response>> + 'static,
        F: Fn(Peer, R) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O, CallError>> + Send + 'static,
    {
        self.check(R::VERSION, R::ACTION);
        let handler = move |peer: Peer, incoming: &Incoming| -> Result<Pending, CallError> {
            let answer = handler(peer, decode::<R>(incoming, R::VERSION)?);
            Ok(Box::pin(async move {
                let (response, then) = answer.await?.into().into_parts();
                let payload = ocpp_types::encode(&response).map_err(|error| {
                    CallError::internal(format!("the response cannot be written: {error}"))
                })?;
                Ok(Handled { payload, then })
            }))
        };
        self.calls.entry(R::ACTION).or_default().insert(R::VERSION, Arc::new(handler));
        self
    }

    /// Handles messages of type `N`, which are never answered (SEND, OCPP 2.1).
    ///
    /// Handlers of these messages run one at a time, beside those of requests. A few messages wait
    /// while one is handled; further ones are dropped. A handler that panics or takes longer than
    /// [`SessionSettings::answer_deadline`](crate::session::SessionSettings) is logged and dropped.
    ///
    /// # Panics
    /// If `N` belongs to a version of OCPP that the router does not have.
    #[must_use]
    pub fn handle_send<N, F, Fut>(mut self, handler: F) -> Self
    where
        N: Notification,
        F: Fn(Peer, N) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.check(N::VERSION, N::ACTION);
        let handler = move |peer: Peer, incoming: &Incoming| -> Result<PendingSend, CallError> {
            Ok(Box::pin(handler(peer, decode::<N>(incoming, N::VERSION)?)))
        };
        self.sends.entry(N::ACTION).or_default().insert(N::VERSION, Arc::new(handler));
        self
    }

    /// Observes each request whose payload breaks its schema, before it is answered with a
    /// CALLERROR. Its content may matter although it is refused. The observer runs on the
    /// connection's task: return quickly. The payload is the peer's text, and may not be JSON.
    #[must_use]
    pub fn observe_invalid(self, observer: impl Fn(&Peer, &Incoming) + Send + Sync + 'static) -> Self {
        Self { invalid: Some(Arc::new(observer)), ..self }
    }

    /// The versions of OCPP that the handlers speak, in the order of [`Router::and`].
    #[must_use]
    pub fn versions(&self) -> &[Version] {
        &self.versions
    }

    /// Calls the handler of a CALL. The caller catches its panics.
    pub(crate) fn call(&self, peer: Peer, incoming: &Incoming) -> Result<Pending, CallError> {
        let (version, action) = (peer.version(), incoming.action());
        match self.calls.get(action).and_then(|handlers| handlers.get(version)) {
            // Before it returns its future, a handler fails only because of its payload.
            Some(handler) => handler(peer.clone(), incoming).inspect_err(|_| {
                if let Some(observe) = &self.invalid {
                    observe(&peer, incoming);
                }
            }),
            None => Err(unhandled(incoming, version)),
        }
    }

    /// Calls the handler of a SEND. The caller catches its panics.
    pub(crate) fn send(&self, peer: Peer, incoming: &Incoming) -> Result<PendingSend, CallError> {
        let version = peer.version();
        match self.sends.get(incoming.action()).and_then(|handlers| handlers.get(version)) {
            Some(handler) => handler(peer, incoming),
            None => Err(unhandled(incoming, version)),
        }
    }

    fn check(&self, version: Version, action: &str) {
        assert!(
            self.versions.contains(&version),
            "{action} belongs to {version}, which the router does not have"
        );
    }
}

impl<H: ?Sized> PerVersion<H> {
    fn get(&self, version: Version) -> Option<&H> {
        self.0.iter().find(|(of, _)| *of == version).map(|(_, handler)| handler.as_ref())
    }

    fn insert(&mut self, version: Version, handler: Arc<H>) {
        self.0.retain(|(of, _)| *of != version);
        self.0.push((version, handler));
    }
}

impl<H: ?Sized> Default for PerVersion<H> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<H: ?Sized> Clone for PerVersion<H> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut actions: Vec<_> = self.calls.keys().chain(self.sends.keys()).collect();
        actions.sort();
        formatter.debug_struct("Router").field("versions", &self.versions).field("actions", &actions).finish()
    }
}

fn decode<T: serde::de::DeserializeOwned>(incoming: &Incoming, version: Version) -> Result<T, CallError> {
    incoming.decode(version).map_err(|error| CallError::new(error.rpc_code(version), error.to_string()))
}

/// The answer to a message that has no handler.
fn unhandled(incoming: &Incoming, version: Version) -> CallError {
    // The text may not be a frame, because its payload has not been parsed.
    if let Err(error) = incoming.check(version) {
        return CallError::new(RpcErrorCode::RpcFrameworkError, error.to_string());
    }
    // The action is known but has no handler, or only this side may send it, or it belongs to
    // another message type.
    if sender(version, incoming.action()).is_some() {
        let description = format!("{} is not supported here", incoming.action());
        return CallError::new(RpcErrorCode::NotSupported, description);
    }
    CallError::new(RpcErrorCode::NotImplemented, "the action is unknown")
}

/// The sender of an action's messages; `None` if the version has no such action.
fn sender(version: Version, action: &str) -> Option<Sender> {
    match version {
        #[cfg(feature = "v16")]
        Version::V16 => ocpp_types::v16::sender(action),
        #[cfg(feature = "v201")]
        Version::V201 => ocpp_types::v201::sender(action),
        #[cfg(feature = "v21")]
        Version::V21 => ocpp_types::v21::sender(action).or_else(|| {
            let send = ocpp_types::v21::SENDS.iter().find(|(name, _)| *name == action);
            send.map(|(_, sender)| *sender)
        }),
        _ => {
            let _ = action;
            None
        }
    }
}
