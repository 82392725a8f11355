//! The rules for a path whose signatures are verified (RFC 5280, 6.1).

use der::asn1::ObjectIdentifier;

use super::error::PathError;
use super::name_constraints::Constraints;
use super::policies::Policies;
use super::purpose::{Purpose, Window};
use super::steps::Steps;
use crate::certificate::{
    BASIC_CONSTRAINTS, Certificate, DISTRIBUTION_POINTS, EXTENDED_KEY_USAGE, KEY_USAGE,
};
use crate::validity::OutsideValidity;

/// Checks the requirements for a leaf that do not depend on its issuer.
///
/// # Errors
/// [`PathError`] with the position 0.
pub fn check_leaf(leaf: &Certificate, window: Window, purpose: Purpose) -> Result<(), PathError> {
    check_validity(0, leaf, window)?;
    check_critical(0, leaf)?;
    if leaf.ca().is_some() {
        return Err(PathError::LeafIsAuthority);
    }
    check_purpose(0, leaf, purpose)?;
    // A00.FR.512: with the allowed cipher suites each side proves its key with a signature.
    if leaf.key_usage().is_some_and(|usage| !usage.digital_signature()) {
        return Err(PathError::LeafKeyUsage);
    }
    Ok(())
}

/// Checks that the constraints of a root can be understood.
///
/// # Errors
/// [`PathError::CriticalExtension`], [`PathError::BrokenExtension`] with the position 0.
pub fn check_root(root: &Certificate) -> Result<(), PathError> {
    check_critical(0, root)?;
    Constraints::default().add(0, root)
}

/// Checks a path whose signatures are verified, from the root downwards. The leaf has passed
/// [`check_leaf`].
pub(super) fn validate(
    path: &[&Certificate],
    root: &Certificate,
    window: Window,
    purpose: Purpose,
    steps: &mut Steps,
) -> Result<(), PathError> {
    let mut constraints = Constraints::default();
    constraints.add(path.len(), root)?;
    let mut policies = Policies::default();
    let mut room = root.ca().and_then(|ca| ca.path_length).map(|length| Room { length, set_by: path.len() });
    for (position, certificate) in path.iter().copied().enumerate().rev() {
        let is_leaf = position == 0;
        // RFC 5280, 6.1.3 (b): a self-issued certificate changes a key, not a name.
        if is_leaf || !certificate.is_self_issued() {
            constraints.check(position, certificate, purpose, steps)?;
        }
        policies.enter(position, certificate, is_leaf)?;
        if is_leaf {
            return policies.finish(certificate);
        }
        check_validity(position, certificate, window)?;
        check_critical(position, certificate)?;
        check_purpose(position, certificate, purpose)?;
        let ca = certificate.ca().ok_or(PathError::NotAuthority { position })?;
        if certificate.key_usage().is_some_and(|usage| !usage.key_cert_sign()) {
            return Err(PathError::NotAuthority { position });
        }
        // RFC 5280, 6.1.4 (l), (m)
        if let Some(room) = room.as_mut().filter(|_| !certificate.is_self_issued()) {
            room.length =
                room.length.checked_sub(1).ok_or(PathError::PathLength { position: room.set_by })?;
        }
        if let Some(length) = ca.path_length
            && room.is_none_or(|room| length < room.length)
        {
            room = Some(Room { length, set_by: position });
        }
        constraints.add(position, certificate)?;
        policies.leave(position, certificate)?;
    }
    // A path contains at least its leaf.
    Err(PathError::UnknownIssuer)
}

/// How many sub-CAs may follow, and the issuer that sets this limit.
#[derive(Clone, Copy)]
struct Room {
    length: u8,
    set_by: usize,
}

fn check_validity(position: usize, certificate: &Certificate, window: Window) -> Result<(), PathError> {
    let (not_before, not_after) = (certificate.not_before(), certificate.not_after());
    let source = if window.latest < not_before {
        OutsideValidity::NotYet { not_before, now: window.latest }
    } else if not_after < window.earliest {
        OutsideValidity::Expired { not_after, now: window.earliest }
    } else {
        return Ok(());
    };
    Err(PathError::Validity { position, source })
}

fn check_critical(position: usize, certificate: &Certificate) -> Result<(), PathError> {
    let extensions = certificate.extensions();
    let unknown = extensions.iter().find(|one| one.critical && !KNOWN.contains(&one.kind));
    unknown.map_or(Ok(()), |one| Err(PathError::CriticalExtension { position, extension: one.kind }))
}

fn check_purpose(position: usize, certificate: &Certificate, purpose: Purpose) -> Result<(), PathError> {
    let (wanted, needed) = purpose.extended_key_usage();
    // A00.FR.514 recommends to omit it.
    match certificate.extended_key_usage() {
        Some(allowed) if !allowed.contains(&wanted) => Err(PathError::Purpose { position, needed }),
        _ => Ok(()),
    }
}

/// The extensions whose meaning is applied. RFC 5280 requires that for the first eight. Of
/// subjectAltName and cRLDistributionPoints only unambiguous parts are used.
const KNOWN: &[ObjectIdentifier] = &[
    BASIC_CONSTRAINTS,
    KEY_USAGE,
    EXTENDED_KEY_USAGE,
    super::name_constraints::NAME_CONSTRAINTS,
    super::policies::CERTIFICATE_POLICIES,
    super::policies::POLICY_MAPPINGS,
    super::policies::POLICY_CONSTRAINTS,
    super::policies::INHIBIT_ANY_POLICY,
    super::name_constraints::SUBJECT_ALT_NAME,
    DISTRIBUTION_POINTS,
];
