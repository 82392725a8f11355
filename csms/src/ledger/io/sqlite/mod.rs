//! What only a ledger in a SQLite file needs: its files, and copies of them.

pub(crate) mod backup;
pub(crate) mod guard;
pub(crate) mod pages;
pub(crate) mod paths;
pub(crate) mod restore;
