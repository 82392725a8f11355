//! The place of the profiles of certificates.

use std::{path::PathBuf, time::Duration};

use signer_pkcs11::{Profiles, ProfilesError};

use crate::config::error::ConfigError;

/// The place of the profiles of certificates.
#[derive(Clone, Debug, PartialEq)]
pub enum ProfilesSection {
    /// In the configuration, as `[ca.profiles.station]`, `[ca.profiles.v2g]`, …, or the default
    /// with `validity_days`.
    Here(Box<Profiles>),
    /// In a file that `hsm` can read as well. The service reads it at the start.
    File(PathBuf),
}

/// Reads the profiles of the configuration. They may be in one place only.
pub(super) fn parse(
    table: Option<toml::Table>,
    file: Option<PathBuf>,
    validity_days: Option<u32>,
) -> Result<ProfilesSection, ConfigError> {
    match (table, file, validity_days) {
        (Some(_), Some(_), _) => {
            Err(ConfigError::value("ca", "has to have either profiles or profiles_file"))
        }
        (Some(_), None, Some(_)) | (None, Some(_), Some(_)) => {
            Err(ConfigError::value("ca.validity_days", "belongs in the profiles, as `validity` of [station]"))
        }
        (None, None, Some(0)) => Err(ConfigError::value("ca.validity_days", "has to be 1 or more")),
        (None, Some(path), None) => Ok(ProfilesSection::File(path)),
        (table, None, days) => {
            // The user does not know the generated text. Only the keys identify the fault.
            let text = table.map(|table| table.to_string()).unwrap_or_default();
            let profiles = Profiles::from_toml(&text).map_err(|error| match error {
                ProfilesError::Toml(error) => ProfilesError::Toml(error.without_place()),
                error => error,
            });
            let mut profiles = profiles.map_err(|error| ConfigError::value("ca.profiles", error))?;
            if let Some(days) = days {
                profiles.station.validity = Duration::from_secs(u64::from(days) * 24 * 60 * 60);
            }
            Ok(ProfilesSection::Here(Box::new(profiles)))
        }
    }
}
