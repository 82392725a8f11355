//! The cost of the store, compared with a bare write with fsync on the same disk and with a
//! directory of PEM files.

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result, ensure};

use super::report::{Figure, number, print_figures, print_table};
use crate::workspace::{cargo, output, root, run, target};

/// Options of `cargo xtask bench store`.
#[derive(clap::Args)]
pub(crate) struct StoreArguments {
    /// Print one line of JSON per target instead of tables
    #[arg(long)]
    json: bool,
    /// How many times each contestant runs; they run in turn, so that the load of the machine
    /// affects all alike
    #[arg(long, default_value_t = 200)]
    rounds: usize,
    /// Measure on the disk of this folder instead of the disk of the target folder
    #[arg(long)]
    folder: Option<PathBuf>,
}

/// Measures and prints. A missed target is not an error: a column of the table shows it.
pub(super) fn run_command(arguments: &StoreArguments) -> Result<()> {
    ensure!(arguments.rounds > 0, "--rounds has to be at least 1");
    let folder = arguments.folder.clone().unwrap_or_else(|| target().join("bench-store/data"));
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let program = build()?;
    let text = output(Command::new(&program).arg(&folder).arg(arguments.rounds.to_string()))?;
    let times = read(&text)?;
    let memory = output(Command::new(&program).arg("memory").arg(folder.join("store-200.redb")))?;
    let memory: f64 = memory.trim().parse().context("the program printed no number")?;
    let figures = figures(&times, memory)?;
    if arguments.json {
        figures.iter().for_each(|figure| println!("{}", figure.json()));
    } else {
        print_times(&times);
        print_figures(&figures);
    }
    Ok(())
}

/// Nanoseconds of each round, by the measured quantity and the contestant.
type Times = BTreeMap<(String, String), Vec<f64>>;

fn build() -> Result<PathBuf> {
    let built = target().join("bench-store");
    let mut build = cargo();
    build.current_dir(root().join("bench/store")).env("CARGO_TARGET_DIR", &built);
    run(build.args(["build", "--quiet", "--release", "--locked"]))?;
    Ok(built.join("release/bench-store"))
}

fn read(text: &str) -> Result<Times> {
    let mut times = Times::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some(what), Some(contestant), Some(time)) = (words.next(), words.next(), words.next()) else {
            anyhow::bail!("the program printed {line:?}");
        };
        let time = time.parse().with_context(|| format!("the program printed {line:?}"))?;
        times.entry((what.to_owned(), contestant.to_owned())).or_default().push(time);
    }
    Ok(times)
}

fn figures(times: &Times, memory: f64) -> Result<Vec<Figure>> {
    let rounds = |what: &str, contestant: &str| {
        let rounds = times.get(&(what.to_owned(), contestant.to_owned()));
        rounds.with_context(|| format!("no {what} of {contestant}"))
    };
    let median = |what, contestant| rounds(what, contestant).map(|rounds| quantile(rounds, 0.5));
    let bare = rounds("write-fsync", "bare")?;
    let mut figures = Vec::new();
    for what in ["install", "delete"] {
        // Round by round, because the speed of a disk changes from second to second.
        let ratios: Vec<f64> =
            rounds(what, "ours")?.iter().zip(bare).map(|(ours, bare)| ours / bare).collect();
        let (name, value) = (format!("{what} one, durably"), median(what, "ours")? / 1e3);
        let ratio = quantile(&ratios, 0.5);
        figures.push(Figure::relative(name, value, "us", "a bare write and fsync", ratio, 2.0));
    }
    figures.push(Figure::absolute("list 30 chains", median("list-30-chains", "ours")? / 1e3, "us", 100.0));
    figures.push(Figure::absolute("memory with 200 certificates", memory / 1024.0, "KiB", 4096.0));
    Ok(figures)
}

fn print_times(times: &Times) {
    let heading = ["", "contestant", "median", "90 %", "99 %"].map(str::to_owned).to_vec();
    let rows = times.iter().map(|((what, contestant), rounds)| {
        let mut row = vec![what.clone(), contestant.clone()];
        row.extend([0.5, 0.9, 0.99].map(|share| number(quantile(rounds, share) / 1e3, "us")));
        row
    });
    print_table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>());
}

/// The value that this share of the rounds does not reach.
fn quantile(rounds: &[f64], share: f64) -> f64 {
    let mut rounds = rounds.to_vec();
    rounds.sort_by(f64::total_cmp);
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index below the length of a list"
    )]
    let index = ((rounds.len().saturating_sub(1)) as f64 * share).round() as usize;
    rounds.get(index).copied().unwrap_or(f64::NAN)
}
