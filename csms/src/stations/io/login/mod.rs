//! Verifies passwords on threads of their own, in a bounded queue.

mod gate;
pub(crate) mod hashing;
pub(crate) mod logins;
pub(crate) mod password;
