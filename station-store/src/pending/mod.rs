//! Keys that wait for a certificate, and keys that wait to be destroyed.
//!
//! The keys are in a token; the store only names them. The order of steps ensures that a crash
//! orphans no key: its name is stored before it exists
//! ([`Store::begin_pending`](crate::Store::begin_pending)), and stays stored until the key has been
//! destroyed ([`Store::key_destroyed`](crate::Store::key_destroyed)).

pub(crate) mod bounds;
pub(crate) mod error;
pub(crate) mod key;
pub(crate) mod matching;
mod plan;
