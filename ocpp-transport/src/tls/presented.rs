//! The certificate of a station that was refused.

use std::cell::RefCell;
use std::fmt;

use certificates::{Certificate, Fingerprint, Name, SerialNumber};
use rustls_pki_types::CertificateDer;

/// The certificate of a station that was refused (A00.FR.407, A00.FR.408).
///
/// The peer chose its texts. Control characters are escaped, and texts longer than 256 characters
/// are cut.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PresentedCertificate {
    /// The fingerprint, which identifies the certificate even if it cannot be read.
    pub fingerprint: Fingerprint,
    /// Subject, issuer and serial number; `None` if it cannot be read.
    pub names: Option<PresentedNames>,
}

/// The subject and the issuer that a certificate claims.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PresentedNames {
    /// The subject, as `CN=…,O=…`.
    pub subject: String,
    /// The issuer, in the same form.
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
    /// The certificate that the handshake of this task refused. rustls returns a verifier's reason
    /// to the caller, but not the certificate.
    pub(crate) static REFUSED: RefCell<Option<PresentedCertificate>>;
}

/// Notes the certificate that a verifier refuses. Outside the scope of [`REFUSED`] nothing is
/// noted.
pub(super) fn note_refused(der: &CertificateDer<'_>) {
    let _ = REFUSED.try_with(|refused| refused.replace(Some(PresentedCertificate::of(der))));
}

/// The characters of a name that are kept.
const MAX_SHOWN: usize = 256;
