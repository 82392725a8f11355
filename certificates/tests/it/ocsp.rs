//! OCSP responses: which ones are accepted, and their content.

use std::time::Duration;

use certificates::ocsp::{CertificateStatus, NoAnswer, OcspRefused, Verified, check_about, verify};
use certificates::{CertificateId, HashAlgorithm, SerialNumber, UnixSeconds};
use rcgen::{ExtendedKeyUsagePurpose, KeyUsagePurpose};

use crate::made::{
    Authority, Delegate, DelegateTerms, NOW, authority, extension, oid, sequence, signed, time, tlv,
};

const SKEW: Duration = Duration::from_secs(300);
const GOOD: &[u8] = &[0x80, 0];
const REVOKED: &[u8] = &[
    0xa1, 17, 0x18, 15, b'2', b'0', b'2', b'6', b'0', b'1', b'0', b'1', b'0', b'0', b'0', b'0', b'0', b'0',
    b'Z',
];
const UNKNOWN: &[u8] = &[0x82, 0];
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
const NONCE: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 2];

fn ca() -> Authority {
    authority("CA", &[KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign])
}

fn id(ca: &Authority) -> CertificateId {
    CertificateId::issued_by(&ca.certificate, SerialNumber::from_hex("80ff").expect("a serial number"))
}

/// SingleResponse with this status, times after now, and extensions.
fn single(
    ca: &Authority,
    status: &[u8],
    this_update: i64,
    next_update: Option<i64>,
    extensions: &[Vec<u8>],
) -> Vec<u8> {
    let hash = id(ca).hash_data(HashAlgorithm::Sha256);
    let name = tlv(4, &[hash.issuer_name_hash()]);
    let key = tlv(4, &[hash.issuer_key_hash()]);
    let certificate = sequence(&[&sequence(&[&oid(SHA256), &[5, 0]]), &name, &key, &[2, 3, 0, 0x80, 0xff]]);
    let next_update = next_update.map(|next| tlv(0xa0, &[&time(next)])).unwrap_or_default();
    let extensions = explicit_extensions(extensions);
    sequence(&[&certificate, status, &time(this_update), &next_update, &extensions])
}

fn explicit_extensions(extensions: &[Vec<u8>]) -> Vec<u8> {
    match extensions {
        [] => Vec::new(),
        some => tlv(0xa1, &[&sequence(&[&some.concat()])]),
    }
}

/// OCSPResponse by the authority, or by another signer.
fn response(
    ca: &Authority,
    by: Option<&Delegate>,
    version: &[u8],
    singles: &[Vec<u8>],
    extensions: &[Vec<u8>],
) -> Vec<u8> {
    let (key, name, along) = match by {
        None => (ca.key(), ca.certificate.subject(), Vec::new()),
        Some(delegate) => {
            let list = sequence(&[delegate.certificate.der()]);
            (&delegate.key, delegate.certificate.subject(), tlv(0xa0, &[&list]))
        }
    };
    let data = sequence(&[
        version,
        &tlv(0xa1, &[name.as_der()]),
        &time(0),
        &sequence(&[&singles.concat()]),
        &explicit_extensions(extensions),
    ]);
    let basic = signed(&data, key, &along);
    let body = sequence(&[&oid(&[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1]), &tlv(4, &[&basic])]);
    sequence(&[&[10, 1, 0], &tlv(0xa0, &[&body])])
}

fn judge(ca: &Authority, der: &[u8]) -> Result<Verified, OcspRefused> {
    verify(der, &id(ca), &ca.certificate, UnixSeconds::new(NOW), SKEW)
}

fn no_answer(source: NoAnswer) -> OcspRefused {
    OcspRefused::NoAnswer { source }
}

fn plain(ca: &Authority, singles: &[Vec<u8>]) -> Vec<u8> {
    response(ca, None, &[], singles, &[])
}

#[test]
fn m06_fr_08_each_status_is_an_answer() {
    let ca = ca();
    for (der, expected) in [
        (GOOD, CertificateStatus::Good),
        (REVOKED, CertificateStatus::Revoked),
        (UNKNOWN, CertificateStatus::Unknown),
    ] {
        let der = plain(&ca, &[single(&ca, der, 0, Some(60), &[])]);
        let verified = judge(&ca, &der).expect("verifies");
        assert_eq!((verified.status, verified.next_update), (expected, Some(UnixSeconds::new(NOW + 60))));
        check_about(&der, &id(&ca).hash_data(HashAlgorithm::Sha256)).expect("about it");
        // Without the issuer's certificate, only an answer with the digest of the request is
        // accepted.
        let other = id(&ca).hash_data(HashAlgorithm::Sha384);
        assert_eq!(check_about(&der, &other), Err(NoAnswer::OtherCertificate));
    }
    let other = CertificateId::issued_by(&ca.certificate, SerialNumber::from_hex("80").expect("one"));
    let der = plain(&ca, &[single(&ca, GOOD, 0, None, &[])]);
    let error = verify(&der, &other, &ca.certificate, UnixSeconds::new(NOW), SKEW).expect_err("another one");
    assert_eq!(error, no_answer(NoAnswer::OtherCertificate));
    assert_eq!(judge(&ca, &[0x30, 3, 10, 1, 3]), Err(no_answer(NoAnswer::Status { code: 3 })));
}

#[test]
fn two_answers_about_one_certificate_state_one_status() {
    let ca = ca();
    let pair = |first, second| {
        plain(&ca, &[single(&ca, first, -60, Some(60), &[]), single(&ca, second, 0, Some(90), &[])])
    };
    let verified = judge(&ca, &pair(GOOD, GOOD)).expect("verifies");
    assert_eq!(verified.next_update, Some(UnixSeconds::new(NOW + 90)), "the newer one counts");
    for (first, second) in [(GOOD, REVOKED), (REVOKED, GOOD), (UNKNOWN, GOOD)] {
        assert_eq!(judge(&ca, &pair(first, second)), Err(no_answer(NoAnswer::Contradiction)));
        let hash = id(&ca).hash_data(HashAlgorithm::Sha256);
        assert_eq!(check_about(&pair(first, second), &hash), Err(NoAnswer::Contradiction));
    }
}

#[test]
fn unknown_critical_extensions_are_refused() {
    let ca = ca();
    let critical = || vec![extension(NONCE, true)];
    let good = single(&ca, GOOD, 0, None, &[]);
    let der = response(
        &ca,
        None,
        &[],
        &[single(&ca, GOOD, 0, None, &[extension(NONCE, false)])],
        &[extension(NONCE, false)],
    );
    judge(&ca, &der).expect("what is not critical changes nothing");
    let refused = Err(no_answer(NoAnswer::CriticalExtension));
    assert_eq!(judge(&ca, &response(&ca, None, &[], &[good], &critical())), refused);
    assert_eq!(judge(&ca, &plain(&ca, &[single(&ca, GOOD, 0, None, &critical())])), refused);
}

#[test]
fn the_version_is_one() {
    let ca = ca();
    let of_version = |number: u8| {
        let version = tlv(0xa0, &[&[2, 1, number]]);
        judge(&ca, &response(&ca, None, &version, &[single(&ca, GOOD, 0, None, &[])], &[]))
    };
    of_version(0).expect("version 1 written out");
    assert_eq!(of_version(1), Err(no_answer(NoAnswer::Version)));
}

#[test]
fn more_than_one_question_brings_is_refused_and_not_cut_off() {
    let ca = ca();
    let singles = vec![single(&ca, GOOD, 0, None, &[]); 65];
    assert!(judge(&ca, &plain(&ca, &singles[..64])).is_ok());
    assert!(matches!(
        judge(&ca, &plain(&ca, &singles)),
        Err(OcspRefused::NoAnswer { source: NoAnswer::TooMany { .. } })
    ));
}

#[test]
fn rfc_6960_4_2_2_2_who_may_sign() {
    let ca = ca();
    let judge = |terms: &DelegateTerms| {
        let delegate = ca.delegate(terms);
        let der = response(&ca, Some(&delegate), &[], &[single(&ca, GOOD, 0, None, &[])], &[]);
        judge(&ca, &der).map(drop)
    };
    let good =
        DelegateTerms { purposes: vec![ExtendedKeyUsagePurpose::OcspSigning], ..DelegateTerms::default() };
    let with = |usage| DelegateTerms { usages: vec![usage], ..good.clone() };
    assert_eq!(judge(&good), Ok(()));
    assert_eq!(judge(&with(KeyUsagePurpose::DigitalSignature)), Ok(()));
    // keyUsage that does not allow the signature of responses (RFC 5280, 4.2.1.3).
    let refused = Err(OcspRefused::UnauthorizedSigner);
    assert_eq!(judge(&with(KeyUsagePurpose::ContentCommitment)), refused);
    assert_eq!(judge(&DelegateTerms::default()), refused, "not charged");
    let purposes = vec![ExtendedKeyUsagePurpose::ServerAuth];
    assert_eq!(judge(&DelegateTerms { purposes, ..good.clone() }), refused);
    assert_eq!(judge(&DelegateTerms { critical: Some(&[1, 2, 3, 4]), ..good.clone() }), refused);
    let expired = judge(&DelegateTerms { years: Some((2020, 2021)), ..good.clone() });
    assert!(matches!(expired, Err(OcspRefused::SignerValidity { .. })), "{expired:?}");

    // The delegate of another authority with the same name.
    let delegate = self::ca().delegate(&good);
    let der = response(&ca, Some(&delegate), &[], &[single(&ca, GOOD, 0, None, &[])], &[]);
    assert_eq!(
        verify(&der, &id(&ca), &ca.certificate, UnixSeconds::new(NOW), SKEW),
        Err(OcspRefused::UnauthorizedSigner)
    );
}

#[test]
fn m06_fr_10_an_answer_holds_until_its_end() {
    let ca = ca();
    let judge = |this_update, next_update| {
        judge(&ca, &plain(&ca, &[single(&ca, GOOD, this_update, next_update, &[])])).map(drop)
    };
    let week = 7 * 24 * 3600;
    assert_eq!(judge(300, None), Ok(()));
    assert_eq!(judge(301, None), Err(OcspRefused::Future));
    assert_eq!(judge(-week - 300, None), Ok(()));
    assert_eq!(judge(-week - 301, None), Err(OcspRefused::Stale));
    assert_eq!(judge(-900, Some(-300)), Ok(()));
    assert_eq!(judge(-900, Some(-301)), Err(OcspRefused::Stale));
}

#[test]
fn no_byte_of_a_responder_breaks_the_reader() {
    let ca = ca();
    let hash = id(&ca).hash_data(HashAlgorithm::Sha256);
    let good = plain(&ca, &[single(&ca, GOOD, 0, Some(60), &[])]);
    for length in 0..good.len() {
        check_about(&good[..length], &hash).expect_err("cut off");
    }
    for place in 0..good.len() {
        for value in 0..=255 {
            let mut bytes = good.clone();
            bytes[place] = value;
            // The changed response is read or refused.
            let _ = check_about(&bytes, &hash);
        }
    }
}
