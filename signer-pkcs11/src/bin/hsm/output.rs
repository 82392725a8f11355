//! The outcome of a command, for people and for programs.

use std::{fmt::Write as _, io::Write as _, time::SystemTime};

use der::DateTime;
use program::{Output, OutputError, causes, complain, escaped};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use signer_pkcs11::{FileRecord, IssuedCertificate, Key, KeyInfo, Token, Uri};

use crate::access::TokenArguments;

/// The output format.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Json,
}

/// The name and value of a fact.
pub(crate) type Fact = (&'static str, Value);

/// The outcome of a command: a sentence, facts, warnings, and the next step.
pub(crate) struct Report {
    sentence: String,
    facts: Vec<Fact>,
    /// A list of items, each with its facts.
    items: Option<(&'static str, Vec<Vec<Fact>>)>,
    /// Printed unchanged, for pipes.
    raw: Option<(&'static str, String)>,
    warnings: Vec<String>,
    next: String,
    /// The command found a problem and fails.
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

    /// Makes the command fail after it has reported what it found.
    pub(crate) fn failed(mut self) -> Self {
        self.failed = true;
        self
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    /// Warns about a PIN that other users may read.
    pub(crate) fn warn_of_readable_pin(self, token: &TokenArguments) -> Self {
        match token.readable_pin() {
            Some(source) => {
                self.warning(format!("the PIN in {source} is readable by other users: chmod 600"))
            }
            None => self,
        }
    }

    /// Adds the hash of the last entry of a record. The operator keeps it elsewhere.
    pub(crate) fn head(self, record: Option<&FileRecord>) -> Self {
        match record {
            Some(record) => self.fact("record_head", record.chain().head().to_string()),
            None => self,
        }
    }

    /// Reports an issued certificate.
    pub(crate) fn certificate(self, certificate: &IssuedCertificate) -> Self {
        self.fact("serial", certificate.serial.to_string())
            .fact("sha256", hex::encode(Sha256::digest(&certificate.der)))
            .fact("not_before", utc(certificate.not_before))
            .fact("not_after", utc(certificate.not_after))
    }

    /// Reports the kind of a key and its protection. If the token does not report the protection,
    /// the command still succeeds.
    pub(crate) fn key(self, token: &Token, key: &Key) -> Self {
        let report = self
            .fact("algorithm", key.algorithm().to_string())
            .fact("public_key_sha256", key.public_key().hash().to_string());
        match token.keys() {
            Ok(keys) => {
                let read = keys.iter().find(|read| read.uri == *key.uri());
                read.into_iter()
                    .flat_map(protection)
                    .fold(report, |report, (name, value)| report.fact(name, value))
            }
            Err(error) => report.warning(format!(
                "the token does not report how it protects the key ({}): see `hsm list`",
                causes(&error)
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

    pub(crate) fn print(&self, form: Form) -> Result<(), OutputError> {
        let mut out = Output::new();
        match (form, &self.raw) {
            (Form::Json, _) => out.json(self.json())?,
            // Output for a pipe stands alone on standard output.
            (Form::Text, Some((_, text))) => {
                out.verbatim(text)?;
                // If standard error is closed, the text cannot be shown.
                let _ = std::io::stderr().write_all(self.text().as_bytes());
            }
            (Form::Text, None) => out.verbatim(&self.text())?,
        }
        out.finish()
    }

    /// The report for human readers, escaped: another program may have written any label into the
    /// token.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}\n", escaped(&self.sentence));
        // Writing into a String never fails.
        for (name, value) in &self.facts {
            let _ = writeln!(text, "  {}: {}", name.replace('_', " "), escaped(shown(value)));
        }
        for item in self.items.iter().flat_map(|(_, items)| items) {
            for (position, (name, value)) in item.iter().enumerate() {
                let indent = if position == 0 { "  " } else { "    " };
                let _ = writeln!(text, "{indent}{}: {}", name.replace('_', " "), escaped(shown(value)));
            }
        }
        for warning in &self.warnings {
            let _ = writeln!(text, "Warning: {}", escaped(warning));
        }
        let _ = writeln!(text, "Next: {}", escaped(&self.next));
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

/// A time in seconds, in the format of RFC 3339.
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

/// A value for human readers.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::Null => "not reported".into(),
        other => other.to_string(),
    }
}

/// A word of a command line, quoted for a shell.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A word of a command line for the transcript. A URI that was refused may contain a PIN, and so
/// may an attribute that this program does not know.
pub(crate) fn transcribed(word: &str) -> String {
    let omitted = || "'(omitted: not a PKCS #11 URI, and it may contain a PIN)'".to_owned();
    let lower = word.to_ascii_lowercase();
    match lower.find("pkcs11:") {
        Some(at) => word[at..]
            .parse::<Uri>()
            .map_or_else(|_| omitted(), |uri| quoted(&format!("{}{uri}", &word[..at]))),
        // A URI whose scheme was forgotten.
        None if !lower.starts_with("--") && lower.contains("pin") && lower.contains('=') => omitted(),
        None => quoted(word),
    }
}

/// The error and its causes, in one line.
pub(crate) fn print_error(error: &anyhow::Error, form: Form) {
    match form {
        Form::Json => {
            let mut out = Output::new();
            // The exit code reports the error too.
            let _ = out.json(json!({ "error": causes(error.as_ref()).to_string() }));
            let _ = out.finish();
        }
        Form::Text => complain("hsm", error.as_ref()),
    }
}
