//! `cargo xtask schemas`: our schema files and the official download from which they are made.

use std::{
    collections::BTreeMap,
    fs,
    io::{Cursor, Read as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use codegen::{SchemaFile, Source, document, edition, official, pins::Pins};

use crate::regen::{read_schemas, repository, write};

/// Commands of `cargo xtask schemas`.
#[derive(clap::Subcommand)]
pub(crate) enum SchemasCommand {
    /// Write the files of `schemas/` again from an official download
    Import {
        /// The folder or ZIP file of the download
        source: PathBuf,
    },
    /// Check that the files of `schemas/` have the same content as an official download
    Verify {
        /// The folder or ZIP file of the download
        source: PathBuf,
    },
}

/// Runs one command.
///
/// # Errors
/// A source that cannot be read, or that has another content.
pub(crate) fn run(command: SchemasCommand) -> anyhow::Result<()> {
    match command {
        SchemasCommand::Import { source } => import(&source),
        SchemasCommand::Verify { source } => verify(&source),
    }
}

fn import(source: &Path) -> anyhow::Result<()> {
    let files = read_official(source)?;
    let sources: Vec<_> = files.iter().map(|file| Source { name: &file.name, text: &file.text }).collect();
    let imported =
        official::import(&sources).with_context(|| format!("cannot import {}", source.display()))?;
    let mut pins = if pins_path().exists() { read_pins()? } else { Pins::default() };
    for imported in imported {
        let folder = folder_of(imported.edition);
        if let Some(before) = pins.0.get(imported.set.name) {
            for stray in before.sha256.keys().filter(|name| !imported.files.contains_key(*name)) {
                let path = folder.join(stray);
                fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
            }
        }
        for (name, text) in &imported.files {
            write(&folder.join(name), text)?;
        }
        println!("{}: {} files imported", imported.set.document, imported.files.len());
        pins.set(imported.set, imported.sha256);
    }
    write(&pins_path(), &pins.to_text())
}

fn verify(source: &Path) -> anyhow::Result<()> {
    let files = read_official(source)?;
    let pins = read_pins()?;
    let mut sets: BTreeMap<&str, Set<'_>> = BTreeMap::new();
    let mut problems = Vec::new();
    for SchemaFile { name, text } in &files {
        match document::read(name, text).map(|document| (edition::edition_of(&document.id), document.id)) {
            Ok((Some((edition, set, _)), _)) => {
                let set = sets.entry(set.name).or_insert(Set { edition, set, sources: Vec::new() });
                match set.sources.iter().find(|source| source.name == name) {
                    Some(before) if before.text != text => {
                        problems.push(format!("{name} occurs twice, and the two differ"));
                    }
                    Some(_) => {}
                    None => set.sources.push(Source { name, text }),
                }
            }
            Ok((None, id)) => {
                problems.push(format!("{name} has the $id {id}, which belongs to no edition of ours"))
            }
            Err(error) => problems.push(format!("{:#}", anyhow::Error::new(error))),
        }
    }
    for Set { edition, set, sources } in sets.values() {
        let Some(pins) = pins.0.get(set.name) else {
            problems.push(format!("{} is not pinned in schemas/SOURCES.toml", set.document));
            continue;
        };
        let ours = read_schemas(&folder_of(edition))?;
        // The files of a folder that belong to this set. A file that cannot be read is included, so
        // that the comparison reports it.
        let ours: Vec<_> = ours
            .iter()
            .map(|(name, text)| Source { name, text })
            .filter(|ours| {
                document::read(ours.name, ours.text)
                    .map_or(true, |document| set.message(&document.id).is_some())
            })
            .collect();
        let differences = official::verify(sources, &ours, pins);
        if differences.is_empty() {
            println!("{}: {} files have the same content, and match their pins", set.document, sources.len());
        }
        problems.extend(differences.iter().map(ToString::to_string));
    }
    if sets.is_empty() && problems.is_empty() {
        bail!("{} holds no schema file", source.display());
    }
    if problems.is_empty() {
        return Ok(());
    }
    for problem in problems.iter().take(PROBLEMS_SHOWN) {
        eprintln!("{problem}");
    }
    if problems.len() > PROBLEMS_SHOWN {
        eprintln!("… and {} more", problems.len() - PROBLEMS_SHOWN);
    }
    bail!("{} and schemas/ do not have the same content: {} differences", source.display(), problems.len());
}

/// The files of one set in a download.
struct Set<'a> {
    edition: &'static edition::Edition,
    set: &'static edition::SchemaSet,
    sources: Vec<Source<'a>>,
}

fn folder_of(edition: &edition::Edition) -> PathBuf {
    repository().join("schemas").join(edition.module)
}

fn pins_path() -> PathBuf {
    repository().join("schemas/SOURCES.toml")
}

fn read_pins() -> anyhow::Result<Pins> {
    let path = pins_path();
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Pins::parse(&text).with_context(|| format!("in {}", path.display()))
}

/// The schema files of a folder, of a ZIP file, or of ZIP files in either. Different versions of
/// OCPP have files with the same name.
fn read_official(source: &Path) -> anyhow::Result<Vec<SchemaFile>> {
    let mut reader = Reader { files: Vec::new(), bytes_left: MAX_TOTAL_BYTES, files_left: MAX_FILES };
    reader.path(source, 0)?;
    Ok(reader.files)
}

struct Reader {
    files: Vec<SchemaFile>,
    bytes_left: u64,
    files_left: usize,
}

impl Reader {
    fn path(&mut self, path: &Path, depth: usize) -> anyhow::Result<()> {
        if path.is_dir() {
            if depth > MAX_DEPTH {
                bail!("{} lies more than {MAX_DEPTH} folders deep", path.display());
            }
            let mut entries: Vec<_> = fs::read_dir(path)
                .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
                .with_context(|| format!("cannot list {}", path.display()))?;
            entries.sort();
            return entries.iter().try_for_each(|entry| self.path(entry, depth + 1));
        }
        if Kind::of(path).is_none() && depth > 0 {
            return Ok(());
        }
        let file = fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        self.entry(path, file, depth)
    }

    /// Adds a file by its name, or an archive by its content.
    fn entry(&mut self, path: &Path, content: impl std::io::Read, depth: usize) -> anyhow::Result<()> {
        let Some(kind) = Kind::of(path) else {
            if depth == 0 {
                bail!("{} is neither a folder, nor a ZIP file, nor a schema file", path.display());
            }
            return Ok(());
        };
        self.files_left =
            self.files_left.checked_sub(1).with_context(|| format!("more than {MAX_FILES} files"))?;
        let limit = self.bytes_left.min(kind.max_bytes());
        let mut bytes = Vec::new();
        content
            .take(limit + 1)
            .read_to_end(&mut bytes)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let length = bytes.len() as u64;
        if length > limit {
            bail!("{} is larger than {limit} bytes, which no official set is", path.display());
        }
        self.bytes_left -= length;
        match kind {
            Kind::Schema => self.schema(path, bytes),
            Kind::Archive => self.archive(path, bytes, depth),
        }
    }

    fn archive(&mut self, path: &Path, bytes: Vec<u8>, depth: usize) -> anyhow::Result<()> {
        if depth > MAX_DEPTH {
            bail!("{} lies more than {MAX_DEPTH} archives deep", path.display());
        }
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes))
            .with_context(|| format!("{} is not a ZIP file", path.display()))?;
        if archive.len() > MAX_FILES {
            bail!("{} holds more than {MAX_FILES} files", path.display());
        }
        for index in 0..archive.len() {
            let entry =
                archive.by_index(index).with_context(|| format!("entry {index} of {}", path.display()))?;
            if entry.is_dir() {
                continue;
            }
            // The name is only compared, never opened as a path.
            let name =
                entry.name().with_context(|| format!("name of entry {index} of {}", path.display()))?;
            let name = path.join(name.as_ref());
            self.entry(&name, entry, depth + 1)?;
        }
        Ok(())
    }

    fn schema(&mut self, path: &Path, bytes: Vec<u8>) -> anyhow::Result<()> {
        let text = String::from_utf8(bytes).with_context(|| format!("{} is not UTF-8", path.display()))?;
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        self.files.push(SchemaFile { name, text });
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Schema,
    Archive,
}

impl Kind {
    fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?;
        // Archives made on macOS contain a second file `._Name` for each file.
        if path.file_name()?.to_str()?.starts_with('.') {
            return None;
        }
        match extension.to_ascii_lowercase().as_str() {
            "json" => Some(Self::Schema),
            "zip" => Some(Self::Archive),
            _ => None,
        }
    }

    fn max_bytes(self) -> u64 {
        match self {
            Self::Schema => MAX_SCHEMA_BYTES,
            Self::Archive => MAX_TOTAL_BYTES,
        }
    }
}

/// The maximum size of one schema file in bytes; the largest official one has about 70,000.
const MAX_SCHEMA_BYTES: u64 = 1 << 20;
/// The maximum number of unpacked bytes of one download; OCPP 2.0.1 with its PDF files has about
/// 40,000,000.
const MAX_TOTAL_BYTES: u64 = 256 << 20;
/// The maximum number of files in one download.
const MAX_FILES: usize = 10_000;
/// The maximum depth of nested folders and archives.
const MAX_DEPTH: usize = 8;
/// The maximum number of printed differences: the length of a screen.
const PROBLEMS_SHOWN: usize = 40;

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use super::{MAX_DEPTH, MAX_SCHEMA_BYTES, Path, fs, read_official};

    fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in entries {
            archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            archive.write_all(bytes).unwrap();
        }
        archive.finish().unwrap().into_inner()
    }

    fn check(path: &Path, expected: Result<&[(&str, &str)], &str>) {
        match (read_official(path), expected) {
            (Ok(texts), Ok(expected)) => {
                let texts: Vec<_> =
                    texts.iter().map(|file| (file.name.as_str(), file.text.as_str())).collect();
                assert_eq!(texts, expected);
            }
            (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error:#}"),
            (Ok(texts), Err(expected)) => panic!("{} files in place of {expected}", texts.len()),
            (Err(error), Ok(_)) => panic!("{error:#}"),
        }
    }

    #[test]
    fn folders_archives_and_archives_in_archives_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let inner = zip(&[("schemas/B.json", b"{}"), ("__MACOSX/._B.json", b"\0"), ("readme.pdf", b"%PDF")]);
        let outer = zip(&[("A.json", b"[]"), ("Part 3/schemas.zip", &inner), ("../../evil.txt", b"")]);
        fs::write(folder.path().join("download.zip"), &outer).unwrap();
        let expected = [("A.json", "[]"), ("B.json", "{}")];
        check(&folder.path().join("download.zip"), Ok(&expected));
        check(folder.path(), Ok(&expected));

        fs::create_dir(folder.path().join("more")).unwrap();
        fs::write(folder.path().join("more/B.json"), "{}").unwrap();
        check(folder.path(), Ok(&[("A.json", "[]"), ("B.json", "{}"), ("B.json", "{}")]));
    }

    #[test]
    fn sizes_have_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("a.zip");
        let large = vec![b' '; usize::try_from(MAX_SCHEMA_BYTES).unwrap() + 1];
        fs::write(&source, zip(&[("A.json", &large)])).unwrap();
        check(&source, Err("is larger than 1048576 bytes"));

        let mut nested = zip(&[("A.json", b"{}")]);
        for _ in 0..=MAX_DEPTH {
            nested = zip(&[("a.zip", &nested)]);
        }
        fs::write(&source, nested).unwrap();
        check(&source, Err("archives deep"));

        fs::write(&source, "not an archive").unwrap();
        check(&source, Err("is not a ZIP file"));
        let text = folder.path().join("a.txt");
        fs::write(&text, "").unwrap();
        check(&text, Err("neither a folder, nor a ZIP file"));
        check(&folder.path().join("absent.zip"), Err("cannot open"));
    }
}
