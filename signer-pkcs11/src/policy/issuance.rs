//! The policy of a vendor about what is certified.

use std::fmt;

use crate::{
    csr::{Csr, name::Subject},
    policy::{applicant::Applicant, certificate_use::CertificateUse, refused::Refused},
};

/// A vendor's own policy, in addition to the rules of [`CaSettings`](crate::CaSettings).
///
/// It runs while a request is answered, so it must not block. Look up remote data before, or use an
/// [`ExternalAuthority`](crate::ExternalAuthority).
pub trait IssuancePolicy: Send + Sync + fmt::Debug {
    /// The names that the station may have as CN; `None` uses the settings.
    fn common_names(
        &self,
        station: &Applicant,
        certificate_use: Option<CertificateUse>,
    ) -> Option<Vec<String>> {
        let _ = (station, certificate_use);
        None
    }

    /// May refuse a request that every other rule has accepted.
    ///
    /// # Errors
    /// [`Refused::ByPolicy`], which the station receives.
    fn check(&self, proposed: &ProposedCertificate<'_>) -> Result<(), Refused> {
        let _ = proposed;
        Ok(())
    }
}

/// The rules of the settings, and no others.
#[derive(Clone, Copy, Debug, Default)]
pub struct StandardPolicy;

impl IssuancePolicy for StandardPolicy {}

/// A certificate that a policy decides about.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ProposedCertificate<'a> {
    /// The request. Possession of its key is proven.
    pub csr: &'a Csr,
    /// The station that asks.
    pub station: &'a Applicant,
    /// The use; `None`: for all connections.
    pub certificate_use: Option<CertificateUse>,
    /// The subject of the future certificate.
    pub subject: &'a Subject,
}
