//! The station's own certificates: accepted, confirmed by a connection, presented to vehicles.

use std::time::SystemTime;

use certificates::UnixSeconds;

use crate::outcome::{Signed, SignedError};
use crate::own::certificate::{Own, OwnCertificate, OwnId, OwnState};
use crate::own::chain::{self, Expected};
use crate::own::leaf::Names;
use crate::pending::error::PendingError;
use crate::pending::matching::{Answered, Match};
use crate::store::Store;
use crate::uses::CertificateSigningUse;

impl Store {
    /// The station's certificates for the connection to its CSMS, newest first.
    pub fn own_certificates(&self) -> Vec<OwnCertificate> {
        self.read().own.iter().filter(|own| own.use_.connects()).map(OwnCertificate::from).collect()
    }

    /// The station's certificates for vehicles, in order of preference. First come those that are
    /// valid at `now`, the newest by notBefore first (A02.FR.15), then the others. Which of them
    /// serves a vehicle depends on the roots that the vehicle names, on the SECC and on the edition
    /// of ISO 15118.
    pub fn vehicle_certificates(&self, now: SystemTime) -> Vec<OwnCertificate> {
        let now = UnixSeconds::from(now);
        let catalog = self.read();
        let mut own: Vec<&Own> = catalog.own.iter().filter(|own| own.use_.is_for_vehicles()).collect();
        own.sort_by_key(|own| {
            let leaf = &own.chain[0];
            let valid = leaf.not_before() <= now && now <= leaf.not_after();
            (std::cmp::Reverse(valid), std::cmp::Reverse(leaf.not_before()), std::cmp::Reverse(own.id))
        });
        own.into_iter().map(OwnCertificate::from).collect()
    }

    /// Keeps the own certificate with which the station has connected, and discards the others for
    /// the connection (A02.FR.10).
    ///
    /// Returns the names of the keys to destroy in the token. Until [`Store::key_destroyed`] they
    /// are among [`Store::condemned_keys`]. A repeated call changes nothing.
    ///
    /// # Errors
    /// [`PendingError`]
    pub fn confirm_own(&self, id: OwnId) -> Result<Vec<String>, PendingError> {
        self.confirm_own_of(id, OwnId(u64::MAX))
    }

    /// Like [`Store::confirm_own`], for a station that chose its certificate when `newest` was the
    /// newest one. A certificate that has arrived since is not discarded, because it was never
    /// tried.
    ///
    /// # Errors
    /// [`PendingError`]
    pub fn confirm_own_of(&self, id: OwnId, newest: OwnId) -> Result<Vec<String>, PendingError> {
        self.change(|catalog| catalog.plan_confirm(id, newest))
    }

    /// Accepts a chain that the CSMS had signed for a pending key.
    pub(crate) fn take_signed(
        &self,
        pem: &str,
        answered: Answered,
        now: SystemTime,
    ) -> Result<Signed, SignedError> {
        let refused = |source| SignedError::Refused { source };
        let chain = chain::read(pem, self.settings.max_chain_size).map_err(refused)?;
        self.change(|catalog| {
            let found = catalog.match_signed(&chain, answered).map_err(refused)?;
            let (use_, subject) = match &found {
                Match::Known(own) => (own.use_, own.subject()),
                Match::New { use_, subject, .. } => (*use_, subject.clone()),
            };
            let roots = |use_| catalog.root_certificates(use_);
            let default_organization =
                if use_.connects() { self.settings.organization.as_deref() } else { None };
            // If the key already has a certificate, that certificate decides the DC: it may have
            // served the connection before.
            let is_first = matches!(&found, Match::New { pending: Some(_), .. });
            let secc = is_first && use_ == CertificateSigningUse::V2g;
            let default_component = if secc { self.settings.domain_component.required() } else { None };
            let names = Names {
                common_name: subject.common_name.as_deref().unwrap_or(&self.settings.serial_number),
                organization: subject.organization.as_deref().or(default_organization),
                country: subject.country.as_deref(),
                domain_component: subject.domain_component.as_deref().or(default_component),
            };
            let expected = Expected { use_, roots: &roots, now: now.into(), skew: self.settings.skew, names };
            // This also applies to a chain that was accepted before: it may have expired since, or
            // its root may have been deleted.
            let verified = chain::verify(chain, &expected).map_err(refused)?;
            let (key_uri, request_id, pending) = match found {
                Match::Known(own) if own.state == OwnState::InUse => {
                    return Ok((Signed::AlreadyInUse, Vec::new()));
                }
                Match::Known(own) => return Ok((Signed::Renewed(own), Vec::new())),
                Match::New { key_uri, request_id, pending, .. } => (key_uri, request_id, pending),
            };
            let (own, transitions) = catalog
                .plan_renew(verified, key_uri, use_, request_id, pending)
                .map_err(|_| SignedError::NoRoom)?;
            Ok((Signed::Renewed(own), transitions))
        })
    }
}
