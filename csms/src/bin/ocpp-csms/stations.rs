//! The stations of the ledger: in the running service, or in the ledger itself if none runs.

use std::{
    collections::BTreeMap,
    io::{IsTerminal as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use certificates::{StationIdentity, UnixSeconds};
use csms::{
    Config, FileFormat, ShownStation, StationChanges, StationFields, StationFile, StationFilter,
    control::{ControlReply, ControlRequest, Listed, StationCommand},
    io::{ControlError, Conversation, Imported, OfflineStations},
    station_file_head, station_file_line,
};
use program::Output;
use serde_json::value::{RawValue, to_raw_value};
use zeroize::Zeroizing;

use crate::{commands::time, text};

#[derive(clap::Subcommand)]
pub(crate) enum StationsCommand {
    /// Add the stations of a file: all of them, or none if a line breaks a rule
    Import {
        /// CSV with a head line, or a JSON object in each line
        file: PathBuf,
        /// The format; left out: by the end of the file's name, .csv or .jsonl
        #[arg(long, value_enum)]
        format: Option<Format>,
    },
    /// Print the stations of the ledger as `import` reads them
    Export {
        /// The format
        #[arg(long, value_enum, default_value = "csv")]
        format: Format,
        /// Print the hashes of the passwords, too; who has them can test passwords
        #[arg(long)]
        with_password_hashes: bool,
    },
    /// List the stations of the ledger
    List {
        /// Only those of this group
        #[arg(long)]
        group: Option<String>,
        /// Only those with this label
        #[arg(long, value_name = "NAME=TEXT", value_parser = label)]
        label: Option<(String, String)>,
        /// Only those that have not booted since this time: 2027-01-31, or 2027-01-31T12:00:00Z
        #[arg(long, value_name = "TIME", value_parser = time)]
        not_seen_since: Option<UnixSeconds>,
        /// Begin after this station
        #[arg(long, value_name = "STATION")]
        after: Option<StationIdentity>,
        /// List at most this many
        #[arg(long)]
        limit: Option<u64>,
    },
    /// Show a station of the ledger or of the configuration file
    Show {
        /// The station's identity
        station: StationIdentity,
    },
    /// Add a station
    Add {
        /// The station's identity
        station: StationIdentity,
        /// Its serial number: CN of its certificate
        #[arg(long)]
        serial_number: String,
        #[command(flatten)]
        settings: Settings,
    },
    /// Change a station; its connection is closed if its credentials have changed
    Set {
        /// The station's identity
        station: StationIdentity,
        /// Its serial number: CN of its certificate
        #[arg(long)]
        serial_number: Option<String>,
        #[command(flatten)]
        settings: Settings,
        /// Remove its password
        #[arg(long, conflicts_with = "password")]
        no_password: bool,
    },
    /// Remove a station and close its connection
    Remove {
        /// The station's identity
        station: StationIdentity,
        /// Revoke its valid certificates first; without this option a station that has some stays
        #[arg(long)]
        revoke: bool,
    },
}

/// What may be set of a station.
#[derive(clap::Args)]
pub(crate) struct Settings {
    /// Its group; with `set`, an empty text removes it
    #[arg(long)]
    group: Option<String>,
    /// A label, may be repeated; with `set`, an empty text removes it
    #[arg(long = "label", value_name = "NAME=TEXT", value_parser = label)]
    labels: Vec<(String, String)>,
    /// The file with its password
    #[arg(long, group = "password", value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The hash of its password, as `hash-password` prints it
    #[arg(long, group = "password", value_name = "HASH")]
    password_hash: Option<String>,
    /// Make a password of random characters, and print it; it is kept nowhere else
    #[arg(long, group = "password")]
    generate_password: bool,
    /// Write the generated password to this new file, which only its owner can read, and not to
    /// standard output
    #[arg(long, value_name = "FILE", requires = "generate_password")]
    out: Option<PathBuf>,
    /// The lowest security profile that it may connect with: 1, 2 or 3
    #[arg(long)]
    lowest_security_profile: Option<u8>,
    /// open: it may request a certificate; closed: it may only renew the one that it uses
    #[arg(long)]
    enrolment: Option<String>,
}

/// The same formats as [`csms::FileFormat`].
#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Format {
    /// Comma-separated values with a head line
    Csv,
    /// A JSON object in each line
    Jsonl,
}

impl From<Format> for FileFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Csv => Self::Csv,
            Format::Jsonl => Self::Jsonl,
        }
    }
}

/// Carries out a command about stations.
pub(crate) async fn run(config: Config, mut command: StationsCommand, json: bool) -> Result<()> {
    let generated = match &mut command {
        StationsCommand::Add { settings, .. } | StationsCommand::Set { settings, .. } => {
            settings.generate()?
        }
        _ => None,
    };
    let done = carry_out(config, command, json, generated.as_ref()).await;
    if let (Err(_), Some(Generated::InFile(path))) = (&done, &generated) {
        std::fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    done
}

async fn carry_out(
    config: Config,
    command: StationsCommand,
    json: bool,
    generated: Option<&Generated>,
) -> Result<()> {
    let mut printer = Printer { out: Output::new(), list: List::of(&command, json), has_rows: false, json };
    let request = request(&command)?;
    printer.begin()?;
    let value =
        match Conversation::begin(&config.control_socket(), &ControlRequest::Stations(request.clone())).await
        {
            Ok(mut conversation) => loop {
                match conversation.reply().await? {
                    ControlReply::Row(row) => printer.row(&row)?,
                    ControlReply::Done(value) => break value,
                    ControlReply::Failed(reason) => bail!("{reason}"),
                    _ => bail!("the service replied in a way that this version does not know"),
                }
            },
            Err(ControlError::NotRunning { .. }) => {
                let offline = OfflineStations::open(config).await?;
                let done = without_service(&offline, request, &mut printer).await;
                offline.close().await?;
                done?
            }
            Err(error) => return Err(error.into()),
        };
    let shown = match generated {
        Some(Generated::ToShow(password)) => Some(password.as_str()),
        Some(Generated::InFile(_)) | None => None,
    };
    printer.end(&command, &value, shown)
}

/// The command in the ledger itself.
async fn without_service(
    offline: &OfflineStations,
    command: StationCommand,
    printer: &mut Printer,
) -> Result<Box<RawValue>> {
    let stations = offline.stations();
    let value = match command {
        StationCommand::Add(fields) => to_raw_value(&stations.add(fields, BY).await?.identity),
        StationCommand::Set { station, changes } => {
            to_raw_value(&stations.set(&station, changes, BY).await?.1)
        }
        StationCommand::Remove { revoke: true, .. } => {
            bail!("--revoke needs the running service; start it with `ocpp-csms run`")
        }
        StationCommand::Remove { station, revoke: false } => {
            to_raw_value(&stations.remove(&station, BY).await?.identity)
        }
        StationCommand::Show { station } => to_raw_value(&stations.get(&station).await?),
        StationCommand::Import { file, format } => to_raw_value(&stations.import(&file, format, BY).await?),
        StationCommand::List { filter, after, limit } => {
            let (mut after, mut rows) = (after.map(|after| after.key()).unwrap_or_default(), 0);
            loop {
                let page = stations.list(&filter, &after, ROWS_AT_ONCE).await?;
                for station in page.stations {
                    if limit.is_some_and(|limit| rows >= limit) {
                        return Ok(to_raw_value(&Listed { rows, whole: false })?);
                    }
                    printer.row(&to_raw_value(&ShownStation::from(station))?)?;
                    rows += 1;
                }
                match page.next {
                    Some(next) => after = next,
                    None => break to_raw_value(&Listed { rows, whole: true }),
                }
            }
        }
        StationCommand::Export { with_password_hashes } => {
            let (mut after, mut rows) = (String::new(), 0);
            loop {
                let page = stations.list(&StationFilter::default(), &after, ROWS_AT_ONCE).await?;
                for found in &page.stations {
                    let mut fields = StationFields::from(&found.station);
                    fields.password_hash = fields.password_hash.filter(|_| with_password_hashes);
                    printer.row(&to_raw_value(&fields)?)?;
                    rows += 1;
                }
                match page.next {
                    Some(next) => after = next,
                    None => break to_raw_value(&Listed { rows, whole: true }),
                }
            }
        }
        _ => bail!("this command needs the running service"),
    };
    Ok(value?)
}

/// Prints the rows as they arrive, and the result.
struct Printer {
    out: Output,
    list: List,
    has_rows: bool,
    json: bool,
}

/// The rows of a command.
#[derive(Clone, Copy)]
enum List {
    None,
    Shown,
    File(FileFormat),
}

impl List {
    fn of(command: &StationsCommand, json: bool) -> Self {
        match command {
            StationsCommand::Export { .. } if json => Self::File(FileFormat::Jsonl),
            StationsCommand::Export { format, .. } => Self::File((*format).into()),
            StationsCommand::List { .. } => Self::Shown,
            _ => Self::None,
        }
    }
}

impl Printer {
    fn begin(&mut self) -> Result<()> {
        if let List::File(FileFormat::Csv) = self.list {
            self.out.line(station_file_head())?;
        }
        Ok(())
    }

    fn row(&mut self, row: &RawValue) -> Result<()> {
        let is_first = !std::mem::replace(&mut self.has_rows, true);
        match self.list {
            List::None => bail!("the service replied with rows, which this version does not expect here"),
            List::Shown if self.json => {
                self.out.json_part(if is_first { "[" } else { "," })?;
                self.out.json_part(row)?;
            }
            List::Shown => self.out.line(text::registered(&serde_json::from_str(row.get())?))?,
            List::File(FileFormat::Jsonl) => self.out.json(row)?,
            // No field has control characters, which could have an effect on a terminal.
            List::File(format) => {
                let fields: StationFields = serde_json::from_str(row.get())?;
                self.out.verbatim(&station_file_line(&fields, format))?;
            }
        }
        Ok(())
    }

    fn end(mut self, command: &StationsCommand, value: &RawValue, password: Option<&str>) -> Result<()> {
        let read = value.get();
        if let (Some(password), true) = (password, self.json) {
            self.out.json(serde_json::json!({ "result": value, "password": password }))?;
            return Ok(self.out.finish()?);
        }
        match (self.list, command) {
            (List::Shown, _) if self.json => self.out.json(if self.has_rows { "]" } else { "[]" })?,
            (List::Shown, _) => {
                let Listed { rows, whole } = serde_json::from_str(read)?;
                let more = if whole { "" } else { "; there are more, see --limit and --after" };
                self.out.line(format!("{rows} stations{more}"))?;
            }
            (List::File(_), _) => {}
            (List::None, _) if self.json => self.out.json(value)?,
            (List::None, StationsCommand::Show { .. }) => {
                let shown: ShownStation = serde_json::from_str(read)?;
                text::registered_in_full(&shown).iter().try_for_each(|line| self.out.line(line))?;
            }
            (List::None, StationsCommand::Import { .. }) => {
                let Imported { count, file_sha256 } = serde_json::from_str(read)?;
                self.out.line(format!("{count} stations were added; SHA-256 of the file {file_sha256}"))?;
            }
            (List::None, StationsCommand::Set { station, .. }) => {
                let names: Vec<String> = serde_json::from_str(read)?;
                match names.as_slice() {
                    [] => self.out.line(format!("{station} has these values already"))?,
                    names => self.out.line(format!("{station}: changed {}", names.join(", ")))?,
                }
            }
            (List::None, StationsCommand::Remove { station, .. }) => {
                self.out.line(format!("{station} is removed"))?;
            }
            (List::None, _) => self.out.line("the station is added")?,
        }
        if let Some(password) = password {
            self.out.line(format!("password {password}"))?;
        }
        Ok(self.out.finish()?)
    }
}

fn request(command: &StationsCommand) -> Result<StationCommand> {
    Ok(match command {
        StationsCommand::Import { file, format } => {
            let format = format_of(file, *format)?;
            check(file, format)?;
            let file = file.canonicalize().with_context(|| format!("cannot read {}", file.display()))?;
            StationCommand::Import { file, format }
        }
        StationsCommand::Export { with_password_hashes, .. } => {
            StationCommand::Export { with_password_hashes: *with_password_hashes }
        }
        StationsCommand::List { group, label, not_seen_since, after, limit } => {
            let (group, label) = (group.clone(), label.clone());
            let filter = StationFilter { group, label, not_seen_since: *not_seen_since };
            StationCommand::List { filter, after: after.clone(), limit: *limit }
        }
        StationsCommand::Show { station } => StationCommand::Show { station: station.clone() },
        StationsCommand::Add { station, serial_number, settings } => StationCommand::Add(StationFields {
            identity: station.to_string(),
            serial_number: serial_number.clone(),
            group: settings.group.clone(),
            labels: settings.labels(),
            password_hash: settings.hash()?,
            lowest_security_profile: settings.lowest_security_profile,
            enrolment: settings.enrolment.clone(),
        }),
        StationsCommand::Set { station, serial_number, settings, no_password } => {
            let changes = StationChanges {
                serial_number: serial_number.clone(),
                group: settings.group.clone(),
                labels: settings.labels(),
                password_hash: settings.hash()?.or(no_password.then(String::new)),
                lowest_security_profile: settings.lowest_security_profile,
                enrolment: settings.enrolment.clone(),
            };
            StationCommand::Set { station: station.clone(), changes }
        }
        StationsCommand::Remove { station, revoke } => {
            StationCommand::Remove { station: station.clone(), revoke: *revoke }
        }
    })
}

/// A password that was made.
enum Generated {
    /// It is printed when its hash is in the ledger.
    ToShow(Zeroizing<String>),
    /// It is in a file already, so that it is not lost.
    InFile(PathBuf),
}

impl Settings {
    /// Makes a password if one is asked for, and takes its hash.
    fn generate(&mut self) -> Result<Option<Generated>> {
        if !self.generate_password {
            return Ok(None);
        }
        let made = csms::io::generate_password()?;
        self.password_hash = Some(made.hash);
        let Some(path) = self.out.clone() else { return Ok(Some(Generated::ToShow(made.password))) };
        let write = || {
            let mut options = std::fs::File::options();
            let mut file = options.write(true).create_new(true).mode(0o600).open(&path)?;
            writeln!(file, "{}", made.password.as_str())?;
            file.sync_all()
        };
        write().with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Some(Generated::InFile(path)))
    }

    fn labels(&self) -> BTreeMap<String, String> {
        self.labels.iter().cloned().collect()
    }

    fn hash(&self) -> Result<Option<String>> {
        let Some(path) = &self.password_file else { return Ok(self.password_hash.clone()) };
        let password = program::read_text(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Some(csms::io::hash_password(password.trim_end_matches(['\r', '\n']))?))
    }
}

/// Checks a whole file before anything is sent, and prints all its faults.
fn check(path: &Path, format: FileFormat) -> Result<()> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut errors = std::io::stderr();
    match StationFile::parse(&bytes, format) {
        Ok(file) => {
            if errors.is_terminal() {
                // Where standard error is not read, the import goes on.
                let _ = writeln!(errors, "{} stations are checked, and are being added", file.len());
            }
            Ok(())
        }
        Err(problems) => {
            for problem in &problems.first {
                let line = format!("{}: {problem}", path.display());
                writeln!(errors, "{}", program::escaped(line)).context("cannot write the faults")?;
            }
            let more = problems.count.saturating_sub(problems.first.len() as u64);
            if more > 0 {
                writeln!(errors, "and {more} more").context("cannot write the faults")?;
            }
            bail!("{} has {} faults, and nothing was imported; fix them", path.display(), problems.count)
        }
    }
}

fn format_of(path: &Path, format: Option<Format>) -> Result<FileFormat> {
    match (format, path.extension().and_then(|extension| extension.to_str())) {
        (Some(format), _) => Ok(format.into()),
        (None, Some("csv")) => Ok(FileFormat::Csv),
        (None, Some("jsonl" | "ndjson")) => Ok(FileFormat::Jsonl),
        (None, _) => bail!("{} ends neither with .csv nor with .jsonl; name its --format", path.display()),
    }
}

fn label(text: &str) -> Result<(String, String)> {
    let (name, text) = text.split_once('=').context("has to be NAME=TEXT")?;
    Ok((name.to_owned(), text.to_owned()))
}

/// Who makes the changes.
const BY: &str = "cli";

/// The number of rows that are read from the ledger at once.
const ROWS_AT_ONCE: u32 = 500;
