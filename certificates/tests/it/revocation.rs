//! Revocation lists and the certificates of a path.

use certificates::{
    Certificate, CrlRefused, RevocationList, UnixSeconds,
    path::{Path, RevocationError, Unlisted, check_revocation},
};
use rcgen::{CustomExtension, KeyUsagePurpose};

use crate::{
    crl::{Terms, list},
    made::{Authority, NOW, authority, extension_of, sequence, tlv},
};

/// id-ce-authorityKeyIdentifier, id-ce-issuingDistributionPoint
const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 35];
const ISSUING_POINT: &[u8] = &[0x55, 0x1d, 28];

fn signer() -> Authority {
    authority("PKI", &[KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign])
}

/// A list with these serial numbers, valid now.
fn naming(authority: &Authority, serials: &[u8], extensions: Vec<Vec<u8>>) -> RevocationList {
    let entries = serials.iter().map(|serial| (vec![*serial], Vec::new())).collect();
    let terms = Terms { entries, extensions, this_update: -60, next_update: Some(600) };
    RevocationList::from_der(list(authority, &terms)).expect("a list")
}

fn judge(
    authority: &Authority,
    leaf: &Certificate,
    lists: &[RevocationList],
    unlisted: Unlisted,
) -> Result<(), RevocationError> {
    let path = Path { certificates: vec![leaf], root: &authority.certificate };
    check_revocation(&path, lists, UnixSeconds::new(NOW), unlisted)
}

fn key_id(of: &Certificate) -> Vec<u8> {
    extension_of(AUTHORITY_KEY_ID, false, &sequence(&[&tlv(0x80, &[of.subject_key_id().expect("an id")])]))
}

#[test]
fn a00_fr_705_whom_a_list_names_is_refused() {
    let authority = signer();
    let leaf = authority.station(7, None);
    for unlisted in [Unlisted::Accept, Unlisted::Refuse] {
        let judge = |lists: &[RevocationList]| judge(&authority, &leaf, lists, unlisted);
        assert_eq!(judge(&[naming(&authority, &[7], vec![])]), Err(RevocationError::Revoked { position: 0 }));
        assert_eq!(judge(&[naming(&authority, &[8], vec![])]), Ok(()));
        // In either of several lists.
        let both = [naming(&authority, &[8], vec![]), naming(&authority, &[7], vec![])];
        assert_eq!(judge(&both), Err(RevocationError::Revoked { position: 0 }));
    }
    assert_eq!(judge(&authority, &leaf, &[], Unlisted::Accept), Ok(()));
    assert_eq!(
        judge(&authority, &leaf, &[], Unlisted::Refuse),
        Err(RevocationError::Unknown { position: 0 })
    );
    let terms = Terms { this_update: -60, next_update: Some(-1), ..Terms::default() };
    let old = RevocationList::from_der(list(&authority, &terms)).expect("a list");
    assert_eq!(judge(&authority, &leaf, std::slice::from_ref(&old), Unlisted::Accept), Ok(()));
    assert_eq!(
        judge(&authority, &leaf, &[old], Unlisted::Refuse),
        Err(RevocationError::Unknown { position: 0 })
    );
}

/// A list by another signer could be a damaged one that revokes the certificate, unless it names
/// another key.
#[test]
fn rfc_5280_6_3_3_a_list_that_cannot_be_verified_is_not_passed_over() {
    let (authority, twin) = (signer(), signer());
    let leaf = authority.station(7, None);
    let by_twin = naming(&twin, &[], vec![]);
    let refused = judge(&authority, &leaf, &[by_twin], Unlisted::Accept);
    assert!(
        matches!(refused, Err(RevocationError::List { source: CrlRefused::Signature { .. }, .. })),
        "{refused:?}"
    );
    // The issuer's other key has a list too. Alone it does not replace the list of the issuer's own
    // key.
    let named = naming(&twin, &[7], vec![key_id(&twin.certificate)]);
    let refused = judge(&authority, &leaf, std::slice::from_ref(&named), Unlisted::Accept);
    assert!(matches!(refused, Err(RevocationError::List { .. })), "{refused:?}");
    let own = naming(&authority, &[8], vec![key_id(&authority.certificate)]);
    assert_eq!(judge(&authority, &leaf, &[named, own], Unlisted::Refuse), Ok(()));
    let own = naming(&authority, &[7], vec![key_id(&authority.certificate)]);
    assert_eq!(
        judge(&authority, &leaf, &[own], Unlisted::Accept),
        Err(RevocationError::Revoked { position: 0 })
    );
}

#[test]
fn rfc_5280_5_2_5_what_a_list_is_about() {
    let authority = signer();
    let point = |url: &str| tlv(0xa0, &[&tlv(0xa0, &[&tlv(0x86, &[url.as_bytes()])])]);
    let found_at = |url: &str| {
        let value = sequence(&[&sequence(&[&point(url)])]);
        authority.station(7, Some(CustomExtension::from_oid_content(&[2, 5, 29, 31], value)))
    };
    let (anywhere, here) = (authority.station(7, None), found_at("http://a.example/1.crl"));
    let covers = |fields: &[u8], certificate: &Certificate| {
        let issuing = extension_of(ISSUING_POINT, true, &sequence(&[fields]));
        naming(&authority, &[], vec![issuing]).covers(certificate)
    };
    assert!(naming(&authority, &[], vec![]).covers(&here));
    assert!(naming(&authority, &[], vec![]).covers(&anywhere));
    // Relative to the issuer's name, which is not compared: it may be another part.
    let relative = tlv(0xa0, &[&tlv(0xa1, &[&sequence(&[&[6, 3, 0x55, 4, 3], &tlv(0x0c, &[b"1"])])])]);
    assert!(!covers(&relative, &here));
    // onlyContainsUserCerts, onlyContainsCACerts, onlySomeReasons
    for (fields, of_users, of_authorities) in [
        (&[0x81, 1, 0xff][..], true, false),
        (&[0x82, 1, 0xff], false, true),
        (&[0x83, 2, 0, 0x80], false, false),
        (&[0x85, 1, 0xff], false, false),
    ] {
        assert_eq!(covers(fields, &anywhere), of_users, "{fields:02x?}");
        assert_eq!(covers(fields, &authority.certificate), of_authorities, "{fields:02x?}");
    }
    for (url, expected) in [("http://a.example/1.crl", true), ("http://a.example/2.crl", false)] {
        assert_eq!(covers(&point(url), &here), expected, "{url}");
        // A certificate that names no place is covered by the list that names none (RFC 5280,
        // 6.3.3).
        assert!(!covers(&point(url), &anywhere), "{url}");
    }
}
