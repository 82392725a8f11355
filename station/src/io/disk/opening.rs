//! Opens the station's store with its configuration.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use ocpp_types::v201::CertificateHashDataType;
use program::causes;
use station_store::{AdditionalRootCheck, OpenError, Settings, Store, message::HashDataMessage as _};

use crate::{
    config::{Config, LastCsmsRoot},
    io::disk::folder::make_folder,
};

/// Opens the station's store, and creates its folder if it is missing. Blocks on the disk.
///
/// # Errors
/// [`OpenStoreError`].
pub fn open_store(config: &Config) -> Result<Store, OpenStoreError> {
    open_store_of(config, &config.station.organization)
}

/// The store of a station whose certificate names `organization`.
pub(crate) fn open_store_of(config: &Config, organization: &str) -> Result<Store, OpenStoreError> {
    make_folder(config)
        .map_err(|source| OpenStoreError::Folder { path: config.directory.clone(), source })?;
    let certificates = &config.certificates;
    let check =
        if certificates.additional_root_check { AdditionalRootCheck::On } else { AdditionalRootCheck::Off };
    let settings = Settings::new(&config.station.serial_number)
        .organization(organization)
        .max_entries(certificates.max_entries.into())
        .additional_root_check(check)
        .last_csms_root(match certificates.last_csms_root {
            LastCsmsRoot::Refuse => station_store::LastCsmsRoot::Keep,
            LastCsmsRoot::Delete => station_store::LastCsmsRoot::Delete,
        })
        .max_chain_size(certificates.max_chain_size.into())
        .hash_algorithm(CertificateHashDataType::algorithm(certificates.hash_algorithm))
        .skew(Duration::from_secs(certificates.clock_skew_s.into()));
    let store =
        Store::open(config.directory.join("certificates.redb"), settings).map_err(OpenStoreError::Store)?;
    if let Some(folder) = &certificates.trust_bundles {
        write_trust_bundles(&store, folder);
    }
    Ok(store)
}

/// Writes the roots for other programs, now and after each change of the roots. A failure does not
/// stop the station, which does not read these files.
fn write_trust_bundles(store: &Store, folder: &Path) {
    if let Err(error) = fs::create_dir_all(folder) {
        let folder = folder.display();
        return tracing::error!(%folder, error = %causes(&error), "no trust bundles are written; check certificates.trust_bundles");
    }
    if let Err(error) = store.write_trust_bundles(folder) {
        tracing::error!(error = %causes(&error), "no trust bundles are written; check certificates.trust_bundles");
    }
}

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenStoreError {
    /// Its folder cannot be created.
    #[error("cannot make the folder {}; check `directory` in the configuration", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// The file in the folder cannot be opened.
    #[error("the store cannot be opened")]
    Store(#[source] OpenError),
}
