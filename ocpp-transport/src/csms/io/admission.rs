//! Which stations may connect to a CSMS.

use core::net::SocketAddr;
use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use certificates::StationIdentity;
use ocpp_types::Version;
use rustls_pki_types::CertificateDer;

use crate::calls::io::peer::Peer;
use crate::connection::close::CloseReason;
use crate::connection::profile::SecurityProfile;
use crate::name_rule::CertificateSubject;
use crate::session::Registration;
use crate::tls::SecurityEvent;
use crate::upgrade::basic::Credentials;

/// Decides which stations may connect, and is informed which ones are connected.
///
/// The callbacks of one identity are called in order: `connected`, `disconnected`, `connected`, …,
/// even if a second connection replaces the first.
pub trait Admission: Send + Sync + 'static {
    /// Decides about a connection before its WebSocket is opened.
    ///
    /// Already verified: under profile 3 the certificate's path and organization (A00.FR.403,
    /// A00.FR.404), under profiles 1 and 2 that the user in the credentials is the identity
    /// (A00.FR.204, A00.FR.303). To be decided: whether the station is known, whether its password
    /// is correct (A00.FR.207, A00.FR.324), whether it may use this profile (A00.FR.002), and
    /// whether the certificate belongs to this station (A00.FR.405).
    ///
    /// # Cancel safety
    /// The future is dropped when the peer closes the connection or the deadline of the handshake
    /// passes.
    fn admit(&self, upgrade: &UpgradeRequest) -> impl Future<Output = Result<Admitted, Refusal>> + Send;

    /// A station is connected. Runs on the connection's task, before its first frame is read:
    /// return quickly.
    fn connected(&self, peer: &Peer) {
        let _ = peer;
    }

    /// A station's connection is closed.
    fn disconnected(&self, peer: &Peer, reason: &CloseReason) {
        let _ = (peer, reason);
    }

    /// A connection was refused for a reason that is a security event of OCPP. Called once per
    /// episode. Runs on the connection's task: return quickly.
    fn security_event(&self, event: &SecurityEvent) {
        let _ = event;
    }
}

/// A station's request for a connection.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct UpgradeRequest {
    /// The claimed identity: the last segment of the URL's path, decoded. The credentials must
    /// prove it.
    pub identity: StationIdentity,
    /// The version of OCPP of the connection: the first version in the station's offer that the
    /// router serves.
    pub version: Version,
    /// User and password. Always present under profiles 1 and 2, never under 3.
    pub basic: Option<Credentials>,
    /// The certificates of the station, its own first. Always present under profile 3, never under
    /// 1 and 2.
    pub client_certificate: Option<Vec<CertificateDer<'static>>>,
    /// Whether the certificate has expired, which [`ClientTrust`](crate::tls::ClientTrust) permits
    /// for this station (A00.FR.429): admit the station, keep it Pending, and renew its certificate
    /// at once (A02).
    pub certificate_expired: bool,
    /// The network address of the station.
    pub remote: SocketAddr,
    /// The security profile that follows from the above.
    pub profile: SecurityProfile,
}

impl UpgradeRequest {
    /// The subject of the client certificate. Its common name must be the station's serial number
    /// (A00.FR.405).
    #[must_use]
    pub fn client_subject(&self) -> Option<CertificateSubject> {
        CertificateSubject::of(self.client_certificate.as_ref()?.first()?).ok()
    }
}

/// The station may connect.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Admitted {
    pub(crate) identity: Option<StationIdentity>,
    pub(crate) registration: Registration,
    pub(crate) context: Option<Arc<dyn Any + Send + Sync>>,
}

impl Admitted {
    /// The station may connect.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the known state of the station's registration, by default [`Registration::Accepted`].
    /// Until its BootNotification is accepted, the station's other CALLs are answered with
    /// SecurityError (B02.FR.02, B03.FR.07).
    #[must_use]
    pub fn with_registration(self, registration: Registration) -> Self {
        Self { registration, ..self }
    }

    /// Attaches a value to the connection, which handlers get with [`Peer::context`].
    #[must_use]
    pub fn with_context<T: Any + Send + Sync>(self, context: T) -> Self {
        Self { context: Some(Arc::new(context)), ..self }
    }

    /// Sets the CSMS's own spelling of the identity, which may differ in the case of its letters.
    /// [`Peer::identity`] then returns that spelling.
    #[must_use]
    pub fn with_identity(self, identity: StationIdentity) -> Self {
        Self { identity: Some(identity), ..self }
    }
}

impl std::fmt::Debug for Admitted {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Admitted").finish_non_exhaustive()
    }
}

/// The station may not connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The identity is unknown: HTTP 404.
    #[error("the station is unknown")]
    UnknownStation,
    /// The password is wrong, or the certificate belongs to another station: HTTP 401.
    #[error("the credentials are wrong")]
    BadCredentials,
    /// Neither a password nor a certificate: HTTP 401.
    #[error("the station presented neither a password nor a certificate")]
    NoCredentials,
    /// The station must use another security profile (A00.FR.002): HTTP 403.
    #[error("the station has to use another security profile")]
    WrongProfile,
    /// The decision cannot be made now: HTTP 503.
    #[error("the decision cannot be made now")]
    Unavailable,
    /// Too many stations wait for a decision: HTTP 503 with `Retry-After`.
    #[error("too many stations wait for a decision")]
    Overloaded {
        /// How long the station should wait.
        retry_after: Duration,
    },
    /// Too many attempts have failed: HTTP 429 with `Retry-After`.
    #[error("too many attempts have failed")]
    Throttled {
        /// How long the station should wait.
        retry_after: Duration,
    },
}

impl Refusal {
    /// The status of the HTTP response.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::UnknownStation => 404,
            Self::BadCredentials | Self::NoCredentials => 401,
            Self::WrongProfile => 403,
            Self::Unavailable | Self::Overloaded { .. } => 503,
            Self::Throttled { .. } => 429,
        }
    }

    /// How long the station should wait before it tries again.
    #[must_use]
    pub fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Overloaded { retry_after } | Self::Throttled { retry_after } => Some(retry_after),
            Self::UnknownStation
            | Self::BadCredentials
            | Self::NoCredentials
            | Self::WrongProfile
            | Self::Unavailable => None,
        }
    }
}

/// [`Admission`] as a trait object.
pub(crate) trait DynAdmission: Send + Sync {
    fn admit<'a>(
        &'a self,
        upgrade: &'a UpgradeRequest,
    ) -> Pin<Box<dyn Future<Output = Result<Admitted, Refusal>> + Send + 'a>>;
    fn connected(&self, peer: &Peer);
    fn disconnected(&self, peer: &Peer, reason: &CloseReason);
    fn security_event(&self, event: &SecurityEvent);
}

impl<A: Admission> DynAdmission for A {
    fn admit<'a>(
        &'a self,
        upgrade: &'a UpgradeRequest,
    ) -> Pin<Box<dyn Future<Output = Result<Admitted, Refusal>> + Send + 'a>> {
        Box::pin(Admission::admit(self, upgrade))
    }

    fn connected(&self, peer: &Peer) {
        Admission::connected(self, peer);
    }

    fn disconnected(&self, peer: &Peer, reason: &CloseReason) {
        Admission::disconnected(self, peer, reason);
    }

    fn security_event(&self, event: &SecurityEvent) {
        Admission::security_event(self, event);
    }
}
