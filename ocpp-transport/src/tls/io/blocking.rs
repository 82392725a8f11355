//! TLS handshakes outside the threads of the runtime.

use std::future::Future;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::{JoinError, spawn_blocking};

/// Runs `work` on a thread that may block. A key in a token signs inside `poll`, so a handshake
/// cannot run on a thread of the runtime. The caller sets the deadline. A caller that waits never
/// gets `None`.
///
/// # Cancel safety
/// Dropping the future drops `work` at its next `await`, and with it the socket that it holds.
pub(crate) async fn on_blocking_thread<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<Option<T>, JoinError> {
    let (waiting, abandoned) = oneshot::channel::<()>();
    let runtime = Handle::current();
    let thread = spawn_blocking(move || {
        // No timer here: the runtime may shut down meanwhile, and a timer would then panic.
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
