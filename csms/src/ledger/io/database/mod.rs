//! The ledger's database: one SQLite file, or PostgreSQL. The same statements run on both.

pub(crate) mod change;
pub(crate) mod connect;
pub(crate) mod failure;
pub(crate) mod ledger;
pub(crate) mod rows;
pub(crate) mod schema;
pub(crate) mod state;
pub(crate) mod statement;
pub(crate) mod status;
pub(crate) mod writer;
