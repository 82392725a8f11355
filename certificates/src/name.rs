//! Names (X.501) of stations and central systems, in requests and in certificates. All programs
//! read them in the same way.
//!
//! Every string type of a DirectoryString is read, and IA5String, which some tools write instead.
//! Only requested attributes are read, so an unknown string type or an error in another attribute
//! does not make a certificate unreadable.

use std::collections::BTreeSet;
use std::fmt;

use der::asn1::ObjectIdentifier;
use der::{Reader, SliceReader, Tag};

use crate::asn1::{Raw, content, sequence};

/// A Name, as a certificate or a request contains it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name<'a>(&'a [u8]);

/// The attributes of names that have a meaning in OCPP or ISO 15118.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Attribute {
    /// CN: the serial number of a station (A00.FR.511), the FQDN of a CSMS (A00.FR.510).
    CommonName,
    /// O: the owner of the certificate (A00.FR.509).
    Organization,
    /// C: two letters.
    Country,
    /// DC: `CPO` in certificates for vehicles (ISO 15118-2, annex F).
    DomainComponent,
    /// emailAddress: deprecated, and subject to name constraints (RFC 5280, 4.1.2.6).
    EmailAddress,
}

impl<'a> Name<'a> {
    /// Reads a Name: tag, length and content. Names are compared by their bytes, never by a
    /// re-encoding.
    ///
    /// # Errors
    /// [`NameError::Structure`] if it is not a sequence of sets of attributes.
    pub fn read(der: &'a [u8]) -> Result<Self, NameError> {
        let name = Self(der);
        name.attributes(|_, _| Ok(()))?;
        Ok(name)
    }

    /// A Name that was read before.
    pub(crate) fn checked(der: &'a [u8]) -> Self {
        Self(der)
    }

    /// The Name as it was received.
    #[must_use]
    pub fn as_der(self) -> &'a [u8] {
        self.0
    }

    /// Each value of `attribute`, in the order of the Name.
    ///
    /// # Errors
    /// [`NameError::Text`] if one of them cannot be read. None is omitted: two readers could see
    /// two different owners.
    pub fn values(self, attribute: Attribute) -> Result<Vec<String>, NameError> {
        let mut values = Vec::new();
        self.attributes(|kind, value| {
            if kind == attribute.oid().as_bytes() {
                values.push(directory_string(value).ok_or(NameError::Text { attribute })?);
            }
            Ok(())
        })?;
        Ok(values)
    }

    /// The value of `attribute`, which may occur only once; `None` if it does not occur.
    ///
    /// # Errors
    /// As [`Name::values`]; [`NameError::Several`].
    pub fn value(self, attribute: Attribute) -> Result<Option<String>, NameError> {
        let mut values = self.values(attribute)?;
        let value = values.pop();
        if values.is_empty() { Ok(value) } else { Err(NameError::Several { attribute }) }
    }

    /// The relative names in a form for comparison (RFC 5280, 7.1): case, the number of spaces and
    /// the string type do not matter.
    pub(crate) fn relative_names(self) -> Result<Vec<BTreeSet<RelativeName>>, NameError> {
        let mut names = Vec::new();
        let mut sets = sequence(self.0)?;
        while !sets.is_finished() {
            let mut attributes = SliceReader::new(content(sets.tlv_bytes()?, Tag::Set)?)?;
            let mut set = BTreeSet::new();
            while !attributes.is_finished() {
                let mut attribute = sequence(attributes.tlv_bytes()?)?;
                let (kind, value) = (Raw::read(&mut attribute)?, Raw::read(&mut attribute)?);
                set.insert((kind.content.to_vec(), comparable(value)));
            }
            names.push(set);
        }
        Ok(names)
    }

    fn attributes(
        self,
        mut each: impl FnMut(&'a [u8], Raw<'a>) -> Result<(), NameError>,
    ) -> Result<(), NameError> {
        let mut sets = sequence(self.0)?;
        while !sets.is_finished() {
            let mut attributes = SliceReader::new(content(sets.tlv_bytes()?, Tag::Set)?)?;
            // RFC 5280, 4.1.2.4: SET SIZE (1..MAX)
            if attributes.is_finished() {
                return Err(NameError::Structure { source: Tag::Set.length_error().into() });
            }
            while !attributes.is_finished() {
                let mut attribute = sequence(attributes.tlv_bytes()?)?;
                let (kind, value) = (Raw::read(&mut attribute)?, Raw::read(&mut attribute)?);
                attribute.finish()?;
                if kind.tag != OBJECT_IDENTIFIER {
                    return Err(NameError::Structure { source: Tag::ObjectIdentifier.value_error().into() });
                }
                each(kind.content, value)?;
            }
        }
        Ok(())
    }
}

/// As `CN=…,O=…` with the readable values, for people. Other attributes are omitted.
impl fmt::Display for Name<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for attribute in Attribute::ALL {
            for value in self.values(attribute).unwrap_or_default() {
                write!(formatter, "{separator}{attribute}={}", value.escape_debug())?;
                separator = ",";
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Name<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Name({self})")
    }
}

impl Attribute {
    /// Each attribute.
    pub const ALL: [Self; 5] =
        [Self::CommonName, Self::Organization, Self::Country, Self::DomainComponent, Self::EmailAddress];

    /// Its abbreviation, such as `CN` (RFC 4514).
    #[must_use]
    pub const fn abbreviation(self) -> &'static str {
        match self {
            Self::CommonName => "CN",
            Self::Organization => "O",
            Self::Country => "C",
            Self::DomainComponent => "DC",
            Self::EmailAddress => "emailAddress",
        }
    }

    const fn oid(self) -> ObjectIdentifier {
        ObjectIdentifier::new_unwrap(match self {
            Self::CommonName => "2.5.4.3",
            Self::Organization => "2.5.4.10",
            Self::Country => "2.5.4.6",
            Self::DomainComponent => "0.9.2342.19200300.100.1.25",
            Self::EmailAddress => "1.2.840.113549.1.9.1",
        })
    }
}

/// Its abbreviation.
impl fmt::Display for Attribute {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.abbreviation())
    }
}

/// Why a name, or an attribute of it, cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Not a Name.
    #[error("the name is not a sequence of sets of attributes in DER")]
    Structure {
        /// The error of the decoder.
        #[source]
        source: der::Error,
    },
    /// A value with another string type, with bytes that its type does not allow, or with control
    /// characters.
    #[error("{attribute} in the name is not readable text")]
    Text {
        /// The attribute.
        attribute: Attribute,
    },
    /// An attribute that may occur only once: two readers could choose different values.
    #[error("the name has more than one {attribute}")]
    Several {
        /// The attribute.
        attribute: Attribute,
    },
}

impl From<der::Error> for NameError {
    fn from(source: der::Error) -> Self {
        Self::Structure { source }
    }
}

/// An attribute: the content of its OBJECT IDENTIFIER, and its value in a form that can be
/// compared.
pub(crate) type RelativeName = (Vec<u8>, Value);

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    /// Lower case, words separated by one space.
    Text(String),
    /// Tag and content of a value that is not readable text.
    Bytes(u8, Vec<u8>),
}

impl Value {
    pub(crate) fn is_unreadable(&self) -> bool {
        matches!(self, Self::Bytes(..))
    }
}

fn comparable(value: Raw<'_>) -> Value {
    match directory_string(value) {
        Some(text) => Value::Text(text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")),
        None => Value::Bytes(value.tag, value.content.to_vec()),
    }
}

/// The text of a DirectoryString (RFC 5280, 4.1.2.4) or IA5String; `None` if its bytes do not match
/// its type, or if it has control characters, which hide the content of a name from a person.
fn directory_string(value: Raw<'_>) -> Option<String> {
    let bytes = value.content;
    let text = match value.tag {
        UTF8_STRING => std::str::from_utf8(bytes).ok()?.to_owned(),
        // TeletexString is read only as far as T.61, Latin-1 and UTF-8 agree: some tools write one
        // of them and some another, so two readers could see two different names.
        PRINTABLE_STRING | IA5_STRING | TELETEX_STRING => {
            std::str::from_utf8(bytes).ok().filter(|text| text.is_ascii())?.to_owned()
        }
        BMP_STRING => {
            let (pairs, []) = bytes.as_chunks() else { return None };
            let units: Vec<u16> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
            String::from_utf16(&units).ok()?
        }
        UNIVERSAL_STRING => {
            let (quadruples, []) = bytes.as_chunks() else { return None };
            let letters = quadruples.iter().map(|four| char::from_u32(u32::from_be_bytes(*four)));
            letters.collect::<Option<String>>()?
        }
        _ => return None,
    };
    (!text.chars().any(char::is_control)).then_some(text)
}

const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const TELETEX_STRING: u8 = 0x14;
const IA5_STRING: u8 = 0x16;
const UNIVERSAL_STRING: u8 = 0x1c;
const BMP_STRING: u8 = 0x1e;

#[cfg(test)]
mod tests {
    use super::*;

    fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut der = vec![tag, u8::try_from(content.len()).expect("short")];
        der.extend(content);
        der
    }

    /// A name with one set for each list of attributes: the last arc of 2.5.4, the tag of the
    /// value, its bytes.
    fn name(sets: &[&[(u8, u8, &[u8])]]) -> Vec<u8> {
        let set = |attributes: &&[(u8, u8, &[u8])]| {
            let attributes = attributes.iter().flat_map(|(kind, tag, value)| {
                tlv(0x30, &[tlv(6, &[0x55, 4, *kind]), tlv(*tag, value)].concat())
            });
            tlv(0x31, &attributes.collect::<Vec<_>>())
        };
        tlv(0x30, &sets.iter().flat_map(set).collect::<Vec<_>>())
    }

    #[track_caller]
    fn check(tag: u8, value: &[u8], expected: Option<&str>) {
        let der = name(&[&[(3, tag, value)]]);
        let read = Name::read(&der).expect("a name").value(Attribute::CommonName);
        let text = NameError::Text { attribute: Attribute::CommonName };
        assert_eq!(read, expected.map(|text| Some(text.to_owned())).ok_or(text), "{tag:02x} {value:02x?}");
    }

    #[test]
    fn a00_fr_404_a00_fr_405_every_string_type_is_read() {
        check(UTF8_STRING, "Säule 7".as_bytes(), Some("Säule 7"));
        check(PRINTABLE_STRING, b"SN-0001", Some("SN-0001"));
        check(IA5_STRING, b"SN-2026-0001", Some("SN-2026-0001"));
        check(TELETEX_STRING, b"SN-0001", Some("SN-0001"));
        check(BMP_STRING, b"\0S\0\xe4\xd8\x3d\xde\x00", Some("Sä😀"));
        check(UNIVERSAL_STRING, b"\0\0\0S\0\x01\xf6\x00", Some("S😀"));
    }

    #[test]
    fn what_is_no_text_is_refused_and_not_left_out() {
        check(UTF8_STRING, b"S\xe4ule", None);
        check(PRINTABLE_STRING, "ä".as_bytes(), None);
        check(IA5_STRING, b"\xe4", None);
        check(BMP_STRING, b"\0S\0", None);
        check(BMP_STRING, b"\xd8\x3d", None);
        check(UNIVERSAL_STRING, b"\0\0S", None);
        check(UNIVERSAL_STRING, b"\0\x11\0\0", None);
        check(0x04, b"SN", None);
        check(0x1a, b"SN", None);
        for hidden in ["SN\u{0}", "SN\n1", "\u{1b}[1m", "SN\u{85}"] {
            check(UTF8_STRING, hidden.as_bytes(), None);
        }
        check(TELETEX_STRING, b"S\xe4ule 7", None);
        check(TELETEX_STRING, "Säule 7".as_bytes(), None);
    }

    #[test]
    fn attributes_that_nobody_asks_for_are_not_looked_into() {
        // A title that is GeneralString, an organization that is an INTEGER.
        let der = name(&[&[(12, 0x1b, b"\xff"), (10, 2, &[1])], &[(3, UTF8_STRING, b"SN1")]]);
        let name = Name::read(&der).expect("a name");
        assert_eq!(name.values(Attribute::CommonName), Ok(vec!["SN1".to_owned()]));
        assert_eq!(name.value(Attribute::Country), Ok(None));
        assert_eq!(
            name.value(Attribute::Organization),
            Err(NameError::Text { attribute: Attribute::Organization })
        );
        assert_eq!(name.to_string(), "CN=SN1");
    }

    #[test]
    fn several_values_are_all_seen() {
        let der = name(&[&[(3, UTF8_STRING, b"a"), (3, IA5_STRING, b"b")], &[(3, BMP_STRING, b"\0c")]]);
        let name = Name::read(&der).expect("a name");
        assert_eq!(name.values(Attribute::CommonName).expect("readable"), ["a", "b", "c"]);
        let several = NameError::Several { attribute: Attribute::CommonName };
        assert_eq!(name.value(Attribute::CommonName), Err(several));
        assert_eq!(name.to_string(), "CN=a,CN=b,CN=c");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        Name::read(&name(&[])).expect("the empty name");
        for wrong in [&name(&[&[]])[..], &[], &[0x31, 0], &[0x30, 1], &[0x30, 2, 0x30, 0], &[0x30, 0, 0]] {
            assert!(matches!(Name::read(wrong), Err(NameError::Structure { .. })), "{wrong:02x?}");
        }
        let good = name(&[&[(3, UTF8_STRING, b"SN1")]]);
        for length in 0..good.len() {
            Name::read(&good[..length]).expect_err("cut off");
        }
    }
}
