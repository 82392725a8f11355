//! The findings from before a rule existed. The list only becomes shorter.

use std::{collections::BTreeMap, fmt};

use anyhow::{Result, bail};
use serde::Deserialize;

use super::finding::{Finding, Rule};

/// For each rule and file, how many findings are not reported.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Known(BTreeMap<String, BTreeMap<String, usize>>);

impl Known {
    /// Reads the list; a rule that does not exist is an error.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let known: Self = toml::from_str(text)?;
        for rule in known.0.keys() {
            if !Rule::ALL.iter().any(|exists| exists.name() == rule) {
                bail!("there is no rule `{rule}`; remove its table");
            }
        }
        Ok(known)
    }

    /// The lines to print: the findings of each file that has more than the list allows, and the
    /// files that have fewer.
    pub(crate) fn compare(&self, findings: &[Finding]) -> Vec<String> {
        let found = Self::counted(findings);
        let mut complaints = Vec::new();
        for rule in Rule::ALL {
            let (known, found) = (self.of(*rule), found.of(*rule));
            for (file, count) in &found {
                let listed = known.get(file).copied().unwrap_or(0);
                if *count > listed {
                    let all =
                        findings.iter().filter(|finding| finding.rule == *rule && finding.file == **file);
                    complaints.extend(all.map(ToString::to_string));
                    if listed > 0 {
                        complaints
                            .push(format!("{file}: [{}] {listed} of these {count} are known", rule.name()));
                    }
                }
            }
            for (file, listed) in &known {
                let count = found.get(file).copied().unwrap_or(0);
                if count < *listed {
                    complaints.push(format!(
                        "{file}: [{}] {listed} findings are known and {count} are left; \
                         shorten the list with `cargo xtask tidy --shrink` and commit it",
                        rule.name()
                    ));
                }
            }
        }
        complaints
    }

    /// The list for these findings. Returns an error if a rule has more of them than before. A file
    /// may be moved or divided.
    pub(crate) fn shrunk(&self, findings: &[Finding]) -> Result<Self> {
        let found = Self::counted(findings);
        for rule in Rule::ALL {
            let before = self.of(*rule).values().sum::<usize>();
            let after = found.of(*rule).values().sum::<usize>();
            if after > before {
                bail!(
                    "the rule `{}` has {after} findings and {before} are known; repair what is new \
                     (`cargo xtask tidy` prints it)",
                    rule.name()
                );
            }
        }
        Ok(found)
    }

    fn counted(findings: &[Finding]) -> Self {
        let mut known = Self::default();
        for finding in findings {
            let files = known.0.entry(finding.rule.name().to_owned()).or_default();
            *files.entry(finding.file.clone()).or_default() += 1;
        }
        known
    }

    fn of(&self, rule: Rule) -> BTreeMap<&str, usize> {
        let files = self.0.get(rule.name()).into_iter().flatten();
        files.map(|(file, count)| (file.as_str(), *count)).collect()
    }
}

impl fmt::Display for Known {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(HEADER)?;
        for (rule, files) in &self.0 {
            write!(formatter, "\n[{rule}]\n")?;
            for (file, count) in files {
                writeln!(formatter, "\"{file}\" = {count}")?;
            }
        }
        Ok(())
    }
}

const HEADER: &str = "# Findings that existed when their rule was made: for each rule and file, how many are not reported.\n\
                      # The list only becomes shorter. Written by `cargo xtask tidy --shrink`.\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(file: &str, line: usize) -> Finding {
        Finding {
            file: file.to_owned(),
            line,
            rule: Rule::Column,
            message: "the comment ends at 101".to_owned(),
        }
    }

    #[test]
    fn a_finding_beyond_the_list_is_reported_and_one_below_it_shortens_the_list() {
        let known = Known::parse("[column]\n\"a.rs\" = 1\n").unwrap();
        assert_eq!(known.compare(&[finding("a.rs", 1)]), Vec::<String>::new());
        let more = known.compare(&[finding("a.rs", 1), finding("a.rs", 7)]);
        assert_eq!(more.len(), 3, "{more:?}");
        assert_eq!(
            more[1],
            "a.rs:7: [column] the comment ends at 101; break the line, or have `cargo xtask tidy --wrap` do it"
        );
        let fewer = known.compare(&[]);
        assert!(fewer[0].contains("1 findings are known and 0 are left"), "{fewer:?}");
        let elsewhere = known.compare(&[finding("b.rs", 1)]);
        assert_eq!(elsewhere.len(), 2, "{elsewhere:?}");
    }

    #[test]
    fn the_list_is_written_as_it_is_read_and_never_grows() {
        let known = Known::parse("[column]\n\"a.rs\" = 2\n").unwrap();
        let moved = known.shrunk(&[finding("b.rs", 1), finding("c.rs", 2)]).unwrap();
        assert_eq!(Known::parse(&moved.to_string()).unwrap(), moved);
        let grown = known.shrunk(&[finding("b.rs", 1), finding("b.rs", 2), finding("b.rs", 3)]).unwrap_err();
        assert!(grown.to_string().contains("has 3 findings and 2 are known"), "{grown}");
    }

    #[test]
    fn an_unknown_rule_in_the_list_is_an_error() {
        assert!(Known::parse("[colunm]\n\"a.rs\" = 1\n").is_err());
    }
}
