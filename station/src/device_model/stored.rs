//! The model as text: the values set by the CSMS, without the defaults.

use std::collections::{BTreeMap, BTreeSet};

use ocpp_transport::Password;
use ocpp_types::{decode, encode, v201::NetworkConnectionProfileType};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::{Defaults, DeviceModel, NetworkConfiguration, Variable, variable::Place};

/// Why a stored model cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoredModelError {
    /// The text is not what this program wrote.
    #[error("not a stored device model: line {line}, column {column}")]
    Syntax {
        /// The line of the first error. The text at that place may be the password, so it is
        /// omitted.
        line: usize,
        /// The column of the first error.
        column: usize,
    },
    /// The text is not UTF-8.
    #[error("not a stored device model: not UTF-8")]
    Encoding,
    /// It was written by a newer program.
    #[error("format {found} of the device model is unknown; this program knows up to {FORMAT}, update it")]
    Format {
        /// The format number in the text.
        found: u32,
    },
    /// A value violates its rule.
    #[error("{variable} has an invalid value")]
    Value {
        /// The name of the variable.
        variable: String,
    },
    /// The slots do not fit their order, or hold no profiles.
    #[error("the network profiles cannot be used")]
    Network,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: u32,
    variables: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    password: Option<Zeroizing<String>>,
    /// The password in hexadecimal, if it is not text: an AuthorizationKey of OCPP 1.6. Since
    /// format 2.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    authorization_key: Option<Zeroizing<String>>,
    profiles: BTreeMap<u32, Box<RawValue>>,
    priority: Vec<u32>,
}

impl DeviceModel {
    /// The model as JSON. It holds the password, which a station must store in clear (A01.FR.10).
    /// Only the owner of the station may read it.
    ///
    /// # Errors
    /// None for a model that was built by this module's functions.
    pub fn to_json(&self) -> Result<Zeroizing<String>, StoredModelError> {
        let variables = self.set.iter().map(|(place, value)| (name(*place), value.clone()));
        let profiles = self.network.profiles().iter().map(|(slot, profile)| {
            let text = encode(profile).map_err(|_| StoredModelError::Network)?;
            let raw = RawValue::from_string(text).map_err(|error| syntax(&error))?;
            Ok((*slot, raw))
        });
        let text = |password: &Password| {
            std::str::from_utf8(password.expose()).ok().map(|text| Zeroizing::new(text.to_owned()))
        };
        let password = self.password.as_ref().and_then(text);
        let key = self.password.as_ref().filter(|_| password.is_none());
        let document = Document {
            // A program that supports neither such a key nor ISO 15118 can still read a text that
            // contains neither.
            format: if key.is_some() || self.set.keys().any(|place| place.variable.is_of_iso15118()) {
                FORMAT
            } else {
                1
            },
            variables: variables.collect(),
            password,
            authorization_key: key.map(Password::to_hexadecimal),
            profiles: profiles.collect::<Result<_, StoredModelError>>()?,
            priority: self.network.priority().to_vec(),
        };
        serde_json::to_string(&document).map(Zeroizing::new).map_err(|error| syntax(&error))
    }

    /// Reads back what [`DeviceModel::to_json`] wrote.
    ///
    /// # Errors
    /// If it is of a newer format, or damaged.
    pub fn from_json(text: &str, defaults: Defaults) -> Result<Self, StoredModelError> {
        let document: Document = serde_json::from_str(text).map_err(|error| syntax(&error))?;
        if document.format > FORMAT {
            return Err(StoredModelError::Format { found: document.format });
        }
        let mut set = BTreeMap::new();
        for (name, value) in document.variables {
            match place(&name) {
                // This includes an EVSE that the configuration no longer names: it may return.
                Some(place) if place.variable.rule().check(&value).is_ok() => set.insert(place, value),
                _ => return Err(StoredModelError::Value { variable: name }),
            };
        }
        let profiles = document.profiles.into_iter().map(|(slot, raw)| {
            let profile: NetworkConnectionProfileType =
                decode(raw.get()).map_err(|_| StoredModelError::Network)?;
            Ok((slot, profile))
        });
        let profiles = profiles.collect::<Result<_, StoredModelError>>()?;
        let network =
            NetworkConfiguration::restore(profiles, document.priority).ok_or(StoredModelError::Network)?;
        let password = match (document.password, document.authorization_key) {
            (Some(text), _) => Some(Password::from(text.as_str())),
            (None, Some(key)) => Some(
                Password::from_authorization_key(&key)
                    .ok_or_else(|| StoredModelError::Value { variable: "authorization_key".to_owned() })?,
            ),
            (None, None) => None,
        };
        Ok(Self { defaults, set, suspended: BTreeSet::new(), password, network })
    }
}

fn syntax(error: &serde_json::Error) -> StoredModelError {
    StoredModelError::Syntax { line: error.line(), column: error.column() }
}

/// The name of a value in the text: `Component.Variable`, or `Component[EVSE].Variable`.
fn name(Place { variable, evse }: Place) -> String {
    let evse = evse.map(|evse| format!("[{evse}]")).unwrap_or_default();
    format!("{}{evse}.{}", variable.component(), variable.name())
}

/// The value with this name.
fn place(name: &str) -> Option<Place> {
    let (component, name) = name.split_once('.')?;
    let (component, evse) = match component.strip_suffix(']').map(|text| text.split_once('[')) {
        Some(parts) => parts.and_then(|(component, evse)| Some((component, Some(evse.parse().ok()?))))?,
        None => (component, None),
    };
    let mut variables = Variable::ALL.into_iter();
    let variable = variables.find(|known| known.component() == component && known.name() == name)?;
    (evse.is_none() || variable.is_of_iso15118()).then_some(Place { variable, evse })
}

/// The format of the text.
const FORMAT: u32 = 2;
