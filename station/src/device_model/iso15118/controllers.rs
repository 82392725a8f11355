//! The ISO 15118 controllers: their settings, and the SECCs behind them.

use std::collections::BTreeMap;

use crate::device_model::variable::Variable;

/// The ISO 15118 controllers of a station as delivered.
#[derive(Clone, Debug, Default)]
pub struct Iso15118 {
    /// The variables of each controller by its EVSE, until the CSMS changes them. `None` is the
    /// controller of the station as a whole. Each text must fit its variable.
    pub controllers: BTreeMap<Option<u32>, BTreeMap<Variable, String>>,
    /// Whether one certificate may serve both the connection to the CSMS and vehicles
    /// (SignCombinedCertificate).
    pub combined_certificates: bool,
}

/// One SECC: the content of its certificate, and the controllers that share it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Secc {
    /// `SeccId`: CN of its certificate.
    pub id: String,
    /// `OrganizationName`: O of its certificate.
    pub organization: String,
    /// `CountryName` in capital letters: C of its certificate, if the country is known.
    pub country: Option<String>,
    /// Whether `V2GCertificateInstallationEnabled` is on for one of its controllers. If not, no
    /// certificate is requested.
    pub certificate_installation: bool,
    /// The EVSEs whose controllers have this SeccId, ascending. Empty if the station has one
    /// controller.
    pub evses: Vec<u32>,
}
