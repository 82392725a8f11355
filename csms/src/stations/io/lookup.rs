//! Finds a station in the configuration file, or in the ledger.

use std::sync::Arc;

use certificates::StationIdentity;

use crate::{
    config::live::LiveConfig,
    ledger::{Ledger, LedgerError},
    stations::registry::Station,
};

/// The stations that may connect. The file wins over the ledger.
#[derive(Clone, Debug)]
pub(crate) struct StationLookup {
    config: Arc<LiveConfig>,
    ledger: Ledger,
}

impl StationLookup {
    pub(crate) fn new(config: Arc<LiveConfig>, ledger: Ledger) -> Self {
        Self { config, ledger }
    }

    /// The station, from the file or the ledger.
    ///
    /// # Errors
    /// [`LedgerError`]: whether the station is known cannot be found out.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub(crate) async fn station(&self, identity: &StationIdentity) -> Result<Option<Station>, LedgerError> {
        match self.in_file(identity) {
            Some(station) => Ok(Some(station)),
            None => self.in_ledger(identity).await,
        }
    }

    /// The station, if it is in the file.
    pub(crate) fn in_file(&self, identity: &StationIdentity) -> Option<Station> {
        self.config.get().station(identity.as_str()).map(Station::from)
    }

    /// The station in the ledger. It is not known if the file has its identity or serial number
    /// already.
    pub(crate) async fn in_ledger(&self, identity: &StationIdentity) -> Result<Option<Station>, LedgerError> {
        let found = self.ledger.registered_station(identity).await?;
        let config = self.config.get();
        // A00.FR.427: a certificate belongs to one station.
        let is_free = |station: &Station| {
            !config.stations.iter().any(|other| other.serial_number == station.serial_number)
        };
        Ok(found.map(|found| found.station).filter(is_free))
    }
}
