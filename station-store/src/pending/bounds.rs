//! How many keys may wait, and how long the texts about them may be.

use crate::own::certificate::{EDITIONS, MAX_SECCS};

/// Keys of one subject that wait for a certificate: the newest, and earlier ones that were replaced
/// after their CSR was sent.
pub const MAX_PENDING_OF_SUBJECT: usize = 4;

/// Keys that wait for a certificate: those of each subject, which are the connection, both uses
/// together, and each SECC in each edition of ISO 15118; and one more for each SECC, for one
/// trigger announces keys for all before it replaces earlier ones.
pub const MAX_PENDING: usize = (2 + MAX_SECCS * EDITIONS) * MAX_PENDING_OF_SUBJECT + MAX_SECCS;

/// Keys that wait to be destroyed. More than a few mean that they are not destroyed; then no new
/// ones are made.
pub(crate) const MAX_CONDEMNED: usize = 64;

/// Characters of a key's URI. Names and ids that tokens use stay far below.
pub(crate) const MAX_KEY_URI: usize = 1024;

/// `SignCertificateRequest.csr`, in characters.
pub(crate) const MAX_CSR: usize = 5500;

/// Characters of a name in a subject (RFC 5280, ub-common-name and ub-organization-name).
pub(crate) const MAX_NAME: usize = 64;
