//! Which OCSP responders the CSMS asks for stations.

use std::path::PathBuf;

use serde::Deserialize;

/// Whom the CSMS asks for stations whether certificates are revoked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OcspSection {
    /// The hosts of OCSP responders: `name`, or `name:port` for another port than 80. A station
    /// chooses the URL, so no other host is ever connected to; default none.
    #[serde(default)]
    pub allowed_hosts: Vec<String>,
    /// The authorities whose word counts about the certificates that they have issued, PEM: those
    /// above vehicles' certificates, of which a station of OCPP 2.1 learns the verdict only (M07).
    /// A certificate of another issuer is answered Failed.
    #[serde(default)]
    pub authorities_file: Option<PathBuf>,
}
