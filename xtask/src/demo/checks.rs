//! Checks of the demo's result with tools that are not ours.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::workspace::{output, quoted, root, shown, target};

/// A command of a foreign tool, and its required output.
pub(crate) struct Check {
    command: Command,
    expected: Vec<String>,
    /// The environment variables that a person must set for it.
    prefix: String,
}

impl Check {
    fn openssl(arguments: &[&str], expected: &[&str]) -> Self {
        let mut command = Command::new("openssl");
        command.args(arguments);
        let expected = expected.iter().map(|text| (*text).to_owned()).collect();
        Self { command, expected, prefix: String::new() }
    }

    /// The command as a person would type it.
    pub(crate) fn shown(&self) -> String {
        format!("{}{}", self.prefix, shown(&self.command))
    }
}

/// Every check for a demo whose files are in `folder`, which is absolute or relative to the root of
/// the checkout.
pub(crate) fn all(folder: &Path, module: &Path) -> Result<Vec<Check>> {
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let issuer = path("csms/cso-root.pem");
    let mut checks = vec![
        Check::openssl(
            &[
                "verify",
                "-x509_strict",
                "-purpose",
                "sslclient",
                "-CAfile",
                &issuer,
                &path("station-certificate.pem"),
            ],
            &["OK"],
        ),
        Check::openssl(
            &[
                "verify",
                "-x509_strict",
                "-purpose",
                "sslserver",
                "-CAfile",
                &issuer,
                &path("csms/csms-tls.pem"),
            ],
            &["OK"],
        ),
        Check::openssl(&["req", "-verify", "-noout", "-in", &path("station-request.pem")], &["verify OK"]),
        Check::openssl(
            &["x509", "-noout", "-subject", "-nameopt", "RFC2253", "-in", &path("station-certificate.pem")],
            &[&format!("CN={},O=Demo CSO", super::setup::SERIAL_NUMBER)],
        ),
    ];
    // The hash data in the inventory equal those that OpenSSL computes for the same certificates.
    let inventory = fs::read_to_string(root().join(folder).join("inventory.json"))?;
    let inventory: Value = serde_json::from_str(&inventory)?;
    let listed = inventory["certificateHashDataChain"].as_array().context("the inventory is empty")?;
    for name in ["csms/cso-root.pem", "csms/next-root.pem", "csms/manufacturer-root.pem"] {
        let file = path(name);
        let data = hash_data(&file)?;
        if !listed.iter().any(|chain| chain["certificateHashData"] == data) {
            bail!("{file} was installed, but the inventory does not list {data}");
        }
        let member = |name: &str| data[name].as_str().unwrap_or("?").to_owned();
        let expected = [member("issuerNameHash"), member("issuerKeyHash"), member("serialNumber")];
        let arguments = ["ocsp", "-sha256", "-issuer", &file, "-cert", &file, "-req_text"];
        checks.push(Check::openssl(&arguments, &expected.each_ref().map(String::as_str)));
    }
    for side in ["station", "csms"] {
        checks.push(token_check(folder, side, module)?);
    }
    Ok(checks)
}

/// Runs the checks and fails if one fails.
pub(crate) fn run(checks: &mut [Check]) -> Result<()> {
    println!("\nChecked by OpenSSL and pkcs11-tool:");
    let mut failures = 0;
    for check in &mut *checks {
        let shown = check.shown();
        let result = check.command.current_dir(root()).output();
        let result = result.with_context(|| format!("cannot start {shown}"))?;
        let text =
            format!("{}{}", String::from_utf8_lossy(&result.stdout), String::from_utf8_lossy(&result.stderr));
        let missing =
            check.expected.iter().find(|expected| !text.to_uppercase().contains(&expected.to_uppercase()));
        match missing {
            None if result.status.success() => println!("  ✓ {shown}"),
            _ => {
                failures += 1;
                println!("  ✗ {shown}\n    expected {}; it printed:\n{text}", check.expected.join(", "));
            }
        }
    }
    if failures > 0 {
        bail!("{failures} of {} checks failed", checks.len());
    }
    println!("{} checks, all hold.", checks.len());
    Ok(())
}

/// Extracts the request and the certificate from the recorded frames.
pub(crate) fn extract(folder: &Path) -> Result<()> {
    let frames = fs::read_to_string(folder.join("frames.jsonl"))?;
    for (action, member, file) in [
        ("SignCertificate", "csr", "station-request.pem"),
        ("CertificateSigned", "certificateChain", "station-certificate.pem"),
    ] {
        let payload =
            frames.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find_map(|record| {
                let frame = &record["frame"];
                (frame[0] == 2 && frame[2] == action)
                    .then(|| frame[3][member].as_str().map(str::to_owned))
                    .flatten()
            });
        fs::write(folder.join(file), payload.with_context(|| format!("no {action} was recorded"))?)?;
    }
    Ok(())
}

/// The hash data of a root as our own code computes them; OpenSSL verifies them.
fn hash_data(file: &str) -> Result<Value> {
    let mut program = Command::new(target().join("debug/ocpp-station"));
    let text = output(program.current_dir(root()).args(["--json", "hash-data", file]))?;
    serde_json::from_str(&text).with_context(|| format!("ocpp-station printed no JSON: {text}"))
}

/// The private key is in the token, and the token reports that it was generated there and never
/// left.
fn token_check(folder: &Path, side: &str, module: &Path) -> Result<Check> {
    let pin = folder.join(side).join("pin");
    let configuration = folder.join(side).join("softhsm2.conf");
    let mut command = Command::new("pkcs11-tool");
    command.arg("--module").arg(module);
    command.args(["--token-label", side, "--login", "--pin", "env:PIN"]);
    command.args(["--list-objects", "--type", "privkey"]);
    command.env("SOFTHSM2_CONF", &configuration).env("PIN", fs::read_to_string(root().join(&pin))?.trim());
    let [configuration, pin] = [configuration, pin].map(|path| quoted(&path.to_string_lossy()));
    let prefix = format!("SOFTHSM2_CONF={configuration} PIN=$(cat {pin}) ");
    Ok(Check {
        command,
        prefix,
        expected: vec!["sensitive, always sensitive, never extractable, local".to_owned()],
    })
}
