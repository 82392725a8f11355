//! The ledger in one SQLite file.

pub(crate) mod attempts;
pub(crate) mod change;
pub(crate) mod database;
pub(crate) mod failure;
pub(crate) mod guard;
mod ledger;
pub(crate) mod paths;
pub(crate) mod rows;

#[cfg(test)]
mod tests;
