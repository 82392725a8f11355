//! A station as an operator has registered it.

use std::collections::BTreeMap;

use certificates::{StationIdentity, UnixSeconds};
use serde::{Deserialize, Serialize};

use crate::config::{PasswordHash, StationSection};

/// A station that may connect.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Station {
    /// The identity in the connection URL.
    pub identity: StationIdentity,
    /// The serial number: CN of the station's certificate (A00.FR.405). 1 to 25 characters.
    pub serial_number: String,
    /// The group that an operator has put it in.
    pub group: Option<String>,
    /// Free texts by name, at most 32.
    pub labels: BTreeMap<String, String>,
    /// The hash of its password; `None`: the station may not use security profile 2.
    pub password_hash: Option<PasswordHash>,
    /// The lowest security profile that it may connect with, 1 to 3.
    pub lowest_security_profile: u8,
    /// Whether it may request a certificate.
    pub enrolment: EnrolmentRule,
}

/// Whether a station may request a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum EnrolmentRule {
    /// It may, on each security profile that it may connect with.
    #[default]
    Open,
    /// It may only renew a certificate with which it is connected.
    Closed,
}

/// What the service has learnt of a station from its last accepted BootNotification.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Learnt {
    /// The time of the first BootNotification that was accepted.
    pub first_seen: Option<UnixSeconds>,
    /// The time of the last one.
    pub last_seen: Option<UnixSeconds>,
    /// The version of OCPP, as a WebSocket subprotocol.
    pub ocpp_version: Option<String>,
    /// The security profile of its connection.
    pub security_profile: Option<u8>,
    /// Its vendor, at most 50 characters.
    pub vendor: Option<String>,
    /// Its model, at most 20 characters.
    pub model: Option<String>,
    /// The version of its firmware, at most 50 characters.
    pub firmware: Option<String>,
}

/// A station of the ledger, with what was learnt of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegisteredStation {
    /// What an operator has set.
    pub station: Station,
    /// What was learnt.
    pub learnt: Learnt,
}

/// Selects the stations of a list. A station is listed if it meets all conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StationFilter {
    /// Its group.
    pub group: Option<String>,
    /// A label: its name and its text.
    pub label: Option<(String, String)>,
    /// It was not seen at this time or later.
    pub not_seen_since: Option<UnixSeconds>,
}

/// The fields of a station as texts, before they are checked.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StationFields {
    /// [`Station::identity`]
    pub identity: String,
    /// [`Station::serial_number`]
    pub serial_number: String,
    /// [`Station::group`]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// [`Station::labels`]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// [`Station::password_hash`]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<String>,
    /// [`Station::lowest_security_profile`]; default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lowest_security_profile: Option<u8>,
    /// [`Station::enrolment`]; default `open`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolment: Option<String>,
}

/// A field of a station breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {rule}")]
pub struct FieldError {
    /// The name of the field.
    pub field: &'static str,
    /// The rule that it breaks.
    pub rule: String,
}

impl StationFields {
    /// Checks the fields.
    ///
    /// # Errors
    /// Each field that breaks a rule. No error contains a password hash.
    pub fn check(self) -> Result<Station, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut refuse = |field: &'static str, rule: String| errors.push(FieldError { field, rule });
        let identity = self.identity.parse::<StationIdentity>();
        if let Err(error) = &identity {
            refuse("identity", format!("cannot be used: {error}"));
        }
        if let Some(rule) = broken_rule(&self.serial_number, MAX_SERIAL_NUMBER) {
            refuse("serial_number", rule);
        }
        if let Some(rule) = self.group.as_deref().and_then(|group| broken_rule(group, MAX_TEXT)) {
            refuse("group", rule);
        }
        if self.labels.len() > MAX_LABELS {
            refuse("labels", format!("may be at most {MAX_LABELS}"));
        }
        for (name, text) in &self.labels {
            let is_name = |name: &str| {
                let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
                (1..=MAX_TEXT).contains(&name.len()) && name.bytes().all(known)
            };
            if !is_name(name) {
                refuse("labels", format!("have names of 1 to {MAX_TEXT} letters, digits, '.', '_' or '-'"));
            } else if text.contains(';') {
                refuse("labels", format!("{name} must not contain ';'"));
            } else if let Some(rule) = broken_rule(text, MAX_TEXT) {
                refuse("labels", format!("{name} {rule}"));
            }
        }
        let password_hash = self.password_hash.as_deref().map(str::parse::<PasswordHash>).transpose();
        if let Err(error) = &password_hash {
            refuse("password_hash", error.to_string());
        }
        let lowest_security_profile = self.lowest_security_profile.unwrap_or(1);
        if !(1..=3).contains(&lowest_security_profile) {
            refuse("lowest_security_profile", "has to be 1, 2 or 3".to_owned());
        }
        let enrolment = match self.enrolment.as_deref() {
            None | Some("open") => EnrolmentRule::Open,
            Some("closed") => EnrolmentRule::Closed,
            Some("approval") => {
                refuse("enrolment", "cannot be 'approval' in this version; use open or closed".to_owned());
                EnrolmentRule::Closed
            }
            Some(_) => {
                refuse("enrolment", "has to be open or closed".to_owned());
                EnrolmentRule::Closed
            }
        };
        match (identity, password_hash) {
            (Ok(identity), Ok(password_hash)) if errors.is_empty() => Ok(Station {
                identity,
                serial_number: self.serial_number,
                group: self.group,
                labels: self.labels,
                password_hash,
                lowest_security_profile,
                enrolment,
            }),
            _ => Err(errors),
        }
    }
}

/// Omits the password hash.
impl std::fmt::Debug for StationFields {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("StationFields").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl From<&Station> for StationFields {
    fn from(station: &Station) -> Self {
        Self {
            identity: station.identity.to_string(),
            serial_number: station.serial_number.clone(),
            group: station.group.clone(),
            labels: station.labels.clone(),
            password_hash: station.password_hash.as_ref().map(|hash| hash.as_str().to_owned()),
            lowest_security_profile: Some(station.lowest_security_profile),
            enrolment: Some(station.enrolment.as_str().to_owned()),
        }
    }
}

/// A station of the configuration file.
impl From<&StationSection> for Station {
    fn from(section: &StationSection) -> Self {
        Self {
            identity: section.identity.clone(),
            serial_number: section.serial_number.clone(),
            group: None,
            labels: BTreeMap::new(),
            password_hash: section.password_hash.clone(),
            lowest_security_profile: 1,
            enrolment: EnrolmentRule::Open,
        }
    }
}

impl EnrolmentRule {
    /// The word for it in files and in the ledger.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

impl StationFilter {
    /// Whether a station has the label of the filter.
    pub(crate) fn has_label(&self, station: &Station) -> bool {
        match &self.label {
            Some((name, text)) => station.labels.get(name) == Some(text),
            None => true,
        }
    }
}

fn broken_rule(text: &str, max: usize) -> Option<String> {
    if !(1..=max).contains(&text.chars().count()) {
        return Some(format!("has to have 1 to {max} characters"));
    }
    text.chars().any(char::is_control).then(|| "must not contain control characters".to_owned())
}

/// The characters of `chargingStation.serialNumber` in BootNotification.
const MAX_SERIAL_NUMBER: usize = 25;

/// The characters of a group, of a label's name and of its text.
const MAX_TEXT: usize = 64;

/// The labels of one station, so that a row stays below 5 KB.
const MAX_LABELS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_names_its_field() {
        let good =
            || StationFields { identity: "CS001".into(), serial_number: "SN-1".into(), ..Default::default() };
        assert_eq!(good().check().map(|station| station.lowest_security_profile), Ok(1));
        let check = |change: fn(&mut StationFields), expected: &str| {
            let mut fields = good();
            change(&mut fields);
            let errors = fields.check().expect_err(expected);
            let text = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            assert!(text.starts_with(expected) && !text.contains("hunter2"), "{text}");
        };
        check(|fields| fields.identity = "CS:1".into(), "identity");
        check(|fields| fields.serial_number = "x".repeat(26), "serial_number has to have 1 to 25");
        check(|fields| fields.serial_number = "a\0".into(), "serial_number must not contain control");
        check(|fields| fields.group = Some(String::new()), "group");
        check(|fields| _ = fields.labels.insert("a b".into(), "x".into()), "labels have names");
        check(|fields| _ = fields.labels.insert("a".into(), "x;".into()), "labels a must not");
        check(|fields| fields.password_hash = Some("hunter2".into()), "password_hash");
        check(|fields| fields.lowest_security_profile = Some(4), "lowest_security_profile");
        check(|fields| fields.enrolment = Some("approval".into()), "enrolment cannot be 'approval'");
    }
}
