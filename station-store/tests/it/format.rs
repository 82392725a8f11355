//! Stores of older formats.

use ocpp_types::v201::DeleteCertificateStatusEnumType;
use redb::{Database, TableDefinition};
use serde_json::Value;
use station_store::{OwnState, PendingState, RootUse, Store};

use crate::disk::Disk;
use crate::pki::{hash_data, settings, uri};

/// A database of format 1, with the records that release 0.1 wrote.
pub(crate) fn format_1() -> Vec<u8> {
    let file: Value = serde_json::from_str(include_str!("../data/format-1.json")).expect("JSON");
    let disk = Disk::new(&[]);
    let database = Database::builder().create_with_backend(disk.clone()).expect("made");
    let transaction = database.begin_write().expect("begins");
    let version: TableDefinition<'_, &str, u64> = TableDefinition::new("format");
    transaction.open_table(version).expect("opens").insert("version", 1).expect("writes");
    for record in file["records"].as_array().expect("records") {
        let text = |member: &str| record[member].as_str().expect("a string");
        let mut value = hex::decode(text("checksum")).expect("hexadecimal");
        value.extend_from_slice(text("json").as_bytes());
        let table: TableDefinition<'_, &str, &[u8]> = TableDefinition::new(text("table"));
        let mut table = transaction.open_table(table).expect("opens");
        table.insert(text("key"), value.as_slice()).expect("writes");
    }
    transaction.commit().expect("commits");
    drop(database);
    disk.seen()
}

/// Seen elsewhere (everest-demo #25): a crash if the issuer's key of a certificate is unknown. Here
/// it is unknown for a chain with a sub-CA.
#[test]
fn a_store_of_format_1_is_migrated_and_nothing_is_lost() {
    let disk = Disk::new(&format_1());
    for _ in 0..2 {
        // The second time the store already has the present format.
        let store = Store::on_backend(disk.clone(), settings()).expect("opens");
        assert!(store.damaged().is_empty(), "{:?}", store.damaged());
        let uses: Vec<_> = store.installed(&RootUse::ALL).into_iter().map(|(use_, _)| use_).collect();
        assert_eq!(uses, [RootUse::Csms, RootUse::V2g]);
        let own = store.own_certificates();
        assert_eq!(own.iter().map(|own| own.chain.len()).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(own.iter().map(|own| own.state).collect::<Vec<_>>(), [OwnState::Renewed, OwnState::InUse]);
        assert!(store.installed_chains().is_empty(), "a certificate for the connection is not listed");
        // M04.FR.06 also applies to migrated chains, with and without a sub-CA.
        let (sub_ca, csms) = (certificate(&own[1].chain[1]), certificate(&store.roots(RootUse::Csms)[0]));
        for (own, issuer) in [(&own[0], &csms), (&own[1], &sub_ca)] {
            let id = station_store::CertificateId::new(&certificate(&own.chain[0]), issuer.public_key());
            let hash = hash_data(id.hash_data(station_store::HashAlgorithm::Sha384));
            let response = store.delete(&ocpp_types::v201::DeleteCertificateRequest::new(hash));
            assert_eq!(response.status, DeleteCertificateStatusEnumType::Failed);
        }
        let pending = store.pending();
        assert_eq!(pending.len(), 2);
        assert!(matches!(pending[0].state, PendingState::CsrReady { .. }));
        assert_eq!(pending[1].state, PendingState::KeyAnnounced);
        assert_eq!(store.condemned_keys(), [uri("dropped")]);
    }
}

/// A record that was damaged in format 1 is still named after the migration. It stays in the file,
/// for a program that can read it.
#[test]
fn damage_survives_a_migration() {
    let disk = Disk::new(&format_1());
    {
        let database = Database::builder().create_with_backend(disk.clone()).expect("opens");
        let transaction = database.begin_write().expect("begins");
        let own: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("own");
        transaction
            .open_table(own)
            .expect("opens")
            .insert("00000000000000000099", &b"rubbish"[..])
            .expect("writes");
        transaction.commit().expect("commits");
    }
    for _ in 0..2 {
        let store = Store::on_backend(disk.clone(), settings()).expect("opens");
        let named: Vec<_> = store.damaged().iter().map(ToString::to_string).collect();
        assert_eq!(named, ["the record own/00000000000000000099 is damaged; install or request it again"]);
        assert_eq!(store.own_certificates().len(), 2);
    }
}

fn certificate(der: &[u8]) -> station_store::Certificate {
    station_store::Certificate::from_der(der).expect("a certificate")
}
