//! The files of the workspace.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::tree::{Modules, Target};

/// The input of all rules.
pub(crate) struct Workspace {
    /// Every text file with comments.
    pub(crate) texts: Vec<Text>,
    /// The modules of every library and program.
    pub(crate) targets: Vec<Target>,
}

/// The text of a file.
pub(crate) struct Text {
    /// Relative to the root of the checkout.
    pub(crate) name: String,
    pub(crate) text: String,
}

impl Workspace {
    /// Reads the checkout.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut paths = Vec::new();
        collect(root, &mut paths)?;
        let mut texts = Vec::new();
        for path in paths {
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {name}"))?;
            texts.push(Text { name, text });
        }
        Self::of(texts)
    }

    /// Parses these files.
    pub(crate) fn of(texts: Vec<Text>) -> Result<Self> {
        let mut targets = Vec::new();
        let by_name =
            texts.iter().map(|text| (text.name.as_str(), text.text.as_str())).collect::<HashMap<_, _>>();
        for text in &texts {
            if let Some(name) = target_of(&text.name) {
                let modules = Modules::read(&text.name, &by_name)?;
                targets.push(Target { name, modules });
            }
        }
        Ok(Self { texts, targets })
    }
}

/// The name of the target that this file is the root of: a library, or a program.
fn target_of(name: &str) -> Option<String> {
    let (folder, file) = name.split_once("/src/")?;
    if folder.contains('/') {
        // Programs in separate workspaces: benchmarks and fuzz targets.
        return None;
    }
    match file {
        "lib.rs" | "main.rs" => Some(folder.replace('-', "_")),
        _ => {
            let program = file.strip_prefix("bin/")?.strip_suffix("/main.rs")?;
            (!program.contains('/')).then(|| format!("{folder}/{program}"))
        }
    }
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            let skipped = ["target", "node_modules", "generated", "corpus"];
            if !name.starts_with('.') && !skipped.iter().any(|skip| name.starts_with(skip)) {
                collect(&path, found)?;
            }
        } else {
            let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
            let schema = extension == "json" && path.to_string_lossy().contains("/schemas/");
            if schema || EXTENSIONS.contains(&extension.as_str()) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(())
}

/// The extensions of files with our comments.
const EXTENSIONS: &[&str] = &["rs", "toml", "py", "js", "cjs", "sql"];
