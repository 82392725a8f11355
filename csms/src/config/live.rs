//! The configuration of a running service, which a reload replaces.

use std::sync::{Arc, PoisonError, RwLock};

use crate::config::Config;

/// The current configuration.
#[derive(Debug)]
pub(crate) struct LiveConfig {
    current: RwLock<Arc<Config>>,
}

impl LiveConfig {
    pub(crate) fn new(config: Config) -> Self {
        Self { current: RwLock::new(Arc::new(config)) }
    }

    /// The current configuration. A later reload does not change the returned value.
    #[must_use]
    pub(crate) fn get(&self) -> Arc<Config> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the configuration. Later calls of [`Self::get`] return the new one.
    pub(crate) fn replace(&self, config: Arc<Config>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = config;
    }
}
