//! The package of a library contains its sources and licenses, and nothing else.

use anyhow::Result;

use super::finding::{Finding, Rule};
use crate::workspace::{cargo, output};

/// Reports unexpected files in a package, and missing licenses.
pub(crate) fn check(metadata: &serde_json::Value, findings: &mut Vec<Finding>) -> Result<()> {
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        if UNPUBLISHED.contains(&name) {
            continue;
        }
        let list = ["package", "--list", "--allow-dirty", "--offline", "--quiet", "--package", name];
        check_list(name, &output(cargo().args(list))?, findings);
    }
    Ok(())
}

/// Checks one package, with the output of `cargo package --list`.
pub(crate) fn check_list(name: &str, list: &str, findings: &mut Vec<Finding>) {
    let mut report = |message: String| {
        let file = format!("{name}/Cargo.toml");
        findings.push(Finding { file, line: 0, rule: Rule::Package, message });
    };
    let allowed = |file: &&str| ALLOWED.iter().any(|allowed| file.starts_with(allowed));
    for file in list.lines().filter(|file| !allowed(file)) {
        report(format!("the package holds {file}"));
    }
    for license in LICENSES.iter().filter(|license| !list.lines().any(|file| file == **license)) {
        report(format!("the package lacks {license}"));
    }
}

/// Crates that are of use only in this workspace.
const UNPUBLISHED: &[&str] = &["codegen", "examples", "xtask"];
const LICENSES: &[&str] = &["LICENSE-APACHE", "LICENSE-MIT"];
/// The allowed beginnings of the paths in a package.
const ALLOWED: &[&str] = &[
    ".cargo_vcs_info.json",
    "Cargo.",
    "LICENSE-",
    "build.rs",
    "examples/",
    "include/",
    "migrations/",
    "src/",
];
