//! Output for people: columns, days, and no terminal control sequences.

use ocpp_types::Timestamp;
use program::{Output, OutputError, escaped};
use station::inventory::CertificateEntry;

/// Prints rows in aligned columns, each row indented.
pub(crate) fn print_rows(out: &mut Output, rows: &[Vec<String>]) -> Result<(), OutputError> {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| escaped(cell).to_string()).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter(|row| column + 1 < row.len());
        cells.map(|row| row[column].chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        out.line(format_args!("  {}", cells.collect::<Vec<_>>().join("  ").trim_end()))?;
    }
    Ok(())
}

/// The end of a certificate's validity.
pub(crate) fn validity(certificate: &CertificateEntry) -> String {
    let day = day(certificate.not_after);
    match certificate.days_left {
        ..=-1 => format!("expired {day}"),
        1 => format!("until {day}, 1 day left"),
        days => format!("until {day}, {days} days left"),
    }
}

/// To the minute, in UTC.
pub(crate) fn minute(time: Timestamp) -> String {
    let text = time.to_string();
    format!("{}Z", text.get(..16).unwrap_or(&text).replace('T', " "))
}

fn day(time: Timestamp) -> String {
    let text = time.to_string();
    text.get(..10).unwrap_or(&text).to_owned()
}

/// `1 time`, `2 times`.
pub(crate) fn counted(count: usize, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}
