//! What an operator decides about the certificates of its authority.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use crate::{key_rules::KeyRules, policy::Limits, profiles::Profiles};

/// Settings of a certificate authority.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CaSettings {
    /// O of every certificate whose profile names no other, and the only O that a request may ask for (A00.FR.509).
    pub organization: String,
    /// What the certificates of each kind look like.
    pub profiles: Profiles,
    /// How far notBefore lies in the past, for stations whose clock is slow. Default 5 min: a certificate that is not
    /// valid yet must be rejected (A02.FR.06).
    pub backdate: Duration,
    /// What a station's CN must be, where the profile says nothing. Default: its serial number (A00.FR.511).
    pub common_name: CommonNameRule,
    /// Names that no station may bear: the FQDNs of the CSMS, since a CSMS is recognised by its CN (A00.FR.412).
    pub reserved_names: Vec<String>,
    /// Which keys are certified.
    pub keys: KeyRules,
    /// How much a station may ask for.
    pub limits: Limits,
}

/// What the CN of a station's certificate must be, exactly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommonNameRule {
    /// The serial number, as the specification has it (A00.FR.405, A00.FR.511).
    #[default]
    SerialNumber,
    /// The identity in the connection URL, for fleets that do not know their serial numbers.
    Identity,
    /// One of the names that a table has for the identity: the SeccIds of a station for V2G certificates, of which it has
    /// one per controller.
    Table(Arc<BTreeMap<String, BTreeSet<String>>>),
}

impl CaSettings {
    /// The defaults for an operator of this name.
    pub fn new(organization: impl Into<String>) -> Self {
        Self {
            organization: organization.into(),
            profiles: Profiles::default(),
            backdate: Duration::from_secs(300),
            common_name: CommonNameRule::SerialNumber,
            reserved_names: Vec::new(),
            keys: KeyRules::default(),
            limits: Limits::default(),
        }
    }

    /// Sets what the certificates of each kind look like.
    pub fn profiles(mut self, profiles: Profiles) -> Self {
        self.profiles = profiles;
        self
    }

    /// Sets the lifetime of stations' certificates for their connection with the CSMS.
    pub fn station_validity(mut self, validity: Duration) -> Self {
        self.profiles.station.validity = validity;
        self
    }

    /// Sets the lifetime of the CSMS's own certificate.
    pub fn server_validity(mut self, validity: Duration) -> Self {
        self.profiles.server.validity = validity;
        self
    }

    /// Sets how far notBefore lies in the past.
    pub fn backdate(mut self, backdate: Duration) -> Self {
        self.backdate = backdate;
        self
    }

    /// Sets what a station's CN must be, where the profile says nothing.
    pub fn common_name(mut self, rule: CommonNameRule) -> Self {
        self.common_name = rule;
        self
    }

    /// Sets which keys are certified.
    pub fn keys(mut self, rules: KeyRules) -> Self {
        self.keys = rules;
        self
    }

    /// Sets how much a station may ask for.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the names that no station may bear.
    pub fn reserved_names(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.reserved_names = names.into_iter().map(Into::into).collect();
        self
    }
}
