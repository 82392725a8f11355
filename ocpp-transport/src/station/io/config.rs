//! What a station can set.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use certificates::StationIdentity;
use rustls::ClientConfig;
use rustls_pki_types::CertificateDer;

use crate::connection::io::settings::LinkSettings;
use crate::connection::profile::SecurityProfile;
use crate::session::Registration;
use crate::station::endpoint::Endpoint;
use crate::tls::{self, ClientKey, TlsConfigError};
use crate::upgrade::basic::Password;

/// How a station proves its identity, and whom it trusts.
#[derive(Clone)]
#[non_exhaustive]
pub enum Security {
    /// Profile 1: a password, no TLS. For trusted networks only.
    UnsecuredWithBasicAuth {
        /// The password of the station.
        password: Password,
    },
    /// Profile 2: a password, over TLS.
    TlsWithBasicAuth {
        /// The password of the station.
        password: Password,
        /// Made by [`tls::client_config`], without a key.
        tls: Arc<ClientConfig>,
    },
    /// Profile 3: a certificate. No password is sent.
    TlsWithClientCertificate {
        /// Made by [`tls::client_config`], with a key.
        tls: Arc<ClientConfig>,
    },
}

impl Security {
    /// Profile 1.
    #[must_use]
    pub fn profile_1(password: Password) -> Self {
        Self::UnsecuredWithBasicAuth { password }
    }

    /// Profile 2, trusting `roots` (`CSMSRootCertificate`).
    ///
    /// # Errors
    /// See [`tls::client_config`].
    pub fn profile_2(
        password: Password,
        roots: Vec<CertificateDer<'static>>,
    ) -> Result<Self, TlsConfigError> {
        Ok(Self::TlsWithBasicAuth { password, tls: Arc::new(tls::client_config(roots, None)?) })
    }

    /// Profile 3, trusting `roots` (`CSMSRootCertificate`).
    ///
    /// # Errors
    /// See [`tls::client_config`].
    pub fn profile_3(key: ClientKey, roots: Vec<CertificateDer<'static>>) -> Result<Self, TlsConfigError> {
        Ok(Self::TlsWithClientCertificate { tls: Arc::new(tls::client_config(roots, Some(key))?) })
    }

    /// Which profile it is.
    #[must_use]
    pub fn profile(&self) -> SecurityProfile {
        match self {
            Self::UnsecuredWithBasicAuth { .. } => SecurityProfile::UnsecuredWithBasicAuth,
            Self::TlsWithBasicAuth { .. } => SecurityProfile::TlsWithBasicAuth,
            Self::TlsWithClientCertificate { .. } => SecurityProfile::TlsWithClientCertificate,
        }
    }

    pub(crate) fn password(&self) -> Option<&Password> {
        match self {
            Self::UnsecuredWithBasicAuth { password } | Self::TlsWithBasicAuth { password, .. } => {
                Some(password)
            }
            // No Basic header under profile 3.
            Self::TlsWithClientCertificate { .. } => None,
        }
    }

    pub(crate) fn tls(&self) -> Option<&Arc<ClientConfig>> {
        match self {
            Self::UnsecuredWithBasicAuth { .. } => None,
            Self::TlsWithBasicAuth { tls, .. } | Self::TlsWithClientCertificate { tls } => Some(tls),
        }
    }
}

impl fmt::Debug for Security {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Security(profile {})", self.profile())
    }
}

/// To which CSMS a station connects, as whom, and how.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StationConfig {
    /// The endpoint: `ws://…` for profile 1, else `wss://…`. The identity is appended to it.
    pub url: Endpoint,
    /// The identity of the station.
    pub identity: StationIdentity,
    /// The security profile with its secrets.
    pub security: Security,
    /// Deadline of the whole way to an open WebSocket. Default 30 s.
    pub connect_timeout: Duration,
    /// What the CSMS has answered to the BootNotification of this station, on whatever connection.
    /// Default [`Registration::Accepted`]; a station that has just started sets
    /// [`Registration::NotBooted`].
    pub registration: Registration,
    /// Deadlines and bounds of the connection.
    pub link: LinkSettings,
}

impl StationConfig {
    /// A configuration with defaults for all times and bounds.
    #[must_use]
    pub fn new(url: Endpoint, identity: StationIdentity, security: Security) -> Self {
        Self {
            url,
            identity,
            security,
            connect_timeout: Duration::from_secs(30),
            registration: Registration::default(),
            link: LinkSettings::default(),
        }
    }

    /// Sets the deadline of the whole way to an open WebSocket.
    #[must_use]
    pub fn with_connect_timeout(self, connect_timeout: Duration) -> Self {
        Self { connect_timeout, ..self }
    }

    /// Sets what the CSMS has answered to BootNotification. Until it is accepted, the connection
    /// sends only what may be sent (B01.FR.08, B02.FR.02), and every other call fails with
    /// [`CallFailure::NotAccepted`](crate::CallFailure).
    #[must_use]
    pub fn with_registration(self, registration: Registration) -> Self {
        Self { registration, ..self }
    }

    /// Sets deadlines and bounds of the connection.
    #[must_use]
    pub fn with_link(self, link: LinkSettings) -> Self {
        Self { link, ..self }
    }
}
