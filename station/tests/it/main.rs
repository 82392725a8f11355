//! The station as a process, with a CSMS that is not ours.

mod bad_server;
mod device_model;
mod enrolment;
mod events;
mod stage;
mod start;
