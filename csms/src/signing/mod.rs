//! Signing: the authority and its issuers, other authorities, revocation lists, OCSP responders,
//! and the CSMS's own certificate.

pub(crate) mod io;
pub(crate) mod revocation;
pub(crate) mod serving;
