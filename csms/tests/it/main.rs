//! The CSMS as a process, with a station of another implementation. Its ledger is in SQLite;
//! `tests/postgres` has the same with PostgreSQL.

mod admission;
mod bad_input;
mod browser;
mod clock;
mod copy;
mod damage;
mod delivery;
mod disk_full;
mod enrolment;
mod escaping;
mod external;
mod herd;
mod inventory;
mod keys;
mod lists;
mod metrics;
mod ocsp;
mod operator;
mod passwords;
mod profiles;
mod puppet;
mod record;
mod reload;
mod revocation;
mod rollback;
mod stage;
mod stations;
#[path = "../../src/ledger/io/test_server.rs"]
mod test_server;
mod under_load;
mod v16;
mod v21;
mod versions;

/// Where the ledger of these tests is.
const LEDGER: stage::LedgerKind = stage::LedgerKind::Sqlite;
