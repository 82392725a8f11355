//! An official set of schemas: converted into files of the project, or compared with them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    Source,
    document::{self, ReadError, escape, shown},
    edition::{Edition, SchemaSet, edition_of},
    facts,
    pins::{SetPins, canonical_hash},
};

/// The output of an import for one set.
#[derive(Debug)]
pub struct Imported {
    /// The edition.
    pub edition: &'static Edition,
    /// The set of the edition.
    pub set: &'static SchemaSet,
    /// File name → text of the file of the project.
    pub files: BTreeMap<String, String>,
    /// File name → hash of the official file.
    pub sha256: BTreeMap<String, String>,
}

/// Why an official set was not imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A file of an edition that is not part of the project.
    #[error("{file} has the $id {id}, which belongs to no edition in codegen/src/edition/")]
    UnknownEdition {
        /// The file.
        file: String,
        /// Its `$id`.
        id: String,
    },
    /// The same file twice, with different text.
    #[error("{file} occurs twice, and the two differ")]
    Twice {
        /// The file.
        file: String,
    },
    /// Nothing to import.
    #[error("no schema file found")]
    Empty,
}

/// Reduces official files to their facts, by set.
///
/// # Errors
/// [`ImportError`] for the first file that cannot be imported.
pub fn import(sources: &[Source<'_>]) -> Result<Vec<Imported>, ImportError> {
    let mut sets: BTreeMap<&str, Imported> = BTreeMap::new();
    for source in sources {
        let document = document::read(source.name, source.text)?;
        let file = source.name.to_owned();
        let Some((edition, set, _)) = edition_of(&document.id) else {
            return Err(ImportError::UnknownEdition { file, id: document.id });
        };
        let imported = sets.entry(set.name).or_insert_with(|| Imported {
            edition,
            set,
            files: BTreeMap::new(),
            sha256: BTreeMap::new(),
        });
        let hash = canonical_hash(source.name, source.text)?;
        if imported.sha256.get(&file).is_some_and(|before| *before != hash) {
            return Err(ImportError::Twice { file });
        }
        imported.files.insert(file.clone(), facts::extract(source.name, source.text)?);
        imported.sha256.insert(file, hash);
    }
    if sets.is_empty() {
        return Err(ImportError::Empty);
    }
    Ok(sets.into_values().collect())
}

/// One difference between an official set and ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Difference {
    /// A fact differs.
    #[error("{file}, at {pointer}: the official file has {official}, ours has {ours}")]
    Fact {
        /// The file.
        file: String,
        /// The place in both files.
        pointer: String,
        /// The official value, or `nothing`.
        official: String,
        /// Our value, or `nothing`.
        ours: String,
    },
    /// The order of the members of one object differs.
    #[error("{file}, at {pointer}: the same members in another order")]
    Order {
        /// The file.
        file: String,
        /// The object.
        pointer: String,
    },
    /// The official file's hash is not the pinned one.
    #[error("{file}: canonical SHA-256 {official}, pinned is {pinned}")]
    Hash {
        /// The file.
        file: String,
        /// The hash of the given file.
        official: String,
        /// The hash in `SOURCES.toml`, or `nothing`.
        pinned: String,
    },
    /// A file that is in our set only.
    #[error("{file} is not in the official set")]
    Missing {
        /// The file.
        file: String,
    },
    /// A file that is in the official set only.
    #[error("{file} is in the official set, but not among ours")]
    Extra {
        /// The file.
        file: String,
    },
    /// A file that is neither JSON nor a readable schema.
    #[error("{file} cannot be read: {problem}")]
    Unreadable {
        /// The file.
        file: String,
        /// The parser's error.
        problem: String,
    },
}

/// Compares an official set with our files and pins of it. The result is empty if both are equal.
#[must_use]
pub fn verify(official: &[Source<'_>], ours: &[Source<'_>], pins: &SetPins) -> Vec<Difference> {
    let mut differences = Vec::new();
    for source in official {
        let file = source.name.to_owned();
        match (facts::parse(source.name, source.text), canonical_hash(source.name, source.text)) {
            (Ok(value), Ok(hash)) => {
                match ours.iter().find(|ours| ours.name == source.name) {
                    None => differences.push(Difference::Extra { file: file.clone() }),
                    Some(ours) => match facts::parse(ours.name, ours.text) {
                        Ok(ours) => {
                            let mut comparison = Comparison { file: &file, differences: &mut differences };
                            comparison.compare("", &facts::without_prose(value), &ours);
                        }
                        Err(error) => differences.push(unreadable(&format!("our {file}"), &error)),
                    },
                }
                let pinned = pins.sha256.get(&file);
                if pinned != Some(&hash) {
                    let pinned = pinned.cloned().unwrap_or_else(|| "nothing".to_owned());
                    differences.push(Difference::Hash { file, official: hash, pinned });
                }
            }
            (Err(error), _) | (_, Err(error)) => differences.push(unreadable(&file, &error)),
        }
    }
    let ours = ours.iter().map(|ours| ours.name).chain(pins.sha256.keys().map(String::as_str));
    let mut missing: Vec<_> =
        ours.filter(|name| !official.iter().any(|source| source.name == *name)).collect();
    missing.sort_unstable();
    missing.dedup();
    differences.extend(missing.into_iter().map(|file| Difference::Missing { file: file.to_owned() }));
    differences
}

fn unreadable(file: &str, error: &ReadError) -> Difference {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    Difference::Unreadable { file: file.to_owned(), problem: format!("{error}{cause}") }
}

struct Comparison<'a> {
    file: &'a str,
    differences: &'a mut Vec<Difference>,
}

impl Comparison<'_> {
    fn compare(&mut self, pointer: &str, official: &Value, ours: &Value) {
        match (official, ours) {
            (Value::Object(official), Value::Object(ours)) => {
                for (name, value) in official {
                    let pointer = format!("{pointer}/{}", escape(name));
                    match ours.get(name) {
                        Some(ours) => self.compare(&pointer, value, ours),
                        None => self.fact(&pointer, Some(value), None),
                    }
                }
                for (name, value) in ours.iter().filter(|(name, _)| !official.contains_key(*name)) {
                    self.fact(&format!("{pointer}/{}", escape(name)), None, Some(value));
                }
                if official.len() == ours.len()
                    && official.keys().ne(ours.keys())
                    && same_names(official, ours)
                {
                    let pointer = if pointer.is_empty() { "/" } else { pointer }.to_owned();
                    self.differences.push(Difference::Order { file: self.file.to_owned(), pointer });
                }
            }
            (Value::Array(official), Value::Array(ours)) => {
                for index in 0..official.len().max(ours.len()) {
                    let pointer = format!("{pointer}/{index}");
                    match (official.get(index), ours.get(index)) {
                        (Some(official), Some(ours)) => self.compare(&pointer, official, ours),
                        (official, ours) => self.fact(&pointer, official, ours),
                    }
                }
            }
            (official, ours) if official == ours => {}
            (official, ours) => self.fact(pointer, Some(official), Some(ours)),
        }
    }

    fn fact(&mut self, pointer: &str, official: Option<&Value>, ours: Option<&Value>) {
        self.differences.push(Difference::Fact {
            file: self.file.to_owned(),
            pointer: pointer.to_owned(),
            official: shown(official),
            ours: shown(ours),
        });
    }
}

fn same_names(one: &serde_json::Map<String, Value>, other: &serde_json::Map<String, Value>) -> bool {
    one.keys().all(|name| other.contains_key(name))
}
