//! The station's own certificates: for the connection to the CSMS, and for vehicles (ISO 15118).
//!
//! Certificates for the connection replace one another: a renewed one is kept beside the one in use
//! until a connection has proved one of them. Certificates for vehicles take effect at once, and
//! several are valid side by side: one for each SECC, root and edition of ISO 15118.

pub(crate) mod certificate;
pub(crate) mod chain;
pub(crate) mod leaf;
mod plan;
pub(crate) mod refused;
