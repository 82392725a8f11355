//! The state that all connections of a CSMS share.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::Semaphore;

use crate::calls::io::router::Router;
use crate::csms::episodes::Episodes;
use crate::csms::io::admission::DynAdmission;
use crate::csms::io::config::CsmsConfig;
use crate::csms::io::registry::Registry;
use crate::metrics::Metrics;
use crate::tls::ServerTls;

/// The state that all connections of a CSMS share.
pub(crate) struct Shared {
    pub(crate) config: CsmsConfig,
    pub(crate) router: Arc<Router>,
    pub(crate) admission: Arc<dyn DynAdmission>,
    /// The TLS configuration of new connections. `config.tls` is the initial one.
    pub(crate) tls: RwLock<Option<ServerTls>>,
    pub(crate) signers: Arc<Semaphore>,
    pub(crate) farewells: Semaphore,
    pub(crate) crowded_out: Mutex<CrowdedOut>,
    pub(crate) registry: Registry,
    pub(crate) episodes: Mutex<Episodes>,
    pub(crate) metrics: Metrics,
}

impl Shared {
    /// The TLS configuration of new connections.
    pub(crate) fn tls(&self) -> Option<ServerTls> {
        self.tls.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Shared")
            .field("config", &self.config)
            .field("router", &self.router)
            .finish_non_exhaustive()
    }
}

/// The number of connections that were closed to make room for others.
#[derive(Debug, Default)]
pub(crate) struct CrowdedOut(pub(crate) u64);
