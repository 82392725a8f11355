//! What a command has done, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

/// How it is printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Json,
}

/// The outcome of a command: a sentence, facts, warnings, and what to do next.
pub(crate) struct Report {
    sentence: String,
    facts: Vec<(&'static str, Value)>,
    /// Printed as it is, for pipes.
    raw: Option<(&'static str, String)>,
    warnings: Vec<String>,
    next: String,
}

impl Report {
    pub(crate) fn new(sentence: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            sentence: sentence.into(),
            facts: Vec::new(),
            raw: None,
            warnings: Vec::new(),
            next: next.into(),
        }
    }

    pub(crate) fn fact(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.facts.push((name, value.into()));
        self
    }

    pub(crate) fn raw(mut self, name: &'static str, text: String) -> Self {
        self.raw = Some((name, text));
        self
    }

    pub(crate) fn warning(mut self, text: impl Into<String>) -> Self {
        self.warnings.push(text.into());
        self
    }

    pub(crate) fn print(&self, form: Form) {
        match form {
            Form::Json => println!("{}", self.json()),
            Form::Text => {
                // What is for a pipe stands alone on standard output.
                match &self.raw {
                    Some((_, text)) => {
                        print!("{text}");
                        eprint!("{}", self.text());
                    }
                    None => print!("{}", self.text()),
                }
            }
        }
    }

    fn text(&self) -> String {
        let mut text = format!("{}\n", self.sentence);
        for (name, value) in &self.facts {
            // Writing into a String never fails.
            let _ = match value {
                Value::String(value) => writeln!(text, "  {}: {value}", name.replace('_', " ")),
                Value::Array(items) => {
                    items.iter().try_for_each(|item| writeln!(text, "{}", item_text(item)))
                }
                other => writeln!(text, "  {}: {other}", name.replace('_', " ")),
            };
        }
        for warning in &self.warnings {
            let _ = writeln!(text, "Warning: {warning}");
        }
        let _ = writeln!(text, "Next: {}", self.next);
        text
    }

    fn json(&self) -> Value {
        let mut object = Map::new();
        object.extend(self.facts.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        object.extend(self.raw.iter().map(|(name, text)| ((*name).to_owned(), text.clone().into())));
        object.insert("warnings".into(), self.warnings.clone().into());
        object.insert("next".into(), self.next.clone().into());
        Value::Object(object)
    }
}

/// One entry of a list: its first member as heading, the others below.
fn item_text(item: &Value) -> String {
    let members = item.as_object().into_iter().flatten();
    let mut text = String::new();
    for (position, (name, value)) in members.enumerate() {
        let value = match value {
            Value::String(value) => value.clone(),
            Value::Bool(true) => "yes".into(),
            Value::Bool(false) => "no".into(),
            Value::Null => "not told".into(),
            other => other.to_string(),
        };
        let indent = if position == 0 { "\n  " } else { "\n    " };
        text.push_str(&format!("{indent}{}: {value}", name.replace('_', " ")));
    }
    text.trim_start_matches('\n').to_owned()
}

/// The error and its causes, in one line.
pub(crate) fn print_error(error: &anyhow::Error, form: Form) {
    match form {
        Form::Json => println!("{}", json!({ "error": format!("{error:#}") })),
        Form::Text => eprintln!("hsm: {error:#}"),
    }
}
