//! Destroys the keys that nothing needs any more, when the token has time for it.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use crate::io::handlers::{Shared, on_blocking_thread};

impl Shared {
    /// Destroys condemned keys for as long as the station lives: what a crash left over at once, others as they come, and
    /// those that the token could not destroy when it may have recovered. Nobody waits for it.
    ///
    /// # Cancel safety
    /// What remains is destroyed after a restart: the store names it until it is gone.
    pub(crate) async fn dispose_of_keys(self: Arc<Self>) {
        let mut wait = SHORTEST_WAIT;
        loop {
            let shared = Arc::clone(&self);
            let failed = match on_blocking_thread(move || shared.keyring.destroy_condemned()).await {
                Ok(Ok(())) => false,
                Ok(Err(error)) => {
                    let error: &dyn std::error::Error = &error;
                    let seconds = wait.as_secs();
                    tracing::warn!(error, seconds, "a key that nothing needs remains in the token for now");
                    true
                }
                Err(error) => {
                    tracing::error!(%error, "the thread that destroys keys failed");
                    true
                }
            };
            if failed {
                tokio::select! {
                    () = self.disposal.notified() => {}
                    () = sleep(wait) => {}
                }
                wait = (wait * 2).min(LONGEST_WAIT);
            } else {
                wait = SHORTEST_WAIT;
                self.disposal.notified().await;
            }
        }
    }
}

/// After a failure of the token, and the longest after many: a token that is away comes back within minutes or for good.
const SHORTEST_WAIT: Duration = Duration::from_secs(10);
const LONGEST_WAIT: Duration = Duration::from_secs(600);
