//! The description of an edition.

use crate::{document::Document, fixups::Fixup};

/// One version of OCPP, with the facts that its schemas do not contain.
#[derive(Debug)]
pub struct Edition {
    /// Folder of the schemas and module of the types: `v201`.
    pub module: &'static str,
    /// The variant of `ocpp_types::Version`.
    pub variant: &'static str,
    /// Its name in prose: `OCPP 2.0.1`.
    pub title: &'static str,
    /// The sets of files in which it is published.
    pub sets: &'static [SchemaSet],
    /// The sender of the request of each action with an answer, in alphabetical order.
    pub calls: &'static [(&'static str, Sender)],
    /// The sender of the message of each action without an answer (SEND of OCPP 2.1).
    pub sends: &'static [(&'static str, Sender)],
    /// Names of the types that the schemas define inline without a name, by enclosing type and
    /// property.
    pub places: &'static [PlaceName],
    /// Corrections, applied in this order.
    pub fixups: &'static [Fixup],
    /// The format of points in time in its specification.
    pub times: Times,
}

impl Edition {
    /// The name of the message that a document defines, if the document belongs to this edition.
    /// Its file has the same name; in OCPP 1.6, the file of a request lacks `Request`.
    #[must_use]
    pub fn message(&self, document: &Document) -> Option<String> {
        let message = self.sets.iter().find_map(|set| set.message(&document.id))?;
        let is_named_after = message.strip_suffix("Request").is_some_and(|action| action == document.file);
        (message == document.file || is_named_after).then_some(message)
    }
}

/// The format of points in time in a specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// JSON Schema's `date-time`: RFC 3339, with an offset.
    Rfc3339,
    /// ISO 8601, also without an offset. The schemas are stricter.
    Iso8601,
}

/// The sender of an action's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The charging station only.
    ChargingStation,
    /// The CSMS only.
    Csms,
    /// Either side.
    Both,
}

impl Sender {
    /// The variant of `ocpp_types::Sender`.
    pub(crate) fn variant(self) -> &'static str {
        match self {
            Self::ChargingStation => "ChargingStation",
            Self::Csms => "Csms",
            Self::Both => "Both",
        }
    }

    /// The words for it in documentation.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::ChargingStation => "the charging station",
            Self::Csms => "the CSMS",
            Self::Both => "either side",
        }
    }
}

/// Files that are published together.
#[derive(Debug)]
pub struct SchemaSet {
    /// Its name in `SOURCES.toml`.
    pub name: &'static str,
    /// The document that contains the files.
    pub document: &'static str,
    /// The beginnings of the `$id`s of the set.
    pub id_prefixes: &'static [&'static str],
    /// How the rest of the `$id` names the message.
    pub message_name: MessageName,
}

impl SchemaSet {
    /// The name of the message with this `$id`, if it belongs to the set: `SignCertificateRequest`.
    #[must_use]
    pub fn message(&self, id: &str) -> Option<String> {
        let rest = self.id_prefixes.iter().find_map(|prefix| id.strip_prefix(prefix))?;
        match self.message_name {
            MessageName::AsInId => Some(rest.to_owned()),
            MessageName::ReqAndConf => {
                let request = rest.strip_suffix(".req").map(|action| format!("{action}Request"));
                request.or_else(|| rest.strip_suffix(".conf").map(|action| format!("{action}Response")))
            }
        }
    }
}

/// The form of a message's name in an `$id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageName {
    /// `…:SignCertificateRequest`.
    AsInId,
    /// `…:SignCertificate.req` and `…:SignCertificate.conf`.
    ReqAndConf,
}

/// The name of a type that a schema defines inline.
#[derive(Debug)]
pub struct PlaceName {
    /// The type or message that has the property.
    pub enclosing: &'static str,
    /// The property. For a list, the name is that of its items.
    pub property: &'static str,
    /// The name in the specification.
    pub name: &'static str,
}
