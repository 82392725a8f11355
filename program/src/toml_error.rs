//! TOML files of users, and errors about them that contain no value, because a value may be a
//! secret.

use std::fmt;

use serde::de::DeserializeOwned;

use crate::escaped;

/// Reads a value from TOML.
///
/// # Errors
/// [`TomlError`]
pub fn parse_toml<T: DeserializeOwned>(text: &str) -> Result<T, TomlError> {
    toml::from_str(text).map_err(|error| TomlError::new(error, text))
}

/// Why a TOML text cannot be used: the place, the key, and the broken rule, but never the value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TomlError {
    /// The place, counted from 1; `None` if the text is not the one that the user wrote.
    pub place: Option<Place>,
    /// The key and the keys of its tables, joined by dots.
    pub key: Option<String>,
    /// The broken rule.
    pub rule: String,
}

/// A place in a text, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl TomlError {
    fn new(mut error: toml::de::Error, text: &str) -> Self {
        let place = error.span().map(|span| place(text, span.start));
        let rule = escaped(rule(error.message())).to_string();
        // The error names the keys only if it has no text: `in `a.b``, in a separate line.
        error.set_input(None);
        let shown = error.to_string();
        let key = shown.trim_end().rsplit('\n').next().filter(|_| shown.trim_end().contains('\n'));
        let key = key
            .and_then(|line| line.strip_prefix("in `")?.strip_suffix('`'))
            .map(|key| escaped(key).to_string());
        Self { place, key, rule }
    }

    /// Removes the place. It has no meaning if the text was generated from the user's text.
    #[must_use]
    pub fn without_place(mut self) -> Self {
        self.place = None;
        self
    }
}

impl fmt::Display for TomlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Place { line, column }) = self.place {
            write!(f, "line {line}, column {column}: ")?;
        }
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.rule)
    }
}

impl std::error::Error for TomlError {}

/// The rule in a message of serde or of the parser, without the value that breaks it.
fn rule(message: &str) -> String {
    // `invalid type: string "the value", expected a boolean`; the value may contain these words
    // too.
    let shows_value = ["invalid type: ", "invalid value: ", "invalid length "];
    if shows_value.iter().any(|start| message.starts_with(start)) {
        return match message.rfind(", expected ") {
            Some(at) => format!("the value is of another kind{}", &message[at..]),
            None => "the value is of another kind".to_owned(),
        };
    }
    // `unknown variant `the value`, expected `a` or `b``
    if message.starts_with("unknown variant ") {
        let expected = message.rfind(", expected ").or_else(|| message.rfind(", there are no variants"));
        return format!("the value is unknown{}", expected.map_or("", |at| &message[at..]));
    }
    // `relative URL without a base: "the value"`
    let message = message.split(": \"").next().unwrap_or_default();
    message.trim_end().replace('\n', "; ")
}

fn place(text: &str, offset: usize) -> Place {
    let before = &text[..text.floor_char_boundary(offset)];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    Place { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Config {
        name: Option<String>,
        section: Option<Section>,
        items: Option<Vec<Section>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Section {
        count: Option<u8>,
        kind: Option<Kind>,
        address: Option<SocketAddr>,
        list: Option<Vec<bool>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        One,
        Two,
    }

    fn check(text: &str, expected: &str) {
        assert_eq!(parse_toml::<Config>(text).expect_err(text).to_string(), expected);
    }

    #[test]
    fn place_key_and_rule_and_no_value() {
        check(
            "name = \"a\"\n[section]\ncount = \"hunter2\"\n",
            "line 3, column 9: section.count: the value is of another kind, expected u8",
        );
        check(
            "[section]\nkind = \"hunter2, expected x\"",
            "line 2, column 8: section.kind: the value is unknown, expected `one` or `two`",
        );
        check("name = 'hunter2", "line 1, column 16: invalid literal string, expected `'`");
        check("name = hunter2\n", "line 1, column 8: string values must be quoted, expected literal string");
        check(
            "[[items]]\ncount = 1\n[[items]]\ncount = 700000",
            "line 4, column 9: items.count: the value is of another kind, expected u8",
        );
        check(
            "nome = \"hunter2\"",
            "line 1, column 1: unknown field `nome`, expected one of `name`, `section`, `items`",
        );
        check(
            "\"n\\u001b[2J\" = 1",
            r"line 1, column 1: unknown field `n\u{1b}[2J`, expected one of `name`, `section`, `items`",
        );
    }

    proptest! {
        /// Whatever the fault is, a secret in a file is never shown, and no control character
        /// reaches a terminal.
        #[test]
        fn no_secret_is_shown(
            before in "[ -~\n\u{1b}\u{202e}]{0,40}",
            after in "[ -~\n\u{1b}\u{202e}]{0,40}",
            key in prop::sample::select(vec!["name", "section.count", "section.kind", "section.address", "section.list"]),
            shape in prop::sample::select(vec!["\"#\"", "'#'", "[\"#\"]", "{ a = \"#\" }", "#", "\"#", "\"\"\"\n#\"\"\""]),
        ) {
            let secret = "s3cr3t-0f-s0m3b0dy";
            let text = format!("{before}\n{key} = {}\n{after}", shape.replace('#', secret));
            if let Err(error) = parse_toml::<Config>(&text) {
                let shown = error.to_string();
                prop_assert!(!shown.contains(secret), "{shown}");
                prop_assert!(!shown.contains(|character: char| character.is_control()), "{shown:?}");
            }
        }
    }
}
