//! What an operator decides about the certificates of its authority.

use std::time::Duration;

use crate::key_rules::KeyRules;

/// Settings of a certificate authority.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CaSettings {
    /// O of every certificate, and the only O that a request may ask for (A00.FR.509).
    pub organization: String,
    /// Lifetime of a station's certificate from now on. Default 365 days; never beyond the issuer's own end.
    pub station_validity: Duration,
    /// Lifetime of the CSMS's own certificate from now on. Default 23 h, so that with the back-dating it stays below
    /// the 24 h of A00.FR.701, which spare stations the revocation check.
    pub server_validity: Duration,
    /// How far notBefore lies in the past, for stations whose clock is slow. Default 5 min: a certificate that is not
    /// valid yet must be rejected (A02.FR.06).
    pub backdate: Duration,
    /// What a station's CN must be. Default: its serial number (A00.FR.511).
    pub common_name: CommonNameRule,
    /// Names that no station may bear: the FQDNs of the CSMS, since a CSMS is recognised by its CN (A00.FR.412).
    pub reserved_names: Vec<String>,
    /// Which keys are certified.
    pub keys: KeyRules,
}

/// What the CN of a station's certificate must be, exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommonNameRule {
    /// The serial number, as the specification has it (A00.FR.405, A00.FR.511).
    #[default]
    SerialNumber,
    /// The identity in the connection URL, for fleets that do not know their serial numbers.
    Identity,
}

impl CaSettings {
    /// The defaults for an operator of this name.
    pub fn new(organization: impl Into<String>) -> Self {
        Self {
            organization: organization.into(),
            station_validity: Duration::from_secs(365 * 24 * 3600),
            server_validity: Duration::from_secs(23 * 3600),
            backdate: Duration::from_secs(300),
            common_name: CommonNameRule::SerialNumber,
            reserved_names: Vec::new(),
            keys: KeyRules::default(),
        }
    }

    /// Sets the lifetime of stations' certificates.
    pub fn station_validity(mut self, validity: Duration) -> Self {
        self.station_validity = validity;
        self
    }

    /// Sets the lifetime of the CSMS's own certificate.
    pub fn server_validity(mut self, validity: Duration) -> Self {
        self.server_validity = validity;
        self
    }

    /// Sets how far notBefore lies in the past.
    pub fn backdate(mut self, backdate: Duration) -> Self {
        self.backdate = backdate;
        self
    }

    /// Sets what a station's CN must be.
    pub fn common_name(mut self, rule: CommonNameRule) -> Self {
        self.common_name = rule;
        self
    }

    /// Sets which keys are certified.
    pub fn keys(mut self, rules: KeyRules) -> Self {
        self.keys = rules;
        self
    }

    /// Sets the names that no station may bear.
    pub fn reserved_names(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.reserved_names = names.into_iter().map(Into::into).collect();
        self
    }
}
