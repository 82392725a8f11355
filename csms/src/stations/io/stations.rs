//! What an operator does with the stations of the ledger.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use certificates::StationIdentity;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use signer_pkcs11::AuditEvent;
use tokio::task::spawn_blocking;

use crate::{
    config::{Config, live::LiveConfig},
    ledger::{
        Ledger, LedgerError,
        io::{folder::FolderLock, open},
    },
    service::io::{clock::unix_now, server_error::ServerError},
    signing::io::token::open_token,
    stations::registry::{
        FieldError, FileFormat, FileProblems, RegisteredStation, ShownStation, Station, StationChanges,
        StationFields, StationFile, StationFilter, StationPlace,
    },
};

/// The stations, for an operator. Those of the configuration file can only be read.
///
/// `by` names who makes a change, such as `cli`. It is written to the record.
#[derive(Clone, Debug)]
pub struct Stations {
    config: Arc<LiveConfig>,
    ledger: Ledger,
}

/// The stations of a ledger whose service does not run.
#[derive(Debug)]
pub struct OfflineStations {
    stations: Stations,
    /// Held as long as the ledger is used.
    _lock: FolderLock,
}

/// A page of a list.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StationPage {
    /// The stations, in the order of their identities in lower case.
    pub stations: Vec<RegisteredStation>,
    /// Where the next page begins; `None`: this is the last one.
    pub next: Option<String>,
}

/// The result of an import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// The number of stations.
    pub count: u64,
    /// SHA-256 over the file, hexadecimal, as it is in the record.
    pub file_sha256: String,
}

/// Why an operator's command about stations was not carried out. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StationsError {
    /// The ledger cannot be read or written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Fields break a rule.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Fields(Vec<FieldError>),
    /// The station is read-only.
    #[error("{0} is in the configuration file; change it there")]
    InFile(StationIdentity),
    /// There is no such station.
    #[error("{0} is not in the ledger; is it spelled right?")]
    Unknown(StationIdentity),
    /// Another station has the identity or the serial number.
    #[error(
        "{identity} with serial number {serial_number} exists already; choose others, or change that one"
    )]
    Taken {
        /// The identity of the other station.
        identity: StationIdentity,
        /// Its serial number.
        serial_number: String,
    },
    /// The station can still connect with its certificates.
    #[error("{identity} has {count} valid certificates; use --revoke to revoke them, too")]
    HasCertificates {
        /// The station.
        identity: StationIdentity,
        /// The number of its certificates.
        count: usize,
    },
    /// A file breaks rules.
    #[error(transparent)]
    File(#[from] FileProblems),
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
}

impl Stations {
    pub(crate) fn new(config: Arc<LiveConfig>, ledger: Ledger) -> Self {
        Self { config, ledger }
    }

    /// Adds a station.
    ///
    /// # Errors
    /// [`StationsError`]
    ///
    /// # Cancel safety
    /// The station may be added all the same.
    pub async fn add(&self, fields: StationFields, by: &str) -> Result<Station, StationsError> {
        let station = fields.check().map_err(StationsError::Fields)?;
        self.check_file(&station)?;
        let event = edited(&station.identity, by, "added".to_owned());
        match self.ledger.add_stations(vec![station.clone()], event).await?.pop() {
            Some(other) => Err(taken(other)),
            None => Ok(station),
        }
    }

    /// A station of the file or the ledger.
    ///
    /// # Errors
    /// [`StationsError`]
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn get(&self, identity: &StationIdentity) -> Result<ShownStation, StationsError> {
        if let Some(section) = self.config.get().station(identity.as_str()) {
            return Ok(ShownStation::new(&section.into(), StationPlace::File, Default::default()));
        }
        let found = self.ledger.registered_station(identity).await?;
        found.map(ShownStation::from).ok_or_else(|| StationsError::Unknown(identity.clone()))
    }

    /// A page of the stations of the ledger, after `after`; an empty text begins the list. With a
    /// label in the filter a page may have fewer stations than there are.
    ///
    /// # Errors
    /// [`StationsError`]
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn list(
        &self,
        filter: &StationFilter,
        after: &str,
        limit: u32,
    ) -> Result<StationPage, StationsError> {
        let limit = limit.clamp(1, MAX_PAGE);
        let mut stations = self.ledger.registered_stations(filter, after, limit).await?;
        let is_last = stations.len() < limit as usize;
        let next = stations.last().filter(|_| !is_last).map(|last| last.station.identity.key());
        stations.retain(|found| filter.has_label(&found.station));
        Ok(StationPage { stations, next })
    }

    /// Changes a station of the ledger. Returns it, and the names of the changed fields.
    ///
    /// # Errors
    /// [`StationsError`]
    ///
    /// # Cancel safety
    /// The station may be changed all the same.
    pub async fn set(
        &self,
        identity: &StationIdentity,
        changes: StationChanges,
        by: &str,
    ) -> Result<(Station, Vec<&'static str>), StationsError> {
        let before = self.in_ledger(identity).await?;
        let (station, names) = changes.apply(&before).map_err(StationsError::Fields)?;
        if names.is_empty() {
            return Ok((station, names));
        }
        self.check_file(&station)?;
        let event = edited(&station.identity, by, names.join(","));
        match self.ledger.set_station(station.clone(), event).await?.pop() {
            Some(other) => Err(taken(other)),
            None => Ok((station, names)),
        }
    }

    /// Removes a station of the ledger that has no valid certificate.
    ///
    /// # Errors
    /// [`StationsError`]
    ///
    /// # Cancel safety
    /// The station may be removed all the same.
    pub async fn remove(&self, identity: &StationIdentity, by: &str) -> Result<Station, StationsError> {
        let station = self.in_ledger(identity).await?;
        let valid = self.ledger.revocable(None, Some(identity), unix_now()).await?;
        if !valid.is_empty() {
            return Err(StationsError::HasCertificates { identity: station.identity, count: valid.len() });
        }
        let event = edited(&station.identity, by, "removed".to_owned());
        match self.ledger.remove_station(identity, event).await? {
            true => Ok(station),
            false => Err(StationsError::Unknown(identity.clone())),
        }
    }

    /// Adds all stations of a file, or none of them.
    ///
    /// # Errors
    /// [`StationsError`]
    ///
    /// # Cancel safety
    /// The stations may be added all the same.
    pub async fn import(&self, path: &Path, format: FileFormat, by: &str) -> Result<Imported, StationsError> {
        let unreadable = |source| StationsError::Unreadable { path: path.to_path_buf(), source };
        let read_path = path.to_path_buf();
        let read = move || -> Result<_, StationsError> {
            let unreadable = |source| StationsError::Unreadable { path: read_path.clone(), source };
            let bytes = read_bounded(&read_path).map_err(unreadable)?;
            Ok((StationFile::parse(&bytes, format)?, hex::encode(Sha256::digest(&bytes))))
        };
        let read = spawn_blocking(read).await;
        let (file, file_sha256) = read.map_err(|error| unreadable(std::io::Error::other(error)))??;
        let in_file = self.config.get().stations.iter().map(Station::from).collect::<Vec<_>>();
        check(file.conflicts(&in_file, "the configuration file"))?;
        let count = file.len() as u64;
        let event =
            AuditEvent::StationsImported { by: by.to_owned(), count, file_sha256: file_sha256.clone() };
        let taken = self.ledger.add_stations(file.stations.clone(), event).await?;
        check(file.conflicts(&taken, "the ledger"))?;
        Ok(Imported { count, file_sha256 })
    }

    async fn in_ledger(&self, identity: &StationIdentity) -> Result<Station, StationsError> {
        if let Some(section) = self.config.get().station(identity.as_str()) {
            return Err(StationsError::InFile(section.identity.clone()));
        }
        let found = self.ledger.registered_station(identity).await?;
        found.map(|found| found.station).ok_or_else(|| StationsError::Unknown(identity.clone()))
    }

    fn check_file(&self, station: &Station) -> Result<(), StationsError> {
        let config = self.config.get();
        let in_file = config.stations.iter();
        for other in in_file {
            if other.identity == station.identity {
                return Err(StationsError::InFile(other.identity.clone()));
            }
            if other.serial_number == station.serial_number {
                return Err(taken(other.into()));
            }
        }
        Ok(())
    }
}

impl OfflineStations {
    /// Opens the ledger of a configuration, and keeps a service from starting.
    ///
    /// # Errors
    /// [`ServerError`], also if a service runs.
    ///
    /// # Cancel safety
    /// Dropping the future releases everything.
    pub async fn open(config: Config) -> Result<Self, ServerError> {
        let open = move || open_token(&config).map(|token| (config, token));
        let (config, token) = spawn_blocking(open).await??;
        let (ledger, lock) = open::open(&config, token.as_ref()).await?;
        Ok(Self { stations: Stations::new(Arc::new(LiveConfig::new(config)), ledger), _lock: lock })
    }

    /// The stations.
    #[must_use]
    pub fn stations(&self) -> &Stations {
        &self.stations
    }

    /// Raises the ledger's marks, and closes it.
    ///
    /// # Errors
    /// [`ServerError`] if a mark cannot be raised. What was changed is durable.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn close(self) -> Result<(), ServerError> {
        self.stations.ledger.finish().await
    }
}

fn check(problems: FileProblems) -> Result<(), FileProblems> {
    if problems.count == 0 { Ok(()) } else { Err(problems) }
}

fn edited(station: &StationIdentity, by: &str, change: String) -> AuditEvent {
    AuditEvent::StationEdited { station: station.clone(), by: by.to_owned(), change }
}

fn taken(other: Station) -> StationsError {
    StationsError::Taken { identity: other.identity, serial_number: other.serial_number }
}

fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MAX_FILE_BYTES {
        true => Err(std::io::Error::other("it has more than 256 MiB; divide it")),
        false => Ok(bytes),
    }
}

/// The stations of one page, so that a page stays below some megabytes.
const MAX_PAGE: u32 = 1_000;

/// A file that is imported. A million stations with their hashes take less.
const MAX_FILE_BYTES: u64 = 256 * 1024 * 1024;
