//! The station's folder: its files, the faults of writing them, and the repair.

pub(crate) mod faults;
pub(crate) mod folder;
pub(crate) mod last_slot;
pub(crate) mod opening;
pub(crate) mod password;
pub(crate) mod repair;
pub(crate) mod store;

pub use self::{
    opening::{OpenStoreError, open_store},
    password::ReadPasswordError,
};
