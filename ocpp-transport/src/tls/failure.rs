//! Why a TLS handshake failed, in the categories of OCPP's security events.

use std::time::{Duration, SystemTime};

use certificates::Certificate;
use certificates::path::{PathError, RevocationError};
use certificates::validity::OutsideValidity;
use ocpp_types::Timestamp;
use rustls::{AlertDescription, CertificateError, OtherError, PeerIncompatible};
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::name_rule::NameRuleError;

/// Why the TLS handshake of a station failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsFailure {
    /// The CSMS's certificate is not valid. The station raises `InvalidCsmsCertificate`
    /// (A00.FR.310, A00.FR.413).
    #[error("the certificate of the CSMS is not valid")]
    BadServerCertificate {
        /// The cause.
        #[source]
        reason: BadCertificate,
    },
    /// The CSMS requires an older TLS. The station raises `InvalidTLSVersion` (A00.FR.312 to 317,
    /// 415 to 420).
    #[error("the CSMS does not offer TLS 1.2 or newer")]
    Version,
    /// No common cipher suite. The station raises `InvalidTLSCipherSuite` (A00.FR.323, A00.FR.426).
    #[error("the CSMS offers none of the permitted cipher suites")]
    CipherSuite,
    /// The CSMS refused the station's certificate, or requires one.
    #[error("the CSMS does not accept the station's certificate ({alert})")]
    OwnCertificateRefused {
        /// The alert that the CSMS sent, by its name in the TLS specification.
        alert: String,
    },
    /// Anything else.
    #[error("the TLS handshake failed")]
    Other(#[source] rustls::Error),
}

/// Why a peer's certificate is not valid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BadCertificate {
    /// The certificate has expired. The two times show whether a wrong clock is the cause.
    #[error("expired at {}, the clock shows {}; check the clock", Timestamp::from(*.not_after), Timestamp::from(*.now))]
    Expired {
        /// The time of the check.
        now: SystemTime,
        /// The end of its validity.
        not_after: SystemTime,
    },
    /// The certificate is not valid yet.
    #[error("not valid before {}, the clock shows {}; check the clock", Timestamp::from(*.not_before), Timestamp::from(*.now))]
    NotYetValid {
        /// The time of the check.
        now: SystemTime,
        /// The beginning of its validity.
        not_before: SystemTime,
    },
    /// It does not lead to an installed root.
    #[error("not issued under an installed root certificate")]
    UnknownIssuer,
    /// Its issuer has revoked it, or a certificate above it is revoked.
    #[error("revoked by its issuer")]
    Revoked,
    /// No recent revocation list covers it, and the policy requires one.
    #[error("no recent revocation list of its issuer is available")]
    RevocationUnknown,
    /// Its subject breaks OCPP's rules: another host, a wildcard, another organization.
    #[error(transparent)]
    Name(NameRuleError),
    /// More intermediate certificates than a path can have.
    #[error("{count} intermediate certificates, at most {max} are accepted", max = MAX_INTERMEDIATES)]
    TooManyIntermediates {
        /// How many the peer sent.
        count: usize,
    },
    /// It, or a certificate above it, is not X.509 in DER.
    #[error(transparent)]
    Unreadable(certificates::CertificateError),
    /// It breaks a rule of RFC 5280, or may not be used for this purpose.
    #[error(transparent)]
    Path(PathError),
    /// A revocation list of its issuer cannot be used.
    #[error(transparent)]
    RevocationList(RevocationError),
    /// Anything else.
    #[error("not acceptable")]
    Other(#[source] rustls::Error),
}

impl TlsFailure {
    /// Classifies an error of rustls, as seen by this side of the handshake.
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

    /// Classifies an I/O error of a TLS stream; `None` if TLS is not its cause.
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

/// Passes a verifier's reason through rustls, which sends the matching alert.
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

impl From<NameRuleError> for BadCertificate {
    fn from(error: NameRuleError) -> Self {
        Self::Name(error)
    }
}

/// Classifies an error of path validation.
pub(super) fn path_error(error: PathError) -> BadCertificate {
    match error {
        PathError::Validity { source: OutsideValidity::Expired { not_after, now }, .. } => {
            BadCertificate::Expired { now: now.to_system_time(), not_after: not_after.to_system_time() }
        }
        PathError::Validity { source: OutsideValidity::NotYet { not_before, now }, .. } => {
            BadCertificate::NotYetValid { now: now.to_system_time(), not_before: not_before.to_system_time() }
        }
        PathError::UnknownIssuer => BadCertificate::UnknownIssuer,
        error => BadCertificate::Path(error),
    }
}

/// Parses a certificate of a peer.
pub(super) fn read(certificate: &CertificateDer<'_>) -> Result<Certificate, BadCertificate> {
    Certificate::from_der(certificate.to_vec()).map_err(BadCertificate::Unreadable)
}

impl From<RevocationError> for BadCertificate {
    fn from(error: RevocationError) -> Self {
        match error {
            RevocationError::Revoked { .. } => Self::Revoked,
            RevocationError::Unknown { .. } => Self::RevocationUnknown,
            error => Self::RevocationList(error),
        }
    }
}

fn system_time(time: UnixTime) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(time.as_secs())
}

fn unix_time(time: SystemTime) -> UnixTime {
    UnixTime::since_unix_epoch(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

/// Intermediate certificates that a peer may present. The hierarchies of OCPP have at most two
/// sub-CAs, and the cost of path building grows with their number.
pub const MAX_INTERMEDIATES: usize = 6;
