//! Bounds for the number of keys that wait, and for the length of their texts.

use crate::own::certificate::{EDITIONS, MAX_SECCS};

/// The most keys of one subject that wait for a certificate: the newest, and earlier ones that were
/// replaced after their CSR was sent.
pub const MAX_PENDING_OF_SUBJECT: usize = 4;

/// The most keys that wait for a certificate. Each subject has its keys; the subjects are the
/// connection, both uses together, and each SECC in each edition of ISO 15118. In addition there is
/// one key for each SECC, because one trigger announces keys for all SECCs before it replaces
/// earlier ones.
pub const MAX_PENDING: usize = (2 + MAX_SECCS * EDITIONS) * MAX_PENDING_OF_SUBJECT + MAX_SECCS;

/// The most keys that wait to be destroyed. A larger number means that their destruction fails;
/// then no new keys are generated.
pub(crate) const MAX_CONDEMNED: usize = 64;

/// Characters of a key's URI. The names and ids in tokens are much shorter.
pub(crate) const MAX_KEY_URI: usize = 1024;

/// `SignCertificateRequest.csr`, in characters.
pub(crate) const MAX_CSR: usize = 5500;

/// Characters of a name in a subject (RFC 5280, ub-common-name and ub-organization-name).
pub(crate) const MAX_NAME: usize = 64;
