//! `replace`, and the files that it leaves.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};

use program::{Readers, make_private_folder, replace};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("is there").permissions().mode() & 0o777
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_file_is_replaced_and_its_readers_are_those_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, readers, expected) in
        [("slot.a", Readers::Owner, 0o600), ("slot.b", Readers::Everybody, 0o644)]
    {
        let path = folder.path().join(name);
        fs::write(&path, "old").expect("writes");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("sets");
        replace(&path, name.as_bytes(), readers).expect("replaces");
        assert_eq!(fs::read_to_string(&path).expect("reads"), name);
        assert_eq!(mode(&path), expected, "{name}");
    }
    assert_eq!(names(folder.path()), ["slot.a", "slot.b"]);
}

#[test]
fn what_stands_beside_is_not_written_into() {
    let folder = tempfile::tempdir().expect("a folder");
    let victim = folder.path().join("victim");
    fs::write(&victim, "precious").expect("writes");
    symlink(&victim, folder.path().join(".file.new")).expect("links");
    replace(&folder.path().join("file"), b"new", Readers::Owner).expect("replaces");
    assert_eq!(fs::read_to_string(&victim).expect("reads"), "precious");
    assert_eq!(names(folder.path()), ["file", "victim"]);
}

#[test]
fn what_cannot_be_replaced_stays_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    fs::create_dir(&path).expect("makes");
    replace(&path, b"new", Readers::Owner).expect_err("a folder is no file");
    assert_eq!(names(folder.path()), ["file"]);
    replace(Path::new("/"), b"new", Readers::Owner).expect_err("names no file");
    replace(&folder.path().join("absent/file"), b"new", Readers::Owner).expect_err("no folder");
}

#[test]
fn a_private_folder_is_made_with_those_above_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let inner = folder.path().join("a/b");
    make_private_folder(&inner).expect("makes");
    make_private_folder(&inner).expect("is there");
    assert_eq!((mode(&inner), mode(&folder.path().join("a"))), (0o700, 0o700));
}
