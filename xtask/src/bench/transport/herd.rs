//! The whole fleet connects at once: to the real `ocpp-csms`, with passwords and with certificates,
//! compared with bare TLS handshakes.

use std::{fmt::Write as _, fs, process::Command};

use anyhow::{Context as _, Result};
use procfs::process::Process;
use serde_json::Value;

use super::server::{Generator, Running, folder, generator, program, value};
use crate::{
    bench::report::{Figure, Tables, number},
    workspace::{cargo, output, run},
};

/// The sizes of the herds, and the time limits.
pub(super) struct Herds {
    pub(super) sizes: &'static [usize],
    pub(super) limit_seconds: u64,
}

/// The credentials of the stations.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Proof {
    Handshakes,
    Certificates,
    Passwords,
}

/// Runs herds, each against its own service that has just started.
pub(super) fn measure(herds: &Herds, figures: &mut Vec<Figure>, tables: &mut Tables) -> Result<()> {
    prepare()?;
    let hash_seconds = hash_seconds()?;
    let mut table = vec![
        ["herd", "booted", "time", "CPU", "memory", "attempts", "booted over time (s: stations)"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for stations in herds.sizes {
        #[allow(clippy::cast_precision_loss, reason = "a few thousand")]
        let count = *stations as f64;
        let mut bare = 0.0;
        for (proof, patience, mood) in [
            (Proof::Handshakes, PATIENT, "patient"),
            (Proof::Certificates, PATIENT, "patient"),
            (Proof::Certificates, IMPATIENT, "impatient"),
            (Proof::Passwords, PATIENT, "patient"),
            (Proof::Passwords, IMPATIENT, "impatient"),
        ] {
            let name = format!("herd of {stations}, {}, {mood}", proof.name());
            eprintln!("{name}");
            let result = come(*stations, proof, patience, herds.limit_seconds)?;
            let (booted, cpu) = (value(&result, "booted")?, value(&result, "cpu_seconds")?);
            let peak = value(&result, "peak_bytes")? / 1024.0 / 1024.0;
            table.push(vec![
                name.clone(),
                number(booted, ""),
                number(value(&result, "seconds")?, "s"),
                number(cpu, "s"),
                number(peak, "MiB"),
                number(value(&result, "attempts")?, ""),
                over_time(&result),
            ]);
            if proof == Proof::Handshakes {
                bare = cpu;
                continue;
            }
            figures.push(Figure::at_least(&format!("{name}: booted"), booted, "", count));
            figures.push(Figure::absolute(&format!("{name}: memory"), peak, "MiB", MOST_MIB));
            let (against, least, most) = match proof {
                Proof::Passwords => {
                    ("bare TLS handshakes and hashes", bare + count * hash_seconds, MOST_PASSWORD_RATIO)
                }
                _ => ("bare TLS handshakes", bare, MOST_CERTIFICATE_RATIO),
            };
            let ratio = cpu / least;
            figures.push(Figure::relative(format!("{name}: CPU"), cpu, "s", against, ratio, most));
        }
    }
    tables.push(table);
    Ok(())
}

impl Proof {
    fn name(self) -> &'static str {
        match self {
            Self::Handshakes => "bare TLS handshakes",
            Self::Certificates => "certificates",
            Self::Passwords => "passwords",
        }
    }
}

/// Builds the service and creates the files that its configuration names.
fn prepare() -> Result<()> {
    eprintln!("building ocpp-csms");
    run(cargo().args(["build", "--quiet", "--release", "--package", "csms", "--bin", "ocpp-csms"]))?;
    let [root, key] = ["herd-root.pem", "herd-root.key"].map(|file| folder().join(file));
    output(
        Command::new(program("generator")).arg("root").arg("--certificate").arg(root).arg("--key").arg(key),
    )?;
    Ok(())
}

/// The processor time of one hash in seconds: the average of several, each in its own process.
fn hash_seconds() -> Result<f64> {
    let password = folder().join("herd-password");
    fs::write(&password, PASSWORD).context("cannot write the password")?;
    let mut hashing = Command::new(csms());
    hashing.arg("hash-password").arg("--file").arg(&password);
    let before = children_seconds()?;
    for _ in 0..HASHES {
        output(&mut hashing)?;
    }
    Ok((children_seconds()? - before) / f64::from(HASHES))
}

/// The processor time of the ended children of this process.
fn children_seconds() -> Result<f64> {
    let stat = Process::myself().and_then(|process| process.stat()).context("cannot read processor times")?;
    #[allow(clippy::cast_precision_loss, reason = "far below 2^53 ticks")]
    Ok((stat.cutime + stat.cstime) as f64 / procfs::ticks_per_second() as f64)
}

/// Runs one herd against a service that has just started.
///
/// Stations with certificates have connected before, as after an outage: the first connection
/// writes entries of the record. With passwords this cost is negligible beside the hash.
fn come(stations: usize, proof: Proof, patience: u64, limit: u64) -> Result<Value> {
    let data = tempfile::tempdir_in(folder()).context("cannot make a folder")?;
    let configuration = data.path().join("csms.toml");
    fs::write(&configuration, configure(stations, proof)?).context("cannot write the configuration")?;
    let once = || -> Result<Value> {
        let log = fs::File::create(folder().join("herd.log")).context("cannot make a log")?;
        let mut command = Command::new(csms());
        command.arg("run").arg("--config").arg(&configuration).stderr(log);
        let mut server = Running::start(&mut command)?;
        let line = server.line()?;
        let port = line.rsplit(':').next().and_then(|rest| rest.split('/').next()).context("no port")?;
        let mut command = generator("herd", port.trim(), server.id());
        command.args(["--tls", "--retry", RETRY]);
        command
            .arg(format!("--stations={stations}"))
            .arg(format!("--patience={patience}"))
            .arg(format!("--limit={limit}"));
        match proof {
            Proof::Handshakes => _ = command.arg("--handshakes-only"),
            Proof::Certificates => _ = command.arg("--root-key").arg(folder().join("herd-root.key")),
            Proof::Passwords => {}
        }
        Generator::start(&mut command)?.result()
    };
    if proof == Proof::Certificates {
        once()?;
    }
    once()
}

fn configure(stations: usize, proof: Proof) -> Result<String> {
    let file = |name: &str| folder().join(name).display().to_string();
    let (root, certificate, key) = (file("herd-root.pem"), file("certificate.pem"), file("key.pem"));
    let hash = match proof {
        Proof::Passwords => {
            let hash = output(
                Command::new(csms()).arg("hash-password").arg("--file").arg(folder().join("herd-password")),
            )?;
            format!("password_hash = \"{}\"\n", hash.trim())
        }
        Proof::Handshakes | Proof::Certificates => String::new(),
    };
    let mut text = format!(
        "directory = \"data\"\norganization = \"Bench CSO\"\n[listen]\naddress = \"0.0.0.0:0\"\npath = \"/\"\n\
         [ca]\ncertificate_file = \"{root}\"\n[ca.external]\ncommand = [\"/bin/false\"]\ndeadline_hours = 1\n\
         [tls]\nkey_file = \"{key}\"\ncertificate_file = \"{certificate}\"\nclient_roots_file = \"{root}\"\n"
    );
    for number in 0..stations {
        write!(text, "[[station]]\nidentity = \"CS{number:05}\"\nserial_number = \"CS{number:05}\"\n{hash}")?;
    }
    Ok(text)
}

fn over_time(result: &Value) -> String {
    let points = result["booted_over_time"].as_array().into_iter().flatten();
    points.map(|point| format!("{}: {}", point[0], point[1])).collect::<Vec<_>>().join(", ")
}

fn csms() -> std::path::PathBuf {
    crate::workspace::target().join("release/ocpp-csms")
}

/// The password of the generator's stations.
const PASSWORD: &str = "0123456789abcdef";

/// In seconds: a station that waits as long as the service does, and one that gives up early.
const PATIENT: u64 = 60;
const IMPATIENT: u64 = 5;

/// Seconds until the next attempt.
const RETRY: &str = "5";

/// Enough to measure the time of one hash.
const HASHES: u32 = 20;

/// The whole service, with all stations connected.
const MOST_MIB: f64 = 512.0;

/// The handshakes of refused stations cost time too.
const MOST_PASSWORD_RATIO: f64 = 1.5;

/// Beyond the handshake: the path, the ledger, the boot.
const MOST_CERTIFICATE_RATIO: f64 = 4.0;
