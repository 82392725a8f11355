//! The crash matrix: the disk stops at every single write and sync of every operation.
//!
//! Whatever the disk has kept of the unsynced data, the store opens again, and has the state before
//! the operation or the state after it. There is no state in between: every certificate can be
//! listed and deleted, and every key has its name.

use std::collections::BTreeSet;
use std::io;

use rustls_pki_types::CertificateDer;
use station_store::{
    Certificate, HashData, OcspAnswer, OwnCertificate, PendingCsr, RootUse, Settings, StorageBackend,
    StorageError, Store,
};

use crate::disk::{Disk, Fault};
use crate::format::format_1;
use crate::operations::{OPERATIONS, Operation, PKI, delete, plain};
use crate::pki::{new_pending, now, uri};

/// The complete state that the store reports.
#[derive(Debug, PartialEq)]
struct Said {
    installed: Vec<(RootUse, HashData)>,
    chains: Vec<Vec<HashData>>,
    own: Vec<OwnCertificate>,
    vehicle: Vec<OwnCertificate>,
    answers: Vec<Vec<Option<OcspAnswer>>>,
    pending: Vec<PendingCsr>,
    condemned: Vec<String>,
    fallback: Option<CertificateDer<'static>>,
    roots: [Vec<CertificateDer<'static>>; 5],
}

fn state(store: &Store) -> Said {
    let vehicle = store.vehicle_certificates(now());
    Said {
        installed: store.installed(&RootUse::ALL),
        chains: store.installed_chains(),
        own: store.own_certificates(),
        answers: vehicle.iter().map(|own| store.ocsp_answers(own.id, PKI.ocsp_now)).collect(),
        vehicle,
        pending: store.pending(),
        condemned: store.condemned_keys(),
        fallback: store.fallback_root(),
        roots: RootUse::ALL.map(|use_| store.roots(use_)),
    }
}

/// Every key that the store names.
fn keys(store: &Store) -> BTreeSet<String> {
    let pending = store.pending().into_iter().map(|pending| pending.key_uri);
    let own = store.own_certificates().into_iter().chain(store.vehicle_certificates(now()));
    pending.chain(own.map(|own| own.key_uri)).chain(store.condemned_keys()).collect()
}

fn open(disk: &Disk, settings: fn() -> Settings) -> Store {
    Store::on_backend(disk.clone(), settings()).expect("opens")
}

/// Every listed certificate can be deleted and is gone afterwards, except the station's certificate
/// for the connection (M04.FR.06).
fn check_deletable(store: &Store) {
    let connects = |chain: &Vec<HashData>| {
        let leaf =
            |own: &OwnCertificate| Certificate::from_der(own.chain[0].as_ref()).expect("a certificate");
        let own = store.own_certificates();
        own.iter().any(|own| leaf(own).serial_number() == chain[0].serial_number())
    };
    loop {
        let mut listed: Vec<_> = store.installed(&RootUse::ALL).into_iter().map(|(_, hash)| hash).collect();
        listed.extend(store.installed_chains().into_iter().filter(|chain| !connects(chain)).flatten());
        let Some(hash) = listed.pop() else { return };
        assert!(delete(store, hash), "listed, and not deletable: {hash:?}");
        let left = store.installed(&RootUse::ALL).into_iter().map(|(_, hash)| hash);
        assert!(!left.chain(store.installed_chains().into_iter().flatten()).any(|other| other == hash));
    }
}

impl Operation {
    /// The disk before the operation, cleanly closed.
    fn disk(&self) -> Vec<u8> {
        let disk = Disk::new(&[]);
        (self.before)(&open(&disk, self.settings));
        disk.seen()
    }
}

/// Seen elsewhere: a bundle broken by a loss of power (libevse-security #115), a replacement that
/// deleted before it wrote (tfocpp), a store that was not written atomically (OpenEVSE #1246).
#[test]
fn power_lost_at_every_write_and_sync() {
    let mut images = 0;
    for operation in OPERATIONS {
        let name = operation.name;
        let content = operation.disk();
        let disk = Disk::new(&content);
        let store = open(&disk, operation.settings);
        let (old, names) = (state(&store), keys(&store));
        disk.count();
        assert!((operation.run)(&store), "{name}");
        let steps_until_answer = disk.steps();
        assert!(steps_until_answer > 0, "{name} touches the disk");
        let new = state(&store);
        assert!(new != old || name == "install again", "{name} changes something");
        drop(store);
        let steps = disk.steps();
        drop(disk);

        for at in 1..=steps {
            let disk = Disk::new(&content);
            let store = open(&disk, operation.settings);
            disk.arm(Fault::PowerAt(at));
            let accepted = (operation.run)(&store);
            if at <= steps_until_answer {
                assert!(disk.has_failed() && !accepted, "{name}, step {at}: accepted before it was durable");
                assert_eq!(state(&store), old, "{name}, step {at}: what is not durable is not served");
                let error = store.key_destroyed(&uri("given-up"));
                assert!(
                    matches!(error, Ok(()) | Err(StorageError::Poisoned)),
                    "{name}, step {at}: {error:?}"
                );
            }
            drop(store);
            for (number, image) in disk.after_power_loss(at as u64).into_iter().enumerate() {
                images += 1;
                let place = format!("{name}, step {at} of {steps}, kept {number}");
                let disk = Disk::new(&image);
                let store = Store::on_backend(disk.clone(), (operation.settings)())
                    .unwrap_or_else(|error| panic!("{place}: {error}: {error:?}"));
                assert!(store.damaged().is_empty(), "{place}: {:?}", store.damaged());
                let found = state(&store);
                assert!(found == old || found == new, "{place}: neither old nor new: {found:?}");
                assert!(!accepted || found == new, "{place}: accepted, and lost");
                // A key is named until it is destroyed.
                let forgotten: Vec<_> = names.difference(&keys(&store)).cloned().collect();
                let destroyed = name == "forget a destroyed key";
                assert!(forgotten.is_empty() || destroyed, "{place}: keys without a name: {forgotten:?}");
                // Once for nothing kept and once for everything kept: the state is the same in
                // between.
                if number < 2 {
                    check_deletable(&store);
                    drop(store);
                    assert_eq!(open(&disk, operation.settings).entries(), 0, "{place}");
                }
            }
        }
    }
    println!("{images} images of {} operations", OPERATIONS.len());
    assert!(images > 1000, "{images}");
}

/// The store is repaired when it opens after a crash, and the power fails again during the repair.
#[test]
fn power_lost_while_repairing() {
    let vehicles = |operation: &&Operation| operation.name == "CertificateSigned for vehicles";
    let operation = OPERATIONS.iter().find(vehicles).expect("above");
    let content = operation.disk();
    let disk = Disk::new(&content);
    let store = open(&disk, operation.settings);
    let old = state(&store);
    assert!((operation.run)(&store));
    let new = state(&store);
    // Not closed: the process was killed.
    let crashed = disk.seen();
    std::mem::forget(store);

    let disk = Disk::new(&crashed);
    disk.count();
    drop(open(&disk, operation.settings));
    let steps = disk.steps();
    assert!(steps > 1, "a repair writes");
    for at in 1..=steps {
        let disk = Disk::new(&crashed);
        disk.arm(Fault::PowerAt(at));
        drop(Store::on_backend(disk.clone(), (operation.settings)()));
        assert!(disk.has_failed());
        for image in disk.after_power_loss(at as u64) {
            let found = state(&open(&Disk::new(&image), operation.settings));
            assert_eq!(found, new, "step {at}; before it was {old:?}");
        }
    }
}

/// The creation of a new store, and the migration of a store of format 1.
#[test]
fn power_lost_while_making_and_migrating() {
    for (name, content) in [("make", Vec::new()), ("migrate", format_1())] {
        let disk = Disk::new(&content);
        disk.count();
        let wanted = state(&open(&disk, plain));
        let steps = disk.steps();
        for at in 1..=steps {
            let disk = Disk::new(&content);
            disk.arm(Fault::PowerAt(at));
            drop(Store::on_backend(disk.clone(), plain()));
            assert!(disk.has_failed(), "{name}");
            for (number, image) in disk.after_power_loss(at as u64).into_iter().enumerate() {
                let store = Store::on_backend(Disk::new(&image), plain());
                let store =
                    store.unwrap_or_else(|error| panic!("{name}, step {at}, kept {number}: {error:?}"));
                assert!(store.damaged().is_empty(), "{:?}", store.damaged());
                assert_eq!(state(&store), wanted, "{name}, step {at}, kept {number}");
            }
        }
    }
}

/// The disk is full or broken from any write on: the answer is `Failed`, nothing is lost, and the
/// rest can still be used.
#[test]
fn m05_fr_03_disk_full_or_broken_at_every_write() {
    for kind in [io::ErrorKind::StorageFull, io::ErrorKind::Other] {
        for operation in OPERATIONS {
            let name = operation.name;
            let content = operation.disk();
            let disk = Disk::new(&content);
            let store = open(&disk, operation.settings);
            let old = state(&store);
            disk.count();
            assert!((operation.run)(&store), "{name}");
            let steps = disk.steps();
            let new = state(&store);
            drop(store);
            for at in 1..=steps {
                let disk = Disk::new(&content);
                let store = open(&disk, operation.settings);
                disk.arm(Fault::ErrorFrom(at, kind));
                assert!(!(operation.run)(&store), "{name}, {kind}, step {at}: accepted on a broken disk");
                assert_eq!(state(&store), old, "{name}: reading goes on");
                let error = store.begin_pending(&new_pending("after")).expect_err("poisoned").to_string();
                assert!(error.contains("could not keep"), "{error}");
                drop(store);
                // There is room again and the process was restarted; or the power failed.
                for image in std::iter::once(disk.seen()).chain(disk.after_power_loss(at as u64)) {
                    let store = open(&Disk::new(&image), operation.settings);
                    let found = state(&store);
                    assert!(found == old || found == new, "{name}, {kind}, step {at}: {found:?}");
                    assert!(found == new || (operation.run)(&store), "{name}: works again");
                }
            }
        }
    }
}

/// The disk is full or broken from any write on, and works again later. The store is reopened in
/// place, and has the old or the new state. Its state is then the one that a loss of power leaves.
#[test]
fn disk_full_at_every_write_and_opened_again_in_place() {
    for kind in [io::ErrorKind::StorageFull, io::ErrorKind::Other] {
        for operation in OPERATIONS {
            let name = operation.name;
            let content = operation.disk();
            let disk = Disk::new(&content);
            let store = open(&disk, operation.settings);
            let old = state(&store);
            disk.count();
            assert!((operation.run)(&store), "{name}");
            let steps = disk.steps();
            let new = state(&store);
            drop(store);
            for at in 1..=steps {
                let place = format!("{name}, {kind}, step {at} of {steps}");
                let disk = Disk::new(&content);
                let store = open(&disk, operation.settings);
                assert_eq!(store.write_failure(), None);
                store.reopen().expect("nothing to do");
                let condemned = store.condemned_keys();
                disk.arm(Fault::ErrorFrom(at, kind));
                assert!(!(operation.run)(&store), "{place}: accepted on a broken disk");
                assert!(store.write_failure().is_some(), "{place}");
                for _ in 0..2 {
                    let error = store.reopen().expect_err("the disk is as before");
                    assert!(store.write_failure().is_some_and(|why| why.starts_with(&error.to_string())));
                    assert_eq!(state(&store), old, "{place}: reading goes on");
                }
                disk.repair();
                store.reopen().unwrap_or_else(|error| panic!("{place}: {error:?}"));
                assert_eq!(store.write_failure(), None);
                assert!(store.damaged().is_empty(), "{place}: {:?}", store.damaged());
                if name == "announce a key" {
                    // If the announcement was durable, the key was condemned: its caller generates
                    // no key.
                    let given_up = store.condemned_keys().into_iter().filter(|key| !condemned.contains(key));
                    given_up.for_each(|key| store.key_destroyed(&key).expect("forgotten"));
                }
                let found = state(&store);
                assert!(found == old || found == new, "{place}: neither old nor new: {found:?}");
                assert!(found == new || (operation.run)(&store), "{place}: works again");
                let served = state(&store);
                drop(store);
                for image in std::iter::once(disk.seen()).chain(disk.after_power_loss(at as u64)) {
                    let found = state(&open(&Disk::new(&image), operation.settings));
                    assert_eq!(found, served, "{place}: lost after it was accepted");
                }
            }
        }
    }
}

/// The backend is treated like a disk: every change is synced once.
#[test]
fn a_change_costs_one_sync() {
    #[derive(Debug)]
    struct Counting(Disk, std::sync::Arc<std::sync::atomic::AtomicUsize>);
    impl StorageBackend for Counting {
        fn len(&self) -> io::Result<u64> {
            self.0.len()
        }
        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.0.read(offset, out)
        }
        fn set_len(&self, len: u64) -> io::Result<()> {
            self.0.set_len(len)
        }
        fn sync_data(&self) -> io::Result<()> {
            self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            self.0.sync_data()
        }
        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.0.write(offset, data)
        }
    }
    let syncs = std::sync::Arc::<std::sync::atomic::AtomicUsize>::default();
    let backend = Counting(Disk::new(&OPERATIONS[0].disk()), std::sync::Arc::clone(&syncs));
    let store = Store::on_backend(backend, plain()).expect("opens");
    let mut counts = Vec::new();
    for number in 0..4 {
        let before = syncs.load(std::sync::atomic::Ordering::Relaxed);
        store.begin_pending(&new_pending(&format!("key-{number}"))).expect("announced");
        counts.push(syncs.load(std::sync::atomic::Ordering::Relaxed) - before);
    }
    // The first change marks the file as open.
    assert_eq!(counts[1..], [1, 1, 1], "{counts:?}");
}
