//! Finds SoftHSM, the PKCS #11 module that the tests and the demo use, or unpacks Debian's package
//! of it.
//!
//! Nothing is installed and no root is needed: the shared library alone is enough.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::workspace::{on_path, output, quoted, run, target};

/// Options of `cargo xtask softhsm`.
#[derive(clap::Args)]
pub(crate) struct SofthsmArguments {
    /// Print the environment for plain `cargo test` as shell exports: eval "$(cargo xtask softhsm
    /// --env)"
    #[arg(long)]
    env: bool,
}

/// `cargo xtask softhsm`: makes SoftHSM available and prints where it is.
pub(crate) fn run_command(arguments: &SofthsmArguments) -> Result<()> {
    let module = module()?;
    let configuration = configure(&target().join("softhsm/shell"), &target().join("softhsm/shell/tokens"))?;
    if arguments.env {
        println!("export PKCS11_MODULE={}", quoted(&module.to_string_lossy()));
        println!("export SOFTHSM2_CONF={}", quoted(&configuration.to_string_lossy()));
        if let Some(python) = crate::python::existing() {
            println!("export OCPP_PYTHON={}", quoted(&python.to_string_lossy()));
        }
        if let Some(modules) = crate::node::existing() {
            println!("export OCPP_NODE_MODULES={}", quoted(&modules.to_string_lossy()));
        }
    } else {
        println!("SoftHSM is {}", module.display());
        println!("Next: cargo xtask test, or eval \"$(cargo xtask softhsm --env)\" for plain cargo test");
    }
    Ok(())
}

/// Whether [`module`] can find or unpack it.
pub(crate) fn is_available() -> bool {
    std::env::var_os("PKCS11_MODULE").is_some()
        || SYSTEM_PATHS.iter().any(|path| Path::new(path).is_file())
        || (on_path("apt-get") && on_path("dpkg-deb"))
}

/// The path of SoftHSM's module: `PKCS11_MODULE`, the usual places of the system, or Debian's
/// package unpacked into the target folder.
pub(crate) fn module() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("PKCS11_MODULE") {
        let path = PathBuf::from(path);
        if path.is_file() {
            return Ok(path);
        }
        bail!("PKCS11_MODULE names {}, which is no file; unset it or name the module", path.display());
    }
    if let Some(path) = SYSTEM_PATHS.iter().map(Path::new).find(|path| path.is_file()) {
        return Ok(path.to_path_buf());
    }
    let unpacked = unpack("libsofthsm2")?;
    let path = unpacked.join("usr/lib/softhsm/libsofthsm2.so");
    if !path.is_file() {
        bail!("Debian's package does not hold {}; {INSTALL}", path.display());
    }
    Ok(path)
}

/// Writes SoftHSM's configuration into `folder`, with its tokens under `tokens`, and returns its
/// path.
pub(crate) fn configure(folder: &Path, tokens: &Path) -> Result<PathBuf> {
    for dir in [folder, tokens] {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    }
    let path = folder.join("softhsm2.conf");
    let text = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n",
        tokens.display()
    );
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Downloads a package of Debian with apt's own client, without installing it, and unpacks it.
fn unpack(package: &str) -> Result<PathBuf> {
    let folder = target().join("softhsm");
    let unpacked = folder.join("root");
    let stamp = unpacked.join(format!(".{package}"));
    if stamp.is_file() {
        return Ok(unpacked);
    }
    if !on_path("apt-get") || !on_path("dpkg-deb") {
        bail!("{INSTALL}");
    }
    let debs = folder.join("debs");
    fs::create_dir_all(&debs)?;
    eprintln!("unpacking {package} into {}", unpacked.display());
    if download(&debs, package, &[]).is_err() {
        // The package lists of the system are missing or old: create our own, which does not need
        // root.
        let apt = folder.join("apt");
        fs::create_dir_all(apt.join("lists/partial"))?;
        fs::create_dir_all(apt.join("cache/archives/partial"))?;
        let options = [
            "-o".to_owned(),
            format!("Dir::State::Lists={}", apt.join("lists").display()),
            "-o".to_owned(),
            format!("Dir::Cache={}", apt.join("cache").display()),
        ];
        output(Command::new("apt-get").args(&options).args(["-q", "update"])).context(INSTALL)?;
        download(&debs, package, &options).context(INSTALL)?;
    }
    let prefix = format!("{package}_");
    let deb = fs::read_dir(&debs)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix)))
        .with_context(|| format!("apt-get downloaded no {package}"))?;
    run(Command::new("dpkg-deb").arg("-x").arg(deb).arg(&unpacked))?;
    fs::write(stamp, "")?;
    Ok(unpacked)
}

fn download(debs: &Path, package: &str, options: &[String]) -> Result<String> {
    output(Command::new("apt-get").current_dir(debs).args(options).args(["-q", "download", package]))
}

/// What to type if SoftHSM cannot be provided automatically.
const INSTALL: &str = "SoftHSM is missing; install it: `sudo apt-get install softhsm2`, `sudo dnf install softhsm`, \
                       or `brew install softhsm`, or set PKCS11_MODULE to libsofthsm2.so";

/// The places of the module in several distributions.
const SYSTEM_PATHS: &[&str] = &[
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
    "/opt/local/lib/softhsm/libsofthsm2.so",
];
