//! OCSPResponse (RFC 6960, 4.2), read by hand because the signature is over the bytes as received.

use std::time::SystemTime;

use der::{
    Decode as _, Reader as _, SliceReader, Tag, TagNumber, Tagged as _,
    asn1::{AnyRef, BitStringRef, GeneralizedTime, ObjectIdentifier, OctetStringRef},
};

use crate::ocsp::request::CertificateId;

/// The parts of a BasicOCSPResponse that count.
pub(super) struct Basic<'a> {
    /// ResponseData as received, which is what is signed.
    pub(super) signed: &'a [u8],
    /// The content of the signature's AlgorithmIdentifier.
    pub(super) signature_algorithm: &'a [u8],
    pub(super) signature: &'a [u8],
    pub(super) responder: Responder<'a>,
    singles: Vec<Single<'a>>,
    /// What the responder sent along to prove itself, in DER; at most [`MOST_CERTIFICATES`].
    pub(super) certificates: Vec<&'a [u8]>,
}

/// ResponderID.
pub(super) enum Responder<'a> {
    /// Its Name: tag, length and content.
    Name(&'a [u8]),
    /// SHA-1 of its key.
    KeyHash(&'a [u8]),
}

/// SingleResponse.
pub(super) struct Single<'a> {
    digest: ObjectIdentifier,
    issuer_name_hash: &'a [u8],
    issuer_key_hash: &'a [u8],
    /// Magnitude without leading zeros.
    serial_number: &'a [u8],
    pub(super) status: Status,
    pub(super) this_update: SystemTime,
    pub(super) next_update: Option<SystemTime>,
}

/// CertStatus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Good,
    Revoked,
    Unknown,
}

/// Why bytes are no answer about a certificate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    #[error("the responder answered with the status {0} (RFC 6960, 4.2.1)")]
    Status(u8),
    #[error("the response is not of the type id-pkix-ocsp-basic")]
    Kind,
    #[error("the response is not about the certificate that was asked about")]
    Other,
    #[error("the bytes are not an OCSPResponse in DER (M06.FR.08)")]
    Der(#[source] der::Error),
}

impl From<der::Error> for NoAnswer {
    fn from(error: der::Error) -> Self {
        Self::Der(error)
    }
}

/// Whether bytes are a responder's answer about this certificate. Whether the answer may be relied on is for the station to
/// judge, which has the issuer's certificate (M06.FR.09).
pub(crate) fn check_about(der: &[u8], id: &CertificateId) -> Result<(), NoAnswer> {
    Basic::read(der)?.about(id).map(drop)
}

impl<'a> Basic<'a> {
    pub(super) fn read(der: &'a [u8]) -> Result<Self, NoAnswer> {
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
            while !list.is_finished() && certificates.len() < MOST_CERTIFICATES {
                certificates.push(list.tlv_bytes()?);
            }
        }
        let (responder, singles) = response_data(signed)?;
        let signature_algorithm = algorithm.value();
        Ok(Self { signed, signature_algorithm, signature, responder, singles, certificates })
    }

    /// What it says about a certificate.
    pub(super) fn about(&self, id: &CertificateId) -> Result<&Single<'a>, NoAnswer> {
        let is_about = |single: &&Single<'_>| {
            single.digest == id.digest.oid()
                && single.issuer_name_hash == id.issuer_name_hash
                && single.issuer_key_hash == id.issuer_key_hash
                && single.serial_number == id.serial_number
        };
        self.singles.iter().find(is_about).ok_or(NoAnswer::Other)
    }
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
    while !list.is_finished() && singles.len() < MOST_SINGLES {
        singles.push(single(list.tlv_bytes()?)?);
    }
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
    let status = match AnyRef::decode(&mut fields)?.tag() {
        Tag::ContextSpecific { number: TagNumber(0), .. } => Status::Good,
        Tag::ContextSpecific { number: TagNumber(1), .. } => Status::Revoked,
        Tag::ContextSpecific { number: TagNumber(2), .. } => Status::Unknown,
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
    let serial_number = without_zeros(serial.value());
    Ok(Single { digest, issuer_name_hash, issuer_key_hash, serial_number, status, this_update, next_update })
}

/// The inside of the one SEQUENCE that `der` consists of.
pub(super) fn sequence(der: &[u8]) -> Result<SliceReader<'_>, der::Error> {
    let sequence = AnyRef::from_der(der)?;
    sequence.tag().assert_eq(Tag::Sequence)?;
    SliceReader::new(sequence.value())
}

/// The octets of a BIT STRING that has no unused bits.
pub(super) fn whole_octets<'a>(reader: &mut SliceReader<'a>) -> Result<&'a [u8], der::Error> {
    BitStringRef::decode(reader)?.as_bytes().ok_or_else(|| Tag::BitString.value_error().into())
}

pub(super) fn without_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|octet| **octet == 0).count();
    &bytes[zeros..]
}

/// The tag of an EXPLICIT field.
fn context(number: u32) -> Tag {
    Tag::ContextSpecific { constructed: true, number: TagNumber(number) }
}

/// id-pkix-ocsp-basic
const BASIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");

/// A responder and those above it.
const MOST_CERTIFICATES: usize = 8;

/// One certificate is asked about; some responders answer for a few at once.
const MOST_SINGLES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ocsp::request::Digest;

    fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let length = u16::try_from(content.len()).expect("short").to_be_bytes();
        let head = match content.len() {
            0..128 => vec![tag, length[1]],
            128..256 => vec![tag, 0x81, length[1]],
            _ => vec![tag, 0x82, length[0], length[1]],
        };
        [head, content].concat()
    }

    fn id() -> CertificateId {
        let hash = "ab".repeat(32);
        CertificateId::parse(Digest::Sha256, &hash, &hash, "80ff").expect("good")
    }

    /// A response as RFC 6960 has it, with this status of the certificate; its signature is noise.
    fn response(status: &[u8]) -> Vec<u8> {
        let oid = |text: &str| {
            let oid = ObjectIdentifier::new_unwrap(text);
            tlv(6, &[oid.as_bytes()])
        };
        let hash = tlv(4, &[&[0xab; 32]]);
        let algorithm = tlv(0x30, &[&oid("2.16.840.1.101.3.4.2.1"), &[5, 0]]);
        let certificate = tlv(0x30, &[&algorithm, &hash, &hash, &[2, 3, 0, 0x80, 0xff]]);
        let time = tlv(0x18, &[b"20260101000000Z"]);
        let single = tlv(0x30, &[&certificate, status, &time, &tlv(0xa0, &[&time])]);
        let responder = tlv(0xa2, &[&tlv(4, &[&[1; 20]])]);
        let data = tlv(0x30, &[&responder, &time, &tlv(0x30, &[&single])]);
        let ecdsa = tlv(0x30, &[&oid("1.2.840.10045.4.3.2")]);
        let certificates = tlv(0xa0, &[&tlv(0x30, &[&tlv(0x30, &[])])]);
        let basic = tlv(0x30, &[&data, &ecdsa, &tlv(3, &[&[0; 65]]), &certificates]);
        let body = tlv(0x30, &[&oid("1.3.6.1.5.5.7.48.1.1"), &tlv(4, &[&basic])]);
        tlv(0x30, &[&[10, 1, 0], &tlv(0xa0, &[&body])])
    }

    #[test]
    fn m06_fr_08_each_status_is_an_answer() {
        for (status, expected) in [
            (&[0x80, 0][..], Status::Good),
            (&tlv(0xa1, &[&tlv(0x18, &[b"20250101000000Z"])]), Status::Revoked),
            (&[0x82, 0], Status::Unknown),
        ] {
            let der = response(status);
            check_about(&der, &id()).expect("an answer");
            let basic = Basic::read(&der).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(basic.about(&id()).expect("about it").status, expected);
        }
        let other = CertificateId { serial_number: vec![0x80], ..id() };
        assert!(matches!(check_about(&response(&[0x80, 0]), &other), Err(NoAnswer::Other)));
        let try_later = [0x30, 3, 10, 1, 3];
        assert!(matches!(check_about(&try_later, &id()), Err(NoAnswer::Status(3))));
    }

    #[test]
    fn no_byte_of_a_responder_breaks_the_reader() {
        let good = response(&[0x80, 0]);
        for length in 0..good.len() {
            check_about(&good[..length], &id()).expect_err("cut off");
        }
        for place in 0..good.len() {
            for value in 0..=255 {
                let mut bytes = good.clone();
                bytes[place] = value;
                // Whatever it is then, it is read or refused.
                let _ = check_about(&bytes, &id());
            }
        }
    }
}
