//! `cargo xtask book`: checks every page of the documentation and builds the book in `docs/`.

mod commands;
mod links;
mod page;

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, bail};

use self::page::Page;
use crate::workspace::{cargo, root, run, target};

/// Options of `cargo xtask book`.
#[derive(clap::Args)]
pub(crate) struct BookArguments {
    /// Check links and commands only
    #[arg(long)]
    check: bool,
}

/// Reports broken links and commands that do not exist, then builds the book.
pub(crate) fn run_command(arguments: &BookArguments) -> Result<()> {
    let pages = pages(&root())?;
    let mut findings = links::check(&pages);
    // The programs are started to check the commands and options in the pages.
    let packages = ["--package", "signer-pkcs11", "--package", "station", "--package", "csms"];
    run(cargo().args(["build", "--quiet", "--bins"]).args(packages))?;
    let checked = commands::check(&pages, &mut findings)?;
    if !findings.is_empty() {
        bail!("{}", findings.join("\n"));
    }
    println!("{} pages: every link leads somewhere, and {checked} commands exist.", pages.len());
    if arguments.check {
        return Ok(());
    }
    let book = target().join("book");
    run(Command::new(mdbook()?).arg("build").arg(root().join("docs")).arg("--dest-dir").arg(&book))?;
    println!("The book is {}", book.join("index.html").display());
    Ok(())
}

/// Every page for readers, by its path in the checkout.
fn pages(root: &Path) -> Result<Vec<Page>> {
    let mut pages = Vec::new();
    for folder in ["", "docs", "examples", "schemas"] {
        let path = root.join(folder);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "md") {
                let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
                let text = fs::read_to_string(&path).with_context(|| format!("cannot read {name}"))?;
                pages.push(Page::new(name, text));
            }
        }
    }
    pages.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(pages)
}

/// mdBook, built at the first call. It is not a dependency of xtask, which would have to build it
/// for every command.
fn mdbook() -> Result<std::path::PathBuf> {
    let tools = target().join("tools");
    let program = tools.join("bin/mdbook");
    let stamp = tools.join(format!("mdbook-{MDBOOK}"));
    if !program.is_file() || !stamp.is_file() {
        eprintln!("building mdBook {MDBOOK}");
        let mut install = cargo();
        install.args(["install", "--quiet", "--locked", "--no-default-features", "--force", "--root"]);
        // Building takes the time, not running.
        install.arg(&tools).args(["--debug", &format!("mdbook@{MDBOOK}")]);
        run(&mut install).context("cannot build mdBook; is the registry reachable?")?;
        fs::write(&stamp, "")?;
    }
    Ok(program)
}

const MDBOOK: &str = "0.5.4";
