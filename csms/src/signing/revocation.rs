//! The status of a vehicle's certificate (M07). The station receives only the result, so the CSMS
//! has to verify the OCSP response or the revocation list.

use std::time::Duration;

use certificates::{
    Certificate, CertificateId, CrlError, CrlRefused, HashData, RevocationList, UnixSeconds,
    ocsp::{CertificateStatus, OcspRefused, verify},
};

/// The status of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) status: CertificateStatus,
    /// The time until which the status is valid.
    pub(crate) next_update: Option<UnixSeconds>,
}

/// Why the fetched bytes prove nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unproved {
    #[error("the OCSP response proves nothing")]
    Response(#[from] OcspRefused),
    #[error("the bytes are not a revocation list that may be used")]
    List(#[from] CrlError),
    #[error("the revocation list proves nothing")]
    Refused(#[from] CrlRefused),
}

/// The status of a certificate of `issuer` in an OCSP response (RFC 6960, 3.2).
pub(crate) fn by_response(
    der: &[u8],
    hash: &HashData,
    issuer: &Certificate,
    now: UnixSeconds,
) -> Result<Verdict, Unproved> {
    let id = CertificateId::issued_by(issuer, hash.serial_number());
    let verified = verify(der, &id, issuer, now, SKEW)?;
    Ok(Verdict { status: verified.status, next_update: verified.next_update })
}

/// The status of a certificate in a revocation list that was found at `url` (M07.FR.05 to
/// M07.FR.07).
pub(crate) fn by_list(
    (der, url): (&[u8], &str),
    hash: &HashData,
    issuer: &Certificate,
    now: UnixSeconds,
) -> Result<Verdict, Unproved> {
    let list = RevocationList::from_der(der)?;
    list.verify(issuer, now, SKEW)?;
    let status = match list.is_revoked(hash.serial_number(), Some(url))? {
        true => CertificateStatus::Revoked,
        false => CertificateStatus::Good,
    };
    Ok(Verdict { status, next_update: list.next_update() })
}

/// The largest difference between two clocks.
const SKEW: Duration = Duration::from_secs(300);
