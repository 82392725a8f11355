//! The shell: everything that touches a token, a thread, a clock, a file or the environment.

pub(crate) mod authority;
pub(crate) mod key;
pub(crate) mod signing;
pub(crate) mod token;
