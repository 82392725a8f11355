//! The speed of the types, compared with other crates and hand-written structs.

use std::{collections::BTreeMap, path::PathBuf, process::Command};

use anyhow::{Context as _, Result, ensure};

use super::{
    cost,
    report::{Figure, median, number, print_figures, print_table},
};
use crate::workspace::{cargo, output, root, run, target};

/// Options of `cargo xtask bench types`.
#[derive(clap::Args)]
pub(crate) struct TypesArguments {
    /// Print one line of JSON per target instead of tables
    #[arg(long)]
    json: bool,
    /// How many times each contestant runs; they run in turn, so that the load of the machine
    /// affects all alike
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Measure decoding and encoding only, not the cost of building the types
    #[arg(long)]
    speed_only: bool,
}

/// Measures and prints. A missed target is not an error: a column of the table shows it.
pub(super) fn run_command(arguments: &TypesArguments) -> Result<()> {
    ensure!(arguments.rounds > 0, "--rounds has to be at least 1");
    let rounds = measure(arguments.rounds)?;
    let mut figures = speed(&rounds)?;
    if !arguments.json {
        print_medians(&rounds);
    }
    if !arguments.speed_only {
        let costs = cost::measure(&workspace(), &target_folder())?;
        if !arguments.json {
            print_table(&costs.table);
        }
        figures.extend(costs.figures);
    }
    if arguments.json {
        figures.iter().for_each(|figure| println!("{}", figure.json()));
    } else {
        print_figures(&figures);
    }
    Ok(())
}

/// The programs of `bench/types/contestants`. The first two are ours: through our own `decode` and
/// `encode`, and through serde_json.
const CONTESTANTS: &[&str] =
    &["ours", "ours-serde-json", "handwritten", "published", "codetics", "rust-ocpp"];

/// The contestants that ours is compared with.
const PEERS: &[&str] = &["handwritten", "published", "codetics", "rust-ocpp"];

/// The folder of the contestants' workspace.
fn workspace() -> PathBuf {
    root().join("bench/types")
}

/// The folder into which the contestants are built.
fn target_folder() -> PathBuf {
    target().join("bench-types")
}

/// The output of one contestant in one round: nanoseconds by payload and direction.
type Times = BTreeMap<(String, String), f64>;

/// Times by contestant, one map per round.
type Rounds = Vec<BTreeMap<&'static str, Times>>;

fn measure(rounds: usize) -> Result<Rounds> {
    for contestant in CONTESTANTS {
        eprintln!("building contestant {contestant}");
        // One by one: in a common build, a feature of serde_json that one of them enables would
        // slow all of them down.
        let mut build = cargo();
        build.current_dir(workspace()).env("CARGO_TARGET_DIR", target_folder());
        build.args(["build", "--quiet", "--release", "--package"]);
        run(build.arg(format!("contestant-{contestant}")))?;
    }
    (1..=rounds)
        .map(|round| {
            eprintln!("round {round} of {rounds}");
            CONTESTANTS.iter().map(|contestant| Ok((*contestant, times(contestant)?))).collect()
        })
        .collect()
}

fn times(contestant: &str) -> Result<Times> {
    let program = target_folder().join("release").join(format!("contestant-{contestant}"));
    let text = output(&mut Command::new(program))?;
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let (payload, direction, time) = (words.next()?, words.next()?, words.next()?);
        Some(((payload.to_owned(), direction.to_owned()), time.parse().ok()?))
    };
    text.lines().map(|text| line(text).with_context(|| format!("{contestant} printed {text:?}"))).collect()
}

/// One figure per payload and direction: ours against the fastest of the others.
fn speed(rounds: &Rounds) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for key in keys(rounds) {
        let peers = PEERS.iter().map(|peer| (*peer, over_rounds(rounds, peer, &key)));
        let (fastest, _) = peers
            .min_by(|(_, one), (_, other)| one.total_cmp(other))
            .context("there are no other contestants")?;
        let ratio = median(rounds.iter().map(|round| round["ours"][&key] / round[fastest][&key]).collect());
        let (payload, direction) = &key;
        let most = if direction == "decode" { MOST_DECODE_RATIO } else { MOST_ENCODE_RATIO };
        let value = over_rounds(rounds, "ours", &key);
        figures.push(Figure::relative(format!("{direction} {payload}"), value, "ns", fastest, ratio, most));
    }
    Ok(figures)
}

fn print_medians(rounds: &Rounds) {
    let mut heading = vec!["median (ratio to ours)".to_owned()];
    heading.extend(CONTESTANTS.iter().map(|contestant| (*contestant).to_owned()));
    let mut rows = vec![heading];
    for key in keys(rounds) {
        let mut row = vec![format!("{} {}", key.1, key.0)];
        let ours = over_rounds(rounds, "ours", &key);
        for contestant in CONTESTANTS {
            let time = over_rounds(rounds, contestant, &key);
            row.push(format!("{} ({:.2})", number(time, "ns"), time / ours));
        }
        rows.push(row);
    }
    print_table(&rows);
}

fn keys(rounds: &Rounds) -> Vec<(String, String)> {
    rounds.first().map(|round| round["ours"].keys().cloned().collect()).unwrap_or_default()
}

fn over_rounds(rounds: &Rounds, contestant: &str, key: &(String, String)) -> f64 {
    median(rounds.iter().map(|round| round[contestant][key]).collect())
}

/// Decoding with all checks, compared with the fastest contestant without checks.
const MOST_DECODE_RATIO: f64 = 1.05;

/// Encoding checks nothing.
const MOST_ENCODE_RATIO: f64 = 1.0;
