//! Whether a certificate of a path is revoked, according to available lists.

use super::Path;
use crate::crl::{CrlRefused, RevocationList};
use crate::types::UnixSeconds;

/// The decision about a certificate that no list covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlisted {
    /// Accept it. A certificate in a list stays revoked when the list is out of date.
    Accept,
    /// Refuse it: each certificate needs a list of its issuer that covers it and is not out of
    /// date.
    Refuse,
}

/// Why a path is not accepted because of revocation lists. Positions count from the leaf, which is
/// 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RevocationError {
    /// The certificate is in a list.
    #[error("certificate {position} of the path is revoked by its issuer")]
    Revoked {
        /// Its position.
        position: usize,
    },
    /// No list covers the certificate, and one is required.
    #[error("no recent revocation list covers certificate {position} of the path")]
    Unknown {
        /// Its position.
        position: usize,
    },
    /// A list with the issuer's name was not signed by the issuer. It is not ignored: it could be a
    /// damaged list that revokes the certificate.
    #[error("the revocation list for certificate {position} of the path cannot be relied on")]
    List {
        /// The position of the certificate.
        position: usize,
        /// What is wrong with the list.
        #[source]
        source: CrlRefused,
    },
}

/// Looks for each certificate of `path` in the lists of its issuer.
///
/// # Errors
/// [`RevocationError`]
pub fn check_revocation(
    path: &Path<'_>,
    lists: &[RevocationList],
    now: UnixSeconds,
    unlisted: Unlisted,
) -> Result<(), RevocationError> {
    for (position, certificate) in path.certificates.iter().enumerate() {
        let issuer = path.issuer_of(position);
        let (mut is_covered, mut has_list, mut foreign) = (false, false, None);
        for list in lists.iter().filter(|list| list.issuer() == certificate.issuer()) {
            if let Err(source) = list.verify_signature(issuer) {
                let error = RevocationError::List { position, source };
                // An issuer with a new key has the same name, and the lists of the old key are
                // about other certificates.
                let names_other_key = list
                    .authority_key_id()
                    .is_some_and(|named| issuer.subject_key_id().is_some_and(|own| own != named));
                if !names_other_key {
                    return Err(error);
                }
                foreign.get_or_insert(error);
                continue;
            }
            has_list = true;
            if list.names(certificate.serial_number()) {
                return Err(RevocationError::Revoked { position });
            }
            let is_recent = list.next_update().is_some_and(|end| now <= end);
            is_covered |= is_recent && list.covers(certificate);
        }
        // The only list with the issuer's name is of another key, so the issuer's own list may be
        // missing.
        if let Some(error) = foreign.filter(|_| !has_list) {
            return Err(error);
        }
        if unlisted == Unlisted::Refuse && !is_covered {
            return Err(RevocationError::Unknown { position });
        }
    }
    Ok(())
}
