//! The ledger in its database: opened by a service, compared with what is known apart from it,
//! verified, saved and restored.

pub(crate) mod copy;
pub(crate) mod database;
pub(crate) mod evidence;
pub(crate) mod folder;
pub(crate) mod loss;
pub(crate) mod marks;
pub(crate) mod open;
pub(crate) mod record;
pub(crate) mod sqlite;
pub(crate) mod tables;
#[cfg(test)]
pub(crate) mod test_database;
#[cfg(test)]
pub(crate) mod test_server;
pub(crate) mod verify;
