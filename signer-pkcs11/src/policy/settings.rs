//! The operator's settings for the certificates of an authority.

use std::time::Duration;

use crate::policy::{
    key_rules::KeyRules,
    profiles::{CommonNameRule, Profiles},
};

/// Settings of a certificate authority.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CaSettings {
    /// O of every certificate whose profile names no other. A request must have this O
    /// (A00.FR.509).
    pub organization: String,
    /// The profiles of certificates.
    pub profiles: Profiles,
    /// How far notBefore lies in the past, for stations whose clock is slow. Default 5 min: a
    /// station must reject a certificate that is not valid yet (A02.FR.06).
    pub backdate: Duration,
    /// The required CN of a station, if the profile does not set it. Default: its serial number
    /// (A00.FR.511).
    pub common_name: CommonNameRule,
    /// Names that no station may have: the FQDNs of the CSMS, because a CSMS is recognized by its
    /// CN (A00.FR.412).
    pub reserved_names: Vec<String>,
    /// The keys that are certified.
    pub keys: KeyRules,
    /// How much a station may request.
    pub limits: RequestLimits,
}

/// How many certificates a station may have. A request that gets a new certificate counts, even if
/// it repeats an earlier request. A repetition that gets the same certificate does not count, nor
/// does a request that fails on the authority's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestLimits {
    /// Maximum number of certificates for one station within [`RequestLimits::window`]. Default 20:
    /// a station that renews for each of its controllers, and again after a rejection, stays far
    /// below it.
    pub certificates: usize,
    /// The period of the limit. Default one hour.
    pub window: Duration,
    /// How long the same request gets the same certificate, unless it was delivered before. Default
    /// one hour: stations repeat a request with doubling waits (A02.FR.17, A02.FR.18).
    pub same_answer: Duration,
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
            limits: RequestLimits::default(),
        }
    }

    /// Sets the profiles of certificates.
    #[must_use]
    pub fn profiles(mut self, profiles: Profiles) -> Self {
        self.profiles = profiles;
        self
    }

    /// Sets the lifetime of stations' certificates for their connection to the CSMS.
    #[must_use]
    pub fn station_validity(mut self, validity: Duration) -> Self {
        self.profiles.station.validity = validity;
        self
    }

    /// Sets the lifetime of the CSMS's own certificate.
    #[must_use]
    pub fn server_validity(mut self, validity: Duration) -> Self {
        self.profiles.server.validity = validity;
        self
    }

    /// Sets how far notBefore lies in the past.
    #[must_use]
    pub fn backdate(mut self, backdate: Duration) -> Self {
        self.backdate = backdate;
        self
    }

    /// Sets the required CN of a station, if the profile does not set it.
    #[must_use]
    pub fn common_name(mut self, rule: CommonNameRule) -> Self {
        self.common_name = rule;
        self
    }

    /// Sets which keys are certified.
    #[must_use]
    pub fn keys(mut self, rules: KeyRules) -> Self {
        self.keys = rules;
        self
    }

    /// Sets how much a station may request.
    #[must_use]
    pub fn limits(mut self, limits: RequestLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the names that no station may have.
    #[must_use]
    pub fn reserved_names(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.reserved_names = names.into_iter().map(Into::into).collect();
        self
    }
}

impl Default for RequestLimits {
    fn default() -> Self {
        let hour = Duration::from_secs(3600);
        Self { certificates: 20, window: hour, same_answer: hour }
    }
}

impl RequestLimits {
    /// Sets how many certificates a station may get within a period.
    #[must_use]
    pub fn certificates(mut self, certificates: usize, window: Duration) -> Self {
        self.certificates = certificates;
        self.window = window;
        self
    }

    /// Sets how long the same request gets the same certificate.
    #[must_use]
    pub fn same_answer(mut self, duration: Duration) -> Self {
        self.same_answer = duration;
        self
    }
}
