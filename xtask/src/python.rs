//! The Python environment with the independent OCPP implementation that the tests communicate with.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};

use crate::workspace::{output, root, target};

/// The interpreter of the environment, which is created at the first call and after each change of
/// the requirements.
pub(crate) fn environment() -> Result<PathBuf> {
    let folder = target().join("python");
    let python = folder.join("bin/python");
    let requirements = root().join("xtask/python/requirements.txt");
    let wanted = fs::read_to_string(&requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    let stamp = folder.join("installed-requirements.txt");
    if python.is_file() && fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    eprintln!("making the Python environment in {}", folder.display());
    output(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))
        .context("cannot make the environment of Python; see `cargo xtask requirements`")?;
    output(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(&requirements))
        .context("pip could not install the packages of xtask/python/requirements.txt; is the package index reachable?")?;
    fs::write(&stamp, wanted)?;
    Ok(python)
}

/// The interpreter, if the environment exists already.
pub(crate) fn existing() -> Option<PathBuf> {
    let python = target().join("python/bin/python");
    python.is_file().then_some(python)
}
