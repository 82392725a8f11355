//! `cargo xtask demo`: all steps on real tokens, as separate processes.

mod checks;
mod narrator;
pub(crate) mod process;
mod setup;

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use self::{
    narrator::Narrator,
    process::{Running, Side},
};
use crate::{
    requirements::{self, Missing, Use},
    workspace::{cargo, root, run, target},
};

/// Options of `cargo xtask demo`.
#[derive(clap::Args)]
pub(crate) struct DemoArguments {
    /// Run the checks by OpenSSL and pkcs11-tool too, and fail if one fails
    #[arg(long)]
    check: bool,
}

/// Builds the programs, runs the demo and reports its steps.
pub(crate) fn run_command(arguments: &DemoArguments) -> Result<()> {
    if arguments.check {
        requirements::provide(Use::Check, Missing::Report)?;
    }
    let started = Instant::now();
    let module = crate::softhsm::module()?;
    eprintln!("building hsm, ocpp-station and ocpp-csms");
    run(cargo().args([
        "build",
        "--quiet",
        "--package",
        "signer-pkcs11",
        "--package",
        "station",
        "--package",
        "csms",
        "--bins",
    ]))?;
    let built = started.elapsed();

    let folder = target().join("demo");
    let mut demo = Demo::start(&folder, &module)?;
    demo.enrol()?;
    demo.manage()?;
    let rows = demo.finish()?;
    print_summary(&rows);
    let ran = started.elapsed() - built;
    println!("\nBuilt in {:.1} s, ran in {:.1} s.", built.as_secs_f64(), ran.as_secs_f64());

    let shown = folder.strip_prefix(root()).unwrap_or(&folder);
    println!("Everything is in {}: PEM files, frames.jsonl, configurations and logs.", shown.display());
    println!("\nCheck it yourself:");
    let mut checks = checks::all(shown, &module)?;
    for check in &checks {
        println!("  {}", check.shown());
    }
    if arguments.check {
        checks::run(&mut checks)?;
    } else {
        println!("\nNext: cargo xtask demo --check runs these and judges what they print.");
    }
    if let Some(row) = rows.iter().find(|row| row.expected != row.found) {
        bail!("{}: expected {}, found {}", row.step, row.expected, row.found);
    }
    Ok(())
}

/// The two running sides.
struct Demo {
    csms: Side,
    csms_process: Running,
    station_process: Running,
    narrator: Narrator,
    folder: PathBuf,
    rows: Vec<Row>,
}

/// A line of the summary.
struct Row {
    step: &'static str,
    expected: &'static str,
    found: String,
}

impl Demo {
    fn start(folder: &Path, module: &Path) -> Result<Self> {
        chapter(
            "Two tokens, an authority, a server certificate: every key is made inside a token and stays there.",
        );
        let stage = setup::prepare(folder, module)?;
        let frames = folder.join("frames.jsonl");
        let mut csms_process = stage
            .csms
            .start("ocpp-csms", &["--config", "csms.toml", "run", "--frames", &frames.to_string_lossy()])?;
        let url = csms_process
            .wait_for("the CSMS to listen", || status(&stage.csms)?["url"].as_str().map(str::to_owned))?;
        setup::provision(&stage, &url)?;
        println!("  The CSMS listens on {url}.");

        chapter("The station connects with its password: security profile 2.");
        let mut station_process =
            stage.station.start("ocpp-station", &["--config", "station.toml", "run"])?;
        station_process
            .wait_for("the station's boot", || (connected(&stage.csms)?["booted"] == true).then_some(()))?;
        let mut narrator = Narrator::new(&frames);
        narrator.print_new()?;
        Ok(Self {
            csms: stage.csms,
            csms_process,
            station_process,
            narrator,
            folder: folder.to_path_buf(),
            rows: Vec::new(),
        })
    }

    /// The station gets a certificate and reconnects with it.
    fn enrol(&mut self) -> Result<()> {
        chapter(
            "The CSMS asks for a certificate request; the station makes a key in its token and gets it certified.",
        );
        let answer = self.operator(&["trigger", STATION, "SignChargingStationCertificate"])?;
        self.row("TriggerMessage(SignChargingStationCertificate)", "Accepted", answer["status"].clone());
        let csms = &self.csms;
        let station = self.station_process.wait_for("the station's return with its certificate", || {
            connected(csms).filter(|station| station["security_profile"] == 3)
        })?;
        self.narrator.print_new()?;
        println!(
            "  The station is back on security profile 3: mutual TLS with certificate {}, signed by the key in its token.",
            station["certificate_serial_number"].as_str().unwrap_or("?")
        );
        self.row(
            "Reconnected with mutual TLS",
            "profile 3",
            Value::from(format!("profile {}", station["security_profile"])),
        );
        let issued = self.operator(&["certificates"])?;
        self.row("CertificateSigned", "Accepted", issued[0]["state"].clone());
        Ok(())
    }

    /// Installs, lists and deletes.
    fn manage(&mut self) -> Result<()> {
        chapter("The CSMS reads the inventory, then installs a second CSMS root and a manufacturer root.");
        let before = self.operator(&["inventory", STATION])?;
        self.row("GetInstalledCertificateIds", "1 certificate", Value::from(count(&before)));
        for (step, certificate_use, file) in [
            ("InstallCertificate, second CSMS root", "CSMSRootCertificate", "next-root.pem"),
            ("InstallCertificate, manufacturer root", "ManufacturerRootCertificate", "manufacturer-root.pem"),
        ] {
            let answer = self.operator(&["install", STATION, certificate_use, file])?;
            self.row(step, "Accepted", answer["status"].clone());
        }
        self.narrator.print_new()?;

        chapter("The CSMS reads the inventory, deletes the second root, and reads it again.");
        let inventory = self.operator(&["inventory", STATION])?;
        self.row("GetInstalledCertificateIds", "3 certificates", Value::from(count(&inventory)));
        std::fs::write(self.folder.join("inventory.json"), serde_json::to_string_pretty(&inventory)?)?;
        let wanted = new_csms_root(&before, &inventory).context("the second root is not listed")?.to_string();
        let answer = self.operator(&["delete", STATION, "--hash-data", &wanted])?;
        self.row("DeleteCertificate", "Accepted", answer["status"].clone());
        let inventory = self.operator(&["inventory", STATION])?;
        self.row("GetInstalledCertificateIds", "2 certificates", Value::from(count(&inventory)));
        let answer = self.operator(&["delete", STATION, "--hash-data", &wanted])?;
        self.row("DeleteCertificate of the same again", "NotFound", answer["status"].clone());
        self.narrator.print_new()?;

        chapter("The CSMS tries to delete the station's own certificate.");
        checks::extract(&self.folder)?;
        let own = self.csms.run(
            "ocpp-station",
            &["--json", "hash-data", "../station-certificate.pem", "--issuer", "cso-root.pem"],
        )?;
        let answer = self.operator(&["delete", STATION, "--hash-data", own.trim()])?;
        self.row("DeleteCertificate of the station's own", "Failed", answer["status"].clone());
        self.narrator.print_new()
    }

    /// Ends both programs and keeps the PEM files from the messages.
    fn finish(self) -> Result<Vec<Row>> {
        self.station_process.stop()?;
        self.csms_process.stop()?;
        println!("\n{} frames were exchanged.", self.narrator.printed());
        Ok(self.rows)
    }

    /// An operator's command to the running CSMS.
    fn operator(&self, arguments: &[&str]) -> Result<Value> {
        operator(&self.csms, arguments)
    }

    fn row(&mut self, step: &'static str, expected: &'static str, found: Value) {
        let found = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
        self.rows.push(Row { step, expected, found });
    }
}

fn operator(csms: &Side, arguments: &[&str]) -> Result<Value> {
    let mut words = vec!["--config", "csms.toml", "--json"];
    words.extend(arguments);
    let text = csms.ask("ocpp-csms", &words)?;
    serde_json::from_str(&text).with_context(|| format!("ocpp-csms printed no JSON: {text}"))
}

fn status(csms: &Side) -> Option<Value> {
    operator(csms, &["status"]).ok()
}

fn connected(csms: &Side) -> Option<Value> {
    status(csms)?["stations"].as_array()?.first().cloned()
}

fn chains(inventory: &Value) -> &[Value] {
    inventory["certificateHashDataChain"].as_array().map_or(&[], Vec::as_slice)
}

fn count(inventory: &Value) -> String {
    match chains(inventory).len() {
        1 => "1 certificate".to_owned(),
        count => format!("{count} certificates"),
    }
}

/// The hash data of the CSMS root that is only in the second inventory.
fn new_csms_root<'a>(before: &Value, after: &'a Value) -> Option<&'a Value> {
    let new = chains(after).iter().filter(|chain| !chains(before).contains(chain));
    new.filter(|chain| chain["certificateType"] == "CSMSRootCertificate")
        .map(|chain| &chain["certificateHashData"])
        .next()
}

fn chapter(text: &str) {
    println!("\n{text}");
}

fn print_summary(rows: &[Row]) {
    let width = rows.iter().map(|row| row.step.chars().count()).max().unwrap_or_default();
    println!("\n{:<width$}  {:<14}  found", "step", "expected");
    for row in rows {
        let mark = if row.expected == row.found { "✓" } else { "✗" };
        println!("{:<width$}  {:<14}  {} {mark}", row.step, row.expected, row.found);
    }
}

const STATION: &str = "CS001";
