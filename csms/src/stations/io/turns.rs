//! Runs the operations of one station one after another.

use std::{collections::HashMap, sync::Arc};

use certificates::StationIdentity;
use tokio::sync::Mutex;

/// A lock for each station.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<StationIdentity, Arc<Mutex<()>>>>);

impl Turns {
    /// The lock of a station.
    pub(crate) async fn of(&self, station: &StationIdentity) -> Arc<Mutex<()>> {
        // The number of configured stations bounds the map.
        Arc::clone(self.0.lock().await.entry(station.clone()).or_default())
    }
}
