//! Real file systems that are full or read-only, in a mount namespace of the test.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use ocpp_types::v201::InstallCertificateUseEnumType::CSMSRootCertificate;
use ocpp_types::v201::{
    DeleteCertificateRequest, DeleteCertificateStatusEnumType, InstallCertificateStatusEnumType,
};
use station_store::{OpenError, RootUse, StorageError, Store};

use crate::pki::{detail, hash_data, install, new_pending, reason, root, settings};

const SCENE: &str = "STATION_STORE_MOUNT_TEST_SCENE";

/// Runs `scene` of [`in_a_namespace`] in a child process that is allowed to mount.
fn run(scene: &str) {
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount"])
        .arg(env::current_exe().expect("this test"))
        .args(["--exact", "mounts::in_a_namespace", "--nocapture", "--test-threads=1"])
        .env(SCENE, scene)
        .output()
        .expect("this test needs the unshare command; install the package util-linux");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "this test needs a user namespace of its own (sysctl kernel.unprivileged_userns_clone=1), or something failed in it: {text}"
    );
    assert!(text.contains("scene played"), "{text}");
}

/// In the child process: runs a scene. In the test run itself: does nothing.
#[test]
fn in_a_namespace() {
    let Ok(scene) = env::var(SCENE) else { return };
    let directory = tempfile::tempdir().expect("temporary directory");
    match scene.as_str() {
        "full" => full(directory.path()),
        "too small" => too_small(directory.path()),
        "read-only" => read_only(directory.path()),
        other => panic!("no such scene: {other}"),
    }
    mount(&["-t", "tmpfs", "-o", "remount,rw", "tmpfs"], directory.path());
    let unmounted = Command::new("umount").arg(directory.path()).status().expect("umount");
    assert!(unmounted.success());
    println!("scene played");
}

fn mount(arguments: &[&str], directory: &Path) {
    let mounted = Command::new("mount").args(arguments).arg(directory).status().expect("mount");
    assert!(mounted.success(), "mount {arguments:?}");
}

/// Uses up all the room that is left.
fn fill(directory: &Path) {
    use std::io::Write;
    let mut ballast = fs::File::create(directory.join("ballast")).expect("made");
    for size in [65_536, 4096, 1] {
        while ballast.write_all(&vec![0x55; size]).is_ok() {}
    }
}

fn full(directory: &Path) {
    mount(&["-t", "tmpfs", "-o", "size=2m", "tmpfs"], directory);
    let path = directory.join("store.redb");
    let store = Store::open(&path, settings()).expect("made");
    let first = root("First");
    assert_eq!(
        install(&store, CSMSRootCertificate, &first.pem()).status,
        InstallCertificateStatusEnumType::Accepted
    );
    fill(directory);
    // Changes succeed until the free pages of the file are used up.
    let mut installed = 1;
    let response = loop {
        let response = install(&store, CSMSRootCertificate, &root(&format!("Root {installed}")).pem());
        if response.status != InstallCertificateStatusEnumType::Accepted {
            break response;
        }
        installed += 1;
        assert!(installed < 32, "2 MiB are never full");
    };
    // M05.FR.03
    assert_eq!(response.status, InstallCertificateStatusEnumType::Failed);
    assert_eq!(reason(&response.status_info), "OutOfStorage");
    assert!(detail(&response.status_info).contains("the disk is full"), "{response:?}");
    assert_eq!(store.entries(), installed, "the rest is served");
    store.reopen().expect_err("it is full still");
    let other = Store::open(&path, settings()).expect_err("it is locked in between");
    assert!(matches!(other, OpenError::Locked { .. }), "{other:?}");

    // There is room again, and the store is reopened in place: nothing is lost, and it works.
    fs::remove_file(directory.join("ballast")).expect("removed");
    store.reopen().expect("opens again");
    let other = Store::open(&path, settings()).expect_err("it is locked");
    assert!(matches!(other, OpenError::Locked { .. }), "{other:?}");
    assert_eq!(store.entries(), installed);
    assert_eq!(
        install(&store, CSMSRootCertificate, &root("Again").pem()).status,
        InstallCertificateStatusEnumType::Accepted
    );
    installed += 1;
    drop(store);
    let store = Store::open(&path, settings()).expect("opens");
    assert!(store.damaged().is_empty());
    assert_eq!(store.entries(), installed);
    assert_eq!(store.roots(RootUse::Csms)[0], *first.der());
    assert_eq!(
        install(&store, CSMSRootCertificate, &root("After").pem()).status,
        InstallCertificateStatusEnumType::Accepted
    );
}

#[test]
fn m05_fr_03_a_full_file_system_loses_nothing() {
    run("full");
}

fn too_small(directory: &Path) {
    mount(&["-t", "tmpfs", "-o", "size=4k", "tmpfs"], directory);
    let error = Store::open(directory.join("store.redb"), settings()).expect_err("no room");
    assert!(matches!(error, OpenError::Open { .. }), "{error:?}");
    assert_eq!(fs::read_dir(directory).expect("lists").count(), 0, "nothing is left of the attempt");
}

#[test]
fn a_file_system_without_room_for_a_store() {
    run("too small");
}

fn read_only(directory: &Path) {
    mount(&["-t", "tmpfs", "-o", "size=4m", "tmpfs"], directory);
    let path = directory.join("store.redb");
    let store = Store::open(&path, settings()).expect("made");
    let first = root("First");
    install(&store, CSMSRootCertificate, &first.pem());
    store.begin_pending(&new_pending("key")).expect("announced");
    // The file as a kill leaves it: it needs a repair, which is not possible.
    let crashed = fs::read(&path).expect("read");
    drop(store);
    for content in [None, Some(crashed)] {
        if let Some(content) = content {
            fs::write(&path, content).expect("written");
        }
        mount(&["-t", "tmpfs", "-o", "remount,ro", "tmpfs"], directory);
        let before = fs::read(&path).expect("read");
        let store = Store::open(&path, settings()).expect("opens to be read");
        assert_eq!(store.roots(RootUse::Csms), [first.der().clone()], "it is served");
        assert_eq!(store.pending().len(), 1);

        let response = install(&store, CSMSRootCertificate, &root("Second").pem());
        assert_eq!(response.status, InstallCertificateStatusEnumType::Failed);
        assert_eq!(reason(&response.status_info), "InternalError");
        assert!(detail(&response.status_info).contains("read-only"), "{response:?}");
        let hash = store.installed(&RootUse::ALL).remove(0).1;
        let response = store.delete(&DeleteCertificateRequest::new(hash_data(hash)));
        assert_eq!(response.status, DeleteCertificateStatusEnumType::Failed);
        // The result is the same each time: nothing is uncertain.
        let error = store.key_destroyed("pkcs11:object=other");
        assert!(error.is_ok(), "nothing to do: {error:?}");
        let (session, dropped) = store.session(first.der());
        assert!(dropped.is_ok());
        drop(session);
        let pending = store.pending().remove(0).id;
        let error = store.drop_pending(pending).expect_err("read-only");
        let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref());
        assert!(matches!(source, Some(StorageError::ReadOnly)), "{error:?}");
        store.reopen().expect_err("read-only still");
        assert_eq!(fs::read(&path).expect("read"), before, "not touched");
        mount(&["-t", "tmpfs", "-o", "remount,rw", "tmpfs"], directory);
        store.reopen().expect("it can be written");
        store.begin_pending(&new_pending("another")).expect("announced");
        let last = store.pending().pop().expect("there").id;
        store.drop_pending(last).expect("dropped");
    }
    let store = Store::open(&path, settings()).expect("opens");
    assert_eq!(
        install(&store, CSMSRootCertificate, &root("Second").pem()).status,
        InstallCertificateStatusEnumType::Accepted
    );
}

#[test]
fn a_read_only_file_system_is_served_and_every_change_fails() {
    run("read-only");
}
