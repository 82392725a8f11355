//! The revocation status of the certificates that vehicles see (M06): what is due to be asked, and
//! what was answered.
//!
//! The station asks its CSMS by GetCertificateStatus, one certificate at a time, and hands the
//! answers on to vehicles in TLS. An answer is kept only after it has been verified as RFC 6960
//! wants it, because the CSMS merely passes it on.

pub(crate) mod answer;
pub(crate) mod plan;
pub(crate) mod retry;
