//! The device model on disk, and the handlers of the messages about it.

pub(crate) mod file;
pub(crate) mod handlers;
pub(crate) mod opening;

pub use self::file::ModelError;
