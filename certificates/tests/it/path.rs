//! Path validation, compared with three other implementations: chains that RFC 5280 allows or
//! forbids for one reason.
//!
//! The clause decides. If another implementation decides otherwise, the case states why.

use certificates::{
    Certificate, UnixSeconds,
    path::{self, PathError, Purpose, Window},
};
use der::{Decode as _, Reader as _, SliceReader, asn1::AnyRef};
use rcgen::string::{BmpString, UniversalString};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, DnValue, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

use crate::{
    made::{NOW, sequence, signed, tlv},
    path_cases::{CASES, Case, Verdict, name, valid},
    path_judges::{DIFFER, Judge},
};

/// A chain and its root, leaf first, the root last.
fn build(case: &Case) -> Vec<Certificate> {
    let root_at = case.sub_cas + 1;
    let params = |at: usize| {
        let mut params = CertificateParams::default();
        (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(2027, 1, 1));
        params.distinguished_name = match at {
            0 => name("Demo CSO", "SN-0001"),
            at if at == root_at => name("PKI", "root"),
            at => name("Demo CSO", &format!("sub-CA {at}")),
        };
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if at > 0 {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        }
        // OpenSSL distinguishes two keys with one name by it.
        params.use_authority_key_identifier_extension = true;
        (case.edit)(at, &mut params);
        params
    };
    let key = || KeyPair::generate().expect("a key");
    let mut issuer = CertifiedIssuer::self_signed(params(root_at), key()).expect("signs");
    let mut chain = vec![issuer.der().to_vec()];
    for at in (0..root_at).rev() {
        let below = CertifiedIssuer::signed_by(params(at), key(), &issuer).expect("signs");
        chain.push(below.der().to_vec());
        issuer = below;
    }
    chain.reverse();
    chain.into_iter().map(|der| Certificate::from_der(der).expect(case.name)).collect()
}

fn now() -> Window {
    UnixSeconds::new(NOW).into()
}

fn with_causes(error: &PathError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}

#[test]
fn rfc_5280_each_rule_of_a_path() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut wrong = Vec::new();
    for case in CASES {
        let chain = build(case);
        let (root, chain_below) = chain.split_last().expect("a root");
        let judged =
            path::verify(&chain_below[0], &chain_below[1..], std::slice::from_ref(root), now(), case.purpose);
        let as_expected = match (&judged, case.verdict) {
            (Ok(path), Verdict::Valid) => path.certificates.len() == chain_below.len(),
            (Err(error), Verdict::Refused(reason)) => with_causes(error).contains(reason),
            _ => false,
        };
        if !as_expected {
            wrong.push(format!("{}: {judged:?}", case.name));
        }
        for judge in Judge::ALL {
            let (accepts, says) = judge.accepts(folder.path(), &chain, case.purpose);
            let agrees = accepts == (case.verdict == Verdict::Valid);
            if agrees == DIFFER.iter().any(|(name, other, _)| (*name, *other) == (case.name, judge)) {
                // The last lines contain the reason.
                let says = says.lines().filter(|line| line.contains("utput:") || line.contains("rror"));
                let says = says.collect::<Vec<_>>().join("; ");
                wrong.push(format!("{}: {judge:?} accepts: {accepts}: {says}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{} chains, each judged by {:?}; these differ:", CASES.len(), Judge::ALL);
    for (name, judge, why) in DIFFER {
        assert!(CASES.iter().any(|case| case.name == *name), "there is no case {name:?}");
        println!("{name}: {judge:?}: {why}");
    }
}

/// The order and the number of the certificates from a peer do not matter.
#[test]
fn rfc_5280_6_1_the_path_is_found_in_any_order() {
    let chain = build(&valid("two sub-CAs", 2, |_, _| {}));
    let strangers = build(&valid("others", 2, |_, _| {}));
    let [leaf, lower, upper, root] = <[Certificate; 4]>::try_from(chain).expect("four");
    let sent = [strangers[1].clone(), upper.clone(), root.clone(), lower.clone()];
    let roots = [strangers[3].clone(), root.clone()];
    let path = path::verify(&leaf, &sent, &roots, now(), Purpose::Station).expect("valid");
    assert_eq!(path.certificates, [&leaf, &lower, &upper]);
    assert_eq!((path.root, path.issuer_of(1), path.issuer_of(2)), (&root, &upper, &root));
    // A second root has the same name and another key.
    let between = [lower.clone(), upper.clone()];
    let twin = path::verify(&leaf, &between, &strangers[3..], now(), Purpose::Station);
    assert!(matches!(twin, Err(PathError::Signature { position: 2, .. })), "{twin:?}");
    let nobody = path::verify(&leaf, &[], &roots, now(), Purpose::Station);
    assert!(matches!(nobody, Err(PathError::UnknownIssuer)), "{nobody:?}");
}

/// The clock shows one of two times: the certificate is valid at some time between them.
#[test]
fn a_window_of_two_moments() {
    let chain = build(&valid("a leaf", 0, |_, _| {}));
    let judge = |earliest: i64, latest: i64| {
        let window = Window { earliest: UnixSeconds::new(earliest), latest: UnixSeconds::new(latest) };
        path::verify(&chain[0], &[], &chain[1..], window, Purpose::Station).is_ok()
    };
    let (begin, end) = (chain[0].not_before().as_i64(), chain[0].not_after().as_i64());
    for (earliest, latest, expected) in [
        (begin, begin, true),
        (begin - 1, begin - 1, false),
        (begin - 9, begin, true),
        (end, end, true),
        (end + 1, end + 1, false),
        (end, end + 9, true),
    ] {
        assert_eq!(judge(earliest, latest), expected, "{earliest} to {latest}");
    }
}

/// Certificates that were made to be expensive: all have one name, so each could be the issuer of
/// each.
#[test]
fn the_work_for_one_leaf_is_bounded() {
    let mut params = CertificateParams::default();
    params.distinguished_name = name("PKI", "same");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = || KeyPair::generate().expect("a key");
    let same = (0..200).map(|_| {
        let certificate = params.self_signed(&key()).expect("signs");
        Certificate::from_der(certificate.der().to_vec()).expect("a certificate")
    });
    let same = same.collect::<Vec<_>>();
    let issuer = CertifiedIssuer::self_signed(params.clone(), key()).expect("signs");
    let mut leaf = CertificateParams::default();
    (leaf.not_before, leaf.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(2027, 1, 1));
    leaf.distinguished_name = name("Demo CSO", "SN-0001");
    let leaf = leaf.signed_by(&key(), &issuer).expect("signs");
    let leaf = Certificate::from_der(leaf.der().to_vec()).expect("a certificate");
    let judged = path::verify(&leaf, &same, &same[..1], now(), Purpose::Station);
    assert!(matches!(judged, Err(PathError::TooExpensive)), "{judged:?}");
}

/// RFC 5280, 4.1.2.8: unique identifiers must be parsed, even if they are ignored.
#[test]
fn rfc_5280_4_1_2_8_unique_identifiers_and_every_string_type() {
    let key = || KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name = name("PKI", "root");
    let root = CertifiedIssuer::self_signed(params, key()).expect("signs");
    let mut params = CertificateParams::default();
    (params.not_before, params.not_after) = (date_time_ymd(1950, 1, 1), date_time_ymd(2027, 1, 1));
    let mut subject = DistinguishedName::new();
    let organization = BmpString::try_from("Demo CSO").expect("letters");
    subject.push(DnType::OrganizationName, DnValue::BmpString(organization));
    let serial = UniversalString::try_from("SN-0001").expect("letters");
    subject.push(DnType::CommonName, DnValue::UniversalString(serial));
    params.distinguished_name = subject;
    let leaf = params.signed_by(&key(), &root).expect("signs");
    let leaf = Certificate::from_der(leaf.der().to_vec()).expect("a certificate");

    // TBSCertificate again, with issuerUniqueID and subjectUniqueID before the extensions.
    let tbs = AnyRef::from_der(leaf.signed_part()).expect("DER");
    let mut fields = SliceReader::new(tbs.value()).expect("short");
    let mut parts = Vec::new();
    while !fields.is_finished() {
        let field = fields.tlv_bytes().expect("a field");
        if field[0] == 0xa3 {
            parts.extend([tlv(0x81, &[&[0, 1]]), tlv(0x82, &[&[0, 2]])]);
        }
        parts.push(field.to_vec());
    }
    if !parts.iter().any(|part| part[0] == 0x81) {
        parts.extend([tlv(0x81, &[&[0, 1]]), tlv(0x82, &[&[0, 2]])]);
    }
    let leaf = Certificate::from_der(signed(&sequence(&[&parts.concat()]), root.key(), &[]));
    let leaf = leaf.expect("a certificate");
    let root = Certificate::from_der(root.der().to_vec()).expect("a certificate");
    assert_eq!(leaf.subject().to_string(), "CN=SN-0001,O=Demo CSO");
    path::verify(&leaf, &[], std::slice::from_ref(&root), now(), Purpose::Station).expect("valid");
    let folder = tempfile::tempdir().expect("a folder");
    let chain = [leaf, root];
    for judge in Judge::ALL {
        let (accepts, says) = judge.accepts(folder.path(), &chain, Purpose::Station);
        assert!(accepts, "{judge:?}: {says}");
    }
}
