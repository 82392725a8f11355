//! What a command has done, for people and for programs.

use std::{fmt::Write as _, time::SystemTime};

use der::DateTime;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use signer_pkcs11::{FileRecord, IssuedCertificate, Key, KeyInfo, Token};

use crate::access::TokenArguments;

/// How it is printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Json,
}

/// A name and what is told of it.
pub(crate) type Fact = (&'static str, Value);

/// The outcome of a command: a sentence, facts, warnings, and what to do next.
pub(crate) struct Report {
    sentence: String,
    facts: Vec<Fact>,
    /// A list of things, each by its facts.
    items: Option<(&'static str, Vec<Vec<Fact>>)>,
    /// Printed as it is, for pipes.
    raw: Option<(&'static str, String)>,
    warnings: Vec<String>,
    next: String,
    /// What was looked at is not as it should be: the command fails.
    failed: bool,
}

impl Report {
    pub(crate) fn new(sentence: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            sentence: sentence.into(),
            facts: Vec::new(),
            items: None,
            raw: None,
            warnings: Vec::new(),
            next: next.into(),
            failed: false,
        }
    }

    /// The command fails, having told what it found.
    pub(crate) fn failed(mut self) -> Self {
        self.failed = true;
        self
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    /// Warns of a PIN that others may read.
    pub(crate) fn careless(self, token: &TokenArguments) -> Self {
        match token.careless_pin() {
            Some(source) => {
                self.warning(format!("the PIN in {source} is readable by other users: chmod 600"))
            }
            None => self,
        }
    }

    /// Adds the hash of the last entry of a record, which is to be kept elsewhere.
    pub(crate) fn head(self, record: Option<&FileRecord>) -> Self {
        match record {
            Some(record) => self.fact("record_head", record.chain().head().to_string()),
            None => self,
        }
    }

    /// Tells of a certificate that was issued.
    pub(crate) fn certificate(self, certificate: &IssuedCertificate) -> Self {
        self.fact("serial", certificate.serial.as_str())
            .fact("sha256", hex::encode(Sha256::digest(&certificate.der)))
            .fact("not_before", utc(certificate.not_before))
            .fact("not_after", utc(certificate.not_after))
    }

    /// Tells of a key's kind, and what the token says of it. That it says nothing undoes nothing of what was done.
    pub(crate) fn key(self, token: &Token, key: &Key) -> Self {
        let report = self
            .fact("algorithm", key.algorithm().to_string())
            .fact("public_key_sha256", hex::encode(key.public_key().spki_sha256()));
        match token.keys() {
            Ok(keys) => {
                let read = keys.iter().find(|read| read.uri == *key.uri());
                read.into_iter()
                    .flat_map(protection)
                    .fold(report, |report, (name, value)| report.fact(name, value))
            }
            Err(error) => report.warning(format!(
                "the token does not say how it protects the key ({:#}): see `hsm list`",
                anyhow::Error::from(error)
            )),
        }
    }

    pub(crate) fn fact(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.facts.push((name, value.into()));
        self
    }

    pub(crate) fn items(mut self, name: &'static str, items: Vec<Vec<Fact>>) -> Self {
        self.items = Some((name, items));
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

    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}\n", self.sentence);
        // Writing into a String never fails.
        for (name, value) in &self.facts {
            let _ = writeln!(text, "  {}: {}", name.replace('_', " "), told(value));
        }
        for item in self.items.iter().flat_map(|(_, items)| items) {
            for (position, (name, value)) in item.iter().enumerate() {
                let indent = if position == 0 { "  " } else { "    " };
                let _ = writeln!(text, "{indent}{}: {}", name.replace('_', " "), told(value));
            }
        }
        for warning in &self.warnings {
            let _ = writeln!(text, "Warning: {warning}");
        }
        let _ = writeln!(text, "Next: {}", self.next);
        text
    }

    fn json(&self) -> Value {
        let mut object = members(&self.facts);
        object.insert("message".into(), self.sentence.clone().into());
        if let Some((name, items)) = &self.items {
            let items = items.iter().map(|item| object_of(item)).collect::<Vec<_>>();
            object.insert((*name).to_owned(), items.into());
        }
        object.extend(self.raw.iter().map(|(name, text)| ((*name).to_owned(), text.clone().into())));
        object.insert("warnings".into(), self.warnings.clone().into());
        object.insert("next".into(), self.next.clone().into());
        Value::Object(object)
    }
}

/// The attributes that protect a key.
pub(crate) fn protection(key: &KeyInfo) -> [Fact; 5] {
    [
        ("sensitive", key.sensitive.into()),
        ("extractable", key.extractable.into()),
        ("always_sensitive", key.always_sensitive.into()),
        ("never_extractable", key.never_extractable.into()),
        ("generated_in_token", key.local.into()),
    ]
}

/// A time in seconds, as RFC 3339 writes it.
pub(crate) fn utc(time: SystemTime) -> String {
    DateTime::from_system_time(time)
        .map_or_else(|_| "beyond the year 9999".to_owned(), |time| time.to_string())
}

fn members(facts: &[Fact]) -> Map<String, Value> {
    facts.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn object_of(facts: &[Fact]) -> Value {
    Value::Object(members(facts))
}

/// A value as a person reads it.
fn told(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::Null => "not told".into(),
        other => other.to_string(),
    }
}

/// A word of a command line, as a shell reads it back.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A word of a command line as it may be kept. A PIN in it was refused, and is a PIN all the same.
pub(crate) fn transcribed(word: &str) -> String {
    if word.to_ascii_lowercase().contains("pin-value=") {
        return "'(left out: it holds a PIN)'".to_owned();
    }
    quoted(word)
}

/// The error and its causes, in one line.
pub(crate) fn print_error(error: &anyhow::Error, form: Form) {
    match form {
        Form::Json => println!("{}", json!({ "error": format!("{error:#}") })),
        Form::Text => eprintln!("hsm: {error:#}"),
    }
}
