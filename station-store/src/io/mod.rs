//! What touches the disk.

mod database;
mod open;
mod trust;

pub use open::OpenError;
