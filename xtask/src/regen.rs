//! `cargo xtask regen`: the schemas become the types, or are shown to have become them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, bail};
use codegen::{Source, edition::EDITIONS};

/// Options of `cargo xtask regen`.
#[derive(clap::Args)]
pub(crate) struct RegenArguments {
    /// Write nothing; print what would change, and fail if anything would
    #[arg(long)]
    check: bool,
}

/// Generates the types of every edition from `schemas/`.
///
/// # Errors
/// A schema that is not understood, a file that cannot be read or written, or, with `--check`, any difference.
pub(crate) fn run(arguments: RegenArguments) -> anyhow::Result<()> {
    let mut different = 0;
    for edition in EDITIONS {
        let start = Instant::now();
        let schemas = read_schemas(&repository().join("schemas").join(edition.module))?;
        let sources: Vec<_> = schemas.iter().map(|(name, text)| Source { name, text }).collect();
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
            schemas.len(),
            files.len(),
            start.elapsed().as_millis(),
            if arguments.check { "differ" } else { "written or removed" },
        );
        different += changed;
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
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
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
/// What the file system says, with the path.
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

/// Prints the lines between the common beginning and the common end of two texts.
fn print_difference(path: &Path, present: &str, wanted: &str) {
    let (old, new): (Vec<_>, Vec<_>) = (present.lines().collect(), wanted.lines().collect());
    let start = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let tail = old
        .iter()
        .skip(start)
        .rev()
        .zip(new.iter().skip(start).rev())
        .take_while(|(old, new)| old == new)
        .count();
    println!("--- {}\n+++ the schemas give\n@@ line {} @@", path.display(), start + 1);
    for (sign, lines) in [('-', &old), ('+', &new)] {
        let lines: Vec<_> = lines.iter().take(lines.len() - tail).skip(start).collect();
        for line in lines.iter().take(DIFFERENCE_LINES) {
            println!("{sign}{line}");
        }
        if lines.len() > DIFFERENCE_LINES {
            println!("{sign}… {} more lines", lines.len() - DIFFERENCE_LINES);
        }
    }
}

/// Lines of one side of a difference that are worth printing: the length of a screen.
const DIFFERENCE_LINES: usize = 40;
