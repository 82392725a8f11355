//! Runs every test with a real token and a real peer at hand.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::{
    node, python, softhsm,
    workspace::{cargo, on_path, run, target},
};

/// Options of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct TestArguments {
    /// What nextest (or cargo test) shall run, as its own arguments: `cargo xtask test -- -p station-store`
    #[arg(last = true)]
    runner: Vec<String>,
}

/// `cargo xtask test`: provisions SoftHSM and the peers in Python and JavaScript, then runs doctests and tests.
pub(crate) fn run_command(arguments: &TestArguments) -> Result<()> {
    for (program, what, package) in [
        ("openssl", "judges the certificates and the TLS of the CSMS", "openssl"),
        ("pkg-config", "finds the OpenSSL that the CSMS's second TLS is built on", "pkg-config libssl-dev"),
        ("testssl", "knows the weaknesses of TLS", "testssl.sh"),
    ] {
        if !on_path(program) {
            bail!("{program} is missing, which {what}; install it: `sudo apt-get install {package}`");
        }
    }
    let module = softhsm::module()?;
    let tokens = TokenFolder::create()?;
    let configuration = softhsm::configure(&target().join("softhsm/test"), &tokens.path())?;
    let python = python::environment()?;
    let node_modules = node::modules()?;
    let cargo = || {
        let mut command = cargo();
        command
            .env("PKCS11_MODULE", &module)
            .env("SOFTHSM2_CONF", &configuration)
            .env("OCPP_PYTHON", &python)
            .env("OCPP_NODE_MODULES", &node_modules);
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
        runner.arg("test");
    }
    if !filtered {
        runner.args(["--workspace", "--all-targets"]);
    }
    run(runner.args(&arguments.runner))
}

/// The folder of the tests' tokens, in memory where the system has such a place: SoftHSM writes a key in a hundred
/// times the time on a disk. Removed at the end.
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
