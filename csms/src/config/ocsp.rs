//! Which OCSP responders the CSMS asks for stations.

use std::path::PathBuf;

use serde::Deserialize;

use crate::config::error::ConfigError;

/// Which responders the CSMS asks for stations whether certificates are revoked.
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

impl OcspSection {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for (index, host) in self.allowed_hosts.iter().enumerate() {
            let authority = host.parse::<hyper::http::uri::Authority>();
            let plain = authority.is_ok_and(|authority| match authority.port_u16() {
                Some(port) => *host == format!("{}:{port}", authority.host()),
                None => host == authority.host(),
            });
            if !plain {
                let field = format!("ocsp.allowed_hosts[{index}]");
                return Err(ConfigError::value(field, "has to be a host, or host:port, and no URL"));
            }
        }
        Ok(())
    }
}
