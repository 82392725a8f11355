//! The file of the ledger: opened by one service, compared with the evidence that is kept apart
//! from it, backed up and restored.

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
