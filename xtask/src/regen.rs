//! `cargo xtask regen`: generates the types from the schemas, or checks that they were generated
//! from them.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, bail};
use codegen::{edition::EDITIONS, io::read_folder};

/// Options of `cargo xtask regen`.
#[derive(clap::Args)]
pub(crate) struct RegenArguments {
    /// Write nothing; print what would change, and fail if anything would
    #[arg(long)]
    check: bool,
}

/// Generates the types of every edition from `schemas/`, or from the folder that the variable
/// `OCPP_SCHEMAS` names.
///
/// # Errors
/// A schema that is not understood, a file that cannot be read or written, or, with `--check`, any
/// difference.
pub(crate) fn run(arguments: RegenArguments) -> anyhow::Result<()> {
    let folder = env::var_os("OCPP_SCHEMAS").map(PathBuf::from);
    let schemas = read_folder(folder.as_deref().unwrap_or(&repository().join("schemas")))?;
    let mut different = 0;
    for edition in EDITIONS {
        let start = Instant::now();
        let sources = codegen::of_edition(edition, &schemas);
        if sources.is_empty() && folder.is_some() {
            println!("{}: not in OCPP_SCHEMAS, left as it is", edition.title);
            continue;
        }
        let files = codegen::generate(edition, &sources)
            .with_context(|| format!("cannot generate the types of {}", edition.title))?;
        let target = repository().join("ocpp-types/src").join(edition.module).join("generated");
        let mut stray = existing(&target)?;
        let mut changed = 0;
        for file in &files {
            let path = target.join(&file.path);
            let present = stray.remove(&path);
            if present.as_deref() == Some(&file.text) {
                continue;
            }
            changed += 1;
            if arguments.check {
                print_difference(&path, present.as_deref().unwrap_or_default(), &file.text);
            } else {
                write(&path, &file.text)?;
            }
        }
        for (path, text) in &stray {
            changed += 1;
            if arguments.check {
                print_difference(path, text, "");
            } else {
                fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
            }
        }
        let lines: usize = files.iter().map(|file| file.text.lines().count()).sum();
        println!(
            "{}: {} schemas, {} files, {lines} lines, {} ms; {changed} {}",
            edition.title,
            sources.len(),
            files.len(),
            start.elapsed().as_millis(),
            if arguments.check { "differ" } else { "written or removed" },
        );
        different += changed;
    }
    if folder.is_some() && !arguments.check && different > 0 {
        println!(
            "the documentation now contains the prose of an official file: do not commit it (CC BY-ND 4.0); \
             `cargo xtask regen` without OCPP_SCHEMAS removes it"
        );
    }
    if arguments.check && different > 0 {
        bail!(
            "{different} generated files are not what the schemas give; run `cargo xtask regen` and commit the result"
        );
    }
    Ok(())
}

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_folder.parent().unwrap_or(crate_folder).to_owned()
}

/// The schema files of one edition by name.
///
/// # Errors
/// A folder or file that cannot be read.
pub(crate) fn read_schemas(folder: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut schemas = BTreeMap::new();
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("cannot list {}", folder.display()))?.path();
        let Some(name) =
            path.file_name().and_then(|name| name.to_str()).filter(|name| name.ends_with(".json"))
        else {
            continue;
        };
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        schemas.insert(name.to_owned(), text);
    }
    Ok(schemas)
}

/// Writes a file and the folders above it.
///
/// # Errors
/// The error of the file system, with the path.
pub(crate) fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// All files below a folder, which need not exist.
fn existing(folder: &Path) -> anyhow::Result<BTreeMap<PathBuf, String>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        if !folder.exists() {
            continue;
        }
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
            let path = entry.with_context(|| format!("cannot list {}", folder.display()))?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
                files.insert(path, String::from_utf8_lossy(&bytes).into_owned());
            }
        }
    }
    Ok(files)
}

/// Prints the lines to remove from a file and to add to it.
fn print_difference(path: &Path, present: &str, wanted: &str) {
    println!("--- {}\n+++ the schemas give", path.strip_prefix(repository()).unwrap_or(path).display());
    let lines = difference(present, wanted);
    for line in lines.iter().take(DIFFERENCE_LINES) {
        println!("{line}");
    }
    if lines.len() > DIFFERENCE_LINES {
        println!("… {} more lines", lines.len() - DIFFERENCE_LINES);
    }
}

/// The lines that differ, those of `old` with `-` and those of `new` with `+`, each group below its
/// line number in `old`.
fn difference(old: &str, new: &str) -> Vec<String> {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    // common[i][j]: the maximum number of lines, in order, that old[i..] and new[j..] share.
    let mut common = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = if old[i] == new[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut in_run) = (0, 0, false);
    let mut lines = Vec::new();
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j, in_run) = (i + 1, j + 1, false);
            continue;
        }
        if !in_run {
            lines.push(format!("@@ line {} @@", i + 1));
            in_run = true;
        }
        if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            lines.push(format!("-{}", old[i]));
            i += 1;
        } else {
            lines.push(format!("+{}", new[j]));
            j += 1;
        }
    }
    lines
}

/// The maximum number of printed lines of a difference: the length of a screen.
const DIFFERENCE_LINES: usize = 40;

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn differences() {
        for (old, new, expected) in [
            ("a\nb\nc", "a\nb\nc", vec![]),
            ("a\nb\nc", "a\nx\nc", vec!["@@ line 2 @@", "-b", "+x"]),
            ("a\nb\nc\nd", "b\nc\ne\nd", vec!["@@ line 1 @@", "-a", "@@ line 4 @@", "+e"]),
            ("", "a", vec!["@@ line 1 @@", "+a"]),
            ("a", "", vec!["@@ line 1 @@", "-a"]),
        ] {
            assert_eq!(difference(old, new), expected, "{old:?} {new:?}");
        }
    }
}
