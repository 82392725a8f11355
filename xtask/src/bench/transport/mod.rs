//! The cost of connections and calls in our server and in others, under the same load.

mod herd;
mod samples;
mod server;

use std::fs;

use anyhow::{Context as _, Result, ensure};

use self::{
    herd::Herds,
    samples::Samples,
    server::{Contestant, Link, Programs, value},
};
use super::report::{Figure, Tables, print_figures, print_table};

/// Options of `cargo xtask bench transport`.
///
/// Needs Node with npm, Python with venv, OpenSSL, Linux (`/proc`), and an open file per connection
/// in the server and in the generator. For all 20,000 connections in one server `ulimit -n` must
/// permit 20,300; otherwise a second server takes the rest. A full run takes half an hour.
#[derive(clap::Args)]
pub(crate) struct TransportArguments {
    /// Print one line of JSON per target instead of tables
    #[arg(long)]
    json: bool,
    /// How many times each server is measured; they are measured in turn, so that the load of the
    /// machine affects all alike
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Use few connections and little time: this only shows that all measurements run
    #[arg(long)]
    quick: bool,
    /// Measure only quantities with this word in the name: calls, idle, held, latency, herd
    #[arg(long)]
    only: Option<String>,
}

/// The amount of load.
struct Scale {
    rounds: usize,
    connections: [usize; 3],
    seconds: f64,
    idle: usize,
    held: usize,
    neighbours: usize,
    latency_seconds: f64,
    herds: Herds,
}

/// Measures and prints. A missed target is not an error: a column of the table shows it.
pub(super) fn run_command(arguments: &TransportArguments) -> Result<()> {
    ensure!(arguments.rounds > 0, "--rounds has to be at least 1");
    let scale = if arguments.quick { Scale::quick() } else { Scale::full(arguments.rounds) };
    let programs = Programs::prepare()?;
    let mut figures = Vec::new();
    let mut tables = Vec::new();
    let wanted = |name: &str| arguments.only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    if wanted("calls") {
        calls(&programs, &scale, &mut figures, &mut tables)?;
    }
    if wanted("idle") {
        idle(&programs, &scale, &mut figures, &mut tables)?;
    }
    if wanted("held") {
        figures.push(held(&programs, &scale)?);
    }
    if wanted("latency") {
        latency(&programs, &scale, &mut figures, &mut tables)?;
    }
    if wanted("herd") {
        herd::measure(&scale.herds, &mut figures, &mut tables)?;
    }
    if arguments.json {
        figures.iter().for_each(|figure| println!("{}", figure.json()));
    } else {
        tables.iter().for_each(|table| print_table(table));
        print_figures(&figures);
    }
    Ok(())
}

impl Scale {
    fn full(rounds: usize) -> Self {
        Self {
            rounds,
            connections: [1, 100, 5000],
            seconds: 2.0,
            idle: 5000,
            held: 20_000,
            neighbours: 100,
            latency_seconds: 5.0,
            herds: Herds { sizes: &[2_000, 5_000], limit_seconds: 600 },
        }
    }

    fn quick() -> Self {
        Self {
            rounds: 1,
            connections: [1, 10, 200],
            seconds: 0.3,
            idle: 300,
            held: 600,
            neighbours: 20,
            latency_seconds: 1.0,
            herds: Herds { sizes: &[200], limit_seconds: 120 },
        }
    }
}

/// Processor time per call, and calls per second.
fn calls(programs: &Programs, scale: &Scale, figures: &mut Vec<Figure>, tables: &mut Tables) -> Result<()> {
    let (mut cpu, mut rate) = (Samples::default(), Samples::default());
    let name = |action: &str, connections: usize| format!("{action}, {connections} connections");
    // The same processes in all rounds, so that just-in-time compilers have finished.
    let servers: Vec<_> =
        Contestant::ALL.iter().map(|one| programs.start(*one, Link::Plain)).collect::<Result<_>>()?;
    for round in 1..=scale.rounds {
        for connections in scale.connections {
            for server in &servers {
                eprintln!(
                    "calls, round {round} of {}: {}, {connections} connections",
                    scale.rounds,
                    server.contestant.name()
                );
                let options = [
                    ("connections", connections.to_string()),
                    ("seconds", scale.seconds.to_string()),
                    ("warm-up", (scale.seconds / 4.0).to_string()),
                ];
                let result = server.measure("calls", &options)?;
                for action in ACTIONS {
                    let name = name(action, connections);
                    cpu.add(&name, server.contestant, value(&result[action], "cpu_us")?);
                    rate.add(&name, server.contestant, value(&result[action], "per_second")?);
                }
            }
        }
    }
    let names =
        || ACTIONS.iter().flat_map(|action| scale.connections.map(|connections| name(action, connections)));
    let rows = |unit| names().map(|name| (name, unit)).collect::<Vec<_>>();
    tables.push(cpu.table("CPU of the server per call", &rows("µs")));
    tables.push(rate.table("calls per second", &rows("")));
    for name in names() {
        for (other, most) in CALL_TARGETS {
            let value = cpu.median(&name, Contestant::Ours);
            let (name, ratio) = (format!("CPU per {name}"), cpu.ratio(&name, *other));
            figures.push(Figure::relative(name, value, "µs", other.name(), ratio, *most));
        }
    }
    Ok(())
}

/// The cost of accepting many connections at once, and of holding them.
fn idle(programs: &Programs, scale: &Scale, figures: &mut Vec<Figure>, tables: &mut Tables) -> Result<()> {
    let (mut storm, mut memory) = (Samples::default(), Samples::default());
    let links = [(Link::Plain, "plain", MOST_PLAIN_KIB), (Link::Tls, "TLS", MOST_TLS_KIB)];
    for round in 1..=scale.rounds.min(IDLE_ROUNDS) {
        for (link, name, _) in links {
            for contestant in Contestant::ALL {
                eprintln!("idle, round {round}: {}, {} {name} connections", contestant.name(), scale.idle);
                let server = programs.start(contestant, link)?;
                let result = server.measure("idle", &[("connections", scale.idle.to_string())])?;
                let kib = value(&result, "bytes_per_connection")? / 1024.0;
                memory.add(&format!("{name} connection"), contestant, kib);
                storm.add(&format!("{name}: time"), contestant, value(&result, "seconds")?);
                storm.add(&format!("{name}: CPU"), contestant, value(&result, "cpu_seconds")?);
            }
        }
    }
    let title = format!("{} connections at once", scale.idle);
    let rows =
        links.iter().flat_map(|(_, name, _)| ["time", "CPU"].map(|what| (format!("{name}: {what}"), "s")));
    tables.push(storm.table(&title, &rows.collect::<Vec<_>>()));
    let rows: Vec<_> = links.iter().map(|(_, name, _)| (format!("{name} connection"), "KiB")).collect();
    tables.push(memory.table("resident memory per idle", &rows));
    for (_, name, most) in links {
        let name = format!("{name} connection");
        let value = memory.median(&name, Contestant::Ours);
        figures.push(Figure::absolute(&format!("memory per idle {name}"), value, "KiB", most));
    }
    Ok(())
}

/// Connections that are open at the same time. All of them answer afterwards.
fn held(programs: &Programs, scale: &Scale) -> Result<Figure> {
    let room = open_files()?.saturating_sub(SPARE_FILES);
    ensure!(room > 0, "`ulimit -n` permits too few open files");
    let (mut pairs, mut left) = (Vec::new(), scale.held);
    while left > 0 {
        let count = left.min(room);
        eprintln!("held: {count} TLS connections in server {}", pairs.len() + 1);
        let server = programs.start(Contestant::Ours, Link::Tls)?;
        let mut generator = server.load("idle", &[("connections", count.to_string())])?;
        generator.result()?;
        pairs.push((server, generator));
        left -= count;
    }
    let mut answered = 0.0;
    for (_, generator) in &mut pairs {
        generator.resume()?;
        answered += value(&generator.result()?, "answered")?;
    }
    let name = match pairs.len() {
        1 => "idle TLS connections held".to_owned(),
        servers => format!("idle TLS connections held, by {servers} servers because of `ulimit -n`"),
    };
    #[allow(clippy::cast_precision_loss, reason = "far fewer than 2^53")]
    Ok(Figure::at_least(&name, answered, "", scale.held as f64))
}

/// How long well-behaved stations wait while one peer misbehaves.
fn latency(programs: &Programs, scale: &Scale, figures: &mut Vec<Figure>, tables: &mut Tables) -> Result<()> {
    let mut p99: Vec<(Option<&str>, Vec<f64>)> = std::iter::once(None)
        .chain(ATTACKS.iter().map(|(kind, _)| Some(*kind)))
        .map(|kind| (kind, vec![]))
        .collect();
    let server = programs.start_limited()?;
    for round in 1..=scale.rounds {
        for (attack, samples) in &mut p99 {
            eprintln!(
                "latency, round {round} of {}: {}",
                scale.rounds,
                attack.unwrap_or("no peer misbehaves")
            );
            let mut attacker =
                attack.map(|kind| server.load("attack", &[("kind", kind.to_owned())])).transpose()?;
            if let Some(attacker) = &mut attacker {
                attacker.result()?;
            }
            let options = [
                ("connections", scale.neighbours.to_string()),
                ("seconds", scale.latency_seconds.to_string()),
            ];
            samples.push(value(&server.measure("latency", &options)?, "p99_us")?);
        }
    }
    let (quiet, attacked) = p99.split_first().context("there is a round without attack")?;
    let mut table = vec![vec![format!("p99 of {} stations", scale.neighbours), "ours".to_owned()]];
    let title = |kind: Option<&str>| {
        ATTACKS.iter().find(|(name, _)| Some(*name) == kind).map_or("no peer misbehaves", |(_, title)| title)
    };
    for (kind, samples) in &p99 {
        let value = super::report::median(samples.clone());
        table.push(vec![title(*kind).to_owned(), super::report::number(value, "µs")]);
    }
    tables.push(table);
    for (kind, samples) in attacked {
        let ratios = samples.iter().zip(&quiet.1).map(|(with, without)| with / without).collect();
        let (value, ratio) = (super::report::median(samples.clone()), super::report::median(ratios));
        let name = format!("p99 of others while {}", title(*kind));
        figures.push(Figure::relative(name, value, "µs", "no peer misbehaves", ratio, MOST_LATENCY_RATIO));
    }
    Ok(())
}

/// The maximum number of files that a process may have open on this machine.
fn open_files() -> Result<usize> {
    let limits = fs::read_to_string("/proc/self/limits").context("cannot read /proc/self/limits")?;
    let line =
        limits.lines().find(|line| line.starts_with("Max open files")).context("no limit of open files")?;
    let hard = line.split_whitespace().nth(4).context("no hard limit of open files")?;
    Ok(hard.parse().unwrap_or(usize::MAX))
}

const ACTIONS: [&str; 2] = ["Heartbeat", "TransactionEvent"];

/// With all payload checks on: a third of Node, a tenth of Python, and half as much again as a
/// server that does nothing.
const CALL_TARGETS: &[(Contestant, f64)] =
    &[(Contestant::Echo, 1.5), (Contestant::Node, 0.333), (Contestant::Python, 0.1)];

const ATTACKS: &[(&str, &str)] = &[
    ("flood", "one peer floods"),
    ("slow-bytes", "one peer sends slow bytes"),
    ("largest-frame", "one peer sends the largest frame"),
];

const MOST_PLAIN_KIB: f64 = 8.0;
const MOST_TLS_KIB: f64 = 24.0;
const MOST_LATENCY_RATIO: f64 = 2.0;

/// Memory varies little from round to round.
const IDLE_ROUNDS: usize = 3;

/// Open files of a process that are not connections of stations, and the warm-up connections that
/// are still closing.
const SPARE_FILES: usize = 300;
