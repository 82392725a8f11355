//! The station's keys: generated in the token for a request, destroyed when nothing needs them.

pub(crate) mod disposal;
pub(crate) mod keyring;

pub use self::keyring::EnrolmentError;
