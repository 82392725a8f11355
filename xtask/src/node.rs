//! The Node packages that the tests communicate with.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};

use crate::workspace::{output, root, target};

/// The folder `node_modules`, created at the first call and after each change of the lock file.
pub(crate) fn modules() -> Result<PathBuf> {
    let folder = target().join("node");
    let modules = folder.join("node_modules");
    let source = root().join("xtask/node");
    let read = |name: &str| {
        let path = source.join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let (package, lock) = (read("package.json")?, read("package-lock.json")?);
    let stamp = folder.join("installed-package-lock.json");
    if modules.is_dir() && fs::read_to_string(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(modules);
    }
    eprintln!("installing packages of Node in {}", folder.display());
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    fs::write(folder.join("package.json"), package)?;
    fs::write(folder.join("package-lock.json"), &lock)?;
    output(Command::new("npm").current_dir(&folder).args(["ci", "--no-audit", "--no-fund"]))
        .context("npm could not install the packages of xtask/node; is the package registry reachable?")?;
    fs::write(&stamp, lock)?;
    Ok(modules)
}

/// The folder, if it exists already.
pub(crate) fn existing() -> Option<PathBuf> {
    let modules = target().join("node/node_modules");
    modules.is_dir().then_some(modules)
}
