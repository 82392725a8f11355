//! Rows of a list of any length, printed as they arrive.

use anyhow::Result;
use csms::control::{ConnectedStation, IssuedCertificate, Listed, Status, WaitingRequest};
use program::Output;
use serde_json::value::RawValue;

use crate::text;

/// A list that is being printed.
pub(crate) struct Listing {
    kind: Kind,
    has_rows: bool,
}

/// The kind of its rows.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Stations,
    Certificates,
    Requests,
}

impl Listing {
    /// A list without rows.
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, has_rows: false }
    }

    /// Prints a row.
    pub(crate) fn row(&mut self, out: &mut Output, row: &RawValue, json: bool) -> Result<()> {
        let is_first = !std::mem::replace(&mut self.has_rows, true);
        if json {
            out.json_part(if is_first { self.opening() } else { "," })?;
            return Ok(out.json_part(row)?);
        }
        let row = row.get();
        let line = match self.kind {
            Kind::Stations => text::station(&serde_json::from_str::<ConnectedStation>(row)?),
            Kind::Certificates => text::certificate(&serde_json::from_str::<IssuedCertificate>(row)?),
            Kind::Requests => text::request(&serde_json::from_str::<WaitingRequest>(row)?),
        };
        Ok(out.line(line)?)
    }

    /// Prints the part after the rows.
    pub(crate) fn end(self, out: &mut Output, value: &RawValue, json: bool) -> Result<()> {
        let read = value.get();
        if json {
            if !self.has_rows {
                out.json_part(self.opening())?;
            }
            let end = match self.kind {
                // The members of the status follow its stations.
                Kind::Stations => format!("],{}", read.strip_prefix('{').unwrap_or("}")),
                Kind::Certificates | Kind::Requests => "]".to_owned(),
            };
            return Ok(out.json(end)?);
        }
        let total = |noun: &str| -> Result<String> {
            let Listed { rows, whole } = serde_json::from_str(read)?;
            let more = if whole { "" } else { "; there are more, see --limit" };
            Ok(format!("{rows} {noun}{more}"))
        };
        let lines = match self.kind {
            Kind::Stations => text::status(&serde_json::from_str::<Status>(read)?),
            Kind::Certificates => vec![total("certificates")?],
            Kind::Requests => vec![total("without a certificate")?],
        };
        Ok(lines.iter().try_for_each(|line| out.line(line))?)
    }

    fn opening(&self) -> &'static str {
        match self.kind {
            Kind::Stations => "{\"stations\":[",
            Kind::Certificates | Kind::Requests => "[",
        }
    }
}
