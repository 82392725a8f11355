//! The tests of `tests/it` with the ledger in PostgreSQL, and what only that database needs.
//! Tests of a SQLite file, of memory and of the clock are left out.

#![expect(dead_code, reason = "the helpers serve the tests that are left out, too")]

#[path = "../it/admission.rs"]
mod admission;
#[path = "../it/delivery.rs"]
mod delivery;
#[path = "../it/enrolment.rs"]
mod enrolment;
#[path = "../it/external.rs"]
mod external;
mod ledger;
#[path = "../it/operator.rs"]
mod operator;
#[path = "../it/passwords.rs"]
mod passwords;
#[path = "../it/puppet.rs"]
mod puppet;
#[path = "../it/reload.rs"]
mod reload;
#[path = "../it/revocation.rs"]
mod revocation;
#[path = "../it/stage.rs"]
mod stage;
#[path = "../it/stations.rs"]
mod stations;
#[path = "../../src/ledger/io/test_server.rs"]
mod test_server;
mod tls;
#[path = "../it/versions.rs"]
mod versions;

/// Where the ledger of these tests is.
const LEDGER: stage::LedgerKind = stage::LedgerKind::Postgres;
