//! A storage that fails: its answers, and its content afterwards.

use std::sync::Arc;

use ocpp_types::v201::InstallCertificateUseEnumType::CSMSRootCertificate;
use ocpp_types::v201::{
    DeleteCertificateRequest, DeleteCertificateStatusEnumType, InstallCertificateStatusEnumType,
};
use station_store::Store;

use crate::memory::{Fault, Memory};
use crate::pki::{hash_data, install, new_pending, reason, root, settings};

fn open(disk: &Memory) -> Store {
    Store::with_storage(disk.clone(), settings()).expect("opens")
}

#[test]
fn m05_fr_03_storage_failure_is_failed_and_poisons_the_store() {
    for (fault, code, there_after_reopening) in
        [(Fault::Full, "OutOfStorage", false), (Fault::WrittenButNotSynced, "InternalError", true)]
    {
        let disk = Memory::default();
        let store = open(&disk);
        let (one, two) = (root("One"), root("Two"));
        assert_eq!(
            install(&store, CSMSRootCertificate, &one.pem()).status,
            InstallCertificateStatusEnumType::Accepted
        );
        disk.break_down(fault);
        let response = install(&store, CSMSRootCertificate, &two.pem());
        assert_eq!(response.status, InstallCertificateStatusEnumType::Failed);
        assert_eq!(reason(&response.status_info), code);
        assert_eq!(store.entries(), 1, "what is not known to be durable is not served");

        // Whether the disk is repaired or not: every later write fails without touching the disk,
        // and reads continue.
        disk.repair();
        let commits = disk.commits();
        let response = install(&store, CSMSRootCertificate, &two.pem());
        assert_eq!(response.status, InstallCertificateStatusEnumType::Failed);
        assert_eq!(reason(&response.status_info), "InternalError");
        assert!(store.begin_pending(&new_pending("key")).is_err());
        let listed = store.installed(&station_store::RootUse::ALL);
        let delete = store.delete(&DeleteCertificateRequest::new(hash_data(listed[0].1)));
        assert_eq!(delete.status, DeleteCertificateStatusEnumType::Failed);
        assert_eq!(disk.commits(), commits);
        assert_eq!(store.entries(), 1);

        // After it is reopened, the store has the old state or the new one, and works.
        drop(store);
        let store = open(&disk);
        assert_eq!(store.entries(), if there_after_reopening { 2 } else { 1 });
        assert_eq!(
            install(&store, CSMSRootCertificate, &two.pem()).status,
            InstallCertificateStatusEnumType::Accepted
        );
        assert_eq!(store.entries(), 2);
    }
}

/// The caller that announced a key got an error, and generates no key. If the announcement turns
/// out to be durable, the key is condemned.
#[test]
fn a_key_whose_announcement_failed_is_given_up_when_the_store_is_opened_again() {
    let disk = Memory::default();
    let store = open(&disk);
    let kept = store.begin_pending(&new_pending("kept")).expect("announced");
    let (session, _) = store.session(root("Root").der());
    disk.break_down(Fault::WrittenButNotSynced);
    store.begin_pending(&new_pending("unsure")).expect_err("not synced");
    disk.repair();
    store.reopen().expect("opens again");
    let pending: Vec<_> = store.pending().iter().map(|pending| pending.id).collect();
    assert_eq!(pending, [kept]);
    assert_eq!(
        store.condemned_keys(),
        [crate::pki::uri("unsure")],
        "in case that there is a key all the same"
    );
    let next = store.begin_pending(&new_pending("next")).expect("announced");
    assert!(next > kept);
    assert_eq!(open(&disk).pending().len(), 2);
    drop(session);
}

/// A storage that cannot be reopened keeps its state.
#[test]
fn a_storage_that_cannot_be_opened_again_keeps_its_invariant() {
    struct Once(Memory);
    impl station_store::storage::Storage for Once {
        fn load(&mut self) -> Result<station_store::storage::Loaded, station_store::StorageError> {
            self.0.load()
        }
        fn commit(
            &mut self,
            changes: &[station_store::storage::Change],
        ) -> Result<(), station_store::StorageError> {
            self.0.commit(changes)
        }
    }
    let disk = Memory::default();
    let store = Store::with_storage(Once(disk.clone()), settings()).expect("opens");
    disk.break_down(Fault::Full);
    store.begin_pending(&new_pending("key")).expect_err("full");
    disk.repair();
    store.reopen().expect_err("no way");
    store.begin_pending(&new_pending("key")).expect_err("poisoned still");
}

/// Seen elsewhere (tfocpp): a failed deletion was answered Accepted, and the certificate existed
/// again after the next start.
#[test]
fn m04_fr_03_deletion_that_is_not_durable_is_failed() {
    let disk = Memory::default();
    let store = open(&disk);
    install(&store, CSMSRootCertificate, &root("Root").pem());
    let hash = hash_data(store.installed(&station_store::RootUse::ALL).remove(0).1);
    disk.break_down(Fault::Full);
    let response = store.delete(&DeleteCertificateRequest::new(hash.clone()));
    assert_eq!(response.status, DeleteCertificateStatusEnumType::Failed);
    assert_eq!(store.entries(), 1, "still listed");
    disk.repair();
    let store = open(&disk);
    let response = store.delete(&DeleteCertificateRequest::new(hash));
    assert_eq!(response.status, DeleteCertificateStatusEnumType::Accepted);
    assert_eq!(open(&disk).entries(), 0);
}

#[test]
fn a_storage_that_panics_poisons_the_store_too() {
    let disk = Memory::default();
    let store = Arc::new(open(&disk));
    disk.break_down(Fault::Panics);
    let pem = root("Root").pem();
    let in_thread = {
        let (store, pem) = (Arc::clone(&store), pem.clone());
        move || install(&store, CSMSRootCertificate, &pem)
    };
    assert!(std::thread::spawn(in_thread).join().is_err(), "the panic is the caller's");
    disk.repair();
    let response = install(&store, CSMSRootCertificate, &pem);
    assert_eq!(response.status, InstallCertificateStatusEnumType::Failed);
    assert_eq!(store.entries(), 0);
    assert_eq!(
        install(&open(&disk), CSMSRootCertificate, &pem).status,
        InstallCertificateStatusEnumType::Accepted
    );
}

/// A call that changes nothing writes nothing.
#[test]
fn refusals_do_not_touch_the_disk() {
    let disk = Memory::default();
    let store = open(&disk);
    install(&store, CSMSRootCertificate, "no certificate");
    let hash = station_store::CertificateId::of_root(
        &station_store::Certificate::from_pem(&root("Unknown").pem()).expect("root"),
    )
    .hash_data(station_store::HashAlgorithm::Sha256);
    store.delete(&DeleteCertificateRequest::new(hash_data(hash)));
    store.key_destroyed("pkcs11:object=unknown").expect("nothing to do");
    assert_eq!(disk.commits(), 0);
}
