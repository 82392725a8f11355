//! The station's folder: its files, which of them cannot be written now, and how that ends.

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
