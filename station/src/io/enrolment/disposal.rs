//! Destroys condemned keys when the token has time for it.

use std::{sync::Arc, time::Duration};

use program::causes;
use tokio::{sync::Notify, time::sleep};

use crate::io::{blocking::on_blocking_thread, enrolment::keyring::Keyring};

/// The task that destroys condemned keys.
#[derive(Debug)]
pub(crate) struct KeyDisposal {
    keyring: Arc<Keyring>,
    /// Signals that the store may name condemned keys.
    condemned: Notify,
}

impl KeyDisposal {
    pub(crate) fn new(keyring: Arc<Keyring>) -> Self {
        Self { keyring, condemned: Notify::new() }
    }

    /// The store may name condemned keys.
    pub(crate) fn handle_condemned(&self) {
        self.condemned.notify_one();
    }

    /// Destroys condemned keys for as long as the station lives. Keys that a crash left over are
    /// destroyed at once, others when they are condemned. After a failure of the token, the task
    /// tries again when the token may have recovered. No handler waits for this task.
    ///
    /// # Cancel safety
    /// The remaining keys are destroyed after a restart: the store names them until they are gone.
    pub(crate) async fn run(&self) {
        let mut wait = MIN_WAIT;
        loop {
            let keyring = Arc::clone(&self.keyring);
            let again = match on_blocking_thread(move || keyring.destroy_condemned()).await {
                Ok(Ok(again)) => {
                    wait = MIN_WAIT;
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
                    () = self.condemned.notified() => {}
                    () = sleep(again) => {}
                },
                None => self.condemned.notified().await,
            }
        }
    }
}

/// Returns the wait, and doubles it for the next time.
fn longer(wait: &mut Duration) -> Duration {
    let now = *wait;
    *wait = (now * 2).min(MAX_WAIT);
    now
}

/// The wait after a failure of the token. The next constant is the longest wait: a token that is
/// absent returns within minutes or not at all.
const MIN_WAIT: Duration = Duration::from_secs(10);
const MAX_WAIT: Duration = Duration::from_secs(600);
