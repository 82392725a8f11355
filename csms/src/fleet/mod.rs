//! The stations that are connected, and what is due to them.

mod connections;
pub(crate) mod io;
mod pause;

pub(crate) use self::connections::Fleet;
