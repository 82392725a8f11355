//! Files of stations: CSV with a head line, or a JSON object in each line.

use std::{
    collections::{BTreeMap, HashMap},
    str::FromStr,
};

use certificates::StationIdentity;
use serde::{Deserialize, Serialize};

use crate::stations::registry::station::{Station, StationFields};

/// The format of a file of stations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FileFormat {
    /// RFC 4180 with a head line that names the columns.
    Csv,
    /// A JSON object in each line.
    Jsonl,
}

/// A fault in a file of stations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("line {line}: {field}: {rule}")]
pub struct FileProblem {
    /// The line, counted from 1.
    pub line: u64,
    /// The name of the field; `line` if it concerns the whole line.
    pub field: String,
    /// The rule that is broken. It contains no password hash.
    pub rule: String,
}

/// The faults in a file of stations: the first 100, and their number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileProblems {
    /// The first ones, in the order of their lines.
    pub first: Vec<FileProblem>,
    /// The number of all.
    pub count: u64,
}

/// The stations of a file that breaks no rule, with their lines.
#[derive(Clone, Debug, Default)]
pub struct StationFile {
    pub(crate) stations: Vec<Station>,
    lines: Vec<u64>,
    by_identity: HashMap<StationIdentity, usize>,
    by_serial_number: HashMap<String, usize>,
}

impl StationFile {
    /// Reads a whole file.
    ///
    /// # Errors
    /// All lines and fields that break a rule.
    pub fn parse(bytes: &[u8], format: FileFormat) -> Result<Self, FileProblems> {
        let (mut file, mut problems) = (Self::default(), FileProblems::default());
        match format {
            FileFormat::Csv => file.read_csv(bytes, &mut problems),
            FileFormat::Jsonl => file.read_lines(bytes, &mut problems),
        }
        if file.stations.is_empty() && problems.count == 0 {
            problems.add(1, "line", "the file has no station".to_owned());
        }
        if problems.count == 0 { Ok(file) } else { Err(problems) }
    }

    /// The number of stations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.stations.len()
    }

    /// Whether there is no station. A file that was read has one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stations.is_empty()
    }

    /// The faults that result from stations which exist already; `place` says where.
    pub(crate) fn conflicts(&self, others: &[Station], place: &str) -> FileProblems {
        let mut found = BTreeMap::new();
        for other in others {
            if let Some(&index) = self.by_identity.get(&other.identity) {
                found.insert(index, ("identity", format!("{} is already in {place}", other.identity)));
            } else if let Some(&index) = self.by_serial_number.get(&other.serial_number) {
                let owner = &other.identity;
                found.insert(index, ("serial_number", format!("is that of {owner}, which is in {place}")));
            }
        }
        let mut problems = FileProblems::default();
        for (index, (field, rule)) in found {
            problems.add(self.lines.get(index).copied().unwrap_or_default(), field, rule);
        }
        problems
    }

    fn read_csv(&mut self, bytes: &[u8], problems: &mut FileProblems) {
        let mut reader = csv::Reader::from_reader(bytes);
        let head = match reader.headers() {
            Ok(head) => head.clone(),
            Err(error) => return problems.add(1, "line", format!("cannot be read: {error}")),
        };
        let mut columns = Vec::new();
        for name in &head {
            match name.parse::<Column>() {
                Ok(column) if columns.contains(&column) => {
                    problems.add(1, name, "is there twice".to_owned());
                }
                Ok(column) => columns.push(column),
                Err(rule) => problems.add(1, name, rule),
            }
        }
        for needed in [Column::Identity, Column::SerialNumber] {
            if !columns.contains(&needed) {
                problems.add(1, needed.name(), "is needed as a column".to_owned());
            }
        }
        if problems.count > 0 {
            return;
        }
        for record in reader.records() {
            match record {
                Ok(record) => {
                    let line = record.position().map_or(0, csv::Position::line);
                    match fields(&columns, &record) {
                        Ok(fields) => self.add(line, fields, problems),
                        Err((column, rule)) => problems.add(line, column.name(), rule),
                    }
                }
                Err(error) => {
                    let line = error.position().map_or(0, csv::Position::line);
                    let rule = match error.kind() {
                        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                            format!("has {len} columns, the first line has {expected_len}")
                        }
                        csv::ErrorKind::Utf8 { .. } => "is not UTF-8".to_owned(),
                        _ => "cannot be read".to_owned(),
                    };
                    problems.add(line, "line", rule);
                }
            }
        }
    }

    fn read_lines(&mut self, bytes: &[u8], problems: &mut FileProblems) {
        for (line, text) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            if text.trim_ascii().is_empty() {
                continue;
            }
            match serde_json::from_slice::<StationFields>(text) {
                Ok(fields) => self.add(line, fields, problems),
                // The message may repeat a value, which may be a secret.
                Err(error) if error.is_data() => {
                    let rule = "has a missing or unknown member, or one of another type";
                    problems.add(line, "line", format!("{rule} (column {})", error.column()));
                }
                Err(error) => problems.add(line, "line", format!("is not JSON (column {})", error.column())),
            }
        }
    }

    fn add(&mut self, line: u64, fields: StationFields, problems: &mut FileProblems) {
        let station = match fields.check() {
            Ok(station) => station,
            Err(errors) => {
                return errors.into_iter().for_each(|error| problems.add(line, error.field, error.rule));
            }
        };
        let number = self.stations.len();
        let first = |index: usize| format!("is that of line {} too", self.lines.get(index).unwrap_or(&0));
        if let Some(&index) = self.by_identity.get(&station.identity) {
            return problems.add(line, "identity", first(index));
        }
        // A00.FR.427: a certificate belongs to one station.
        if let Some(&index) = self.by_serial_number.get(&station.serial_number) {
            return problems.add(line, "serial_number", first(index));
        }
        self.by_identity.insert(station.identity.clone(), number);
        self.by_serial_number.insert(station.serial_number.clone(), number);
        self.lines.push(line);
        self.stations.push(station);
    }
}

impl FileProblems {
    pub(crate) fn add(&mut self, line: u64, field: &str, rule: String) {
        self.count += 1;
        if self.first.len() < MAX_PROBLEMS {
            self.first.push(FileProblem { line, field: field.to_owned(), rule });
        }
    }
}

impl std::error::Error for FileProblems {}

impl std::fmt::Display for FileProblems {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "nothing was imported: {} faults", self.count)?;
        self.first.iter().try_for_each(|problem| write!(formatter, "; {problem}"))?;
        match self.count.saturating_sub(self.first.len() as u64) {
            0 => Ok(()),
            more => write!(formatter, "; and {more} more"),
        }
    }
}

/// The head line of a CSV file.
#[must_use]
pub fn csv_head() -> String {
    let names = Column::ALL.iter().map(|column| column.name()).collect::<Vec<_>>();
    names.join(",")
}

/// A station as a line of a file, without its end.
#[must_use]
pub fn line(fields: &StationFields, format: FileFormat) -> String {
    match format {
        FileFormat::Jsonl => serde_json::json!(fields).to_string(),
        FileFormat::Csv => {
            let texts = Column::ALL.iter().map(|column| quoted(&column.text(fields)));
            texts.collect::<Vec<_>>().join(",")
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Identity,
    SerialNumber,
    Group,
    Labels,
    PasswordHash,
    LowestSecurityProfile,
    Enrolment,
}

impl Column {
    const ALL: [Self; 7] = [
        Self::Identity,
        Self::SerialNumber,
        Self::Group,
        Self::Labels,
        Self::PasswordHash,
        Self::LowestSecurityProfile,
        Self::Enrolment,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::SerialNumber => "serial_number",
            Self::Group => "group",
            Self::Labels => "labels",
            Self::PasswordHash => "password_hash",
            Self::LowestSecurityProfile => "lowest_security_profile",
            Self::Enrolment => "enrolment",
        }
    }

    fn text(self, fields: &StationFields) -> String {
        match self {
            Self::Identity => fields.identity.clone(),
            Self::SerialNumber => fields.serial_number.clone(),
            Self::Group => fields.group.clone().unwrap_or_default(),
            Self::Labels => {
                let labels = fields.labels.iter().map(|(name, text)| format!("{name}={text}"));
                labels.collect::<Vec<_>>().join(";")
            }
            Self::PasswordHash => fields.password_hash.clone().unwrap_or_default(),
            Self::LowestSecurityProfile => {
                fields.lowest_security_profile.map(|profile| profile.to_string()).unwrap_or_default()
            }
            Self::Enrolment => fields.enrolment.clone().unwrap_or_default(),
        }
    }
}

impl FromStr for Column {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|column| column.name() == name);
        found.ok_or_else(|| format!("is not known; the columns are {}", csv_head()))
    }
}

/// The fields of a record. An empty text means that the field is absent.
fn fields(columns: &[Column], record: &csv::StringRecord) -> Result<StationFields, (Column, String)> {
    let mut fields = StationFields::default();
    for (&column, text) in columns.iter().zip(record) {
        let text = text.to_owned();
        if text.is_empty() {
            continue;
        }
        match column {
            Column::Identity => fields.identity = text,
            Column::SerialNumber => fields.serial_number = text,
            Column::Group => fields.group = Some(text),
            Column::Labels => {
                for label in text.split(';') {
                    let pair = label.split_once('=');
                    let (name, text) =
                        pair.ok_or((column, "have to be NAME=TEXT, separated by ';'".to_owned()))?;
                    if fields.labels.insert(name.to_owned(), text.to_owned()).is_some() {
                        return Err((column, "have a name twice".to_owned()));
                    }
                }
            }
            Column::PasswordHash => fields.password_hash = Some(text),
            Column::LowestSecurityProfile => {
                let profile = text.parse().map_err(|_| (column, "has to be 1, 2 or 3".to_owned()))?;
                fields.lowest_security_profile = Some(profile);
            }
            Column::Enrolment => fields.enrolment = Some(text),
        }
    }
    Ok(fields)
}

/// A text as RFC 4180 writes it.
fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) || text.trim() != text {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

/// The faults that are reported in full.
const MAX_PROBLEMS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_names_line_field_and_rule() {
        let check = |format, text: &str, expected: &[&str]| {
            let problems = StationFile::parse(text.as_bytes(), format).expect_err(text);
            let found = problems.first.iter().map(ToString::to_string).collect::<Vec<_>>();
            assert_eq!(found.len(), expected.len(), "{found:?}");
            for (found, expected) in found.iter().zip(expected) {
                assert!(found.starts_with(expected) && !found.contains("hunter2"), "{found}");
            }
        };
        check(FileFormat::Csv, "", &["line 1: identity", "line 1: serial_number"]);
        check(FileFormat::Csv, "identity,serial_number\n", &["line 1: line: the file has no station"]);
        check(FileFormat::Csv, "identity,serial_number,colour\n", &["line 1: colour: is not known"]);
        check(
            FileFormat::Csv,
            "identity,serial_number,password_hash,enrolment\nCS:1,SN-1,,\nCS2,,hunter2,\nCS3,SN-3,,approval\nCS4\n\
             CS5,SN-5,,\ncs5,SN-6,,\nCS7,SN-5,,\n",
            &[
                "line 2: identity: cannot be used",
                "line 3: serial_number: has to have 1 to 25",
                "line 3: password_hash: is not",
                "line 4: enrolment: cannot be 'approval'",
                "line 5: line: has 1 columns",
                "line 7: identity: is that of line 6 too",
                "line 8: serial_number: is that of line 6 too",
            ],
        );
        check(
            FileFormat::Jsonl,
            "{\"identity\":\"CS1\",\"serial_number\":\"SN-1\"}\n\n{\"identity\":\"CS2\"}\nhunter2\n",
            &["line 3: line: has a missing", "line 4: line: is not JSON"],
        );
    }

    #[test]
    fn of_many_faults_the_first_are_reported_and_all_are_counted() {
        let text = format!("identity,serial_number\n{}", "CS:1,SN-1\n".repeat(250));
        let problems = StationFile::parse(text.as_bytes(), FileFormat::Csv).expect_err("faults");
        assert_eq!((problems.first.len(), problems.count), (100, 250));
        assert!(problems.to_string().ends_with("; and 150 more"));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let fields = StationFields {
            identity: "CS001".to_owned(),
            serial_number: "SN \"1\", x".to_owned(),
            group: Some(" north".to_owned()),
            labels: [("site", "A,1 = \"x\""), ("b", "y")].map(|(n, t)| (n.to_owned(), t.to_owned())).into(),
            password_hash: Some(
                "$argon2id$v=19$m=19456,t=2,p=1$c29tZSBzYWx0$dHdlbnR5IGVpZ2h0IGJ5dGVz".to_owned(),
            ),
            lowest_security_profile: Some(2),
            enrolment: Some("closed".to_owned()),
        };
        let station = fields.check().expect("no rule is broken");
        for format in [FileFormat::Csv, FileFormat::Jsonl] {
            let head = if format == FileFormat::Csv { csv_head() + "\n" } else { String::new() };
            let text = head + &line(&StationFields::from(&station), format) + "\n";
            let file = StationFile::parse(text.as_bytes(), format).expect("good");
            assert_eq!(file.stations, std::slice::from_ref(&station), "{text}");
        }
    }
}
