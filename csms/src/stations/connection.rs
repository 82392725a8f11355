//! Facts about a station's connection that the transport does not know.

use certificates::{Certificate, SerialNumber};
use ocpp_transport::{CallFailure, Peer};
use ocpp_types::Version;
use tokio::sync::{Mutex, OnceCell};

use crate::config::OcppVersion;

/// The conditions of a station's admission, and facts that its connection has shown since.
#[derive(Debug)]
pub(crate) struct Terms {
    /// Its certificate has expired. The station stays Pending and receives a new certificate.
    pub(crate) certificate_expired: bool,
    /// The longest chain that the station accepts, in characters, after it was asked. `None` if the
    /// station does not report it.
    pub(crate) longest_chain: OnceCell<Option<usize>>,
    /// Whether a password was sent that may take effect only on a later connection. Locked while a
    /// password is changed.
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

/// The version of OCPP that the connection uses, if this service knows it.
///
/// # Errors
/// [`CallFailure::WrongVersion`] if the version is newer than the known ones.
pub(crate) fn version_of(peer: &Peer) -> Result<OcppVersion, CallFailure> {
    let connection = peer.version();
    // The newest messages that this service has are those of 2.1.
    OcppVersion::try_from(connection)
        .map_err(|_| CallFailure::WrongVersion { message: Version::V21, connection })
}
