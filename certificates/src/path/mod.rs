//! Certification paths (RFC 5280, 6): whether a certificate leads to a trusted root, and whether it
//! may be used for its purpose.
//!
//! All programs that accept a certificate for the same purpose use this module, so a certificate
//! that one of them delivers is accepted by the others.
//!
//! All restrictions of a certificate are checked: validity, basicConstraints and path length,
//! keyUsage, extendedKeyUsage, name constraints of every kind that RFC 5280 defines, and policies.
//! A certificate with any other critical extension is refused.
//!
//! A root restricts the certificates below it (RFC 5937): its path length and its name constraints
//! apply. The caller checks the validity of the root.

mod error;
mod general_name;
mod name_constraints;
mod policies;
mod purpose;
mod revocation;
mod search;
mod steps;
mod validation;

pub use self::error::PathError;
pub use self::purpose::{Purpose, Window};
pub use self::revocation::{RevocationError, Unlisted, check_revocation};
pub use self::search::verify;
pub use self::validation::{check_leaf, check_root};

use crate::certificate::Certificate;

/// A verified path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path<'a> {
    /// The certificates, leaf first, each followed by its issuer, without the root.
    pub certificates: Vec<&'a Certificate>,
    /// The root that issued the last one.
    pub root: &'a Certificate,
}

impl<'a> Path<'a> {
    /// The issuer of the certificate at `position`, which is 0 for the leaf.
    #[must_use]
    pub fn issuer_of(&self, position: usize) -> &'a Certificate {
        self.certificates.get(position + 1).copied().unwrap_or(self.root)
    }
}

/// The maximum number of sub-CAs between a leaf and its root. The hierarchies of OCPP have two.
pub const MAX_SUB_CAS: usize = 6;
