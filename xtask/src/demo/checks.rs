//! What anyone can check about the demo's result with tools that are not ours.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::workspace::{output, quoted, shown};

/// A command of a foreign tool, and what it has to print.
pub(crate) struct Check {
    command: Command,
    expected: Vec<String>,
    /// The environment that a person has to set for it.
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

/// Every check for a demo whose files lie in `folder`.
pub(crate) fn all(folder: &Path) -> Result<Vec<Check>> {
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let root = path("csms/cso-root.pem");
    let mut checks = vec![
        Check::openssl(
            &[
                "verify",
                "-x509_strict",
                "-purpose",
                "sslclient",
                "-CAfile",
                &root,
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
                &root,
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
    // The hash data in the inventory equal what OpenSSL computes for the same certificates.
    let inventory: Value = serde_json::from_str(&fs::read_to_string(folder.join("inventory.json"))?)?;
    for chain in inventory["certificateHashDataChain"].as_array().context("the inventory is empty")? {
        let data = &chain["certificateHashData"];
        let serial = data["serialNumber"].as_str().unwrap_or_default();
        let file = installed(folder, serial)?;
        let file = file.to_string_lossy();
        let expected = ["issuerNameHash", "issuerKeyHash", "serialNumber"]
            .map(|name| data[name].as_str().unwrap_or("?").to_uppercase());
        let expected = expected.each_ref().map(String::as_str);
        checks.push(Check::openssl(
            &["ocsp", "-sha256", "-issuer", &file, "-cert", &file, "-req_text"],
            &expected,
        ));
    }
    for side in ["station", "csms"] {
        checks.push(token_check(folder, side)?);
    }
    Ok(checks)
}

/// Runs the checks and fails if one fails.
pub(crate) fn run(folder: &Path, module: &Path, checks: &[Check]) -> Result<()> {
    println!("\nChecked by OpenSSL and pkcs11-tool:");
    let mut failures = 0;
    for check in checks {
        let mut command = if check.command.get_program() == "pkcs11-tool" {
            crate::softhsm::pkcs11_tool()?
        } else {
            Command::new(check.command.get_program())
        };
        command.args(
            check.command.get_args().map(|word| if word == MODULE { module.as_os_str() } else { word }),
        );
        for (name, value) in check.command.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        let result = command.current_dir(folder).output().with_context(|| {
            format!(
                "cannot start {}; install it: `sudo apt-get install openssl opensc`",
                shown(&check.command)
            )
        })?;
        let text =
            format!("{}{}", String::from_utf8_lossy(&result.stdout), String::from_utf8_lossy(&result.stderr));
        let missing =
            check.expected.iter().find(|expected| !text.to_uppercase().contains(&expected.to_uppercase()));
        match missing {
            None if result.status.success() => println!("  ✓ {}", check.shown()),
            _ => {
                failures += 1;
                println!(
                    "  ✗ {}\n    expected {}; it printed:\n{text}",
                    check.shown(),
                    check.expected.join(", ")
                );
            }
        }
    }
    if failures > 0 {
        bail!("{failures} of {} checks failed", checks.len());
    }
    println!("{} checks, all hold.", checks.len());
    Ok(())
}

/// Takes the request and the certificate out of the recorded frames.
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

/// The serial number of a certificate as OCPP writes it, read by OpenSSL.
pub(crate) fn serial_number(file: &Path) -> Result<String> {
    let text = output(Command::new("openssl").args(["x509", "-noout", "-serial", "-in"]).arg(file))?;
    let digits = text.trim().trim_start_matches("serial=").trim_start_matches('0').to_lowercase();
    Ok(if digits.is_empty() { "0".to_owned() } else { digits })
}

fn installed(folder: &Path, serial: &str) -> Result<PathBuf> {
    for name in ["cso-root.pem", "next-root.pem", "manufacturer-root.pem"] {
        let file = folder.join("csms").join(name);
        if serial_number(&file)? == serial {
            return Ok(file);
        }
    }
    bail!("serial number {serial} is listed, but none of the demo's roots has it");
}

/// The private key is in the token, and the token says that it was made there and never left.
fn token_check(folder: &Path, side: &str) -> Result<Check> {
    let pin = folder.join(side).join("pin");
    let configuration = folder.join(side).join("softhsm2.conf");
    let mut command = Command::new("pkcs11-tool");
    command.args(["--module", MODULE, "--token-label", side, "--login", "--pin", "env:PIN"]);
    command.args(["--list-objects", "--type", "privkey"]);
    command.env("SOFTHSM2_CONF", &configuration).env("PIN", fs::read_to_string(&pin)?.trim());
    let [configuration, pin] = [configuration, pin].map(|path| quoted(&path.to_string_lossy()));
    let prefix = format!("SOFTHSM2_CONF={configuration} PIN=$(cat {pin}) ");
    Ok(Check {
        command,
        prefix,
        expected: vec!["sensitive, always sensitive, never extractable, local".to_owned()],
    })
}

/// Stands for the module's path, which a person has in the environment.
const MODULE: &str = "$PKCS11_MODULE";
