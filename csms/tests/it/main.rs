//! The CSMS as a process, with a station that is not ours.

mod admission;
mod bad_input;
mod delivery;
mod enrolment;
mod metrics;
mod passwords;
mod reload;
mod stage;
