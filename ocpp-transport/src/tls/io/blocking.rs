//! TLS handshakes off the runtime's threads.

use std::future::Future;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::{JoinError, spawn_blocking};

/// Runs `work` on a thread that may block: a key in a token signs inside `poll`, so a handshake
/// cannot run on a thread of the runtime. The caller sets the deadline. `None` is never seen by a
/// caller that waits.
///
/// # Cancel safety
/// Dropping the future drops `work` at its next `await`, and with it the socket that it holds.
pub(crate) async fn on_blocking_thread<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<Option<T>, JoinError> {
    let (waiting, abandoned) = oneshot::channel::<()>();
    let runtime = Handle::current();
    let thread = spawn_blocking(move || {
        // No timer in here: the runtime may be shut down meanwhile, and a timer would panic then.
        runtime.block_on(async {
            tokio::select! {
                biased;
                _ = abandoned => None,
                done = work => Some(done),
            }
        })
    });
    let done = thread.await;
    drop(waiting);
    done
}
