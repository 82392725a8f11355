//! Logins with a password: what a hash may cost, which login is verified next, and how often a
//! password may be guessed.

mod fingerprint;
mod queue;
mod stored_hash;
mod throttle;

#[cfg(test)]
mod simulation;

pub(crate) use self::{
    fingerprint::Fingerprints,
    queue::{LoginQueue, Overload, OverloadChange, Standing, Ticket},
    stored_hash::{RandomHash, StoredHash, UnusableHash},
    throttle::{Guess, GuessLimits, Throttle},
};
