//! A session of ours: closed when it is dropped, unless the module was restarted in between.
//!
//! After a restart modules give the same numbers again: closing an old session would close somebody's new one.

use std::sync::Arc;

use cryptoki::session::Session;

use crate::io::{
    gate::{Hung, Pass},
    module::Module,
};

/// An open session.
pub(crate) struct OwnSession {
    /// Opened without closing itself.
    session: Option<Session>,
    module: Arc<Module>,
    epoch: u64,
}

impl OwnSession {
    pub(crate) fn new(session: Session, module: &Arc<Module>, epoch: u64) -> Self {
        Self { session: Some(session), module: Arc::clone(module), epoch }
    }

    /// The epoch in which it was opened.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Runs something in the session; `None` if it died with an earlier life of the module.
    pub(crate) fn run<T>(&self, run: impl FnOnce(&Session) -> T) -> Result<Option<T>, Hung> {
        let pass = self.module.gate().enter()?;
        Ok(self.alive(&pass).map(run))
    }

    /// Leaves the session open, because closing it would hang as the module does.
    pub(crate) fn abandon(mut self) {
        self.session = None;
    }

    /// The session, for whoever is inside.
    pub(crate) fn alive(&self, pass: &Pass<'_>) -> Option<&Session> {
        self.session.as_ref().filter(|_| pass.epoch == self.epoch)
    }
}

impl Drop for OwnSession {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        if let Ok(pass) = self.module.gate().enter_to_close()
            && pass.epoch == self.epoch
            && let Err(error) = session.close()
        {
            tracing::debug!(%error, "a session that was to be closed is gone already");
        }
    }
}
