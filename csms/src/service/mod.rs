//! The whole service: how it starts, serves, reads its configuration again and answers operators.

pub(crate) mod certificate_file;
pub(crate) mod clock;
pub mod control;
pub(crate) mod io;
