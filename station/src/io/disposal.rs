//! Destroys the keys that nothing needs any more, when the token has time for it.

use std::{sync::Arc, time::Duration};

use program::causes;
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
            let again = match on_blocking_thread(move || shared.keyring.destroy_condemned()).await {
                Ok(Ok(again)) => {
                    wait = SHORTEST_WAIT;
                    again
                }
                Ok(Err(error)) => {
                    let seconds = wait.as_secs();
                    tracing::warn!(error = %causes(&error), seconds, "a key that nothing needs remains in the token for now");
                    Some(longer(&mut wait))
                }
                Err(error) => {
                    tracing::error!(error = %causes(&error), "the thread that destroys keys failed");
                    Some(longer(&mut wait))
                }
            };
            match again {
                Some(again) => tokio::select! {
                    () = self.disposal.notified() => {}
                    () = sleep(again) => {}
                },
                None => self.disposal.notified().await,
            }
        }
    }
}

/// Returns the wait, and doubles it for the next time.
fn longer(wait: &mut Duration) -> Duration {
    let now = *wait;
    *wait = (now * 2).min(LONGEST_WAIT);
    now
}

/// After a failure of the token, and the longest after many: a token that is away comes back within minutes or for good.
const SHORTEST_WAIT: Duration = Duration::from_secs(10);
const LONGEST_WAIT: Duration = Duration::from_secs(600);
