//! The part of the device model that concerns security and the connection to the CSMS, without IO.
//!
//! [`DeviceModel`] is a value: a change creates a new one. The caller makes the new model durable
//! before it uses it and answers (all writable variables are persistent). Facts from outside the
//! model, such as the number of installed certificates, are passed with each question as
//! [`Situation`].

mod answer;
mod iso15118;
mod messages;
mod names;
mod network;
mod report;
mod situation;
mod stored;
mod variable;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use ocpp_transport::{Password, StationIdentity};

pub use self::{
    answer::SetOutcome,
    iso15118::controllers::{Iso15118, Secc},
    messages::{v16::ConfigurationOutcome, v21, v201},
    network::{NetworkConfiguration, profile::ProfileOutcome},
    situation::{Downgrade, Installed, Situation},
    stored::StoredModelError,
    variable::{Mutability, Variable},
};
use variable::Place;

/// The configuration of a station, and the changes that its CSMS has made to it.
#[derive(Clone)]
pub struct DeviceModel {
    defaults: Defaults,
    /// The values set by the CSMS, each checked by its rule.
    set: BTreeMap<Place, String>,
    /// The controllers whose PnCEnabled is off until the next start (A02.FR.21). Never stored.
    suspended: BTreeSet<Option<u32>>,
    /// A01: the password set by the CSMS; it replaces the password of delivery.
    password: Option<Password>,
    network: NetworkConfiguration,
}

/// The values that apply until the CSMS changes them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Defaults {
    /// `SecurityCtrlr.Identity`.
    pub identity: StationIdentity,
    /// `SecurityCtrlr.OrganizationName`, at most 64 characters.
    pub organization: String,
    /// `SecurityCtrlr.BasicAuthPassword`.
    pub password: Password,
    /// `SecurityCtrlr.AllowSecurityProfileDowngrade`, which only the owner of the station changes.
    pub downgrade: Downgrade,
    /// The texts of the other variables that a CSMS may set. A variable that is missing here has
    /// the value that [`Variable`] names.
    pub values: BTreeMap<Variable, String>,
    /// The ISO 15118 controllers. `None`: the station has neither controllers nor the component.
    pub iso15118: Option<Iso15118>,
}

impl Defaults {
    /// The defaults of a station: no downgrade, and the values of [`DeviceModel`] for everything
    /// else.
    #[must_use]
    pub fn new(identity: StationIdentity, organization: impl Into<String>, password: Password) -> Self {
        Self {
            identity,
            organization: organization.into(),
            password,
            downgrade: Downgrade::Refused,
            values: BTreeMap::new(),
            iso15118: None,
        }
    }
}

impl DeviceModel {
    /// A station as delivered.
    #[must_use]
    pub fn new(defaults: Defaults, network: NetworkConfiguration) -> Self {
        Self { defaults, set: BTreeMap::new(), suspended: BTreeSet::new(), password: None, network }
    }

    /// The identity in the connection URL.
    #[must_use]
    pub fn identity(&self) -> &StationIdentity {
        &self.defaults.identity
    }

    /// O of the station's certificate (A00.FR.509).
    #[must_use]
    pub fn organization(&self) -> &str {
        self.set.get(&Variable::OrganizationName.into()).unwrap_or(&self.defaults.organization)
    }

    /// The password of security profiles 1 and 2 (A01).
    #[must_use]
    pub fn password(&self) -> &Password {
        self.password.as_ref().unwrap_or(&self.defaults.password)
    }

    /// The slots and their order.
    #[must_use]
    pub fn network(&self) -> &NetworkConfiguration {
        &self.network
    }

    /// Whether the CSMS's certificate may name a wildcard.
    #[must_use]
    pub fn allows_wildcards(&self) -> bool {
        self.text(Variable::AllowCsmsTlsWildcards) == "true"
    }

    /// How many attempts each slot gets (B10.FR.03).
    #[must_use]
    pub fn connection_attempts(&self) -> u32 {
        self.number(Variable::NetworkProfileConnectionAttempts)
    }

    /// The interval between pings of the station. Zero: the station sends none.
    #[must_use]
    pub fn ping_interval(&self) -> Duration {
        self.seconds(Variable::WebSocketPingInterval)
    }

    /// The interval between heartbeats.
    #[must_use]
    pub fn heartbeat_interval(&self) -> Duration {
        self.seconds(Variable::HeartbeatInterval)
    }

    /// Sets `HeartbeatInterval` to the interval in the answer to BootNotification (B01.FR.04).
    pub fn adopt_heartbeat_interval(&mut self, interval: Duration) {
        let seconds = interval.as_secs().to_string();
        if Variable::HeartbeatInterval.rule().check(&seconds).is_ok() {
            self.set.insert(Variable::HeartbeatInterval.into(), seconds);
        }
    }

    /// The shortest wait before an attempt to connect, the range of the random addition, and how
    /// often the wait doubles.
    #[must_use]
    pub fn back_off(&self) -> (Duration, Duration, u32) {
        (
            self.seconds(Variable::RetryBackOffWaitMinimum),
            self.seconds(Variable::RetryBackOffRandomRange),
            self.number(Variable::RetryBackOffRepeatTimes),
        )
    }

    /// How long the station waits for a certificate before it sends the request again, and how
    /// often it does so (A02.FR.17, A02.FR.18).
    #[must_use]
    pub fn certificate_wait(&self) -> (Duration, u32) {
        (self.seconds(Variable::CertSigningWaitMinimum), self.number(Variable::CertSigningRepeatTimes))
    }

    fn seconds(&self, variable: Variable) -> Duration {
        Duration::from_secs(self.number(variable).into())
    }

    /// The value of a number. Every rule for numbers fits into 32 bits, and each value that is set
    /// has passed its rule.
    fn number(&self, variable: Variable) -> u32 {
        self.text(variable).parse().unwrap_or_default()
    }

    /// The value of a variable that the model itself holds.
    fn text(&self, place: impl Into<Place>) -> &str {
        let place = place.into();
        let Place { variable, evse } = place;
        if variable == Variable::PncEnabled && self.suspended.contains(&evse) {
            return "false";
        }
        let default = || match &self.defaults.iso15118 {
            Some(iso15118) if variable.is_of_iso15118() => iso15118.controllers.get(&evse)?.get(&variable),
            _ => self.defaults.values.get(&variable),
        };
        self.set.get(&place).or_else(default).map(String::as_str).unwrap_or(match variable {
            Variable::CertSigningWaitMinimum => "60",
            Variable::CertSigningRepeatTimes => "3",
            Variable::NetworkProfileConnectionAttempts => "3",
            Variable::OfflineThreshold | Variable::HeartbeatInterval => "300",
            Variable::RetryBackOffRepeatTimes
            | Variable::RetryBackOffRandomRange
            | Variable::RetryBackOffWaitMinimum => "5",
            Variable::WebSocketPingInterval => "60",
            Variable::AllowCsmsTlsWildcards => "false",
            _ => "",
        })
    }
}

impl fmt::Debug for DeviceModel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DeviceModel")
            .field("set", &self.set)
            .field("network", &self.network)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
