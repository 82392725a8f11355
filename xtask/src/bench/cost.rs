//! The cost of building the types.

use std::{collections::BTreeSet, fs, path::Path, process::Command, time::Instant};

use anyhow::{Context as _, Result};

use super::report::{Figure, number};
use crate::workspace::{cargo, output, quoted, root};

/// Figures with targets, and a table of all figures beside those of the peer.
pub(super) struct Costs {
    pub(super) figures: Vec<Figure>,
    pub(super) table: Vec<Vec<String>>,
}

/// Builds our types and those of the peer with the fastest clean build, and generates our types.
///
/// `workspace` is that of the peer. The build results are removed from `parent` again.
pub(super) fn measure(workspace: &Path, parent: &Path) -> Result<Costs> {
    let ours = build(&root(), "ocpp-types", parent)?;
    let peer = build(workspace, PEER, parent)?;
    let start = Instant::now();
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    output(Command::new(program).args(["regen", "--check"]))?;
    let regen = start.elapsed().as_secs_f64();
    let heading = ["cold release build", "CPU", "crates", "rlib"];
    let row = |name: &str, build: &Build| {
        vec![
            name.to_owned(),
            number(build.cpu_seconds, "s"),
            build.crates.to_string(),
            number(build.rlib_megabytes, "MB"),
        ]
    };
    let table = vec![heading.map(str::to_owned).to_vec(), row("ours", &ours), row(PEER, &peer)];
    let mut cpu = Figure::absolute("cold release build", ours.cpu_seconds, "CPU s", MOST_CPU_SECONDS);
    cpu.against = PEER.to_owned();
    cpu.ratio = Some(ours.cpu_seconds / peer.cpu_seconds);
    #[allow(clippy::cast_precision_loss, reason = "a few crates")]
    let crates = Figure::absolute("crates in the tree", ours.crates as f64, "crates", MOST_CRATES);
    let regen = Figure::absolute("cargo xtask regen", regen, "s", MOST_REGEN_SECONDS);
    Ok(Costs { figures: vec![cpu, crates, regen], table })
}

struct Build {
    cpu_seconds: f64,
    crates: usize,
    rlib_megabytes: f64,
}

/// Builds one package of a workspace into an empty folder.
fn build(workspace: &Path, package: &str, parent: &Path) -> Result<Build> {
    eprintln!("building {package} from nothing");
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    let folder = tempfile::tempdir_in(parent)
        .with_context(|| format!("cannot make a folder in {}", parent.display()))?;
    let mut build = cargo();
    build.args(["build", "--quiet", "--release", "--package", package]);
    // The shell's `times` reports the processor time of its commands: the second line is that of
    // its children.
    let mut shell = Command::new("sh");
    let command = std::iter::once(build.get_program()).chain(build.get_args());
    let command: Vec<_> = command.map(|word| quoted(&word.to_string_lossy())).collect();
    shell.args(["-c", &format!("{} >&2 && times", command.join(" "))]);
    shell.current_dir(workspace).env("CARGO_TARGET_DIR", folder.path());
    let times = output(&mut shell)?;
    let cpu_seconds = times
        .lines()
        .nth(1)
        .and_then(|line| line.split_whitespace().map(seconds).sum())
        .with_context(|| format!("`times` printed {times:?}"))?;
    Ok(Build {
        cpu_seconds,
        crates: crates(workspace, package)?,
        rlib_megabytes: rlib_megabytes(folder.path())?,
    })
}

/// Parses `1m2.34s`.
fn seconds(text: &str) -> Option<f64> {
    let (minutes, seconds) = text.strip_suffix('s')?.split_once('m')?;
    Some(minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?)
}

/// The number of packages that are compiled for it, including itself.
fn crates(workspace: &Path, package: &str) -> Result<usize> {
    let mut tree = cargo();
    tree.current_dir(workspace).args(["tree", "--package", package]);
    let text = output(tree.args(["--edges", "normal,build", "--prefix", "none", "--format", "{p}"]))?;
    let names = text.lines().map(|line| line.trim_end_matches(" (*)")).filter(|line| !line.is_empty());
    Ok(names.collect::<BTreeSet<_>>().len())
}

fn rlib_megabytes(folder: &Path) -> Result<f64> {
    let folder = folder.join("release/deps");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("libocpp_types-") && name.ends_with(".rlib") {
            #[allow(clippy::cast_precision_loss, reason = "files are smaller than 2^53 bytes")]
            return Ok(entry.metadata()?.len() as f64 / 1e6);
        }
    }
    anyhow::bail!("{} has no libocpp_types-*.rlib", folder.display())
}

/// The peer with the fastest build: the crate of the public registry that has our name.
const PEER: &str = "ocpp-types@0.3.0";

const MOST_CPU_SECONDS: f64 = 30.0;
const MOST_CRATES: f64 = 15.0;
/// Generation must take no noticeable time.
const MOST_REGEN_SECONDS: f64 = 10.0;

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn times_of_the_shell() {
        for (text, expected) in [("0m0.25s", Some(0.25)), ("1m2.50s", Some(62.5)), ("62.5", None), ("", None)]
        {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
