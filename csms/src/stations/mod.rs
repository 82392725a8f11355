//! Which stations may connect, and what they ask for.

pub(crate) mod admission;
pub(crate) mod io;
pub(crate) mod login;
