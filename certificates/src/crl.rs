//! Revocation lists (RFC 5280, 5): the content of a list, and whether the list may be relied on.

use std::ops::Range;
use std::time::Duration;

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode, Reader, SliceReader, Tag, TagNumber, Tagged};
use x509_cert::ext::pkix::AuthorityKeyIdentifier;

use crate::asn1::{
    Signed, algorithm_identifier, content, context, extensions, has_unknown_critical, position, sequence,
};
use crate::certificate::{Certificate, DISTRIBUTION_POINTS};
use crate::name::{Name, NameError};
use crate::signature::{self, BadSignature};
use crate::types::{SerialNumber, SerialNumberError, UnixSeconds};

/// A list of revoked certificates that is understood completely: it has no unknown critical
/// extension.
#[derive(Clone, PartialEq, Eq)]
pub struct RevocationList {
    der: Vec<u8>,
    signed: Range<usize>,
    algorithm: Range<usize>,
    signature: Range<usize>,
    issuer: Range<usize>,
    this_update: UnixSeconds,
    next_update: Option<UnixSeconds>,
    /// Sorted.
    entries: Vec<CrlEntry>,
    marks: Marks,
}

/// A revoked certificate in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct CrlEntry {
    /// Its serial number.
    pub serial_number: SerialNumber,
    /// The time of the revocation.
    pub at: UnixSeconds,
    /// The number of the reason (RFC 5280, 5.3.1); 0, unspecified, if no reason is given.
    pub reason: u8,
}

/// The content of a list's extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Marks {
    coverage: Coverage,
    /// The names of the place where the list is published, each a GeneralName. Empty if the list
    /// gives a name relative to its issuer; `None` if it names no place.
    points: Option<Points>,
    number: Option<u64>,
    authority_key_id: Option<Vec<u8>>,
}

/// The GeneralNames of a distribution point, each with tag, length and content.
type Points = Vec<Vec<u8>>;

/// Which certificates of its issuer a list covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coverage {
    /// All certificates: one that is not in the list is not revoked.
    Whole,
    /// The certificates of users (onlyContainsUserCerts).
    Users,
    /// The certificates of authorities (onlyContainsCACerts).
    Authorities,
    /// Some certificates: those in the list are revoked, and the status of the others is unknown.
    Part,
}

impl RevocationList {
    /// Reads a list in DER.
    ///
    /// # Errors
    /// [`CrlError`] if it is anything else, or must not be used because it has a critical extension
    /// that is not known.
    pub fn from_der(der: impl Into<Vec<u8>>) -> Result<Self, CrlError> {
        let der = der.into();
        let mut reader = sequence(&der)?;
        let outer = Signed::read(&mut reader)?;
        reader.finish()?;

        let mut tbs = sequence(outer.content)?;
        // Version 2 is the number 1; without it, it is version 1, which has no extensions.
        if tbs.peek_byte() == Some(INTEGER) && content(tbs.tlv_bytes()?, Tag::Integer)? != [1] {
            return Err(CrlError::Version);
        }
        if algorithm_identifier(&mut tbs)? != outer.algorithm {
            return Err(CrlError::SignatureAlgorithm);
        }
        let issuer = Name::read(tbs.tlv_bytes()?)?;
        let this_update = UnixSeconds::read_time(&mut tbs)?;
        let next_update = matches!(tbs.peek_byte(), Some(UTC_TIME | GENERALIZED_TIME))
            .then(|| UnixSeconds::read_time(&mut tbs))
            .transpose()?;
        let mut named = Vec::new();
        if tbs.peek_byte() == Some(SEQUENCE) {
            let mut entries = sequence(tbs.tlv_bytes()?)?;
            while !entries.is_finished() {
                named.extend(entry(entries.tlv_bytes()?)?);
            }
        }
        named.sort_unstable();
        let marks = match tbs.is_finished() {
            true => Marks { coverage: Coverage::Whole, points: None, number: None, authority_key_id: None },
            false => list_extensions(content(tbs.tlv_bytes()?, context(0))?)?,
        };
        tbs.finish()?;
        Ok(Self {
            signed: position(&der, outer.content),
            algorithm: position(&der, outer.algorithm),
            signature: position(&der, outer.signature),
            issuer: position(&der, issuer.as_der()),
            this_update,
            next_update,
            entries: named,
            marks,
            der,
        })
    }

    /// The list as received.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The issuer's Name.
    #[must_use]
    pub fn issuer(&self) -> Name<'_> {
        Name::checked(&self.der[self.issuer.clone()])
    }

    /// The time at which it was issued.
    #[must_use]
    pub fn this_update(&self) -> UnixSeconds {
        self.this_update
    }

    /// The latest time of the next list.
    #[must_use]
    pub fn next_update(&self) -> Option<UnixSeconds> {
        self.next_update
    }

    /// The certificates in the list, in ascending order of their serial numbers.
    #[must_use]
    pub fn entries(&self) -> &[CrlEntry] {
        &self.entries
    }

    /// Its cRLNumber (RFC 5280, 5.2.3), if it has one below 2^64.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        self.marks.number
    }

    /// The key identifier of its authorityKeyIdentifier (RFC 5280, 5.2.1), if it can be read.
    #[must_use]
    pub fn authority_key_id(&self) -> Option<&[u8]> {
        self.marks.authority_key_id.as_deref()
    }

    /// Whether the list contains the certificate of its issuer with this serial number.
    #[must_use]
    pub fn names(&self, serial_number: SerialNumber) -> bool {
        self.entries.binary_search_by_key(&serial_number, |entry| entry.serial_number).is_ok()
    }

    /// Checks that `issuer` has signed the list and may sign lists. Does not check the time.
    ///
    /// # Errors
    /// [`CrlRefused`]
    pub fn verify_signature(&self, issuer: &Certificate) -> Result<(), CrlRefused> {
        if self.issuer() != issuer.subject() {
            return Err(CrlRefused::OtherIssuer);
        }
        // RFC 5280, 4.2.1.3
        if issuer.key_usage().is_some_and(|usage| !usage.crl_sign()) {
            return Err(CrlRefused::UnauthorizedSigner);
        }
        let part = |range: &Range<usize>| self.der.get(range.clone()).unwrap_or_default();
        let (signed, algorithm, signature) =
            (part(&self.signed), part(&self.algorithm), part(&self.signature));
        signature::verify_bytes(signed, algorithm, signature, issuer.spki())
            .map_err(|source| CrlRefused::Signature { source })
    }

    /// Checks that `issuer` has signed the list and may sign lists, and that the list is recent by
    /// a clock that may be off by `skew` (M07.FR.05 to M07.FR.07).
    ///
    /// # Errors
    /// [`CrlRefused`]
    pub fn verify(&self, issuer: &Certificate, now: UnixSeconds, skew: Duration) -> Result<(), CrlRefused> {
        self.verify_signature(issuer)?;
        if self.this_update > now.saturating_add(skew) {
            return Err(CrlRefused::Future);
        }
        // RFC 5280, 5.1.2.5 requires nextUpdate.
        if self.next_update.is_none_or(|end| now > end.saturating_add(skew)) {
            return Err(CrlRefused::Stale);
        }
        Ok(())
    }

    /// Whether a verified list revokes a certificate of its issuer. `url` is the place of the list
    /// that the certificate names.
    ///
    /// # Errors
    /// [`CrlRefused::Partial`] if the list does not contain the certificate and does not cover all
    /// certificates: the status is unknown then.
    pub fn is_revoked(&self, serial_number: SerialNumber, url: Option<&str>) -> Result<bool, CrlRefused> {
        let is_there = |own: &Points| own.iter().any(|point| url.is_some() && uri(point) == url);
        match (self.names(serial_number), self.marks.coverage) {
            (true, _) => Ok(true),
            // A partial list that is published elsewhere does not cover it (RFC 5280, 6.3.3
            // (b)(2)(i)).
            (false, Coverage::Whole) if self.marks.points.as_ref().is_none_or(is_there) => Ok(false),
            (false, Coverage::Whole) => Err(CrlRefused::Partial),
            (false, Coverage::Users | Coverage::Authorities | Coverage::Part) => Err(CrlRefused::Partial),
        }
    }

    /// Whether the list covers `certificate`, which the issuer of the list has issued. A covered
    /// certificate that is not in the list is not revoked.
    #[must_use]
    pub fn covers(&self, certificate: &Certificate) -> bool {
        let is_of_kind = match self.marks.coverage {
            Coverage::Whole => true,
            Coverage::Users => certificate.ca().is_none(),
            Coverage::Authorities => certificate.ca().is_some(),
            Coverage::Part => false,
        };
        // An issuer that divides its list writes into each certificate where its part is published
        // (RFC 5280, 6.3.3 (b)(2)(i)). A certificate without a readable place may be in another
        // part.
        let is_there = |own: &Points| {
            let points = certificate.extension(DISTRIBUTION_POINTS).map(distribution_points);
            points.is_some_and(|points| points.is_ok_and(|points| points.iter().any(|one| own.contains(one))))
        };
        is_of_kind && self.marks.points.as_ref().is_none_or(is_there)
    }
}

impl std::fmt::Debug for RevocationList {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("RevocationList")
            .field("issuer", &self.issuer())
            .field("this_update", &self.this_update)
            .field("next_update", &self.next_update)
            .field("revoked", &self.entries.len())
            .finish_non_exhaustive()
    }
}

/// Why bytes are not a revocation list that may be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CrlError {
    /// Not DER of a list, or bytes follow it.
    #[error("the bytes are not a revocation list in DER")]
    Der {
        /// The error of the decoder.
        #[source]
        source: der::Error,
    },
    /// Its issuer is not a name.
    #[error("the issuer of the list cannot be read")]
    Name {
        /// What is wrong with it.
        #[source]
        source: NameError,
    },
    /// A version that does not exist.
    #[error("the list is neither of version 1 nor of version 2")]
    Version,
    /// The algorithm in the signed part differs from the one outside it (RFC 5280, 5.1.1.2).
    #[error("the list names two different signature algorithms")]
    SignatureAlgorithm,
    /// The serial number of an entry is invalid.
    #[error("the list has an entry whose serial number cannot be read")]
    SerialNumber {
        /// What is wrong with it.
        #[source]
        source: SerialNumberError,
    },
    /// An extension that changes the meaning of the list, for example of a delta list or of a list
    /// with entries of other issuers (RFC 5280, 5.2).
    #[error("the list has a critical extension that is not known here, so it must not be used")]
    CriticalExtension,
    /// The same for an extension of an entry, for any certificate (RFC 5280, 5.3).
    #[error(
        "an entry of the list has a critical extension that is not known here, so the list must not be used"
    )]
    CriticalEntryExtension,
}

impl From<der::Error> for CrlError {
    fn from(source: der::Error) -> Self {
        Self::Der { source }
    }
}

impl From<NameError> for CrlError {
    fn from(source: NameError) -> Self {
        Self::Name { source }
    }
}

/// Why a list may not be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CrlRefused {
    /// The issuer of the list is another one.
    #[error("the list is of another issuer")]
    OtherIssuer,
    /// keyUsage without cRLSign.
    #[error("the issuer's certificate does not allow it to sign lists (keyUsage cRLSign)")]
    UnauthorizedSigner,
    /// The signature does not verify.
    #[error("the signature of the list is not accepted")]
    Signature {
        /// What is wrong with it.
        #[source]
        source: BadSignature,
    },
    /// thisUpdate is in the future.
    #[error("the list is from the future; if it is not, set the clock")]
    Future,
    /// nextUpdate has passed, or is missing.
    #[error("the list is out of date")]
    Stale,
    /// It covers only some of the certificates.
    #[error("the list covers only a part of what the issuer has issued")]
    Partial,
}

/// An entry of revokedCertificates; `None` for a serial number that is longer than any accepted
/// one.
fn entry(der: &[u8]) -> Result<Option<CrlEntry>, CrlError> {
    let mut fields = sequence(der)?;
    let serial_number = content(fields.tlv_bytes()?, Tag::Integer)?;
    let at = UnixSeconds::read_time(&mut fields)?;
    let mut reason = 0;
    if !fields.is_finished() {
        let all = extensions(fields.tlv_bytes()?)?;
        // reasonCode and invalidityDate are never critical (RFC 5280, 5.3.1, 5.3.2).
        if has_unknown_critical(&all, &[]) {
            return Err(CrlError::CriticalEntryExtension);
        }
        // An entry revokes its certificate, whatever its reason is.
        let code = all.iter().find(|extension| extension.kind == REASON_CODE);
        if let Some(Ok([code])) = code.map(|code| content(code.value, Tag::Enumerated)) {
            reason = *code;
        }
    }
    fields.finish()?;
    match SerialNumber::from_der_integer(serial_number) {
        Ok(serial_number) => Ok(Some(CrlEntry { serial_number, at, reason })),
        // No reader accepts a certificate with such a number.
        Err(SerialNumberError::TooLong) => Ok(None),
        Err(source) => Err(CrlError::SerialNumber { source }),
    }
}

/// The content of crlExtensions, and how it restricts the list.
fn list_extensions(der: &[u8]) -> Result<Marks, CrlError> {
    let all = extensions(der)?;
    if has_unknown_critical(&all, &[DISTRIBUTION_POINT]) {
        return Err(CrlError::CriticalExtension);
    }
    let value = |wanted| all.iter().find(|one| one.kind == wanted).map(|one| one.value);
    let number = value(NUMBER).map(|value| content(value, Tag::Integer)).transpose()?;
    let key_id = value(AUTHORITY_KEY_ID).map(AuthorityKeyIdentifier::from_der).transpose()?;
    let (coverage, points) =
        value(DISTRIBUTION_POINT).map_or(Ok((Coverage::Whole, None)), distribution_point)?;
    Ok(Marks {
        coverage,
        points,
        number: number.and_then(unsigned),
        authority_key_id: key_id.and_then(|id| id.key_identifier).map(|id| id.as_bytes().to_vec()),
    })
}

/// An INTEGER's content; `None` for a negative number, and for one beyond 64 bits.
fn unsigned(content: &[u8]) -> Option<u64> {
    let is_negative = content.first().is_none_or(|byte| *byte >= 0x80);
    let digits = content
        .iter()
        .try_fold(0_u64, |number, byte| number.checked_mul(256).map(|number| number | u64::from(*byte)));
    digits.filter(|_| !is_negative)
}

/// The coverage in an IssuingDistributionPoint (RFC 5280, 5.2.5), and the place of the list.
fn distribution_point(der: &[u8]) -> Result<(Coverage, Option<Points>), CrlError> {
    let mut fields: SliceReader<'_> = sequence(der)?;
    let (mut coverage, mut points) = (Coverage::Whole, None);
    while !fields.is_finished() {
        let field = AnyRef::decode(&mut fields)?;
        let Tag::ContextSpecific { number: TagNumber(number), .. } = field.tag() else {
            return Err(CrlError::Der { source: field.tag().value_error().into() });
        };
        match (number, coverage) {
            (0, _) => points = Some(full_names(field.value())?),
            (1, Coverage::Whole) => coverage = Coverage::Users,
            (2, Coverage::Whole) => coverage = Coverage::Authorities,
            // indirectCRL: the entries may belong to other issuers.
            (4, _) => return Err(CrlError::CriticalExtension),
            _ => coverage = Coverage::Part,
        }
    }
    Ok((coverage, points))
}

/// The full names in the CRLDistributionPoints of a certificate (RFC 5280, 4.2.1.13), for lists
/// that the issuer itself signs and that cover all reasons.
fn distribution_points(der: &[u8]) -> der::Result<Vec<Vec<u8>>> {
    let mut all = sequence(der)?;
    let mut found = Vec::new();
    while !all.is_finished() {
        let mut point = sequence(all.tlv_bytes()?)?;
        let (mut names, mut is_whole) = (Vec::new(), true);
        while !point.is_finished() {
            let field = AnyRef::decode(&mut point)?;
            if field.tag() == context(0) {
                names = full_names(field.value())?;
            } else {
                is_whole = false;
            }
        }
        if is_whole {
            found.extend(names);
        }
    }
    Ok(found)
}

/// The GeneralNames of a DistributionPointName, each with tag, length and content. Empty for a name
/// that is relative to the issuer.
fn full_names(name: &[u8]) -> der::Result<Vec<Vec<u8>>> {
    let mut reader = SliceReader::new(name)?;
    let mut names = Vec::new();
    let choice = AnyRef::decode(&mut reader)?;
    if choice.tag() == context(0) {
        let mut all = SliceReader::new(choice.value())?;
        while !all.is_finished() {
            names.push(all.tlv_bytes()?.to_vec());
        }
    }
    Ok(names)
}

/// The text of a GeneralName that is a URI.
fn uri(name: &[u8]) -> Option<&str> {
    let value = AnyRef::from_der(name).ok()?;
    let is_uri = matches!(value.tag(), Tag::ContextSpecific { number: TagNumber(6), .. });
    is_uri.then(|| std::str::from_utf8(value.value()).ok()).flatten()
}

/// id-ce-cRLNumber
const NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.20");

/// id-ce-cRLReasons
const REASON_CODE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.21");

/// id-ce-authorityKeyIdentifier
const AUTHORITY_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");

/// id-ce-issuingDistributionPoint
const DISTRIBUTION_POINT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.28");

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
