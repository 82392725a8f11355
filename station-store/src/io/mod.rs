//! Access to the disk.

mod database;
mod kept;
mod open;
mod trust;

pub use database::is_catching_panic;
pub use open::OpenError;
