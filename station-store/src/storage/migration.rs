//! Migrates records of older formats to the present one.
//!
//! * format 1: the station's certificate for the connection, roots, pending and condemned keys
//! * format 2: certificates for vehicles, fallback roots, requestId, OCSP answers; a chain keeps
//!   the key of its root, not of its leaf's issuer

use serde_json::{Map, Value};

use crate::storage::record::{seal, unseal};
use crate::storage::{Change, Record, Table};

/// Incremented with every change that an older release would misread.
pub(crate) const FORMAT: u64 = 2;

/// The changes that convert the `records` of the format `from` into those of [`FORMAT`].
///
/// A damaged record is not changed: it is named when the store is opened, whatever its format.
pub(crate) fn migrate(from: u64, records: &[Record]) -> Vec<Change> {
    if from >= FORMAT {
        return Vec::new();
    }
    let own = records.iter().filter(|record| record.table == Table::Own);
    own.filter_map(own_from_1).map(Change::Put).collect()
}

/// In format 1 a chain has the key of its leaf's issuer. If the chain has a sub-CA, that key is in
/// the sub-CA, and the key of the root was not stored. It is not needed either, because such a
/// chain is not listed.
fn own_from_1(record: &Record) -> Option<Record> {
    let mut content: Map<String, Value> = serde_json::from_slice(unseal(record).ok()?).ok()?;
    let issuer_key = content.remove("issuer_key")?;
    if content.get("chain")?.as_array()?.len() == 1 {
        content.insert("anchor_key".to_owned(), issuer_key);
    }
    let json = serde_json::to_vec(&content).ok()?;
    Some(Record { value: seal(record.table, &record.key, &json), ..record.clone() })
}
