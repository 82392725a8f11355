//! Revocation lists: which ones may be used, and their content.

use std::time::Duration;

use certificates::{CrlError, CrlRefused, RevocationList, SerialNumber, UnixSeconds};
use rcgen::KeyUsagePurpose;

use crate::made::{Authority, NOW, algorithm, authority, extension, sequence, signed, time, tlv};

const SKEW: Duration = Duration::from_secs(300);

/// id-ce-cRLReasons, id-ce-deltaCRLIndicator, and an unknown extension.
const REASON: &[u8] = &[0x55, 0x1d, 21];
const DELTA: &[u8] = &[0x55, 0x1d, 27];
const UNKNOWN: &[u8] = &[0x2a, 3, 4];

/// The parts of a list that a test changes.
#[derive(Default)]
pub(crate) struct Terms {
    /// Content of the serial number's INTEGER, and the entry's extensions.
    pub(crate) entries: Vec<(Vec<u8>, Vec<Vec<u8>>)>,
    pub(crate) extensions: Vec<Vec<u8>>,
    pub(crate) this_update: i64,
    pub(crate) next_update: Option<i64>,
}

pub(crate) fn list(authority: &Authority, terms: &Terms) -> Vec<u8> {
    let entries = terms.entries.iter().map(|(serial, extensions)| {
        let extensions = match extensions.is_empty() {
            true => Vec::new(),
            false => sequence(&[&extensions.concat()]),
        };
        sequence(&[&tlv(2, &[serial]), &time(-60), &extensions])
    });
    let entries = entries.collect::<Vec<_>>();
    let revoked = if entries.is_empty() { Vec::new() } else { sequence(&[&entries.concat()]) };
    let extensions = match terms.extensions.is_empty() {
        true => Vec::new(),
        false => tlv(0xa0, &[&sequence(&[&terms.extensions.concat()])]),
    };
    let content = sequence(&[
        &[2, 1, 1],
        &algorithm(),
        authority.certificate.subject().as_der(),
        &time(terms.this_update),
        &terms.next_update.map(time).unwrap_or_default(),
        &revoked,
        &extensions,
    ]);
    signed(&content, authority.key(), &[])
}

fn serial(text: &str) -> SerialNumber {
    text.parse().expect("a serial number")
}

fn serials(list: &RevocationList) -> Vec<SerialNumber> {
    list.entries().iter().map(|entry| entry.serial_number).collect()
}

fn ca() -> Authority {
    authority("CA", &[KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign])
}

#[test]
fn m07_fr_05_a_list_names_what_is_revoked() {
    let ca = ca();
    let entries = vec![(vec![0x40, 1], vec![]), (vec![0, 0x80], vec![extension(REASON, false)])];
    let terms = Terms { entries, next_update: Some(3600), ..Terms::default() };
    let list = RevocationList::from_der(list(&ca, &terms)).expect("a list");
    list.verify(&ca.certificate, UnixSeconds::new(NOW), SKEW).expect("verifies");
    assert_eq!(serials(&list), [serial("80"), serial("4001")]);
    assert_eq!(list.is_revoked(serial("0x40:01"), None), Ok(true));
    assert_eq!(list.is_revoked(serial("4002"), None), Ok(false));
    assert_eq!(list.next_update(), Some(UnixSeconds::new(NOW + 3600)));
}

/// RFC 5280, 5.2 and 5.3: also if the entry is for another certificate.
#[test]
fn an_unknown_critical_extension_forbids_the_list() {
    let ca = ca();
    let read = |entries: Vec<Vec<u8>>, extensions: Vec<Vec<u8>>| {
        let entries = vec![(vec![1], vec![]), (vec![2], entries)];
        let terms = Terms { entries, extensions, next_update: Some(60), ..Terms::default() };
        RevocationList::from_der(list(&ca, &terms)).map(drop)
    };
    assert_eq!(read(vec![extension(UNKNOWN, false)], vec![extension(UNKNOWN, false)]), Ok(()));
    assert_eq!(read(vec![extension(UNKNOWN, true)], vec![]), Err(CrlError::CriticalEntryExtension));
    assert_eq!(read(vec![], vec![extension(UNKNOWN, true)]), Err(CrlError::CriticalExtension));
    assert_eq!(read(vec![], vec![extension(DELTA, true)]), Err(CrlError::CriticalExtension));
}

#[test]
fn a_list_for_some_certificates_says_nothing_about_the_others() {
    let ca = ca();
    let point = |field: &[u8]| {
        let value = sequence(&[field]);
        sequence(&[&[6, 3, 0x55, 0x1d, 28], &[1, 1, 0xff], &tlv(4, &[&value])])
    };
    let read = |field: &[u8]| {
        let terms = Terms {
            entries: vec![(vec![1], vec![])],
            extensions: vec![point(field)],
            next_update: Some(60),
            ..Terms::default()
        };
        RevocationList::from_der(list(&ca, &terms))
    };
    // distributionPoint: where this partial list is published (RFC 5280, 6.3.3 (b)(2)(i)).
    let url = "http://a.example/1.crl";
    let found = read(&tlv(0xa0, &[&tlv(0xa0, &[&tlv(0x86, &[url.as_bytes()])])])).expect("a list");
    for (place, other) in [
        (Some(url), Ok(false)),
        (Some("http://a.example/2.crl"), Err(CrlRefused::Partial)),
        (None, Err(CrlRefused::Partial)),
    ] {
        assert_eq!(found.is_revoked(serial("1"), place), Ok(true), "{place:?}");
        assert_eq!(found.is_revoked(serial("2"), place), other, "{place:?}");
    }
    // A place without a name; onlyContainsCACerts; indirectCRL.
    let nowhere = read(&[0xa0, 2, 0xa0, 0]).expect("a list");
    assert_eq!(nowhere.is_revoked(serial("2"), Some(url)), Err(CrlRefused::Partial));
    let part = read(&[0x82, 1, 0xff]).expect("a list");
    assert_eq!(
        (part.is_revoked(serial("1"), None), part.is_revoked(serial("2"), None)),
        (Ok(true), Err(CrlRefused::Partial))
    );
    assert_eq!(read(&[0x84, 1, 0xff]), Err(CrlError::CriticalExtension));
}

#[test]
fn serial_numbers_of_others_do_not_make_a_list_unreadable() {
    let ca = ca();
    let terms = |serial: &[u8]| Terms {
        entries: vec![(serial.to_vec(), vec![]), (vec![7], vec![])],
        next_update: Some(60),
        ..Terms::default()
    };
    let long = RevocationList::from_der(list(&ca, &terms(&[1; 21]))).expect("a list");
    assert_eq!(serials(&long), [serial("7")]);
    assert!(matches!(
        RevocationList::from_der(list(&ca, &terms(&[0x80]))),
        Err(CrlError::SerialNumber { .. })
    ));
}

#[test]
fn a_list_that_proves_nothing() {
    let ca = ca();
    let now = UnixSeconds::new(NOW);
    let verify = |by: &Authority, of: &Authority, this_update, next_update| {
        let list =
            RevocationList::from_der(list(by, &Terms { this_update, next_update, ..Terms::default() }));
        list.expect("a list").verify(&of.certificate, now, SKEW)
    };
    assert_eq!(verify(&ca, &ca, 300, Some(300)), Ok(()), "clocks differ");
    assert_eq!(verify(&ca, &ca, 301, Some(400)), Err(CrlRefused::Future));
    assert_eq!(verify(&ca, &ca, -900, Some(-300)), Ok(()));
    assert_eq!(verify(&ca, &ca, -900, Some(-301)), Err(CrlRefused::Stale));
    assert_eq!(verify(&ca, &ca, 0, None), Err(CrlRefused::Stale), "RFC 5280, 5.1.2.5");
    let other = authority("Other", &[]);
    assert_eq!(verify(&other, &ca, 0, Some(60)), Err(CrlRefused::OtherIssuer));
    let rekeyed = authority("CA", &[]);
    assert!(matches!(verify(&rekeyed, &ca, 0, Some(60)), Err(CrlRefused::Signature { .. })));
    let signs_certificates = authority("CA", &[KeyUsagePurpose::KeyCertSign]);
    let refused = Err(CrlRefused::UnauthorizedSigner);
    assert_eq!(verify(&signs_certificates, &signs_certificates, 0, Some(60)), refused);
}
