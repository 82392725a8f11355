//! The OCSP responders that the CSMS asks for stations.

use std::path::PathBuf;

use serde::Deserialize;

use crate::config::error::ConfigError;

/// The responders that the CSMS asks for stations whether certificates are revoked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OcspSection {
    /// The hosts of OCSP responders: `name`, or `name:port` for a port other than 80. A station
    /// chooses the URL, so the CSMS connects to no other host; default none.
    #[serde(default)]
    pub allowed_hosts: Vec<String>,
    /// The authorities whose OCSP answers are accepted for the certificates that they have issued,
    /// PEM. They are the authorities above vehicles' certificates. A station of OCPP 2.1 receives
    /// only the result for these certificates (M07). The result for a certificate of another issuer
    /// is Failed.
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
                return Err(ConfigError::value(field, "has to be a host or host:port, not a URL"));
            }
        }
        Ok(())
    }
}
