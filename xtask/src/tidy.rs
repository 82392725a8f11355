//! Holds the rules of the architecture that no compiler knows.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::workspace::{cargo, output, root};

/// `cargo xtask tidy`: reports every breach, with its place and the rule.
pub(crate) fn run_command() -> Result<()> {
    let mut breaches = Vec::new();
    for file in files(&root(), "rs")? {
        let name = file.strip_prefix(root()).unwrap_or(&file).to_string_lossy().into_owned();
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {name}"))?;
        check_file(&name, &text, &mut breaches);
    }
    for file in files(&root().join("schemas"), "json")? {
        let text = fs::read_to_string(&file)?;
        // A property may be called so; prose is text.
        if text.contains("\"description\": \"") || text.contains("\"comment\": \"") {
            breaches.push(format!(
                "{}: holds prose; import it with `cargo xtask schemas import`",
                file.display()
            ));
        }
    }
    check_dependencies(&mut breaches)?;
    if breaches.is_empty() {
        println!("tidy: nothing to say");
        return Ok(());
    }
    for breach in &breaches {
        eprintln!("{breach}");
    }
    bail!("tidy: {} breaches of the rules in ARCHITECTURE.md", breaches.len());
}

fn check_file(name: &str, text: &str, breaches: &mut Vec<String>) {
    if name == "xtask/src/tidy.rs" {
        return;
    }
    let lines = text.lines().count();
    if lines > MOST_LINES && !name.contains("/generated/") {
        breaches
            .push(format!("{name}: {lines} lines, at most {MOST_LINES}: look for the second question in it"));
    }
    let core =
        CORES.iter().any(|dir| name.starts_with(dir)) && !name.contains("/io/") && !name.contains("/bin/");
    // Unit tests at the end of a core file may read a file or the clock.
    let product = text.split("#[cfg(test)]").next().unwrap_or(text);
    for (number, line) in text.lines().enumerate() {
        let place = || format!("{name}:{}", number + 1);
        for word in NOWHERE.iter().filter(|word| line.contains(*word)) {
            breaches.push(format!("{}: `{word}` stands nowhere in this project", place()));
        }
    }
    if !core {
        return;
    }
    for (number, line) in product.lines().enumerate() {
        let code = line.split("//").next().unwrap_or(line);
        for word in ONLY_IN_IO.iter().filter(|word| names(code, word)) {
            breaches.push(format!("{name}:{}: `{word}` stands in src/io/ only", number + 1));
        }
    }
}

/// Whether `word` stands in `code`, and not as the end of a longer name.
fn names(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(start, _)| {
        let before = code.get(..start).and_then(|before| before.chars().next_back());
        !before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
    })
}

/// Data flows along the picture in ARCHITECTURE.md: what a crate must not depend on.
fn check_dependencies(breaches: &mut Vec<String>) -> Result<()> {
    let metadata = output(cargo().args(["metadata", "--format-version", "1", "--no-deps", "--offline"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata).context("cargo metadata is no JSON")?;
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let on = dependency["name"].as_str().unwrap_or_default();
            let in_tests = dependency["kind"].as_str() == Some("dev");
            if !in_tests && FORBIDDEN.iter().any(|(from, to)| *from == name && *to == on) {
                breaches.push(format!("{name} depends on {on}, which stands beside or to the right of it"));
            }
            if on == "codegen" && name != "xtask" && dependency["optional"].as_bool() != Some(true) {
                breaches.push(format!("{name} depends on codegen, which nothing needs at run time"));
            }
            if on == "xtask" {
                breaches.push(format!("{name} depends on xtask, which is used by none"));
            }
        }
    }
    Ok(())
}

fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && !name.starts_with("target") {
                found.extend(files(&path, extension)?);
            }
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// A file past this length answers a second question.
const MOST_LINES: usize = 600;

/// The crates whose `src/` is a core outside `src/io/`.
const CORES: &[&str] = &[
    "codegen/src/",
    "ocpp-types/src/",
    "ocpp-transport/src/",
    "signer-pkcs11/src/",
    "station-store/src/",
    "station/src/",
    "csms/src/",
];

/// What reaches outside: the clock, files, sockets, threads, tasks, the environment.
const ONLY_IN_IO: &[&str] = &[
    "SystemTime::now",
    "Instant::now",
    "Utc::now",
    "std::fs",
    "fs::",
    "std::net",
    "std::env",
    "env::var",
    "std::thread",
    "thread::spawn",
    "tokio::spawn",
    "tokio::net",
    "getrandom::",
    "crate::io::",
];

/// What is never written: unfinished work, tests that do not run, queues without a bound.
const NOWHERE: &[&str] = &["todo!(", "unimplemented!(", "#[ignore", "unbounded_channel", "mpsc::channel()"];

/// Pairs of crates that must not know each other.
const FORBIDDEN: &[(&str, &str)] = &[
    ("ocpp-types", "ocpp-transport"),
    ("ocpp-types", "signer-pkcs11"),
    ("ocpp-types", "station-store"),
    ("ocpp-transport", "signer-pkcs11"),
    ("ocpp-transport", "station-store"),
    ("signer-pkcs11", "ocpp-transport"),
    ("signer-pkcs11", "station-store"),
    ("station-store", "ocpp-transport"),
    ("station-store", "signer-pkcs11"),
    ("station", "csms"),
    ("csms", "station"),
    ("csms", "station-store"),
];
