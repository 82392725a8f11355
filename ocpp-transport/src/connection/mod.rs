//! An open connection, on either side: what it is, what it may do, and how it ends.

pub(crate) mod close;
pub(crate) mod io;
pub(crate) mod message_rate;
pub(crate) mod profile;
pub(crate) mod redact;
pub(crate) mod tap;
