//! Why a module cannot be initialized, or does not show a token that exists.
//!
//! Modules report neither files that this user may not read nor a daemon that is down: SoftHSM
//! omits the token, others return a general error. So the requirements of the best known modules
//! are checked here.

use std::{
    env,
    fs::{self, File},
    io,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

/// Checks the requirements of the module in this file.
pub(crate) fn why_missing(module: &Path) -> String {
    let name = module.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let found = match () {
        () if name.contains("softhsm") => softhsm(),
        () if name.contains("opencryptoki") || name.contains("pkcs11_api") => opencryptoki(),
        () => None,
    };
    found.unwrap_or_else(|| {
        "a module also shows no token whose files this user may not read, or whose daemon does not run"
            .to_owned()
    })
}

/// The configuration of SoftHSM and the files of its tokens, which it reads and writes.
fn softhsm() -> Option<String> {
    let configuration = softhsm_configuration();
    let text = match fs::read_to_string(&configuration) {
        Ok(text) => text,
        Err(error) => {
            return Some(format!(
                "SoftHSM's configuration {} cannot be read ({error})",
                configuration.display()
            ));
        }
    };
    let value = |line: &str| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == "directories.tokendir").then(|| PathBuf::from(value.trim()))
    };
    let folder = text.lines().find_map(value)?;
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) => {
            return Some(format!("SoftHSM's token directory {} cannot be read ({error})", folder.display()));
        }
    };
    let tokens: Vec<_> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect();
    let opened = |folder: &PathBuf| File::options().read(true).write(true).open(folder.join("token.object"));
    let failed: Vec<_> = tokens.iter().filter_map(|folder| opened(folder).err()).collect();
    let first = failed.first()?;
    Some(format!(
        "{} of the {} tokens in SoftHSM's token directory {} cannot be read and written ({first}), so run as the user that owns them",
        failed.len(),
        tokens.len(),
        folder.display()
    ))
}

/// Where SoftHSM looks for it.
fn softhsm_configuration() -> PathBuf {
    if let Some(path) = env::var_os("SOFTHSM2_CONF") {
        return path.into();
    }
    let of_user = env::var_os("HOME").map(|home| Path::new(&home).join(".config/softhsm2/softhsm2.conf"));
    of_user.filter(|path| path.exists()).unwrap_or_else(|| "/etc/softhsm/softhsm2.conf".into())
}

/// The daemon of opencryptoki, and the group that may use it.
fn opencryptoki() -> Option<String> {
    let error = ["/run/pkcsslotd.socket", "/run/opencryptoki/pkcsslotd.socket"]
        .iter()
        .map(UnixStream::connect)
        .reduce(|first, second| match first {
            Err(error) if error.kind() == io::ErrorKind::NotFound => second,
            first => first,
        })?
        .err()?;
    Some(match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "this user may not use opencryptoki, so add it to the group pkcs11 (usermod -aG pkcs11 USER) and log in again"
                .to_owned()
        }
        _ => format!(
            "opencryptoki's daemon pkcsslotd does not run ({error}), so start it (systemctl start pkcsslotd)"
        ),
    })
}
