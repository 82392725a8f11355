//! Runs a fuzz target on the toolchain that the project is built with.
//!
//! libFuzzer requires that the compiler counts which code is reached. Options of stable rustc
//! provide the passes for that. Only the sanitizers, which find misuse of memory in unsafe code,
//! are not stable, and the project has no unsafe code.

use std::{
    collections::BTreeMap,
    fs,
    num::NonZero,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
    thread::{self, available_parallelism},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    requirements::{self, Missing, Use},
    workspace::{cargo, output, root, run, target},
};

/// Options of `cargo xtask fuzz`.
#[derive(clap::Args)]
pub(crate) struct FuzzArguments {
    /// The targets: names of files in a crate's `fuzz/fuzz_targets`. Without any, all of them, as
    /// many at once as the machine has processors
    targets: Vec<String>,
    /// For how long to search for new inputs in each target, after the whole corpus was run
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Run the same inputs in the same order as before, if corpus and code are the same
    #[arg(long)]
    seed: Option<u32>,
    /// Write inputs that reach new code into the committed corpus, the smallest for each
    #[arg(long)]
    grow_corpus: bool,
}

/// `cargo xtask fuzz`: fails if an input breaks a target, and reports where the input is kept.
pub(crate) fn run_command(arguments: &FuzzArguments) -> Result<()> {
    requirements::provide(Use::Fuzz, Missing::Report)?;
    let known = known_targets()?;
    let names = if arguments.targets.is_empty() {
        known.keys().cloned().collect()
    } else {
        arguments.targets.clone()
    };
    let mut waiting = Vec::new();
    for name in names {
        let Some(folder) = known.get(&name) else {
            let known = known.keys().map(String::as_str).collect::<Vec<_>>();
            bail!("there is no fuzz target {name}; there are: {}", known.join(", "));
        };
        waiting.push((name, folder));
    }
    // The last one is taken first.
    waiting.reverse();
    let waiting = Mutex::new(waiting);
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let fuzz_all = || {
        while let Some((name, folder)) = next() {
            eprintln!("fuzzing {name} for {} s", arguments.seconds);
            fuzz(&name, folder, arguments)?;
        }
        Ok(())
    };
    // A fuzzer has one thread. While one builds, which the lock of cargo's folder makes one at a
    // time, others look for inputs.
    let workers = available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(fuzz_all)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("a worker does not panic"))
    })
}

/// Builds one target of a fuzz crate and runs it.
fn fuzz(name: &str, folder: &Path, arguments: &FuzzArguments) -> Result<()> {
    let host = host()?;
    let built = target().join("fuzz");
    let mut build = cargo();
    build.current_dir(folder).env("CARGO_TARGET_DIR", &built);
    build.env("CARGO_ENCODED_RUSTFLAGS", COVERAGE.join("\u{1f}"));
    // With an explicit `--target`, build scripts are built without the counters.
    build.args(["build", "--quiet", "--release", "--target", &host, "--bin", name]);
    run(&mut build).context("the fuzz target could not be built; is the crate registry reachable?")?;

    let corpus = folder.join("corpus").join(name);
    let found = make(built.join("corpus").join(name))?;
    let artifacts = make(built.join("artifacts").join(name))?;
    let program = built.join(&host).join("release").join(name);
    let fuzzer = || {
        let mut fuzzer = Command::new(&program);
        fuzzer.arg(format!("-artifact_prefix={}/", artifacts.display()));
        fuzzer.args([format!("-timeout={TIMEOUT_SECONDS}"), format!("-rss_limit_mb={MEMORY_MEGABYTES}")]);
        fuzzer
    };
    let mut search = fuzzer();
    search.args([format!("-max_total_time={}", arguments.seconds), "-verbosity=0".to_owned()]);
    search.arg("-print_final_stats=1");
    if let Some(seed) = arguments.seed {
        search.arg(format!("-seed={seed}"));
    }
    // New inputs go into the first folder.
    run(search.args([&found, &corpus])).with_context(|| {
        format!(
            "an input in {} breaks the target; fix the code, then move the input to {}",
            artifacts.display(),
            corpus.display()
        )
    })?;
    if arguments.grow_corpus {
        run(fuzzer().arg("-merge=1").args([&corpus, &found]))?;
    }
    Ok(())
}

/// Each fuzz target by name, with the fuzz crate that it is in.
fn known_targets() -> Result<BTreeMap<String, PathBuf>> {
    let mut known = BTreeMap::new();
    for entry in fs::read_dir(root()).context("cannot list the checkout")? {
        let folder = entry.context("cannot list the checkout")?.path().join("fuzz");
        let Ok(targets) = fs::read_dir(folder.join("fuzz_targets")) else { continue };
        for file in targets {
            let file = file.with_context(|| format!("cannot list {}", folder.display()))?.path();
            let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if let Some(other) = known.insert(name.clone(), folder.clone()) {
                bail!("{} and {} both have a fuzz target {name}", other.display(), folder.display());
            }
        }
    }
    Ok(known)
}

/// The platform that rustc builds for.
fn host() -> Result<String> {
    let text = output(Command::new("rustc").arg("-vV"))?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).with_context(|| format!("rustc -vV names no host: {text}"))
}

fn make(folder: PathBuf) -> Result<PathBuf> {
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

/// The options that make rustc count: one counter per edge, a table of the places, and the operands
/// of comparisons.
const COVERAGE: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "--cfg=fuzzing",
];

/// An input that takes longer is a finding: no line of a few kilobytes needs a second.
const TIMEOUT_SECONDS: u32 = 5;

/// An input that takes more memory is a finding.
const MEMORY_MEGABYTES: u32 = 1024;
