//! Rules about the text of a file: its length, unfinished work, prose in schemas.

use super::{
    finding::{Finding, Rule},
    source::{Text, Workspace},
};
use crate::requirements;

/// Reports long files, unfinished work, tests that do not run, queues without a bound, and schemas
/// with prose.
pub(crate) fn check(workspace: &Workspace, findings: &mut Vec<Finding>) {
    for text in &workspace.texts {
        if text.name.ends_with(".json") {
            check_schema(text, findings);
        } else if text.name.ends_with(".rs") && !text.name.starts_with("xtask/src/tidy/") {
            check_source(text, findings);
            check_programs(text, findings);
        }
    }
}

fn check_schema(Text { name, text }: &Text, findings: &mut Vec<Finding>) {
    // A property may have such a name, but its value is not a text.
    for (index, line) in text.lines().enumerate() {
        if line.contains("\"description\": \"") || line.contains("\"comment\": \"") {
            let message = "holds prose, which the Open Charge Alliance licenses CC BY-ND".to_owned();
            findings.push(Finding { file: name.clone(), line: index + 1, rule: Rule::Prose, message });
        }
    }
}

/// Every program that is started by its name must be in the list of requirements.
fn check_programs(Text { name, text }: &Text, findings: &mut Vec<Finding>) {
    for (index, line) in text.lines().enumerate() {
        for (position, start) in line.match_indices("Command::new(\"") {
            let rest = line.get(position + start.len()..).unwrap_or_default();
            let program = rest.split('"').next().unwrap_or_default();
            let known = ALWAYS_THERE.contains(&program) || requirements::lists(program);
            if !known && !program.contains('/') {
                let message = format!("starts `{program}`, which the list of requirements does not name");
                findings.push(Finding { file: name.clone(), line: index + 1, rule: Rule::Program, message });
            }
        }
    }
}

fn check_source(Text { name, text }: &Text, findings: &mut Vec<Finding>) {
    let lines = text.lines().count();
    if lines > MAX_LINES {
        let message = format!("{lines} lines, at most {MAX_LINES}");
        findings.push(Finding { file: name.clone(), line: 0, rule: Rule::Length, message });
    }
    for (index, line) in text.lines().enumerate() {
        for word in NOWHERE.iter().filter(|word| line.contains(*word)) {
            let message = format!("`{word}` stands nowhere in this project");
            findings.push(Finding { file: name.clone(), line: index + 1, rule: Rule::Unfinished, message });
        }
    }
}

/// Programs on every system that can build Rust: the shell, and the tools of Rust. xtask looks for
/// package managers before it starts them.
const ALWAYS_THERE: &[&str] =
    &["sh", "true", "cargo", "rustc", "sudo", "env", "apt-get", "dpkg-deb", "dnf", "brew"];

/// A longer file answers a second question.
const MAX_LINES: usize = 600;

/// Code that is never allowed: unfinished work, tests that do not run, queues without a bound.
const NOWHERE: &[&str] = &["todo!(", "unimplemented!(", "#[ignore", "unbounded_channel", "mpsc::channel()"];
