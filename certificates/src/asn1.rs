//! Reads DER part by part, because the received bytes are needed and not a re-encoding of them.

use std::ops::Range;

use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Length, Reader, SliceReader, Tag, TagNumber, Tagged};

/// The content of the one SEQUENCE that makes up `der`.
pub(crate) fn sequence(der: &[u8]) -> Result<SliceReader<'_>, der::Error> {
    SliceReader::new(content(der, Tag::Sequence)?)
}

/// The content of the one value that makes up `der`.
pub(crate) fn content(der: &[u8], tag: Tag) -> Result<&[u8], der::Error> {
    let value = AnyRef::from_der(der)?;
    value.tag().assert_eq(tag)?;
    Ok(value.value())
}

/// The octets of a BIT STRING that has no unused bits.
pub(crate) fn whole_octets<'a>(reader: &mut SliceReader<'a>) -> Result<&'a [u8], der::Error> {
    BitStringRef::decode(reader)?.as_bytes().ok_or_else(|| Tag::BitString.value_error().into())
}

/// The octets of an OCTET STRING.
pub(crate) fn octets<'a>(reader: &mut SliceReader<'a>) -> Result<&'a [u8], der::Error> {
    Ok(<&OctetStringRef>::decode(reader)?.as_bytes())
}

/// The tag of an EXPLICIT field.
pub(crate) fn context(number: u32) -> Tag {
    Tag::ContextSpecific { constructed: true, number: TagNumber(number) }
}

/// A value of any type: the crate `der` refuses types that it does not know, such as
/// UniversalString.
#[derive(Clone, Copy)]
pub(crate) struct Raw<'a> {
    /// The one octet of the tag.
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
}

impl<'a> Raw<'a> {
    pub(crate) fn read(reader: &mut SliceReader<'a>) -> Result<Self, der::Error> {
        let tag = reader.read_byte()?;
        // X.509 uses no tags of several octets.
        if tag & 0x1f == 0x1f {
            return Err(reader.error(der::ErrorKind::TagNumberInvalid));
        }
        let length = Length::decode(reader)?;
        Ok(Self { tag, content: reader.read_slice(length)? })
    }
}

/// The range of `part`, a slice borrowed from `whole`, within `whole`.
pub(crate) fn position(whole: &[u8], part: &[u8]) -> Range<usize> {
    let start = part.as_ptr().addr().saturating_sub(whole.as_ptr().addr()).min(whole.len());
    start..(start + part.len()).min(whole.len())
}

/// SIGNED of X.509: the structure of certificates, of revocation lists and, except for its end, of
/// a basic OCSP response.
pub(crate) struct Signed<'a> {
    /// The signed part: tag, length and content.
    pub(crate) content: &'a [u8],
    /// The AlgorithmIdentifier, without tag and length, as webpki names algorithms.
    pub(crate) algorithm: &'a [u8],
    pub(crate) signature: &'a [u8],
}

impl<'a> Signed<'a> {
    pub(crate) fn read(reader: &mut SliceReader<'a>) -> Result<Self, der::Error> {
        let content = reader.tlv_bytes()?;
        let algorithm = algorithm_identifier(reader)?;
        Ok(Self { content, algorithm, signature: whole_octets(reader)? })
    }
}

/// The content of an AlgorithmIdentifier.
pub(crate) fn algorithm_identifier<'a>(reader: &mut SliceReader<'a>) -> Result<&'a [u8], der::Error> {
    content(reader.tlv_bytes()?, Tag::Sequence)
}

/// The parts of a SubjectPublicKeyInfo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spki<'a> {
    /// The content of the AlgorithmIdentifier, without tag and length, as webpki names algorithms.
    pub algorithm: &'a [u8],
    /// The content of the BIT STRING, without its unused-bits octet.
    pub key: &'a [u8],
}

impl<'a> Spki<'a> {
    /// Reads a SubjectPublicKeyInfo: tag, length and content.
    ///
    /// # Errors
    /// If `der` is anything else.
    pub fn read(der: &'a [u8]) -> Result<Self, der::Error> {
        let mut reader = sequence(der)?;
        let algorithm = algorithm_identifier(&mut reader)?;
        let key = whole_octets(&mut reader)?;
        reader.finish()?;
        Ok(Self { algorithm, key })
    }
}

/// One extension of a certificate, of a revocation list, of an entry in a list, or of an OCSP
/// response.
pub(crate) struct Extension<'a> {
    pub(crate) kind: ObjectIdentifier,
    pub(crate) critical: bool,
    /// The content of its OCTET STRING.
    pub(crate) value: &'a [u8],
}

/// Each of the Extensions in `der`: tag, length and content of the SEQUENCE.
pub(crate) fn extensions(der: &[u8]) -> Result<Vec<Extension<'_>>, der::Error> {
    let mut reader = sequence(der)?;
    let mut found = Vec::new();
    while !reader.is_finished() {
        found.push(reader.sequence(|extension| {
            let kind = ObjectIdentifier::decode(extension)?;
            // Older tools write the default value FALSE. That is not DER, and is harmless.
            let critical = Option::<bool>::decode(extension)?.unwrap_or(false);
            Ok::<_, der::Error>(Extension { kind, critical, value: octets(extension)? })
        })?);
    }
    Ok(found)
}

/// Whether one of `extensions` is critical and not in `known`.
pub(crate) fn has_unknown_critical(extensions: &[Extension<'_>], known: &[ObjectIdentifier]) -> bool {
    extensions.iter().any(|extension| extension.critical && !known.contains(&extension.kind))
}
