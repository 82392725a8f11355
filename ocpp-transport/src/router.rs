//! From the action of a CALL to the handler of its type.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use ocpp_types::{Request, RpcErrorCode, Sender, Version};
use serde_json::value::RawValue;

use crate::call::CallError;
use crate::peer::Peer;
use crate::reply::{Next, Reply};

/// The handlers of one side of a connection, by the type of the request.
///
/// A payload is checked against its schema before a handler sees it. What breaks the schema, what no version of OCPP
/// knows and what has no handler is answered with the CALLERROR of the specification's table.
///
/// ```
/// use ocpp_transport::{Peer, Reply, Router};
/// use ocpp_types::{Version, v201};
///
/// let router = Router::new(Version::V201).handle(|peer: Peer, _: v201::HeartbeatRequest| async move {
///     tracing::info!(station = %peer.identity(), "alive");
///     Ok(v201::HeartbeatResponse::new(std::time::SystemTime::now().into()))
/// });
/// # let _ = router;
/// ```
#[derive(Clone)]
pub struct Router {
    versions: Vec<Version>,
    handlers: HashMap<(Version, &'static str), Arc<Handler>>,
}

type Handler = dyn Fn(Peer, Version, &RawValue) -> Pending + Send + Sync;
type Pending = Pin<Box<dyn Future<Output = Result<Handled, CallError>> + Send>>;

/// A response that is ready to be sent.
pub(crate) struct Handled {
    pub(crate) payload: Box<RawValue>,
    pub(crate) then: Option<Next>,
}

impl Router {
    /// A router without handlers, for the requests of one version of OCPP.
    #[must_use]
    pub fn new(version: Version) -> Self {
        Self { versions: vec![version], handlers: HashMap::new() }
    }

    /// Adds a version of OCPP. A station offers the versions of its router in the order in which they were added, the
    /// one that it prefers first; a CSMS takes the first of a station's offer that its router has.
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

    /// Handles requests of type `R`. It answers with a response, or with a [`Reply`] where something is to follow.
    ///
    /// One request of a connection is handled at a time. A handler that panics is answered for with InternalError;
    /// so is one that takes longer than [`SessionSettings::answer_deadline`](crate::session::SessionSettings), and it
    /// is dropped at its next `await`, so work that blocks belongs into `spawn_blocking`. A handler outlives the
    /// connection that it was called on by that deadline at most. It may call the peer, but a `close` that waits
    /// belongs into [`Reply::then`].
    ///
    /// A handler of the same type that was given before is replaced.
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
        assert!(
            self.versions.contains(&R::VERSION),
            "{} belongs to {}, which the router does not have",
            R::ACTION,
            R::VERSION
        );
        let handler = move |peer: Peer, version: Version, payload: &RawValue| -> Pending {
            match ocpp_types::decode::<R>(payload.get()) {
                Ok(request) => {
                    let answer = handler(peer, request);
                    Box::pin(async move {
                        let (response, then) = answer.await?.into().into_parts();
                        Ok(Handled { payload: raw_response(&response)?, then })
                    })
                }
                Err(error) => {
                    let refusal = CallError::new(error.rpc_code(version), error.to_string());
                    Box::pin(std::future::ready(Err(refusal)))
                }
            }
        };
        self.handlers.insert((R::VERSION, R::ACTION), Arc::new(handler));
        self
    }

    /// The versions of OCPP that the handlers speak, in the order of [`Router::and`].
    #[must_use]
    pub fn versions(&self) -> &[Version] {
        &self.versions
    }

    /// Handles one CALL. A panic of a handler comes through: the caller catches it.
    pub(crate) async fn dispatch(
        &self,
        peer: Peer,
        action: &str,
        payload: &RawValue,
    ) -> Result<Handled, CallError> {
        let version = peer.version();
        match self.handlers.iter().find(|((of, name), _)| *of == version && *name == action) {
            Some((_, handler)) => handler(peer, version, payload).await,
            // Known, but not offered, or one that only this side may send.
            None if sender(version, action).is_some() => {
                Err(CallError::new(RpcErrorCode::NotSupported, format!("{action} is not supported here")))
            }
            None => Err(CallError::new(RpcErrorCode::NotImplemented, "the action is unknown")),
        }
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut actions: Vec<_> = self.handlers.keys().collect();
        actions.sort();
        formatter.debug_struct("Router").field("versions", &self.versions).field("actions", &actions).finish()
    }
}

fn raw_response<T: serde::Serialize>(response: &T) -> Result<Box<RawValue>, CallError> {
    let text = ocpp_types::encode(response)
        .map_err(|error| CallError::internal(format!("the response cannot be written: {error}")))?;
    RawValue::from_string(text).map_err(|_| CallError::internal("the response cannot be written"))
}

/// Who sends the requests of an action; `None` where the version has no such action.
fn sender(version: Version, action: &str) -> Option<Sender> {
    match version {
        #[cfg(feature = "v16")]
        Version::V16 => ocpp_types::v16::sender(action),
        #[cfg(feature = "v201")]
        Version::V201 => ocpp_types::v201::sender(action),
        #[cfg(feature = "v21")]
        Version::V21 => ocpp_types::v21::sender(action),
        _ => None,
    }
}
