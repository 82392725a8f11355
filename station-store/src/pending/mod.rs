//! Keys that wait for a certificate, and keys that wait to be destroyed.
//!
//! A key lives in a token, the store only names it. The order of things keeps a crash from
//! orphaning one: its name is written down before it exists
//! ([`Store::begin_pending`](crate::Store::begin_pending)), and stays written down until it has
//! been destroyed ([`Store::key_destroyed`](crate::Store::key_destroyed)).

pub(crate) mod bounds;
pub(crate) mod error;
pub(crate) mod key;
pub(crate) mod matching;
mod plan;
