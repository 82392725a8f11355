//! Data flows as in the picture in ARCHITECTURE.md, which shows the allowed dependencies between
//! crates.

use anyhow::{Context as _, Result};

use super::finding::{Finding, Rule};
use crate::workspace::{cargo, output};

/// Cargo's metadata about the crates of the workspace.
pub(crate) fn metadata() -> Result<serde_json::Value> {
    let metadata = output(cargo().args(["metadata", "--format-version", "1", "--no-deps", "--offline"]))?;
    serde_json::from_str(&metadata).context("cargo metadata is no JSON")
}

/// Reports dependencies between the workspace's crates that are not in the picture.
pub(crate) fn check(metadata: &serde_json::Value, findings: &mut Vec<Finding>) {
    let packages = metadata["packages"].as_array().map_or(&[][..], Vec::as_slice);
    let name = |package: &serde_json::Value| package["name"].as_str().unwrap_or_default().to_owned();
    let members = packages.iter().map(name).collect::<Vec<_>>();
    for package in packages {
        let from = name(package);
        let mut report = |message: String| {
            let file = format!("{from}/Cargo.toml");
            findings.push(Finding { file, line: 0, rule: Rule::Crate, message });
        };
        let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| *known == from) else {
            report(format!("{from} is not in the picture (xtask/src/tidy/crates.rs)"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let to = name(dependency);
            let in_tests = dependency["kind"].as_str() == Some("dev");
            if !members.contains(&to) || (in_tests && to != "xtask") {
                continue;
            }
            if to == "codegen" && from != "xtask" && dependency["optional"].as_bool() != Some(true) {
                report("depends on codegen, which nothing needs at run time".to_owned());
            } else if !allowed.contains(&to.as_str()) {
                report(format!("depends on {to}, which stands beside or to the right of it"));
            }
        }
    }
}

/// The picture: each crate, and the crates of the workspace that it may depend on outside its
/// tests.
const ALLOWED: &[(&str, &[&str])] = &[
    ("codegen", &[]),
    ("program", &[]),
    ("certificates", &[]),
    ("pkcs11-info", &[]),
    ("ocpp-types", &["codegen", "program"]),
    ("ocpp-transport", &["ocpp-types", "certificates", "program"]),
    ("signer-pkcs11", &["ocpp-types", "certificates", "pkcs11-info", "program"]),
    ("station-store", &["ocpp-types", "certificates", "program"]),
    (
        "station",
        &["ocpp-types", "certificates", "program", "ocpp-transport", "station-store", "signer-pkcs11"],
    ),
    ("csms", &["ocpp-types", "certificates", "program", "ocpp-transport", "signer-pkcs11"]),
    (
        "capi",
        &[
            "ocpp-types",
            "certificates",
            "program",
            "ocpp-transport",
            "station-store",
            "signer-pkcs11",
            "station",
        ],
    ),
    (
        "examples",
        &[
            "ocpp-types",
            "certificates",
            "program",
            "ocpp-transport",
            "station-store",
            "signer-pkcs11",
            "station",
            "csms",
        ],
    ),
    ("xtask", &["codegen", "program"]),
];
