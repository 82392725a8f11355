//! The crate with other features than those of the tests. Cargo builds it once more.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `cargo check` in a separate target folder, which is kept between test runs.
fn check(manifest: &Path, arguments: &[&str]) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["check", "--offline", "--quiet", "--manifest-path"])
        .arg(manifest)
        .args(arguments)
        .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("features"))
        .env_remove("OCPP_SCHEMAS")
        .env_remove("RUSTFLAGS");
    cargo
}

fn succeed(command: &mut Command) -> Output {
    let output = command.output().expect("cargo runs");
    assert!(output.status.success(), "{command:?}:\n{}", String::from_utf8_lossy(&output.stderr));
    output
}

#[test]
fn each_version_alone_all_and_none_without_the_standard_library() {
    // For a target without a standard library, if that target is installed. Otherwise the panic
    // handler of the test crate proves the same.
    let bare_metal = "thumbv7em-none-eabihf";
    let libraries = Command::new("rustc").args(["--print", "target-libdir", "--target", bare_metal]).output();
    let is_installed =
        libraries.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir());
    let target: &[&str] = if is_installed { &["--target", bare_metal] } else { &[] };
    let manifest = package().join("tests/no_std/Cargo.toml");
    for features in ["", "v16", "v201", "v21", "v16,v201,v21"] {
        let output = succeed(check(&manifest, &["--features", features]).args(target));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "warnings with the features {features:?}");
    }
}

#[test]
fn generation_at_build_time_gives_the_committed_files() {
    let manifest = package().join("Cargo.toml");
    let arguments = ["--features", "build-codegen,v16,v21", "--message-format", "json"];

    let without = check(&manifest, &arguments).output().expect("cargo runs");
    assert!(!without.status.success(), "nothing said where the schemas are");
    let said = String::from_utf8_lossy(&without.stderr);
    assert!(said.contains("set OCPP_SCHEMAS"), "{said}");

    let schemas = package().join("../schemas");
    let built = succeed(check(&manifest, &arguments).env("OCPP_SCHEMAS", &schemas));
    let out = out_folder(&String::from_utf8_lossy(&built.stdout));
    for version in ["v16", "v201", "v21"] {
        let generated = texts(&out.join(version));
        let committed = texts(&package().join("src").join(version).join("generated"));
        assert!(committed.len() > 100);
        for (path, text) in &committed {
            assert!(generated.get(path) == Some(text), "{version}/{} differs", path.display());
        }
        assert_eq!(generated.len(), committed.len());
    }
}

/// The output folder of the build script, as cargo reports it.
fn out_folder(messages: &str) -> PathBuf {
    let messages = messages.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON lines"));
    let mut folders = messages
        .filter(|message| message["reason"] == "build-script-executed")
        .filter(|message| message["package_id"].as_str().is_some_and(|id| id.contains("ocpp-types")))
        .filter_map(|message| message["out_dir"].as_str().map(PathBuf::from));
    folders.next().expect("the build script ran")
}

/// Every file below a folder, by its relative path.
fn texts(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut texts = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap_or_else(|error| panic!("{}: {error}", next.display())) {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("below the folder").to_owned();
                texts.insert(name, fs::read_to_string(&path).expect("text"));
            }
        }
    }
    texts
}
