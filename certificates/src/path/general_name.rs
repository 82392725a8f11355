//! Names in certificates and constraints (RFC 5280, 4.2.1.6 and 4.2.1.10).

use der::{Reader, SliceReader, Tag};

use crate::asn1::{Raw, sequence};

/// A GeneralName, or the base of a subtree of such names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GeneralName<'a> {
    /// rfc822Name
    Email(&'a str),
    /// dNSName
    Dns(&'a str),
    /// directoryName: the Name, tag, length and content.
    Directory(&'a [u8]),
    /// uniformResourceIdentifier
    Uri(&'a str),
    /// iPAddress; in a constraint it is address and mask.
    Address(&'a [u8]),
    /// otherName, x400Address, ediPartyName, registeredID: these are not compared.
    Other {
        /// The number of its tag.
        kind: u8,
    },
}

impl<'a> GeneralName<'a> {
    pub(super) fn read(reader: &mut SliceReader<'a>) -> der::Result<Self> {
        let Raw { tag, content } = Raw::read(reader)?;
        let text = || {
            let text = std::str::from_utf8(content).ok().filter(|text| text.is_ascii());
            text.ok_or_else(|| der::Error::from(Tag::Ia5String.value_error()))
        };
        Ok(match tag {
            0x81 => Self::Email(text()?),
            0x82 => Self::Dns(text()?),
            // EXPLICIT, because Name is a CHOICE.
            0xa4 => Self::Directory(content),
            0x86 => Self::Uri(text()?),
            0x87 => Self::Address(content),
            0xa0 | 0xa3 | 0xa5 | 0x88 => Self::Other { kind: tag & 0x1f },
            _ => return Err(Tag::Null.value_error().into()),
        })
    }

    /// The number of the tag.
    pub(super) fn kind(self) -> u8 {
        match self {
            Self::Email(_) => 1,
            Self::Dns(_) => 2,
            Self::Directory(_) => 4,
            Self::Uri(_) => 6,
            Self::Address(_) => 7,
            Self::Other { kind } => kind,
        }
    }
}

/// GeneralNames: tag, length and content.
pub(super) fn general_names(der: &[u8]) -> der::Result<Vec<GeneralName<'_>>> {
    let mut reader = sequence(der)?;
    let mut names = Vec::new();
    while !reader.is_finished() {
        names.push(GeneralName::read(&mut reader)?);
    }
    Ok(names)
}
