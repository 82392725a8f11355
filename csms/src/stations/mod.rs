//! Which stations may connect, and what they ask for.

pub(crate) mod admission;
pub(crate) mod connection;
pub(crate) mod io;
pub(crate) mod login;
pub(crate) mod password_text;
pub(crate) mod words;
