//! The cost of a certificate with the durable record, on SQLite and on PostgreSQL, compared with
//! the same certificate without a record.

use std::{collections::BTreeMap, path::PathBuf, process::Command};

use anyhow::{Context as _, Result, bail, ensure};

use super::report::{Figure, print_figures};
use crate::{
    requirements::{self, Missing, Use},
    softhsm,
    workspace::{cargo, output, root, run, target},
};

// A test starts it as well.
#[path = "../../../csms/src/ledger/io/test_server.rs"]
mod test_server;

/// Options of `cargo xtask bench csms`.
#[derive(clap::Args)]
pub(crate) struct CsmsArguments {
    /// Print one line of JSON per target instead of a table
    #[arg(long)]
    json: bool,
    /// How many times each contestant runs; they run in turn, and the median counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// Measures and prints. A missed target is not an error: a column of the table shows it.
pub(super) fn run_command(arguments: &CsmsArguments) -> Result<()> {
    ensure!(arguments.rounds > 0, "--rounds has to be at least 1");
    requirements::provide(Use::Bench, Missing::Report)?;
    let module = softhsm::module()?;
    let program = build()?;
    let folder = tempfile::tempdir().context("cannot make a folder for the ledger")?;
    let configuration = softhsm::configure(folder.path(), &folder.path().join("tokens"))?;
    // As it is delivered: durable at each commit.
    let server = test_server::PostgresServer::start_with(&[]);
    let mut command = Command::new(&program);
    command.env("PKCS11_MODULE", &module).env("SOFTHSM2_CONF", &configuration);
    command.arg(folder.path()).arg(server.database("ledger")).arg(arguments.rounds.to_string());
    let figures = targets(&read(&output(&mut command)?)?)?;
    match arguments.json {
        true => figures.iter().for_each(|figure| println!("{}", figure.json())),
        false => print_figures(&figures),
    }
    Ok(())
}

/// By the measured quantity and the record.
type Figures = BTreeMap<(String, String), f64>;

fn build() -> Result<PathBuf> {
    let built = target().join("bench-csms");
    let mut build = cargo();
    build.current_dir(root().join("bench/csms")).env("CARGO_TARGET_DIR", &built);
    run(build.args(["build", "--quiet", "--release", "--locked"]))?;
    Ok(built.join("release/bench-csms"))
}

fn read(text: &str) -> Result<Figures> {
    let lines = text.lines().map(|line| {
        let [what, record, value, _unit] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            bail!("the program printed {line:?}");
        };
        let value = value.parse().with_context(|| format!("the program printed {line:?}"))?;
        Ok(((what.to_owned(), record.to_owned()), value))
    });
    lines.collect()
}

fn targets(figures: &Figures) -> Result<Vec<Figure>> {
    let of = |stations: u32, record: &str| {
        let figure = figures.get(&(format!("issue-{stations}"), record.to_owned()));
        figure.copied().with_context(|| format!("no figure of {stations} stations and {record}"))
    };
    let mut targets = Vec::new();
    for stations in [8, 64] {
        let without = of(stations, "none")?;
        for (record, name) in [("sqlite", "SQLite"), ("postgres", "PostgreSQL")] {
            let value = of(stations, record)?;
            targets.push(Figure::relative(
                format!("a certificate on record in {name}, {stations} stations at once, CPU"),
                value,
                "us",
                "the same without a record",
                value / without,
                MAX_RATIO,
            ));
        }
    }
    Ok(targets)
}

/// What the durable record may cost.
const MAX_RATIO: f64 = 1.3;
