//! The CSMS as a process, with a station that is not ours.

mod admission;
mod bad_input;
mod delivery;
mod enrolment;
mod external;
mod inventory;
mod keys;
mod metrics;
mod ocsp;
mod passwords;
mod profiles;
mod puppet;
mod record;
mod reload;
mod revocation;
mod stage;
mod v16;
mod v21;
mod versions;
