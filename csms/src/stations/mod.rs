//! Which stations may connect, and how their requests are answered.

pub(crate) mod admission;
pub(crate) mod connection;
pub(crate) mod io;
pub(crate) mod login;
pub(crate) mod password_text;
pub(crate) mod registry;
pub(crate) mod words;
