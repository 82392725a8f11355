//! The CSMS as a process, with a station that is not ours.

mod admission;
mod bad_input;
mod delivery;
mod enrolment;
mod inventory;
mod metrics;
mod ocsp;
mod passwords;
mod puppet;
mod record;
mod reload;
mod stage;
mod v16;
mod v21;
mod versions;
