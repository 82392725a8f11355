//! The certificates for vehicles that the ISO 15118 controllers require.

pub(super) mod controllers;

use std::collections::BTreeSet;

use super::{
    DeviceModel, Secc,
    variable::{Place, Variable},
};

impl DeviceModel {
    /// Whether the station serves vehicles by ISO 15118 at all.
    #[must_use]
    pub fn has_iso15118(&self) -> bool {
        self.defaults.iso15118.is_some()
    }

    /// Whether one certificate may serve both the connection to the CSMS and vehicles.
    #[must_use]
    pub fn combined_certificates(&self) -> bool {
        self.defaults.iso15118.as_ref().is_some_and(|iso15118| iso15118.combined_certificates)
    }

    /// The SECCs, each once, however many controllers share it: one certificate each (A02). If
    /// controllers that share a SeccId differ in other values, the values of the first one apply.
    #[must_use]
    pub fn seccs(&self) -> Vec<Secc> {
        let mut seccs: Vec<Secc> = Vec::new();
        for evse in self.controllers() {
            let text = |variable| self.text(Place { variable, evse });
            let id = text(Variable::SeccId);
            let installation = text(Variable::V2gCertificateInstallationEnabled) == "true";
            match seccs.iter_mut().find(|known| known.id == id) {
                Some(known) => {
                    known.certificate_installation |= installation;
                    known.evses.extend(evse);
                }
                None => {
                    let country = text(Variable::CountryName);
                    seccs.push(Secc {
                        id: id.to_owned(),
                        organization: text(Variable::SeccOrganizationName).to_owned(),
                        country: (!country.is_empty()).then(|| country.to_ascii_uppercase()),
                        certificate_installation: installation,
                        evses: Vec::from_iter(evse),
                    });
                }
            }
        }
        seccs
    }

    /// The SECCs that a request for `evse` concerns, such as TriggerMessage. All SECCs, if `evse`
    /// is `None` (F06.FR.11), or if the station has one controller for all EVSEs (F06.FR.03).
    /// Empty: there is no such EVSE.
    #[must_use]
    pub fn seccs_of(&self, evse: Option<i64>) -> Vec<Secc> {
        let mut seccs = self.seccs();
        if let Some(evse) = evse {
            let is_meant = |known: &u32| i64::from(*known) == evse;
            seccs.retain(|secc| secc.evses.is_empty() || secc.evses.iter().any(is_meant));
        }
        seccs
    }

    /// Turns `PnCEnabled` off for each controller with this SeccId, because the station has no
    /// certificate for these vehicles (A02.FR.21). It stays off until the next start, or until the
    /// CSMS sets it again. The change is not persistent.
    pub fn suspend_pnc(&mut self, secc_id: &str) {
        let id = |evse| self.text(Place { variable: Variable::SeccId, evse });
        let suspended: BTreeSet<_> = self.controllers().filter(|evse| id(*evse) == secc_id).collect();
        self.suspended.extend(suspended);
    }

    /// Whether vehicles may identify themselves by contract at this EVSE.
    #[must_use]
    pub fn is_pnc_enabled(&self, evse: Option<u32>) -> bool {
        self.text(Place { variable: Variable::PncEnabled, evse }) == "true"
    }

    /// The EVSEs that have a controller; `None` is the station as a whole.
    pub(super) fn controllers(&self) -> impl Iterator<Item = Option<u32>> {
        self.defaults.iso15118.iter().flat_map(|iso15118| iso15118.controllers.keys().copied())
    }

    /// Every variable of every component that this station has, in the order of a report.
    pub(super) fn places(&self) -> Vec<Place> {
        let (controller, station): (Vec<_>, Vec<_>) =
            Variable::ALL.into_iter().partition(|variable| variable.is_of_iso15118());
        let of_controller = |evse| controller.iter().map(move |variable| Place { variable: *variable, evse });
        station.into_iter().map(Place::from).chain(self.controllers().flat_map(of_controller)).collect()
    }
}
