//! A session that is closed when it is dropped, unless the module was restarted meanwhile.
//!
//! After a restart a module uses the same numbers again: closing an old session could close a new
//! one.

use std::sync::{Arc, atomic::Ordering};

use cryptoki::session::Session;
use program::causes;

use crate::io::token::module::{
    Module,
    restart_lock::{CallPermit, Hung},
};

/// An open session.
pub(crate) struct OwnSession {
    /// Does not close itself.
    session: Option<Session>,
    module: Arc<Module>,
    epoch: u64,
}

impl OwnSession {
    pub(crate) fn new(session: Session, module: &Arc<Module>, epoch: u64) -> Self {
        module.sessions().fetch_add(1, Ordering::SeqCst);
        Self { session: Some(session), module: Arc::clone(module), epoch }
    }

    /// The epoch in which it was opened.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Runs a closure in the session; `None` if it died with an earlier epoch of the module.
    pub(crate) fn run<T>(&self, run: impl FnOnce(&Session) -> T) -> Result<Option<T>, Hung> {
        let permit = self.module.restart_lock().enter()?;
        Ok(self.alive(&permit).map(run))
    }

    /// Leaves the session open, because closing it would hang.
    pub(crate) fn abandon(mut self) {
        self.session = None;
    }

    /// The session, for the holder of a permit.
    pub(crate) fn alive(&self, permit: &CallPermit<'_>) -> Option<&Session> {
        self.session.as_ref().filter(|_| permit.epoch == self.epoch)
    }
}

impl Drop for OwnSession {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        self.module.sessions().fetch_sub(1, Ordering::SeqCst);
        if let Ok(permit) = self.module.restart_lock().enter_to_close()
            && permit.epoch == self.epoch
            && let Err(error) = session.close()
        {
            tracing::debug!(error = %causes(&error), "a session to be closed is gone already");
        }
    }
}
