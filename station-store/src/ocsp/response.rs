//! OCSPResponse of RFC 6960, 4.2.1, read by hand because the signature is over the bytes as received.

use std::time::SystemTime;

use der::asn1::{AnyRef, GeneralizedTime, ObjectIdentifier, OctetStringRef};
use der::{Decode, Reader, SliceReader, Tag, Tagged};

use crate::asn1::{context, sequence, whole_octets};
use crate::ocsp::OcspStatus;

/// The parts of a BasicOCSPResponse that count.
pub(super) struct Basic<'a> {
    /// ResponseData as received, which is what is signed.
    pub(super) signed: &'a [u8],
    /// The content of the signature's AlgorithmIdentifier.
    pub(super) signature_algorithm: &'a [u8],
    pub(super) signature: &'a [u8],
    pub(super) responder: Responder<'a>,
    pub(super) singles: Vec<Single<'a>>,
    /// What the responder sent along to prove itself, in DER; at most [`MAX_CERTIFICATES`].
    pub(super) certificates: Vec<&'a [u8]>,
}

/// ResponderID
pub(super) enum Responder<'a> {
    /// Its Name: tag, length and content.
    Name(&'a [u8]),
    /// SHA-1 of its key.
    KeyHash(&'a [u8]),
}

/// SingleResponse
pub(super) struct Single<'a> {
    pub(super) digest: ObjectIdentifier,
    pub(super) issuer_name_hash: &'a [u8],
    pub(super) issuer_key_hash: &'a [u8],
    /// Magnitude without leading zeros.
    pub(super) serial: &'a [u8],
    pub(super) status: OcspStatus,
    pub(super) this_update: SystemTime,
    pub(super) next_update: Option<SystemTime>,
}

/// Why bytes are no answer.
pub(super) enum NoAnswer {
    /// The responder says so: OCSPResponseStatus.
    Status(u8),
    /// Not id-pkix-ocsp-basic.
    Kind,
    Der(der::Error),
}

impl From<der::Error> for NoAnswer {
    fn from(error: der::Error) -> Self {
        Self::Der(error)
    }
}

pub(super) fn read(der: &[u8]) -> Result<Basic<'_>, NoAnswer> {
    let mut outer = sequence(der)?;
    let status = AnyRef::decode(&mut outer)?;
    status.tag().assert_eq(Tag::Enumerated)?;
    match status.value() {
        [0] => {}
        [code] => return Err(NoAnswer::Status(*code)),
        _ => return Err(der::Error::from(Tag::Enumerated.value_error()).into()),
    }
    let body = AnyRef::decode(&mut outer)?;
    outer.finish()?;
    body.tag().assert_eq(context(0))?;
    let mut body = sequence(body.value())?;
    if ObjectIdentifier::decode(&mut body)? != BASIC {
        return Err(NoAnswer::Kind);
    }
    let basic = <&OctetStringRef>::decode(&mut body)?.as_bytes();
    body.finish()?;

    let mut basic = sequence(basic)?;
    let signed = basic.tlv_bytes()?;
    let algorithm = AnyRef::decode(&mut basic)?;
    algorithm.tag().assert_eq(Tag::Sequence)?;
    let signature = whole_octets(&mut basic)?;
    let mut certificates = Vec::new();
    if !basic.is_finished() {
        let field = AnyRef::decode(&mut basic)?;
        field.tag().assert_eq(context(0))?;
        let mut list = sequence(field.value())?;
        while !list.is_finished() && certificates.len() < MAX_CERTIFICATES {
            certificates.push(list.tlv_bytes()?);
        }
    }
    let (responder, singles) = response_data(signed)?;
    Ok(Basic { signed, signature_algorithm: algorithm.value(), signature, responder, singles, certificates })
}

fn response_data(der: &[u8]) -> Result<(Responder<'_>, Vec<Single<'_>>), der::Error> {
    let mut data = sequence(der)?;
    let mut field = AnyRef::decode(&mut data)?;
    // [0] version, which is v1 and then left out; some write it all the same.
    if field.tag() == context(0) {
        field = AnyRef::decode(&mut data)?;
    }
    let responder = if field.tag() == context(1) {
        Responder::Name(field.value())
    } else if field.tag() == context(2) {
        Responder::KeyHash(<&OctetStringRef>::from_der(field.value())?.as_bytes())
    } else {
        return Err(field.tag().value_error().into());
    };
    GeneralizedTime::decode(&mut data)?; // producedAt
    let list = AnyRef::decode(&mut data)?;
    list.tag().assert_eq(Tag::Sequence)?;
    let mut list = SliceReader::new(list.value())?;
    let mut singles = Vec::new();
    while !list.is_finished() && singles.len() < MAX_SINGLES {
        singles.push(single(list.tlv_bytes()?)?);
    }
    // responseExtensions: none of them is asked for, and critical ones do not exist.
    Ok((responder, singles))
}

fn single(der: &[u8]) -> Result<Single<'_>, der::Error> {
    let mut fields = sequence(der)?;
    let mut id = sequence(fields.tlv_bytes()?)?;
    let mut algorithm = sequence(id.tlv_bytes()?)?;
    let digest = ObjectIdentifier::decode(&mut algorithm)?;
    let issuer_name_hash = <&OctetStringRef>::decode(&mut id)?.as_bytes();
    let issuer_key_hash = <&OctetStringRef>::decode(&mut id)?.as_bytes();
    let serial = AnyRef::decode(&mut id)?;
    serial.tag().assert_eq(Tag::Integer)?;
    let zeros = serial.value().iter().take_while(|octet| **octet == 0).count();
    let status = match AnyRef::decode(&mut fields)?.tag() {
        Tag::ContextSpecific { number: der::TagNumber(0), .. } => OcspStatus::Good,
        Tag::ContextSpecific { number: der::TagNumber(1), .. } => OcspStatus::Revoked,
        Tag::ContextSpecific { number: der::TagNumber(2), .. } => OcspStatus::Unknown,
        other => return Err(other.value_error().into()),
    };
    let this_update = GeneralizedTime::decode(&mut fields)?.to_system_time();
    let mut next_update = None;
    if !fields.is_finished() {
        let field = AnyRef::decode(&mut fields)?;
        if field.tag() == context(0) {
            next_update = Some(GeneralizedTime::from_der(field.value())?.to_system_time());
        }
    }
    let serial = &serial.value()[zeros..];
    Ok(Single { digest, issuer_name_hash, issuer_key_hash, serial, status, this_update, next_update })
}

/// id-pkix-ocsp-basic
const BASIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");

/// A responder sends its own certificate, perhaps with the chain above it.
const MAX_CERTIFICATES: usize = 8;

/// One certificate is asked about; responders that answer in advance put a few into one answer.
const MAX_SINGLES: usize = 64;
