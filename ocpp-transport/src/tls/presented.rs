//! Which certificate a station presented, where it was refused.

use std::cell::RefCell;
use std::fmt;

use certificates::{Certificate, Fingerprint, Name, SerialNumber};
use rustls_pki_types::CertificateDer;

/// The certificate of a station that was refused (A00.FR.407, A00.FR.408).
///
/// Its texts are the peer's own words: control characters are escaped, and what is longer than 256
/// characters is cut.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PresentedCertificate {
    /// What tells it from others, whether it can be read or not.
    pub fingerprint: Fingerprint,
    /// Subject, issuer and serial number; `None` if it cannot be read.
    pub names: Option<PresentedNames>,
}

/// Whose certificate it is, and whose signature it bears, by its own account.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PresentedNames {
    /// The subject, as `CN=…,O=…`.
    pub subject: String,
    /// The issuer, likewise.
    pub issuer: String,
    /// The serial number.
    pub serial_number: SerialNumber,
}

impl PresentedCertificate {
    pub(crate) fn of(der: &CertificateDer<'_>) -> Self {
        let names = Certificate::from_der(der.to_vec()).ok().map(|certificate| PresentedNames {
            subject: shown(certificate.subject()),
            issuer: shown(certificate.issuer()),
            serial_number: certificate.serial_number(),
        });
        Self { fingerprint: Fingerprint::of(der), names }
    }
}

fn shown(name: Name<'_>) -> String {
    let text = name.to_string();
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// `subject "CN=…", issuer "CN=…", serial number 1A, SHA-256 …`, for people.
impl fmt::Display for PresentedCertificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(PresentedNames { subject, issuer, serial_number }) = &self.names {
            write!(formatter, "subject \"{subject}\", issuer \"{issuer}\", serial number {serial_number}, ")?;
        }
        write!(formatter, "SHA-256 {}", self.fingerprint)
    }
}

tokio::task_local! {
    /// The certificate that the handshake of this task has refused. rustls hands a verifier's
    /// reason to the caller, but not the certificate.
    pub(crate) static REFUSED: RefCell<Option<PresentedCertificate>>;
}

/// A verifier refuses this certificate. Outside of the scope of [`REFUSED`] nothing is noted.
pub(super) fn note_refused(der: &CertificateDer<'_>) {
    let _ = REFUSED.try_with(|refused| refused.replace(Some(PresentedCertificate::of(der))));
}

/// Characters of a name that are kept.
const MAX_SHOWN: usize = 256;
