//! The station as a process, with a CSMS that is not ours.

mod bad_server;
mod enrolment;
mod events;
mod stage;
mod start;
