//! Checks the rules of the architecture and of the style that the compiler does not check.
//!
//! Each rule is a file. A rule examines the parsed source without its tests and returns findings.
//! Findings from before a rule existed are counted in `tidy-known.toml`; that list only becomes
//! shorter.

mod circles;
mod columns;
mod cores;
mod crates;
mod errors;
mod finding;
mod known;
mod names;
mod packages;
mod product;
mod resolve;
mod source;
#[cfg(test)]
mod tests;
mod texts;
mod tree;
mod versions;
mod wrap;

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};

use self::{
    finding::{Finding, Rule},
    known::Known,
    source::Workspace,
};
use crate::workspace::root;

/// Options of `cargo xtask tidy`.
#[derive(clap::Args)]
pub(crate) struct TidyArguments {
    /// Print the circles of files that import each other, with one place for each import
    #[arg(long)]
    circles: bool,
    /// Print every finding, also those that xtask/tidy-known.toml lists
    #[arg(long, conflicts_with = "circles")]
    all: bool,
    /// Write xtask/tidy-known.toml again after findings were removed or files were moved; no rule
    /// may gain findings
    #[arg(long, conflicts_with_all = ["circles", "all"])]
    shrink: bool,
    /// Break comments that exceed the last column, in all files or in the named ones
    #[arg(long, num_args = 0.., value_name = "FILE", conflicts_with_all = ["circles", "all", "shrink"])]
    wrap: Option<Vec<String>>,
}

/// `cargo xtask tidy`: reports every finding with its place, the rule and the fix.
pub(crate) fn run_command(arguments: &TidyArguments) -> Result<()> {
    let workspace = Workspace::read(&root())?;
    if arguments.circles {
        print!("{}", circles::describe(&workspace));
        return Ok(());
    }
    if let Some(files) = &arguments.wrap {
        return wrap(&workspace, files);
    }
    let mut findings = findings(&workspace);
    let metadata = crates::metadata()?;
    crates::check(&metadata, &mut findings);
    packages::check(&metadata, &mut findings)?;
    findings.sort();

    let path = root().join(KNOWN);
    let known = Known::parse(&read(&path)?).with_context(|| format!("cannot parse {KNOWN}"))?;
    if arguments.all {
        findings.iter().for_each(|finding| println!("{finding}"));
        println!("{}", summary(&findings));
        return Ok(());
    }
    if arguments.shrink {
        let shrunk = known.shrunk(&findings)?;
        fs::write(&path, shrunk.to_string()).with_context(|| format!("cannot write {KNOWN}"))?;
        println!("tidy: {KNOWN} lists {}", summary(&findings));
        return Ok(());
    }
    let complaints = known.compare(&findings);
    if complaints.is_empty() {
        println!("tidy: no new findings; {KNOWN} lists {}", summary(&findings));
        return Ok(());
    }
    complaints.iter().for_each(|complaint| eprintln!("{complaint}"));
    bail!("tidy: {} findings against the rules of ARCHITECTURE.md and CONTRIBUTING.md", complaints.len());
}

/// Breaks long comments in these files, or in all files if none is named.
fn wrap(workspace: &Workspace, files: &[String]) -> Result<()> {
    for text in &workspace.texts {
        if files.is_empty() || files.contains(&text.name) {
            let wrapped = wrap::wrapped(&text.name, &text.text);
            if wrapped != text.text {
                fs::write(root().join(&text.name), wrapped)
                    .with_context(|| format!("cannot write {}", text.name))?;
                println!("wrapped {}", text.name);
            }
        }
    }
    Ok(())
}

/// The findings of all rules in the files of the workspace.
fn findings(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    texts::check(workspace, &mut findings);
    columns::check(workspace, &mut findings);
    cores::check(workspace, &mut findings);
    circles::check(workspace, &mut findings);
    versions::check(workspace, &mut findings);
    names::check(workspace, &mut findings);
    errors::check(workspace, &mut findings);
    findings
}

/// The number of findings for each rule, in one line.
fn summary(findings: &[Finding]) -> String {
    let count = |rule: &Rule| findings.iter().filter(|finding| finding.rule == *rule).count();
    let counts = Rule::ALL.iter().map(|rule| (rule, count(rule))).filter(|(_, count)| *count > 0);
    let counts = counts.map(|(rule, count)| format!("{count} {}", rule.name())).collect::<Vec<_>>();
    if counts.is_empty() { "nothing".to_owned() } else { counts.join(", ") }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The findings that are not reported: the number for each file and rule.
const KNOWN: &str = "xtask/tidy-known.toml";
