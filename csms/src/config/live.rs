//! The configuration of a running service, which a reload replaces.

use std::sync::{Arc, PoisonError, RwLock};

use crate::config::Config;

/// The configuration as it is now.
#[derive(Debug)]
pub(crate) struct LiveConfig {
    current: RwLock<Arc<Config>>,
}

impl LiveConfig {
    pub(crate) fn new(config: Config) -> Self {
        Self { current: RwLock::new(Arc::new(config)) }
    }

    /// The configuration as it is now; what comes later does not change it.
    #[must_use]
    pub(crate) fn get(&self) -> Arc<Config> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes over what the next question is answered from.
    pub(crate) fn replace(&self, config: Arc<Config>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = config;
    }
}
