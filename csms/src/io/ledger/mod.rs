//! How the ledger's file is kept: opened by one service, compared with what is known apart from it,
//! saved and restored.

pub(crate) mod attempts;
pub(crate) mod backup;
pub(crate) mod change;
pub(crate) mod database;
pub(crate) mod evidence;
pub(crate) mod failure;
pub(crate) mod folder;
pub(crate) mod guard;
pub(crate) mod loss;
pub(crate) mod marks;
pub(crate) mod open;
pub(crate) mod paths;
pub(crate) mod restore;
pub(crate) mod rows;
pub(crate) mod verify;
