//! Local commands: the socket on which they come in, and what the running agent answers.

pub(crate) mod commands;
pub(crate) mod serving;
pub(crate) mod socket;

pub use self::socket::{ControlError, Conversation};
