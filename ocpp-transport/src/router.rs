//! From the action of a CALL to the handler of its type.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use ocpp_types::{Request, RpcErrorCode, Version, v201};
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
    version: Version,
    handlers: HashMap<&'static str, Arc<Handler>>,
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
        Self { version, handlers: HashMap::new() }
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
    /// If `R` belongs to another version of OCPP than the router.
    #[must_use]
    pub fn handle<R, O, F, Fut>(mut self, handler: F) -> Self
    where
        R: Request,
        O: Into<Reply<R::Response>> + 'static,
        F: Fn(Peer, R) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O, CallError>> + Send + 'static,
    {
        assert!(R::VERSION == self.version, "{} belongs to another version of OCPP", R::ACTION);
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
        self.handlers.insert(R::ACTION, Arc::new(handler));
        self
    }

    /// The version of OCPP that the handlers speak.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Handles one CALL. A panic of a handler comes through: the caller catches it.
    pub(crate) async fn dispatch(
        &self,
        peer: Peer,
        action: &str,
        payload: &RawValue,
    ) -> Result<Handled, CallError> {
        match self.handlers.get(action) {
            Some(handler) => handler(peer, self.version, payload).await,
            // Known, but not offered, or one that only this side may send.
            None if v201::sender(action).is_some() => {
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
        formatter.debug_struct("Router").field("version", &self.version).field("actions", &actions).finish()
    }
}

fn raw_response<T: serde::Serialize>(response: &T) -> Result<Box<RawValue>, CallError> {
    let text = ocpp_types::encode(response)
        .map_err(|error| CallError::internal(format!("the response cannot be written: {error}")))?;
    RawValue::from_string(text).map_err(|_| CallError::internal("the response cannot be written"))
}
