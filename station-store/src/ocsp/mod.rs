//! The revocation status of the certificates for vehicles (M06): the requests that are due, and the
//! answers to them.
//!
//! The station asks its CSMS with GetCertificateStatus, one certificate at a time, and passes the
//! answers to vehicles in TLS. An answer is kept only after it has been verified as RFC 6960
//! requires, because the CSMS only forwards it.

pub(crate) mod answer;
pub(crate) mod plan;
pub(crate) mod retry;
