//! The CSMS roots on which live connections rely.
//!
//! They are derived from the connections themselves: a flag would be wrong as soon as a caller
//! forgot to clear it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A connection to the CSMS, from [`Store::session`](crate::Store::session) until it is dropped.
#[must_use = "the root counts as in use only as long as the session is kept"]
pub struct Session {
    sessions: Arc<Sessions>,
    root: Arc<[u8]>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.sessions.list().retain(|root| !Arc::ptr_eq(root, &self.root));
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Session")
    }
}

/// The roots of the live sessions, in DER.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<Vec<Arc<[u8]>>>);

impl Sessions {
    pub(crate) fn begin(self: &Arc<Self>, root: &[u8]) -> Session {
        let root: Arc<[u8]> = Arc::from(root);
        self.list().push(Arc::clone(&root));
        Session { sessions: Arc::clone(self), root }
    }

    pub(crate) fn roots(&self) -> Vec<Vec<u8>> {
        self.list().iter().map(|root| root.to_vec()).collect()
    }

    fn list(&self) -> MutexGuard<'_, Vec<Arc<[u8]>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
