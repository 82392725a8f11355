//! One thing after the other for each station.

use std::{collections::HashMap, sync::Arc};

use certificates::StationIdentity;
use tokio::sync::Mutex;

/// A lock for each station.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<StationIdentity, Arc<Mutex<()>>>>);

impl Turns {
    /// The lock of a station.
    pub(crate) async fn of(&self, station: &StationIdentity) -> Arc<Mutex<()>> {
        // Bounded by the stations that the configuration knows.
        Arc::clone(self.0.lock().await.entry(station.clone()).or_default())
    }
}
