//! Commands in pages have existing subcommands and options.

use std::{collections::BTreeMap, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};

use super::page::Page;
use crate::workspace::target;

/// Starts each program with `--help` for each command in a page. Returns the number of commands.
pub(crate) fn check(pages: &[Page], findings: &mut Vec<String>) -> Result<usize> {
    // The answer of a program, by its arguments.
    let mut answers = BTreeMap::<Vec<String>, Option<String>>::new();
    let mut checked = 0;
    for page in pages {
        for (line, text) in &page.commands {
            for words in commands(text) {
                let answer = match answers.get(&words) {
                    Some(answer) => answer.clone(),
                    None => answers.entry(words.clone()).or_insert(ask(&words)?).clone(),
                };
                checked += 1;
                if let Some(refused) = answer {
                    findings.push(format!("{}:{line}: `{}`: {refused}", page.name, words.join(" ")));
                }
            }
        }
    }
    Ok(checked)
}

/// The objection of a program to these words, if any.
fn ask(words: &[String]) -> Result<Option<String>> {
    let (program, arguments) = words.split_first().context("a command has a name")?;
    let path = match program.as_str() {
        XTASK => std::env::current_exe().context("cannot find this program")?,
        program => target().join("debug").join(program),
    };
    let path: PathBuf = path;
    // clap refuses an unknown word before it comes to the last word.
    let output = Command::new(&path).args(arguments).arg("--help").output();
    let output = output.with_context(|| format!("cannot start {}", path.display()))?;
    let text = String::from_utf8_lossy(&output.stderr);
    Ok((!output.status.success()).then(|| text.lines().next().unwrap_or("it fails").to_owned()))
}

/// The commands of our programs in a line of a shell, each as its words.
fn commands(line: &str) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    for words in split(line) {
        let words = words.iter().map(String::as_str).collect::<Vec<_>>();
        let own = match words.as_slice() {
            ["cargo", "xtask", rest @ ..] => [&[XTASK], rest].concat(),
            ["cargo", "run", "--bin", program, "--", rest @ ..] if PROGRAMS.contains(program) => {
                [&[*program], rest].concat()
            }
            [program, ..] if PROGRAMS.contains(program) => words,
            _ => continue,
        };
        // The words after `--` are for another program, and a word with an ellipsis is not a real
        // one.
        let meant = own.into_iter().take_while(|word| *word != "--");
        commands.push(meant.filter(|word| !word.contains('…')).map(str::to_owned).collect());
    }
    commands
}

/// The words of each simple command in a line, as a shell divides it.
fn split(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (Some(_), letter) => word.get_or_insert_default().push(letter),
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, '$') if letters.peek() == Some(&'(') => {
                letters.next();
                word = None;
                commands.push(Vec::new());
            }
            (None, '|' | '&' | ';' | ')' | '(' | '>' | '<' | ' ' | '\t') => {
                if let Some(word) = word.take()
                    && let Some(command) = commands.last_mut()
                {
                    command.push(word);
                }
                if !letter.is_whitespace() {
                    commands.push(Vec::new());
                }
            }
            (None, letter) => word.get_or_insert_default().push(letter),
        }
    }
    if let (Some(word), Some(command)) = (word, commands.last_mut()) {
        command.push(word);
    }
    // The last word of `eval "$(…)"` is in quotes and is a command of its own.
    let inner = line.split("\"$(").skip(1).filter_map(|rest| rest.split(")\"").next());
    let inner = inner.flat_map(split).collect::<Vec<_>>();
    commands.extend(inner);
    commands.retain(|command| !command.is_empty());
    commands
}

const XTASK: &str = "cargo xtask";
const PROGRAMS: &[&str] = &["hsm", "ocpp-csms", "ocpp-station"];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &[&[&str]]) {
        assert_eq!(commands(line), expected, "{line}");
    }

    #[test]
    fn commands_of_ours_are_found_in_a_line_of_a_shell() {
        check("hsm list --token \"$T x\" # all", &[&["hsm", "list", "--token", "$T x"]]);
        check("eval \"$(cargo xtask softhsm --env)\"", &[&["cargo xtask", "softhsm", "--env"]]);
        check("cd x && ocpp-csms run > log &", &[&["ocpp-csms", "run"]]);
        check("cargo xtask test -- -p csms", &[&["cargo xtask", "test"]]);
        check("cargo run --bin hsm -- list", &[&["hsm", "list"]]);
        check(
            "ocpp-csms call CS001 Reset '{\"a\": 1}'",
            &[&["ocpp-csms", "call", "CS001", "Reset", "{\"a\": 1}"]],
        );
        check("openssl verify x", &[]);
    }
}
