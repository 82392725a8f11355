//! The connected stations, and what has to be sent to them.

mod connections;
pub(crate) mod io;
mod pause;

pub(crate) use self::connections::Fleet;
