//! Runs every test with a real token and a real peer.

use std::{ffi::OsString, path::PathBuf, process::Command};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{
    node, python,
    requirements::{self, Missing, Use},
    softhsm,
    workspace::{cargo, on_path, output, run, target},
};

/// Options of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct TestArguments {
    /// First install what the system lacks with its package manager: as root directly, else by sudo
    #[arg(long)]
    install: bool,
    /// Leave out tests that need what is missing; their names and the reason are printed at the end
    #[arg(long, conflicts_with = "install")]
    skip_missing: bool,
    /// Arguments for nextest (or cargo test): `cargo xtask test -- -p station-store`
    #[arg(last = true)]
    runner: Vec<String>,
}

/// `cargo xtask test`: provides SoftHSM and the peers in Python and JavaScript, then runs doctests
/// and tests.
pub(crate) fn run_command(arguments: &TestArguments) -> Result<()> {
    let left_out = if arguments.skip_missing {
        LeftOut::find()?
    } else {
        let on_missing = if arguments.install { Missing::Install } else { Missing::Report };
        requirements::provide(Use::Test, on_missing)?;
        LeftOut::default()
    };
    let tokens = TokenFolder::create()?;
    let environment = environment(&tokens, &left_out)?;
    let cargo = || {
        let mut command = cargo();
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command
    };
    let filtered = !arguments.runner.is_empty();
    if !filtered {
        run(cargo().args(["test", "--quiet", "--workspace", "--doc"]))?;
        // The tests of one package start the programs of another.
        run(cargo().args(["build", "--workspace", "--bins"]))?;
    }
    let mut runner = cargo();
    if on_path("cargo-nextest") {
        runner.args(["nextest", "run"]);
    } else {
        // As with nextest: one failure hides no other.
        runner.args(["test", "--no-fail-fast"]);
    }
    if !filtered {
        runner.args(["--workspace", "--all-targets"]);
    }
    if let Some(filter) = left_out.filter() {
        runner.args(["--filterset", &format!("not ({filter})")]);
    }
    run(runner.args(&arguments.runner))?;
    left_out.print(cargo())
}

/// The environment variables of the tests.
fn environment(tokens: &TokenFolder, left_out: &LeftOut) -> Result<Vec<(&'static str, OsString)>> {
    let configuration = softhsm::configure(&target().join("softhsm/test"), &tokens.path())?;
    let mut environment = vec![
        ("PKCS11_MODULE", softhsm::module()?.into()),
        ("SOFTHSM2_CONF", configuration.into()),
        ("OCPP_PYTHON", python::environment()?.into()),
    ];
    if !left_out.names.iter().any(|name| ["Node.js", "npm"].contains(name)) {
        environment.push(("OCPP_NODE_MODULES", node::modules()?.into()));
    }
    Ok(environment)
}

/// The tests that are not run, because the system lacks their requirements.
#[derive(Default)]
struct LeftOut {
    /// The missing requirements.
    names: Vec<&'static str>,
    /// The tests that need them, as filters of nextest.
    filters: Vec<&'static str>,
}

impl LeftOut {
    fn find() -> Result<Self> {
        let mut left_out = Self::default();
        for (name, filter) in requirements::missing_for_tests() {
            let Some(filter) = filter else {
                bail!(
                    "{name} is missing, without which no test can be run; `cargo xtask requirements` names the package"
                );
            };
            left_out.names.push(name);
            if !left_out.filters.contains(&filter) {
                left_out.filters.push(filter);
            }
        }
        if !left_out.names.is_empty() && !on_path("cargo-nextest") {
            bail!(
                "tests are left out by cargo-nextest, which is missing; `cargo install --locked cargo-nextest` installs it"
            );
        }
        Ok(left_out)
    }

    fn filter(&self) -> Option<String> {
        let filters = self.filters.iter().map(|filter| format!("({filter})"));
        (!self.filters.is_empty()).then(|| filters.collect::<Vec<_>>().join(" or "))
    }

    /// Prints which tests were not run, and how many.
    fn print(&self, mut cargo: Command) -> Result<()> {
        let Some(filter) = self.filter() else { return Ok(()) };
        let list = ["nextest", "list", "--workspace", "--all-targets", "--message-format", "json"];
        let list = output(cargo.args(list).args(["--filterset", &filter]))?;
        let list: Value = serde_json::from_str(&list).context("cargo nextest list printed no JSON")?;
        let mut tests = Vec::new();
        for suite in list["rust-suites"].as_object().into_iter().flat_map(|suites| suites.values()) {
            for (name, test) in suite["testcases"].as_object().into_iter().flatten() {
                if test["filter-match"]["status"] == "matches" {
                    tests.push(format!("  {} {name}", suite["package-name"].as_str().unwrap_or_default()));
                }
            }
        }
        println!("\nNot run: {} tests, because this system lacks {}:", tests.len(), self.names.join(", "));
        println!("{}", tests.join("\n"));
        Ok(())
    }
}

/// The folder of the tests' tokens, in memory if the system has such a place: on a disk SoftHSM
/// takes a hundred times as long to write a key. Removed at the end.
struct TokenFolder(tempfile::TempDir);

impl TokenFolder {
    fn create() -> Result<Self> {
        let memory = PathBuf::from("/dev/shm");
        let parent = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let folder = tempfile::Builder::new().prefix("ocpp-tokens-").tempdir_in(&parent);
        Ok(Self(folder.with_context(|| format!("cannot make a folder in {}", parent.display()))?))
    }

    fn path(&self) -> PathBuf {
        self.0.path().to_path_buf()
    }
}
