//! Damaged files: each gives an error that names the fault, never a panic, and the rest can still
//! be used.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Barrier;

use ocpp_types::v201::InstallCertificateUseEnumType::CSMSRootCertificate;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use station_store::{OpenError, Store};

use crate::disk::Disk;
use crate::pki::{Station, new_pending, root, settings};

const FORMAT: TableDefinition<'_, &str, u64> = TableDefinition::new("format");

fn edit(path: &Path, change: impl FnOnce(&redb::WriteTransaction)) {
    let database = Database::open(path).expect("opens");
    let transaction = database.begin_write().expect("begins");
    change(&transaction);
    transaction.commit().expect("commits");
}

#[test]
fn damaged_records_are_named_and_the_rest_is_served() {
    let station = Station::new();
    for name in ["One", "Two", "Three"] {
        station.must_install(CSMSRootCertificate, &root(name).pem());
    }
    station.store.begin_pending(&new_pending("good")).expect("announced");
    station.store.begin_pending(&new_pending("bad")).expect("announced");
    let path = station.path();
    let Station { directory: _directory, store, .. } = station;
    drop(store);

    let roots: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("roots");
    let pending: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("pending");
    let meta: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
    let mut broken = String::new();
    edit(&path, |transaction| {
        let mut table = transaction.open_table(roots).expect("opens");
        let (key, mut value) = {
            let row = table.first().expect("reads").expect("not empty");
            (row.0.value().to_owned(), row.1.value().to_vec())
        };
        // One bit of the certificate.
        let middle = value.len() / 2;
        value[middle] ^= 1;
        table.insert(key.as_str(), value.as_slice()).expect("writes");
        // A valid record in the wrong place.
        let last = table.last().expect("reads").expect("not empty").1.value().to_vec();
        table.insert("v2g/0000", last.as_slice()).expect("writes");
        table.insert("nonsense", &b"short"[..]).expect("writes");
        broken = key;
        let mut table = transaction.open_table(pending).expect("opens");
        let key = table.last().expect("reads").expect("not empty").0.value().to_owned();
        table.insert(key.as_str(), &[][..]).expect("writes");
        transaction.open_table(meta).expect("opens").insert("next", &b"12345678{}"[..]).expect("writes");
    });

    let store = Store::open(&path, settings()).expect("opens in spite of it");
    let named: Vec<_> = store.damaged().iter().map(ToString::to_string).collect();
    assert_eq!(named.len(), 5, "{named:?}");
    assert!(named.iter().any(|text| text.contains(&format!("roots/{broken} is damaged"))), "{named:?}");
    assert_eq!(store.entries(), 2);
    assert_eq!(store.pending().len(), 1);
    // Numbers continue above the highest one that was read.
    let next = store.begin_pending(&new_pending("next")).expect("announced");
    assert!(next > store.pending()[0].id);
}

#[test]
fn installing_again_mends_a_damaged_record() {
    let station = Station::new();
    let root = root("Root");
    station.must_install(CSMSRootCertificate, &root.pem());
    let path = station.path();
    let Station { directory: _directory, store, .. } = station;
    drop(store);
    let roots: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("roots");
    edit(&path, |transaction| {
        let mut table = transaction.open_table(roots).expect("opens");
        let key = table.first().expect("reads").expect("not empty").0.value().to_owned();
        table.insert(key.as_str(), &b"nothing"[..]).expect("writes");
    });
    let store = Store::open(&path, settings()).expect("opens");
    assert_eq!((store.entries(), store.damaged().len()), (0, 1));
    crate::pki::install(&store, CSMSRootCertificate, &root.pem());
    drop(store);
    let store = Store::open(&path, settings()).expect("opens");
    assert_eq!((store.entries(), store.damaged().len()), (1, 0));
}

#[test]
fn a_newer_format_is_refused() {
    let station = Station::new();
    let path = station.path();
    let Station { directory: _directory, store, .. } = station;
    drop(store);
    edit(&path, |transaction| {
        transaction.open_table(FORMAT).expect("opens").insert("version", 3).expect("writes");
    });
    let error = Store::open(&path, settings()).expect_err("newer");
    assert!(matches!(error, OpenError::NewerFormat { found: 3, known: 2, .. }), "{error:?}");
    assert!(error.to_string().contains("format 3"), "{error}");
    // The file is not changed.
    let database = Database::open(&path).expect("opens");
    let read = database.begin_read().expect("begins");
    assert_eq!(
        read.open_table(FORMAT).expect("opens").get("version").expect("reads").map(|v| v.value()),
        Some(3)
    );
}

#[test]
fn what_is_no_store_is_refused() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("store.redb");

    fs::write(&path, "-----BEGIN CERTIFICATE-----\n".repeat(1000)).expect("written");
    let error = Store::open(&path, settings()).expect_err("text");
    assert!(matches!(error, OpenError::NotAStore { .. }), "{error:?}");
    assert!(fs::read(&path).expect("still there").starts_with(b"-----BEGIN"), "and not touched");

    fs::write(&path, "").expect("written");
    let error = Store::open(&path, settings()).expect_err("empty");
    assert!(matches!(error, OpenError::NotAStore { .. }), "{error:?}");

    fs::remove_file(&path).expect("removed");
    drop(Database::create(&path).expect("someone else's database"));
    let error = Store::open(&path, settings()).expect_err("foreign");
    assert!(matches!(error, OpenError::NotAStore { .. }), "{error:?}");

    let error =
        Store::open(directory.path().join("missing/store.redb"), settings()).expect_err("no directory");
    assert!(matches!(error, OpenError::Open { .. }), "{error:?}");
    let error = Store::open(directory.path(), settings()).expect_err("a directory");
    assert!(matches!(error, OpenError::Open { .. }), "{error:?}");
}

#[test]
fn only_one_may_have_it_open() {
    let station = Station::new();
    let error = Store::open(station.path(), settings()).expect_err("locked");
    assert!(matches!(error, OpenError::Locked { .. }), "{error:?}");
}

/// Several processes start at the same time on a new station: one of them gets the store, and keeps
/// what it accepts.
#[cfg(unix)]
#[test]
fn only_one_makes_a_new_store() {
    for _ in 0..10 {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("store.redb");
        let (start, end) = (Barrier::new(4), Barrier::new(4));
        let one = || {
            start.wait();
            let opened = Store::open(&path, settings());
            // No thread releases the store before every thread has tried to open it.
            end.wait();
            opened
        };
        let opened: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(one)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        let (stores, errors): (Vec<_>, Vec<_>) = opened.into_iter().partition(Result::is_ok);
        assert_eq!(stores.len(), 1, "{errors:?}");
        for error in errors {
            assert!(matches!(error, Err(OpenError::Locked { .. })), "{error:?}");
        }
        let store = stores.into_iter().next().and_then(Result::ok).expect("the one");
        crate::pki::install(&store, CSMSRootCertificate, &root("Root").pem());
        drop(store);
        assert_eq!(Store::open(&path, settings()).expect("opens").entries(), 1);
    }
}

/// Seen elsewhere (shiv3 #94): a file that all users could read.
#[cfg(unix)]
#[test]
fn the_file_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let station = Station::new();
    let mode = fs::metadata(station.path()).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let names: Vec<_> = fs::read_dir(station.directory.path())
        .expect("lists")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(names, ["store.redb"], "nothing is left beside it");
}

/// A crash during the creation of the store leaves a file beside it, and no store.
#[test]
fn a_store_half_made_is_made_anew() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("store.redb");
    fs::write(directory.path().join("store.redb.new"), vec![0x55; 4096]).expect("written");
    let store = Store::open(&path, settings()).expect("made");
    assert_eq!(store.entries(), 0);
}

/// Bytes in various places of the file are overwritten, and its end is cut off: opening and every
/// call return.
#[test]
fn bytes_on_disk_do_not_panic() {
    let station = Station::new();
    for name in ["One", "Two", "Three", "Four"] {
        station.must_install(CSMSRootCertificate, &root(name).pem());
    }
    station.store.begin_pending(&new_pending("key")).expect("announced");
    let path = station.path();
    let Station { directory: _directory, store, .. } = station;
    drop(store);
    let sound = fs::read(&path).expect("read");

    let use_it = || match Store::open(&path, settings()) {
        Ok(store) => {
            let _ = store.installed(&station_store::RootUse::ALL);
            let _ = crate::pki::install(&store, CSMSRootCertificate, &root("Five").pem());
            let _ = store.begin_pending(&new_pending("other"));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    };
    // A generator with a fixed seed, so that the places are the same each time.
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % below as u64).expect("below a usize")
    };
    for round in 0..150 {
        let mut bytes = sound.clone();
        let start = next(bytes.len());
        let length = [1, 16, 512, 4096][round % 4].min(bytes.len() - start);
        for byte in &mut bytes[start..start + length] {
            *byte ^= u8::try_from(next(255) + 1).expect("a byte");
        }
        fs::write(&path, &bytes).expect("written");
        use_it();
    }
    for part in 0..40 {
        fs::write(&path, &sound[..sound.len() * part / 40]).expect("written");
        use_it();
    }
}

const SWEEP: &str = "STATION_STORE_DAMAGE_TEST_SWEEP";

/// Several thousand bytes are flipped, in every structure of the file, and its end is cut off at
/// each page and in between. The result is an error that reports the damage, a record that is named
/// as damaged, or the original content; and nothing is printed on standard error. The test runs in
/// a process of its own, with the panic hook from the documentation.
#[test]
fn each_damage_is_an_error_and_no_panic_is_printed() {
    let output = Command::new(env::current_exe().expect("this test"))
        .args(["--exact", "damage::sweep", "--nocapture", "--test-threads=1"])
        .env(SWEEP, "yes")
        .output()
        .expect("starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(said, "", "standard error");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("swept"), "{text}");
}

/// In the child process: damages a store in memory again and again. In the test run itself: does
/// nothing.
#[test]
fn sweep() {
    if env::var_os(SWEEP).is_none() {
        return;
    }
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !station_store::is_catching_panic() {
            print(panic);
        }
    }));
    let disk = Disk::new(&[]);
    let store = Store::on_backend(disk.clone(), settings()).expect("made");
    let roots: Vec<_> = ["One", "Two", "Three", "Four"].map(root).into_iter().collect();
    for root in &roots {
        crate::pki::install(&store, CSMSRootCertificate, &root.pem());
    }
    store.begin_pending(&new_pending("key")).expect("announced");
    let dropped = store.begin_pending(&new_pending("dropped")).expect("announced");
    store.drop_pending(dropped).expect("dropped");
    let known = |store: &Store| {
        let roots = store.roots(CSMSRootCertificate);
        let keys: Vec<_> = store.pending().into_iter().map(|pending| pending.key_uri).collect();
        (roots, keys, store.condemned_keys())
    };
    let whole = known(&store);
    // The file as a kill leaves it, and the file after an orderly close.
    let crashed = disk.seen();
    drop(store);
    let closed = disk.seen();

    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    let mut check = |image: &[u8], place: &str| {
        let disk = Disk::new(image);
        let outcome = match Store::on_backend(disk.clone(), settings()) {
            Ok(store) => {
                let (roots, keys, condemned) = known(&store);
                let is_part = roots.iter().all(|root| whole.0.contains(root))
                    && keys.iter().all(|key| whole.1.contains(key) || *key == crate::pki::uri("dropped"))
                    && condemned.iter().all(|key| whole.2.contains(key));
                assert!(is_part, "{place}: what was never there is served");
                // The call may be refused, but it must return.
                crate::pki::install(&store, CSMSRootCertificate, &roots_pem());
                let _ = store.begin_pending(&new_pending("other"));
                let _ = store.reopen();
                if store.damaged().is_empty() { "served" } else { "records damaged" }
            }
            Err(OpenError::Damaged { .. }) => "damaged",
            Err(OpenError::NotAStore { .. }) => "no store",
            Err(OpenError::Load { .. }) => "not loaded",
            Err(OpenError::NewerFormat { .. }) => "newer",
            Err(error) => panic!("{place}: {error:?}"),
        };
        *found.entry(outcome).or_default() += 1;
    };
    let mut random = crate::disk::Random(0x5DEE_CE66_D1CE);
    for (name, image) in [("crashed", &crashed), ("closed", &closed)] {
        let used: Vec<usize> = (0..image.len()).filter(|at| image[*at] != 0).collect();
        let places: Vec<usize> = (0..512).chain((0..2500).map(|_| used[random.below(used.len())])).collect();
        for at in places {
            let mut damaged = image.clone();
            damaged[at] ^= [0xFF, 0x01, 0x80][random.below(3)];
            check(&damaged, &format!("{name}, byte {at}"));
        }
        for _ in 0..300 {
            let at = random.below(image.len());
            let mut damaged = image.clone();
            let end = (at + [16, 512, 4096][random.below(3)]).min(image.len());
            damaged[at..end].fill([0, 0xFF][random.below(2)]);
            check(&damaged, &format!("{name}, bytes {at} to {end}"));
        }
        let cuts = (0..100).map(|_| random.below(image.len()));
        for length in (0..image.len()).step_by(4096).chain(cuts) {
            check(&image[..length], &format!("{name}, cut off at {length}"));
        }
    }
    println!("swept: {found:?}");
    assert!(found["damaged"] + found["records damaged"] > 500, "{found:?}");
}

/// A root that is in no store.
fn roots_pem() -> String {
    static PEM: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    PEM.get_or_init(|| root("Five").pem()).clone()
}
