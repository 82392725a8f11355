//! The configuration of a station.

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

/// How a station proves its identity, and which roots it trusts.
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
        /// From [`tls::client_config`], without a key.
        tls: Arc<ClientConfig>,
    },
    /// Profile 3: a certificate. No password is sent.
    TlsWithClientCertificate {
        /// From [`tls::client_config`], with a key.
        tls: Arc<ClientConfig>,
    },
}

impl Security {
    /// Profile 1.
    #[must_use]
    pub fn profile_1(password: Password) -> Self {
        Self::UnsecuredWithBasicAuth { password }
    }

    /// Profile 2, with the trusted `roots` (`CSMSRootCertificate`).
    ///
    /// # Errors
    /// See [`tls::client_config`].
    pub fn profile_2(
        password: Password,
        roots: Vec<CertificateDer<'static>>,
    ) -> Result<Self, TlsConfigError> {
        Ok(Self::TlsWithBasicAuth { password, tls: Arc::new(tls::client_config(roots, None)?) })
    }

    /// Profile 3, with the trusted `roots` (`CSMSRootCertificate`).
    ///
    /// # Errors
    /// See [`tls::client_config`].
    pub fn profile_3(key: ClientKey, roots: Vec<CertificateDer<'static>>) -> Result<Self, TlsConfigError> {
        Ok(Self::TlsWithClientCertificate { tls: Arc::new(tls::client_config(roots, Some(key))?) })
    }

    /// The profile.
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

/// The CSMS that a station connects to, its identity, and its security.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StationConfig {
    /// The endpoint: `ws://…` for profile 1, else `wss://…`. The identity is appended to it.
    pub url: Endpoint,
    /// The identity of the station.
    pub identity: StationIdentity,
    /// The security profile with its secrets.
    pub security: Security,
    /// Deadline for opening the WebSocket, including TCP and TLS. Default 30 s.
    pub connect_timeout: Duration,
    /// The CSMS's last answer to the BootNotification of this station, on any connection. Default
    /// [`Registration::Accepted`]; a station that has just started sets
    /// [`Registration::NotBooted`].
    pub registration: Registration,
    /// Deadlines and bounds of the connection.
    pub link: LinkSettings,
}

impl StationConfig {
    /// A configuration with the default times and bounds.
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

    /// Sets the deadline for opening the WebSocket, including TCP and TLS.
    #[must_use]
    pub fn with_connect_timeout(self, connect_timeout: Duration) -> Self {
        Self { connect_timeout, ..self }
    }

    /// Sets the CSMS's last answer to BootNotification. Until it is accepted, the connection sends
    /// only permitted messages (B01.FR.08, B02.FR.02), and every other call fails with
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
