//! The folders of the checkout, and how commands are run in it.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_path_buf()
}

/// The folder into which cargo builds. It contains everything that xtask creates.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// cargo: the program that has started this one.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).env("PATH", path());
    command
}

/// Runs a command to its end, with its output shown.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let text = shown(command);
    let status = command.status().with_context(|| format!("cannot start `{text}`"))?;
    if !status.success() {
        bail!("`{text}` ended with {status}");
    }
    Ok(())
}

/// Runs a command to its end and returns its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let text = shown(command);
    let output = command.output().with_context(|| format!("cannot start `{text}`"))?;
    if !output.status.success() {
        bail!("`{text}` ended with {}\n{}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

/// Whether a program of this name can be started with [`path`].
pub(crate) fn on_path(program: &str) -> bool {
    std::env::split_paths(&path()).any(|dir| dir.join(program).is_file())
}

/// The PATH, with the folders of daemons behind it: Debian keeps them from the PATH of users.
pub(crate) fn path() -> OsString {
    with_daemons(std::env::var_os("PATH").unwrap_or_default())
}

fn with_daemons(mut path: OsString) -> OsString {
    for folder in ["/usr/local/sbin", "/usr/sbin", "/sbin"] {
        if !std::env::split_paths(&path).any(|known| known == Path::new(folder)) {
            path.push(if path.is_empty() { "" } else { ":" });
            path.push(folder);
        }
    }
    path
}

/// A word, quoted for a shell if necessary.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folders_of_daemons_are_searched_last() {
        let found = |path: &str| with_daemons(path.into()).into_string().expect("UTF-8");
        assert_eq!(found("/usr/bin:/usr/sbin"), "/usr/bin:/usr/sbin:/usr/local/sbin:/sbin");
        assert_eq!(found(""), "/usr/local/sbin:/usr/sbin:/sbin");
    }
}
