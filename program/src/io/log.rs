//! The log of a program, on standard error.
//!
//! Text from peers, files and tokens is escaped here, once for all call sites.

use std::{
    fmt::{self, Debug, Write as _},
    io::{self, IsTerminal as _},
};

use tracing::{
    Dispatch, Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter,
    field::RecordFields,
    fmt::{
        FmtContext, FormatEvent, FormatFields, MakeWriter,
        format::{Format, Json, Writer},
    },
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

use crate::{causes, escape::Escape, escaped_json};

/// The format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Text for people
    Human,
    /// One JSON object per line
    Json,
}

/// Starts the log on standard error, for as long as the process runs. `RUST_LOG` selects what is
/// logged; the default is `info`.
///
/// Each event is one line, whatever its fields and message contain, and no part of it moves a
/// terminal's cursor: see [`escaped`](crate::escaped) and [`escaped_json`].
///
/// # Panics
/// If it was started before.
pub fn start_log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    log(format, filter, io::stderr().is_terminal(), io::stderr).init();
}

fn log<W>(format: LogFormat, filter: EnvFilter, colours: bool, writer: W) -> Dispatch
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours)
        .with_writer(writer)
        // The report about a line that could not be written panics if it cannot be written either,
        // as on a full disk.
        .log_internal_errors(false);
    match format {
        LogFormat::Human => log.fmt_fields(EscapedFields).into(),
        LogFormat::Json => log.json().map_event_format(EscapedJson).into(),
    }
}

/// Events as JSON, with escapes for the characters that JSON itself does not escape.
struct EscapedJson(Format<Json>);

impl<S, N> FormatEvent<S, N> for EscapedJson
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        writeln!(writer, "{}", escaped_json(line.trim_end()))
    }
}

/// Fields of events and spans as text for people, escaped.
struct EscapedFields;

impl<'writer> FormatFields<'writer> for EscapedFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut visitor = Fields { writer, is_first: true, written: Ok(()) };
        fields.record(&mut visitor);
        visitor.written
    }
}

struct Fields<'writer> {
    writer: Writer<'writer>,
    is_first: bool,
    written: fmt::Result,
}

impl Fields<'_> {
    fn write(&mut self, name: &str, value: &dyn Debug) -> fmt::Result {
        if !std::mem::take(&mut self.is_first) {
            self.writer.write_char(' ')?;
        }
        if name != "message" {
            // The names come from our own sources. They are italic as in tracing-subscriber.
            let (on, off) =
                if self.writer.has_ansi_escapes() { ("\u{1b}[3m", "\u{1b}[0m") } else { ("", "") };
            write!(self.writer, "{on}{}{off}=", name.strip_prefix("r#").unwrap_or(name))?;
        }
        write!(Escape::new(&mut self.writer), "{value:?}")
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.record_debug(field, &format_args!("{value}")),
            _ => self.record_debug(field, &value),
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.record_debug(field, &causes(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // The line already has the source of a record of the crate `log`.
        if self.written.is_ok() && !field.name().starts_with("log.") {
            self.written = self.write(field.name(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{error::Error, sync::Arc};

    use super::*;

    /// Events that a service logs about a malicious station.
    fn attack() {
        let hostile = "CS\u{1b}[2J\u{7}\r\n2030-01-01 INFO forged\u{9b}\u{202e}\u{2028}";
        let cause = io::Error::other(io::Error::other(hostile));
        let span = tracing::info_span!("station", identity = hostile, shown = %hostile, later = tracing::field::Empty);
        span.record("later", hostile);
        let _entered = span.enter();
        tracing::info!(name = hostile, shown = %hostile, debug = ?hostile, "the station says {hostile}");
        tracing::error!(error = %causes(&cause), "it failed");
        tracing::error!(error = &cause as &dyn Error, "it failed");
    }

    fn logged(format: LogFormat, colours: bool) -> String {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let writer = Arc::new(file.reopen().expect("opens"));
        tracing::dispatcher::with_default(&log(format, EnvFilter::new("info"), colours, writer), attack);
        std::fs::read_to_string(file.path()).expect("UTF-8")
    }

    #[test]
    fn what_a_peer_has_sent_stays_in_its_line() {
        for format in [LogFormat::Human, LogFormat::Json] {
            let text = logged(format, false);
            assert_eq!(text.lines().count(), 3, "{text}");
            let obeyed = |letter: char| letter.is_control() || "\u{202e}\u{2028}".contains(letter);
            assert!(!text.replace('\n', "").contains(obeyed), "{text:?}");
            assert!(text.contains("the station says CS"), "{text}");
        }
    }

    #[test]
    fn colours_are_those_of_the_log_alone() {
        let text = logged(LogFormat::Human, true);
        assert!(text.contains("\u{1b}[3mshown\u{1b}[0m=CS\\u{1b}[2J\\u{7}\\r\\n2030"), "{text:?}");
        assert!(!text.contains("\u{1b}[2J") && !text.contains('\u{7}'), "{text:?}");
    }

    #[test]
    fn json_carries_the_text_itself() {
        let text = logged(LogFormat::Json, false);
        let first: serde_json::Value =
            serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
        let shown = first["fields"]["shown"].as_str().expect("text");
        assert!(shown.ends_with("\u{9b}\u{202e}\u{2028}"), "{shown:?}");
        assert_eq!(first["span"]["later"], first["span"]["shown"]);
    }
}
