//! The response of a handler, and the work that follows it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

/// A response, and optional work that starts when the response has been flushed.
///
/// ```
/// use ocpp_transport::Reply;
///
/// // Sends the requested message (FR.05).
/// let reply = Reply::new("a response").then(async {});
/// # let _ = reply;
/// ```
pub struct Reply<T> {
    response: T,
    then: Option<Next>,
}

/// The work that follows an answer.
pub(crate) type Next = Pin<Box<dyn Future<Output = ()> + Send>>;

impl<T> Reply<T> {
    /// A response without further work.
    #[must_use]
    pub fn new(response: T) -> Self {
        Self { response, then: None }
    }

    /// Runs `next` strictly after the response frame was written and flushed to the socket (FR.05).
    /// If that fails, or the response was too late, it never runs. It runs beside the connection,
    /// so it may call the peer and close the connection. Work that is added by several calls runs
    /// one after the other.
    #[must_use]
    pub fn then(self, next: impl Future<Output = ()> + Send + 'static) -> Self {
        let then: Next = match self.then {
            None => Box::pin(next),
            Some(first) => Box::pin(async move {
                first.await;
                next.await;
            }),
        };
        Self { then: Some(then), ..self }
    }

    /// Replaces the response. The work that follows it stays.
    #[must_use]
    pub fn map<U>(self, response: impl FnOnce(T) -> U) -> Reply<U> {
        Reply { response: response(self.response), then: self.then }
    }

    /// The response.
    #[must_use]
    pub fn response(&self) -> &T {
        &self.response
    }

    pub(crate) fn into_parts(self) -> (T, Option<Next>) {
        (self.response, self.then)
    }
}

impl<T> From<T> for Reply<T> {
    fn from(response: T) -> Self {
        Self::new(response)
    }
}

impl<T: fmt::Debug> fmt::Debug for Reply<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Reply")
            .field("response", &self.response)
            .field("then", &self.then.is_some())
            .finish()
    }
}
