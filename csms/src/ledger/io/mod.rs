//! How the ledger's file is kept: opened by one service, compared with what is known apart from it,
//! saved and restored.

pub(crate) mod backup;
pub(crate) mod evidence;
pub(crate) mod folder;
pub(crate) mod loss;
pub(crate) mod marks;
pub(crate) mod open;
pub(crate) mod record;
pub(crate) mod restore;
pub(crate) mod sqlite;
pub(crate) mod verify;
