//! Input and output: the token, the store's file, the clock and the network.

mod agent;
mod blocking;
mod certificates;
mod connection;
mod control;
mod csms;
mod device_model;
mod disk;
mod enrolment;
mod handlers;
mod locking;
mod renewal;
mod security_events;

pub use self::{
    agent::{Agent, AgentError, AgentHandle, Ended},
    control::{ControlError, Conversation},
    csms::BootReason,
    device_model::ModelError,
    disk::{OpenStoreError, ReadPasswordError, open_store},
    enrolment::EnrolmentError,
    renewal::RenewError,
    security_events::{EventState, LoggedEvent, security_log},
};
