//! What is known of a station's connection, beside what the transport knows.

use certificates::{Certificate, SerialNumber};
use ocpp_transport::{CallFailure, Peer};
use ocpp_types::Version;
use tokio::sync::{Mutex, OnceCell};

use crate::config::OcppVersion;

/// What a station was admitted with, and what its connection has shown since.
#[derive(Debug)]
pub(crate) struct Terms {
    /// Its certificate is past its last day: it stays Pending and gets a new one.
    pub(crate) certificate_expired: bool,
    /// How long a chain it takes, in characters, once it was asked; `None` where it does not tell.
    pub(crate) longest_chain: OnceCell<Option<usize>>,
    /// Whether it was sent a password, and may have it only from a later connection on. Locked
    /// while one is changed.
    pub(crate) password_pending: Mutex<bool>,
}

/// Whether the station was admitted with a certificate that has expired (A00.FR.429).
pub(crate) fn has_expired_certificate(peer: &Peer) -> bool {
    peer.context::<Terms>().is_some_and(|terms| terms.certificate_expired)
}

/// The serial number of the certificate that the station presented.
pub(crate) fn presented_serial_number(peer: &Peer) -> Option<SerialNumber> {
    let leaf = peer.client_certificate()?.first()?;
    serial_number(leaf)
}

/// The serial number of a certificate.
pub(crate) fn serial_number(der: &[u8]) -> Option<SerialNumber> {
    Certificate::from_der(der).ok().map(|certificate| certificate.serial_number())
}

/// The version of OCPP that the connection speaks, of those that this service knows.
///
/// # Errors
/// [`CallFailure::WrongVersion`] for a version that came after those.
pub(crate) fn version_of(peer: &Peer) -> Result<OcppVersion, CallFailure> {
    let connection = peer.version();
    // The newest messages that this service has are those of 2.1.
    OcppVersion::try_from(connection)
        .map_err(|_| CallFailure::WrongVersion { message: Version::V21, connection })
}
