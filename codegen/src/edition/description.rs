//! What is said of an edition.

use crate::{document::Document, fixups::Fixup};

/// One version of OCPP and what cannot be read from its schemas.
#[derive(Debug)]
pub struct Edition {
    /// Folder of the schemas and module of the types: `v201`.
    pub module: &'static str,
    /// The variant of `ocpp_types::Version`.
    pub variant: &'static str,
    /// As it is called in prose: `OCPP 2.0.1`.
    pub title: &'static str,
    /// The sets of files that it is published in.
    pub sets: &'static [SchemaSet],
    /// Who sends the request of each action that is called and answered; in alphabetical order.
    pub calls: &'static [(&'static str, Sender)],
    /// Who sends the message of each action that is not answered (SEND of OCPP 2.1).
    pub sends: &'static [(&'static str, Sender)],
    /// Names of the types that the schemas write out without a name, by enclosing type and
    /// property.
    pub places: &'static [PlaceName],
    /// Corrections, applied in this order.
    pub fixups: &'static [Fixup],
    /// How its specification has points in time written.
    pub times: Times,
}

impl Edition {
    /// The name of the message that a document states, if the document is one of this edition. Its
    /// file has the same name; in OCPP 1.6, that of a request lacks `Request`.
    #[must_use]
    pub fn message(&self, document: &Document) -> Option<String> {
        let message = self.sets.iter().find_map(|set| set.message(&document.id))?;
        let is_named_after = message.strip_suffix("Request").is_some_and(|action| action == document.file);
        (message == document.file || is_named_after).then_some(message)
    }
}

/// How a specification has points in time written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// As JSON Schema's `date-time`: RFC 3339, with an offset.
    Rfc3339,
    /// As ISO 8601 has it, which the schemas say less of: also without an offset.
    Iso8601,
}

/// Who sends the request of an action.
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

    /// As it stands in documentation.
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
    /// The document that the files come from.
    pub document: &'static str,
    /// What an `$id` of the set begins with.
    pub id_prefixes: &'static [&'static str],
    /// How the rest of the `$id` names the message.
    pub message_name: MessageName,
}

impl SchemaSet {
    /// The name of the message that has this `$id`, if it is one of the set:
    /// `SignCertificateRequest`.
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

/// How an `$id` names its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageName {
    /// `…:SignCertificateRequest`.
    AsInId,
    /// `…:SignCertificate.req` and `…:SignCertificate.conf`.
    ReqAndConf,
}

/// The name of a type that a schema writes out in its place.
#[derive(Debug)]
pub struct PlaceName {
    /// The type or message that has the property.
    pub enclosing: &'static str,
    /// The property. Of a list, what is named is its item.
    pub property: &'static str,
    /// The name in the specification.
    pub name: &'static str,
}
