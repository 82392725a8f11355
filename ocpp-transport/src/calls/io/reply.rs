//! What a handler answers, and what it does after the answer has left.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

/// A response, and possibly something to be done once the peer has it on its way.
///
/// ```
/// use ocpp_transport::Reply;
///
/// // Sends the message that was asked for (FR.05).
/// let reply = Reply::new("a response").then(async {});
/// # let _ = reply;
/// ```
pub struct Reply<T> {
    response: T,
    then: Option<Next>,
}

/// What follows an answer.
pub(crate) type Next = Pin<Box<dyn Future<Output = ()> + Send>>;

impl<T> Reply<T> {
    /// A response, and nothing after it.
    #[must_use]
    pub fn new(response: T) -> Self {
        Self { response, then: None }
    }

    /// Runs `next` strictly after the response frame was written and flushed to the socket (FR.05).
    /// If that fails, or the response came too late, it never runs. It runs beside the connection,
    /// so it may call the peer and close the connection. What is added twice runs one after the
    /// other.
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

    /// The same, with another response; what follows it stays.
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
