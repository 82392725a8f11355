//! Reading DER by hand, where the bytes as received are wanted and not a re-encoding of them.

use der::asn1::{AnyRef, BitStringRef};
use der::{Decode, Reader, SliceReader, Tag, Tagged};

/// The inside of the one SEQUENCE that `der` consists of.
pub(crate) fn sequence(der: &[u8]) -> Result<SliceReader<'_>, der::Error> {
    let sequence = AnyRef::from_der(der)?;
    sequence.tag().assert_eq(Tag::Sequence)?;
    SliceReader::new(sequence.value())
}

/// The octets of a BIT STRING that has no unused bits.
pub(crate) fn whole_octets<'a>(reader: &mut SliceReader<'a>) -> Result<&'a [u8], der::Error> {
    BitStringRef::decode(reader)?.as_bytes().ok_or_else(|| Tag::BitString.value_error().into())
}

/// The parts of a SubjectPublicKeyInfo.
pub(crate) struct Spki<'a> {
    /// The content of the AlgorithmIdentifier, without tag and length, as webpki names algorithms.
    pub(crate) algorithm: &'a [u8],
    /// The content of the BIT STRING, without its unused-bits octet.
    pub(crate) key: &'a [u8],
}

impl<'a> Spki<'a> {
    pub(crate) fn read(der: &'a [u8]) -> Result<Self, der::Error> {
        let mut reader = sequence(der)?;
        let algorithm = AnyRef::decode(&mut reader)?;
        algorithm.tag().assert_eq(Tag::Sequence)?;
        let key = whole_octets(&mut reader)?;
        reader.finish()?;
        Ok(Self { algorithm: algorithm.value(), key })
    }
}

/// The tag of an EXPLICIT field.
pub(crate) fn context(number: u32) -> Tag {
    Tag::ContextSpecific { constructed: true, number: der::TagNumber(number) }
}
