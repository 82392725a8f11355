//! Changes of a station by an operator, and what an operator is shown of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::stations::registry::station::{FieldError, Learnt, RegisteredStation, Station, StationFields};

/// What to change of a station. An absent member stays as it is; an empty text removes the value.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StationChanges {
    /// Its serial number.
    pub serial_number: Option<String>,
    /// Its group.
    pub group: Option<String>,
    /// Labels by name.
    pub labels: BTreeMap<String, String>,
    /// The hash of its password.
    pub password_hash: Option<String>,
    /// The lowest security profile that it may connect with.
    pub lowest_security_profile: Option<u8>,
    /// Whether it may request a certificate.
    pub enrolment: Option<String>,
}

impl StationChanges {
    /// Applies the changes. Returns the station, and the names of the fields that are different.
    pub(crate) fn apply(self, station: &Station) -> Result<(Station, Vec<&'static str>), Vec<FieldError>> {
        let mut fields = StationFields::from(station);
        let not_empty = |text: String| Some(text).filter(|text| !text.is_empty());
        if let Some(serial_number) = self.serial_number {
            fields.serial_number = serial_number;
        }
        if let Some(group) = self.group {
            fields.group = not_empty(group);
        }
        for (name, text) in self.labels {
            match text.is_empty() {
                true => _ = fields.labels.remove(&name),
                false => _ = fields.labels.insert(name, text),
            }
        }
        if let Some(hash) = self.password_hash {
            fields.password_hash = not_empty(hash);
        }
        fields.lowest_security_profile = self.lowest_security_profile.or(fields.lowest_security_profile);
        fields.enrolment = self.enrolment.or(fields.enrolment);
        let changed = fields.check()?;
        let names = [
            ("serial_number", changed.serial_number != station.serial_number),
            ("group", changed.group != station.group),
            ("labels", changed.labels != station.labels),
            ("password_hash", changed.password_hash != station.password_hash),
            ("lowest_security_profile", changed.lowest_security_profile != station.lowest_security_profile),
            ("enrolment", changed.enrolment != station.enrolment),
        ];
        let names = names.into_iter().filter(|(_, is_changed)| *is_changed).map(|(name, _)| name).collect();
        Ok((changed, names))
    }
}

/// Omits the password hash.
impl std::fmt::Debug for StationChanges {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("StationChanges").finish_non_exhaustive()
    }
}

/// Where a station is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum StationPlace {
    /// In the configuration file, and cannot be changed by a command.
    File,
    /// In the ledger.
    Ledger,
}

/// A station as an operator is shown it, without its password hash.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownStation {
    /// What an operator has set.
    #[serde(flatten)]
    pub fields: StationFields,
    /// Whether it has a password.
    pub has_password: bool,
    /// Where it is registered.
    pub place: StationPlace,
    /// What was learnt of a station of the ledger.
    #[serde(flatten)]
    pub learnt: Learnt,
}

impl ShownStation {
    pub(crate) fn new(station: &Station, place: StationPlace, learnt: Learnt) -> Self {
        let fields = StationFields { password_hash: None, ..StationFields::from(station) };
        Self { fields, has_password: station.password_hash.is_some(), place, learnt }
    }
}

impl From<RegisteredStation> for ShownStation {
    fn from(registered: RegisteredStation) -> Self {
        Self::new(&registered.station, StationPlace::Ledger, registered.learnt)
    }
}
