//! Comment lines end at column 100.

use super::{
    finding::{Finding, Rule},
    source::Workspace,
};

/// Reports lines that consist of a comment only and exceed column 100, in tests too.
pub(crate) fn check(workspace: &Workspace, findings: &mut Vec<Finding>) {
    for text in &workspace.texts {
        let Some(sign) = sign_of(&text.name) else { continue };
        for (index, line) in text.text.lines().enumerate() {
            let length = line.chars().count();
            // Links and rows of a table cannot be broken.
            let comment = line.trim_start().trim_start_matches(['/', '!', '#', '-']).trim();
            let breaks = comment.contains(' ') && !comment.starts_with('|');
            if line.trim_start().starts_with(sign) && length > MAX_COLUMN && breaks {
                let message = format!("a comment ends at column {length}, at most {MAX_COLUMN}");
                findings.push(Finding {
                    file: text.name.clone(),
                    line: index + 1,
                    rule: Rule::Column,
                    message,
                });
            }
        }
    }
}

/// The sign that begins a comment in a file of this name.
pub(crate) fn sign_of(name: &str) -> Option<&'static str> {
    let extension = name.rsplit('.').next().unwrap_or_default();
    SIGNS.iter().find(|(known, _)| *known == extension).map(|(_, sign)| *sign)
}

/// The last column of a comment.
pub(crate) const MAX_COLUMN: usize = 100;

/// The sign that begins a comment, by the extension of the file. SQL is not included: no byte of a
/// migration that was applied to a ledger may change.
const SIGNS: &[(&str, &str)] = &[("rs", "//"), ("toml", "#"), ("py", "#"), ("js", "//"), ("cjs", "//")];
