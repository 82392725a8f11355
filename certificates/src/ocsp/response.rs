//! OCSPResponse (RFC 6960, 4.2), read part by part, because the signature covers the received
//! bytes.
//! bytes.

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode, Reader, SliceReader, Tag, TagNumber, Tagged};
use sha1::{Digest as _, Sha1};

use crate::asn1::{
    Signed, algorithm_identifier, content, context, extensions, has_unknown_critical, octets, sequence,
};
use crate::hash_data::{CertificateId, HashAlgorithm, HashData};
use crate::ocsp::request::{SHA1, oid};
use crate::types::{SerialNumber, UnixSeconds};

/// The relevant parts of a BasicOCSPResponse.
pub(super) struct Basic<'a> {
    pub(super) signed: Signed<'a>,
    pub(super) responder: Responder<'a>,
    singles: Vec<Single<'a>>,
    /// The certificates that the responder has sent as a proof of its authority, in DER.
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
    id: CertId<'a>,
    pub(super) status: CertificateStatus,
    pub(super) this_update: UnixSeconds,
    pub(super) next_update: Option<UnixSeconds>,
    /// Whether one of its extensions is critical. No critical extension is known here.
    has_unknown_critical: bool,
}

/// CertID.
struct CertId<'a> {
    digest: ObjectIdentifier,
    issuer_name_hash: &'a [u8],
    issuer_key_hash: &'a [u8],
    serial_number: SerialNumber,
}

/// The status of a certificate, as signed by its CA or by a responder of that CA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CertificateStatus {
    /// Not revoked.
    Good,
    /// Revoked; peers will refuse the certificate.
    Revoked,
    /// The responder does not know the certificate.
    Unknown,
}

/// Why bytes are not an answer about a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoAnswer {
    /// The responder answered with an error.
    #[error("the responder answered with the status {code} (RFC 6960, 4.2.1)")]
    Status {
        /// OCSPResponseStatus, for example 3: tryLater.
        code: u8,
    },
    /// Not a basic response.
    #[error("the response is not of the type id-pkix-ocsp-basic")]
    Kind,
    /// Not an OCSPResponse.
    #[error("the bytes are not an OCSPResponse in DER (M06.FR.08)")]
    Der {
        /// The error of the decoder.
        #[source]
        source: der::Error,
    },
    /// Another version than 1, whose fields may mean something else.
    #[error("the response is of another version than 1")]
    Version,
    /// More answers or certificates than a response to one request contains.
    #[error("the response has more than {max} {what}")]
    TooMany {
        /// The name of the exceeded quantity.
        what: &'static str,
        /// The maximum number.
        max: usize,
    },
    /// An unknown extension that changes the meaning of the response (RFC 6960, 4.4).
    #[error("the response has a critical extension that is not known here")]
    CriticalExtension,
    /// About something else.
    #[error("the response is not about the certificate that was asked about")]
    OtherCertificate,
    /// Good and revoked at once, for example.
    #[error("the response states two different statuses of the certificate")]
    Contradiction,
}

impl From<der::Error> for NoAnswer {
    fn from(source: der::Error) -> Self {
        Self::Der { source }
    }
}

/// Whether the bytes are a responder's answer about the certificate that `hash` identifies. Whether
/// the answer may be relied on can be checked only with the issuer's certificate: see
/// [`verify`](super::verify).
///
/// # Errors
/// [`NoAnswer`]
pub fn check_about(der: &[u8], hash: &HashData) -> Result<(), NoAnswer> {
    Basic::read(der)?.about(|id| id.is_named_by(hash)).map(drop)
}

/// As [`check_about`], if the issuer is known: responses with SHA-1 are read too.
///
/// # Errors
/// [`NoAnswer`]
pub fn check_about_certificate(der: &[u8], id: &CertificateId) -> Result<(), NoAnswer> {
    Basic::read(der)?.about_certificate(id).map(drop)
}

impl<'a> Basic<'a> {
    pub(super) fn read(der: &'a [u8]) -> Result<Self, NoAnswer> {
        let mut outer = sequence(der)?;
        match content(outer.tlv_bytes()?, Tag::Enumerated)? {
            [0] => {}
            [code] => return Err(NoAnswer::Status { code: *code }),
            _ => return Err(der::Error::from(Tag::Enumerated.value_error()).into()),
        }
        let body = content(outer.tlv_bytes()?, context(0))?;
        outer.finish()?;
        let mut body = sequence(body)?;
        if ObjectIdentifier::decode(&mut body)? != BASIC {
            return Err(NoAnswer::Kind);
        }
        let basic = octets(&mut body)?;
        body.finish()?;

        let mut basic = sequence(basic)?;
        let signed = Signed::read(&mut basic)?;
        let mut certificates = Vec::new();
        if !basic.is_finished() {
            let mut list = sequence(content(basic.tlv_bytes()?, context(0))?)?;
            while !list.is_finished() {
                if certificates.len() == MAX_CERTIFICATES {
                    return Err(NoAnswer::TooMany { what: "certificates", max: MAX_CERTIFICATES });
                }
                certificates.push(list.tlv_bytes()?);
            }
        }
        basic.finish()?;
        let (responder, singles) = response_data(signed.content)?;
        Ok(Self { signed, responder, singles, certificates })
    }

    /// The answer about the certificate `id`.
    pub(super) fn about_certificate(&self, id: &CertificateId) -> Result<&Single<'a>, NoAnswer> {
        self.about(|single| single.names(id))
    }

    /// The newest of the answers about one certificate. All of them must have the same status.
    fn about(&self, is_it: impl Fn(&CertId<'_>) -> bool) -> Result<&Single<'a>, NoAnswer> {
        let mut found: Option<&Single<'a>> = None;
        for single in self.singles.iter().filter(|single| is_it(&single.id)) {
            if single.has_unknown_critical {
                return Err(NoAnswer::CriticalExtension);
            }
            if found.is_some_and(|other| other.status != single.status) {
                return Err(NoAnswer::Contradiction);
            }
            if found.is_none_or(|other| other.this_update < single.this_update) {
                found = Some(single);
            }
        }
        found.ok_or(NoAnswer::OtherCertificate)
    }
}

impl CertId<'_> {
    fn is_named_by(&self, hash: &HashData) -> bool {
        self.serial_number == hash.serial_number()
            && self.digest == oid(hash.algorithm())
            && self.issuer_name_hash == hash.issuer_name_hash()
            && self.issuer_key_hash == hash.issuer_key_hash()
    }

    fn names(&self, id: &CertificateId) -> bool {
        if self.serial_number != id.serial_number() {
            return false;
        }
        // Most responders support no other digest. Here it only identifies the certificate; it
        // protects no signature.
        if self.digest == SHA1 {
            return Sha1::digest(id.issuer()).as_slice() == self.issuer_name_hash
                && Sha1::digest(id.issuer_key()).as_slice() == self.issuer_key_hash;
        }
        HashAlgorithm::ALL.into_iter().any(|algorithm| self.is_named_by(&id.hash_data(algorithm)))
    }
}

/// ResponseData.
fn response_data(der: &[u8]) -> Result<(Responder<'_>, Vec<Single<'_>>), NoAnswer> {
    let mut data = sequence(der)?;
    let mut field = AnyRef::decode(&mut data)?;
    // [0] version: v1 should be omitted, but some responders write it.
    if field.tag() == context(0) {
        if field.value() != [0x02, 0x01, 0x00] {
            return Err(NoAnswer::Version);
        }
        field = AnyRef::decode(&mut data)?;
    }
    let responder = if field.tag() == context(1) {
        Responder::Name(field.value())
    } else if field.tag() == context(2) {
        Responder::KeyHash(content(field.value(), Tag::OctetString)?)
    } else {
        return Err(der::Error::from(field.tag().value_error()).into());
    };
    UnixSeconds::read_generalized(&mut data)?; // producedAt
    let mut list = sequence(data.tlv_bytes()?)?;
    let mut singles = Vec::new();
    while !list.is_finished() {
        if singles.len() == MAX_SINGLES {
            return Err(NoAnswer::TooMany { what: "answers", max: MAX_SINGLES });
        }
        singles.push(single(list.tlv_bytes()?)?);
    }
    // The request contains no extension, so no critical one is expected.
    if optional_extensions(&mut data)? {
        return Err(NoAnswer::CriticalExtension);
    }
    data.finish()?;
    Ok((responder, singles))
}

fn single(der: &[u8]) -> Result<Single<'_>, der::Error> {
    let mut fields = sequence(der)?;
    let mut id = sequence(fields.tlv_bytes()?)?;
    let mut algorithm = SliceReader::new(algorithm_identifier(&mut id)?)?;
    let digest = ObjectIdentifier::decode(&mut algorithm)?;
    let (issuer_name_hash, issuer_key_hash) = (octets(&mut id)?, octets(&mut id)?);
    let serial_number = content(id.tlv_bytes()?, Tag::Integer)?;
    id.finish()?;
    let serial_number = SerialNumber::from_der_integer(serial_number)
        .map_err(|_| der::Error::from(Tag::Integer.value_error()))?;
    let status = match AnyRef::decode(&mut fields)?.tag() {
        Tag::ContextSpecific { number: TagNumber(0), .. } => CertificateStatus::Good,
        Tag::ContextSpecific { number: TagNumber(1), .. } => CertificateStatus::Revoked,
        Tag::ContextSpecific { number: TagNumber(2), .. } => CertificateStatus::Unknown,
        other => return Err(other.value_error().into()),
    };
    let this_update = UnixSeconds::read_generalized(&mut fields)?;
    let mut next_update = None;
    if fields.peek_byte() == Some(CONTEXT_0) {
        let mut explicit = SliceReader::new(content(fields.tlv_bytes()?, context(0))?)?;
        next_update = Some(UnixSeconds::read_generalized(&mut explicit)?);
        explicit.finish()?;
    }
    let has_unknown_critical = optional_extensions(&mut fields)?;
    fields.finish()?;
    let id = CertId { digest, issuer_name_hash, issuer_key_hash, serial_number };
    Ok(Single { id, status, this_update, next_update, has_unknown_critical })
}

/// Reads `[1] EXPLICIT Extensions OPTIONAL`, and returns whether one of them is critical.
fn optional_extensions(reader: &mut SliceReader<'_>) -> Result<bool, der::Error> {
    if reader.is_finished() {
        return Ok(false);
    }
    let explicit = content(reader.tlv_bytes()?, context(1))?;
    Ok(has_unknown_critical(&extensions(explicit)?, &[]))
}

/// id-pkix-ocsp-basic
const BASIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");

/// The first octet of `[0] EXPLICIT`.
const CONTEXT_0: u8 = 0xa0;

/// A responder sends its own certificate, possibly with the chain above it.
const MAX_CERTIFICATES: usize = 8;

/// The request is about one certificate; a responder that signs in advance puts a few into one
/// answer.
const MAX_SINGLES: usize = 64;
