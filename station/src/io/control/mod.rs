//! Local commands: their socket, and the replies of the running agent.

pub(crate) mod commands;
pub(crate) mod serving;
pub(crate) mod socket;

pub use self::socket::{ControlError, Conversation};
