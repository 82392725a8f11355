//! The station's keys: made in the token for a request, destroyed when nothing needs them any more.

pub(crate) mod disposal;
pub(crate) mod keyring;

pub use self::keyring::EnrolmentError;
