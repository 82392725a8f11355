//! Why a TLS handshake failed, told apart as OCPP's security events need it.

use std::time::{Duration, SystemTime};

use ocpp_types::Timestamp;
use rustls::{AlertDescription, CertificateError, OtherError, PeerIncompatible};
use rustls_pki_types::UnixTime;

use crate::name_rule::NameError;

/// Why the TLS handshake of a station failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsFailure {
    /// The CSMS's certificate is not valid: a station raises `InvalidCsmsCertificate` (A00.FR.310, A00.FR.413).
    #[error("the certificate of the CSMS is not valid")]
    BadServerCertificate {
        /// What is wrong with it.
        #[source]
        reason: BadCertificate,
    },
    /// The CSMS wants an older TLS: a station raises `InvalidTLSVersion` (A00.FR.312 to 317, 415 to 420).
    #[error("the CSMS does not offer TLS 1.2 or newer")]
    Version,
    /// No common cipher suite: a station raises `InvalidTLSCipherSuite` (A00.FR.323, A00.FR.426).
    #[error("the CSMS offers none of the permitted cipher suites")]
    CipherSuite,
    /// The CSMS refused the station's certificate, or wants one.
    #[error("the CSMS does not accept the station's certificate ({alert})")]
    OwnCertificateRefused {
        /// The alert that it sent, by its name in the TLS specification.
        alert: String,
    },
    /// Anything else.
    #[error("the TLS handshake failed")]
    Other(#[source] rustls::Error),
}

/// What is wrong with a peer's certificate.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BadCertificate {
    /// Past its last day. The three times show whether a wrong clock is the cause.
    #[error("expired at {}, it is {}; check the clock", Timestamp::from(*.not_after), Timestamp::from(*.now))]
    Expired {
        /// The time of the check.
        now: SystemTime,
        /// The end of its validity.
        not_after: SystemTime,
    },
    /// Before its first day.
    #[error("not valid before {}, it is {}; check the clock", Timestamp::from(*.not_before), Timestamp::from(*.now))]
    NotYetValid {
        /// The time of the check.
        now: SystemTime,
        /// The begin of its validity.
        not_before: SystemTime,
    },
    /// It does not lead to an installed root.
    #[error("not issued under an installed root certificate")]
    UnknownIssuer,
    /// Its issuer has revoked it, or one above it.
    #[error("revoked by its issuer")]
    Revoked,
    /// No revocation list, or no recent one, tells about it, and the policy demands one.
    #[error("no recent revocation list of its issuer is at hand")]
    RevocationUnknown,
    /// Its subject breaks OCPP's rules: another host, a wildcard, another organization.
    #[error(transparent)]
    Name(NameError),
    /// More intermediate certificates than a path can have.
    #[error("{count} intermediate certificates, at most {max} are accepted", max = crate::tls::MAX_INTERMEDIATES)]
    TooManyIntermediates {
        /// How many the peer sent.
        count: usize,
    },
    /// Anything else.
    #[error("not acceptable")]
    Other(#[source] rustls::Error),
}

impl TlsFailure {
    /// Sorts an error of rustls, as this side of the handshake saw it.
    #[must_use]
    pub fn from_rustls(error: rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(error) => {
                Self::BadServerCertificate { reason: BadCertificate::from_rustls(error) }
            }
            rustls::Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            )
            | rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => Self::Version,
            rustls::Error::AlertReceived(
                AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity,
            )
            | rustls::Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon)
            | rustls::Error::PeerMisbehaved(rustls::PeerMisbehaved::SelectedUnofferedCipherSuite) => {
                Self::CipherSuite
            }
            rustls::Error::AlertReceived(
                alert @ (AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied
                | AlertDescription::CertificateRequired),
            ) => Self::OwnCertificateRefused { alert: format!("{alert:?}") },
            other => Self::Other(other),
        }
    }

    /// Sorts an I/O error of a TLS stream; `None` if TLS is not its cause.
    #[must_use]
    pub fn from_io(error: &std::io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref::<rustls::Error>().cloned().map(Self::from_rustls)
    }
}

impl BadCertificate {
    pub(crate) fn from_rustls(error: CertificateError) -> Self {
        match error {
            CertificateError::ExpiredContext { time, not_after } => {
                Self::Expired { now: system_time(time), not_after: system_time(not_after) }
            }
            CertificateError::NotValidYetContext { time, not_before } => {
                Self::NotYetValid { now: system_time(time), not_before: system_time(not_before) }
            }
            CertificateError::UnknownIssuer => Self::UnknownIssuer,
            CertificateError::Revoked => Self::Revoked,
            CertificateError::UnknownRevocationStatus => Self::RevocationUnknown,
            CertificateError::Other(OtherError(ref other)) => match other.downcast_ref::<Self>() {
                Some(reason) => reason.clone(),
                None => Self::Other(error.into()),
            },
            other => Self::Other(other.into()),
        }
    }
}

/// The form in which a verifier hands a reason through rustls, which sends the alert that fits.
impl From<BadCertificate> for rustls::Error {
    fn from(reason: BadCertificate) -> Self {
        let error = match reason {
            BadCertificate::Expired { now, not_after } => {
                CertificateError::ExpiredContext { time: unix_time(now), not_after: unix_time(not_after) }
            }
            BadCertificate::NotYetValid { now, not_before } => CertificateError::NotValidYetContext {
                time: unix_time(now),
                not_before: unix_time(not_before),
            },
            BadCertificate::UnknownIssuer => CertificateError::UnknownIssuer,
            BadCertificate::Revoked => CertificateError::Revoked,
            BadCertificate::RevocationUnknown => CertificateError::UnknownRevocationStatus,
            BadCertificate::Other(error) => return error,
            reason => CertificateError::Other(OtherError(std::sync::Arc::new(reason))),
        };
        error.into()
    }
}

impl From<NameError> for BadCertificate {
    fn from(error: NameError) -> Self {
        Self::Name(error)
    }
}

/// The part of webpki's errors that deserves a name of its own; rustls has a similar table, but keeps it private.
pub(super) fn path_error(error: webpki::Error) -> BadCertificate {
    let other = |error: CertificateError| BadCertificate::Other(error.into());
    match error {
        webpki::Error::CertExpired { time, not_after } => {
            BadCertificate::Expired { now: system_time(time), not_after: system_time(not_after) }
        }
        webpki::Error::CertNotValidYet { time, not_before } => {
            BadCertificate::NotYetValid { now: system_time(time), not_before: system_time(not_before) }
        }
        webpki::Error::UnknownIssuer => BadCertificate::UnknownIssuer,
        webpki::Error::CertRevoked => BadCertificate::Revoked,
        webpki::Error::UnknownRevocationStatus | webpki::Error::CrlExpired { .. } => {
            BadCertificate::RevocationUnknown
        }
        webpki::Error::InvalidSignatureForPublicKey => other(CertificateError::BadSignature),
        webpki::Error::BadDer | webpki::Error::BadDerTime | webpki::Error::TrailingData(_) => {
            other(CertificateError::BadEncoding)
        }
        error => other(CertificateError::Other(OtherError(std::sync::Arc::new(error)))),
    }
}

fn system_time(time: UnixTime) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(time.as_secs())
}

fn unix_time(time: SystemTime) -> UnixTime {
    UnixTime::since_unix_epoch(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}
