//! What touches the disk.

mod database;

pub use database::OpenError;
