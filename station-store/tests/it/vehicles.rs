//! Certificates for vehicles: CertificateSigned with V2GCertificate, their chains in the inventory,
//! and their deletion.

use ocpp_types::v201::GetCertificateIdUseEnumType as Listed;
use ocpp_types::v201::InstallCertificateUseEnumType::{CSMSRootCertificate, V2GRootCertificate};
use ocpp_types::v201::{
    CertificateHashDataChainType, CertificateHashDataType, CertificateSigningUseEnumType,
    DeleteCertificateStatusEnumType, HashAlgorithmEnumType,
};
use rcgen::{
    CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
    date_time_ymd,
};
use station_store::{
    Certificate, CertificateId, CertificateSigningUse, ChainRefused, DomainComponent, HashAlgorithm,
    MAX_SECCS, NewPending, OwnState, PendingError, Store,
};

use crate::pki::{
    Authority, SERIAL_NUMBER, Station, ca_params, detail, hash_data, key, leaf, leaf_params, now, reason,
    root, secc_params, settings, sub_ca, uri, v2g_pending,
};

const V2G: Option<CertificateSigningUseEnumType> = Some(CertificateSigningUseEnumType::V2GCertificate);

/// A V2G root with two sub-CAs below it.
struct Hierarchy {
    root: Authority,
    one: Authority,
    two: Authority,
}

impl Hierarchy {
    fn new() -> Self {
        let root = root("V2G");
        let one = sub_ca(&root, "Sub 1");
        let two = sub_ca(&one, "Sub 2");
        Self { root, one, two }
    }

    fn chain(&self, key: &KeyPair, secc_id: &str) -> String {
        leaf(&self.two, key, secc_params(secc_id)) + &self.two.pem() + &self.one.pem()
    }

    fn station(&self) -> Station {
        let station = Station::new();
        station.must_install(V2GRootCertificate, &self.root.pem());
        station
    }
}

fn request(station: &Station, name: &str, secc_id: &str, key: &KeyPair) {
    station.request_for(&v2g_pending(name, secc_id), key);
}

fn chains(station: &Station) -> Vec<CertificateHashDataChainType> {
    let response = station.list(&[Listed::V2GCertificateChain]);
    response.certificate_hash_data_chain.map(|chains| chains.to_vec()).unwrap_or_default()
}

fn hash(pem: &str, issuer: &Authority) -> CertificateHashDataType {
    let read = |pem: &str| Certificate::from_pem(pem).expect("a certificate");
    hash_data(
        CertificateId::new(&read(pem), read(&issuer.pem()).public_key()).hash_data(HashAlgorithm::Sha256),
    )
}

fn first(chain: &str) -> String {
    let end = chain.find("-----END CERTIFICATE-----").expect("PEM") + "-----END CERTIFICATE-----".len();
    chain[..end].to_owned()
}

/// The leaf first, then its sub-CAs, nearest first, without the root. Seen elsewhere: the other
/// order (libevse-security #102), one certificate instead of the chain (libocpp #89).
#[test]
fn tc_m_15_m03_fr_05_chain_is_listed_with_its_sub_cas() {
    let hierarchy = Hierarchy::new();
    let station = hierarchy.station();
    let key = key();
    request(&station, "v2g", "SECC-1", &key);
    let chain = hierarchy.chain(&key, "SECC-1");
    let outcome = station.signed_as(&chain, V2G);
    let own = outcome.installed.expect("accepted");
    assert_eq!((own.use_, own.state), (CertificateSigningUse::V2g, OwnState::InUse));
    let station = station.restart();
    let listed = chains(&station);
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].certificate_type, Listed::V2GCertificateChain);
    assert_eq!(listed[0].certificate_hash_data, hash(&first(&chain), &hierarchy.two));
    let children = listed[0].child_certificate_hash_data.clone().expect("sub-CAs");
    let (two, one) =
        (hash(&hierarchy.two.pem(), &hierarchy.one), hash(&hierarchy.one.pem(), &hierarchy.root));
    assert_eq!(children.to_vec(), [two.clone(), one.clone()]);
    // The same list, for people at the station.
    let own = station.store.own_hashes(own.id).into_iter().map(hash_data);
    assert_eq!(own.collect::<Vec<_>>(), [hash(&first(&chain), &hierarchy.two), two, one]);
    // The certificate is not for the connection, and is listed with all types.
    assert!(station.store.own_certificates().is_empty());
    assert_eq!(station.list(&[]).certificate_hash_data_chain.map_or(0, |all| all.len()), 2);
    let message = ocpp_types::encode(&station.list(&[])).expect("valid against the schema");
    assert!(message.contains("childCertificateHashData"));
}

/// Seen elsewhere (libocpp #227, #242): an empty list of children, which violates the schema.
#[test]
fn m03_fr_05_leaf_without_sub_cas_has_no_children() {
    let root = root("V2G");
    let station = Station::new();
    station.must_install(V2GRootCertificate, &root.pem());
    let key = key();
    request(&station, "v2g", "SECC-1", &key);
    assert!(station.signed_as(&leaf(&root, &key, secc_params("SECC-1")), V2G).installed.is_some());
    let listed = chains(&station);
    assert_eq!(listed[0].child_certificate_hash_data, None);
    let message = ocpp_types::encode(&station.list(&[])).expect("valid");
    assert!(!message.contains("child"), "{message}");
}

/// Seen elsewhere: only one chain listed (libevse-security #101), the assumption of one SECC
/// (EVerest #1655).
#[test]
fn m03_fr_05_every_chain_of_every_secc_is_listed() {
    let hierarchy = Hierarchy::new();
    let station = hierarchy.station();
    for secc in 0..4 {
        let key = key();
        let secc_id = format!("SECC-{secc}");
        request(&station, &secc_id, &secc_id, &key);
        assert!(station.signed_as(&hierarchy.chain(&key, &secc_id), V2G).installed.is_some());
    }
    assert_eq!(chains(&station).len(), 4);
    assert_eq!(station.store.vehicle_certificates(now()).len(), 4);
}

/// `childCertificateHashData` has room for four; a longer chain could not be listed. Seen elsewhere
/// (EVerest): all of them were listed, against the schema.
#[test]
fn m03_fr_05_more_than_four_sub_cas_are_refused_at_the_door() {
    let root = root("V2G");
    let station = Station::new();
    station.must_install(V2GRootCertificate, &root.pem());
    for (depth, expected) in [(4, true), (5, false)] {
        let mut authorities = vec![sub_ca(&root, "Sub 1")];
        for number in 2..=depth {
            let next = sub_ca(&authorities[authorities.len() - 1], &format!("Sub {number}"));
            authorities.push(next);
        }
        let key = key();
        request(&station, &format!("depth-{depth}"), "SECC-1", &key);
        let mut chain = leaf(&authorities[depth - 1], &key, secc_params("SECC-1"));
        authorities.iter().rev().for_each(|authority| chain += &authority.pem());
        let outcome = station.signed_as(&chain, V2G);
        assert_eq!(outcome.installed.is_some(), expected, "{outcome:?}");
        if !expected {
            assert!(detail(&outcome.response.status_info).contains("5 sub-CAs"), "{outcome:?}");
        }
    }
    assert_eq!(chains(&station)[0].child_certificate_hash_data.as_ref().map(|all| all.len()), Some(4));
}

/// M04.FR.08: every listed certificate can be deleted. Deleting a sub-CA also deletes the chains
/// below it, and the same change condemns their keys. Seen elsewhere: a sub-CA that was listed but
/// not found (tfocpp), leaves that were refused (EVerest), keys left behind (libevse-security
/// #111).
#[test]
fn m04_fr_08_leaf_and_sub_cas_delete_the_chain_and_its_key() {
    let hierarchy = Hierarchy::new();
    for position in 0..3 {
        for algorithm in HashAlgorithm::ALL {
            let station = hierarchy.station();
            for (name, secc_id) in [("one", "SECC-1"), ("two", "SECC-2")] {
                let key = key();
                request(&station, name, secc_id, &key);
                assert!(station.signed_as(&hierarchy.chain(&key, secc_id), V2G).installed.is_some());
            }
            let (station, listed) = station.listed_with(algorithm);
            let entry = listed.iter().find(|entry| entry.len() == 3).expect("a chain").clone();
            let response = station.delete(&entry[position]);
            assert_eq!(response.status, DeleteCertificateStatusEnumType::Accepted, "{response:?}");
            let station = station.restart();
            let left = if position == 0 { 1 } else { 0 };
            assert_eq!(chains(&station).len(), left, "the leaf takes one chain along, a sub-CA both");
            assert_eq!(station.store.condemned_keys().len(), 2 - left, "no key is left behind");
            assert_eq!(station.delete(&entry[position]).status, DeleteCertificateStatusEnumType::NotFound);
            assert_eq!(station.all_roots().len(), 1, "the root stays");
        }
    }
}

/// The root may be deleted first; the chain is still listed and deletable.
#[test]
fn m04_chain_outlives_its_root() {
    let hierarchy = Hierarchy::new();
    let station = hierarchy.station();
    let key = key();
    request(&station, "v2g", "SECC-1", &key);
    assert!(station.signed_as(&hierarchy.chain(&key, "SECC-1"), V2G).installed.is_some());
    let before = chains(&station);
    let root = station.all_roots().remove(0);
    assert_eq!(station.delete(&root).status, DeleteCertificateStatusEnumType::Accepted);
    let station = station.restart();
    assert_eq!(chains(&station), before);
    let children = before[0].child_certificate_hash_data.clone().expect("sub-CAs");
    assert_eq!(station.delete(&children[1]).status, DeleteCertificateStatusEnumType::Accepted);
    assert!(chains(&station).is_empty());
}

/// TC_A_12: the certificate is for the requested SECC, and its key is ECDSA with 256 bits or more.
#[test]
fn tc_a_12_common_name_is_the_secc_id_and_the_key_is_ecdsa() {
    let hierarchy = Hierarchy::new();
    let station = hierarchy.station();
    let ours = key();
    request(&station, "v2g", "SECC-1", &ours);
    let refused = |chain: &str, expected: &str| {
        let outcome = station.signed_as(chain, V2G);
        assert_eq!(reason(&outcome.response.status_info), "InvalidCertificate");
        let detail = detail(&outcome.response.status_info);
        assert!(detail.contains(expected), "{detail:?} should say {expected:?}");
    };
    refused(&hierarchy.chain(&ours, SERIAL_NUMBER), "the common name is not SECC-1");
    refused(&hierarchy.chain(&ours, "SECC-2"), "the common name is not SECC-1");
    refused(&hierarchy.chain(&key(), "SECC-1"), "not that of a pending");
    let edwards = KeyPair::generate_for(&PKCS_ED25519).expect("key");
    request(&station, "ed25519", "SECC-1", &edwards);
    refused(&hierarchy.chain(&edwards, "SECC-1"), "ISO 15118");
    let mut client_only = secc_params("SECC-1");
    client_only.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let wrong = leaf(&hierarchy.two, &ours, client_only) + &hierarchy.two.pem() + &hierarchy.one.pem();
    refused(&wrong, "the certification path is not valid");
    let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).expect("key");
    station.request_for(&v2g_pending("p384", "SECC-2").organization("Other"), &p384);
    refused(&hierarchy.chain(&p384, "SECC-2"), "the organization is not Other");
    station.request_for(&v2g_pending("wrong", "SECC-3"), &key());
    request(&station, "p384 again", "SECC-2", &KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).expect("key"));
    assert!(station.signed_as(&hierarchy.chain(&ours, "SECC-1"), V2G).installed.is_some());
}

/// ISO 15118-2, annex F. Seen elsewhere (EVerest #2119): the DC of an SECC was not checked.
#[test]
fn tc_a_12_lesson_35_domain_component_and_country() {
    let hierarchy = Hierarchy::new();
    let station = hierarchy.station();
    let sub_cas = || hierarchy.two.pem() + &hierarchy.one.pem();
    let bare = |secc_id: &str| {
        let mut params = leaf_params();
        params.distinguished_name.push(DnType::CommonName, secc_id);
        params
    };
    let german = |secc_id: &str| {
        let mut params = secc_params(secc_id);
        params.distinguished_name.push(DnType::CountryName, "DE");
        params
    };
    let key = key();
    request(&station, "v2g", "SECC-1", &key);
    let without = leaf(&hierarchy.two, &key, bare("SECC-1")) + &sub_cas();
    let outcome = station.signed_as(&without, V2G);
    assert!(
        matches!(&outcome.refused, Some(ChainRefused::DomainComponent { expected }) if expected == "CPO")
    );
    assert_eq!(reason(&outcome.response.status_info), "InvalidCertificate");
    let said = detail(&outcome.response.status_info);
    assert!(said.contains("the domain component CPO is missing"), "{said}");
    let other = DnType::CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 25]);
    let mut params = bare("SECC-1");
    params.distinguished_name.push(other, "CPS");
    let outcome = station.signed_as(&(leaf(&hierarchy.two, &key, params) + &sub_cas()), V2G);
    assert!(matches!(outcome.refused, Some(ChainRefused::DomainComponent { .. })), "{outcome:?}");
    assert!(station.signed_as(&hierarchy.chain(&key, "SECC-1"), V2G).installed.is_some());
    // Further answers for this key are checked like the first one.
    let outcome = station.signed_as(&without, V2G);
    assert!(matches!(outcome.refused, Some(ChainRefused::DomainComponent { .. })), "{outcome:?}");

    // `ISO15118Ctrlr.CountryName`, if the request named one; also across a restart.
    let key = crate::pki::key();
    station.request_for(&v2g_pending("de", "SECC-2").country("DE"), &key);
    let station = station.restart();
    let outcome = station.signed_as(&hierarchy.chain(&key, "SECC-2"), V2G);
    assert!(matches!(&outcome.refused, Some(ChainRefused::Country { expected }) if expected == "DE"));
    let chain = leaf(&hierarchy.two, &key, german("SECC-2")) + &sub_cas();
    assert!(station.signed_as(&chain, V2G).installed.is_some());
    for country in ["D", "DEU", "49", ""] {
        let refused = station.store.begin_pending(&v2g_pending("bad", "SECC-2").country(country));
        assert!(matches!(refused, Err(PendingError::Country)), "{country:?}: {refused:?}");
    }

    // A separate hierarchy may omit the DC.
    let Station { directory, settings, store } = station;
    drop(store);
    let settings = settings.domain_component(DomainComponent::Any);
    let store = Store::open(directory.path().join("store.redb"), settings.clone()).expect("opens");
    let station = Station { directory, settings, store };
    let key = crate::pki::key();
    request(&station, "any", "SECC-3", &key);
    let chain = leaf(&hierarchy.two, &key, bare("SECC-3")) + &sub_cas();
    assert!(station.signed_as(&chain, V2G).installed.is_some());
}

/// Seen elsewhere (libocpp #35): roots of different uses in one store.
#[test]
fn a02_fr_06_hierarchy_of_the_use_counts() {
    let hierarchy = Hierarchy::new();
    let station = Station::new();
    station.must_install(CSMSRootCertificate, &hierarchy.root.pem());
    let key = key();
    request(&station, "v2g", "SECC-1", &key);
    let chain = hierarchy.chain(&key, "SECC-1");
    let outcome = station.signed_as(&chain, V2G);
    assert!(detail(&outcome.response.status_info).contains("no installed V2GRootCertificate"), "{outcome:?}");
    station.must_install(V2GRootCertificate, &hierarchy.root.pem());
    let outcome = station.signed_as(&chain, Some(CertificateSigningUseEnumType::ChargingStationCertificate));
    assert!(matches!(outcome.refused, Some(ChainRefused::OtherUse)), "{outcome:?}");
    assert!(station.signed_as(&chain, V2G).installed.is_some());
}

/// A02.FR.15: of several certificates, the newest by notBefore is preferred; certificates that are
/// not valid come last. Seen elsewhere (EVerest #1658): the newest by notAfter.
#[test]
fn a02_fr_15_the_newest_by_not_before_is_preferred() {
    let root = root("V2G");
    let station = Station::new();
    station.must_install(V2GRootCertificate, &root.pem());
    let mut ids = Vec::new();
    // In this order: the certificate that arrived last is not the one whose validity began last,
    // and one of them will have expired.
    for (number, (from, to)) in
        [((2, 1), (12, 1)), ((5, 1), (7, 1)), ((3, 1), (12, 1))].into_iter().enumerate()
    {
        let key = key();
        request(&station, &format!("key-{number}"), &format!("SECC-{number}"), &key);
        let mut params = secc_params(&format!("SECC-{number}"));
        params.not_before = date_time_ymd(2030, from.0, from.1);
        params.not_after = date_time_ymd(2030, to.0, to.1);
        ids.push(station.signed_as(&leaf(&root, &key, params), V2G).installed.expect("accepted").id);
    }
    let order = |now| station.store.vehicle_certificates(now).iter().map(|own| own.id).collect::<Vec<_>>();
    assert_eq!(order(now()), [ids[1], ids[2], ids[0]]);
    let later = now() + std::time::Duration::from_secs(40 * 86_400);
    assert_eq!(order(later), [ids[2], ids[0], ids[1]], "expired, but still there");
    assert_eq!(chains(&station).len(), 3, "and still listed");
}

/// The certificate before the newest stays for sessions under way. Older ones are removed with
/// their keys. Other SECCs are not affected.
#[test]
fn a02_fr_15_older_than_the_one_before_are_discarded() {
    let hierarchy = Hierarchy::new();
    let station = hierarchy.station();
    let sign = |name: &str, secc_id: &str| {
        let key = key();
        request(&station, name, secc_id, &key);
        station.signed_as(&hierarchy.chain(&key, secc_id), V2G).installed.expect("accepted")
    };
    sign("other", "SECC-2");
    sign("first", "SECC-1");
    sign("second", "SECC-1");
    assert!(station.store.condemned_keys().is_empty());
    sign("third", "SECC-1");
    assert_eq!(station.store.condemned_keys(), [uri("first")]);
    let names: Vec<_> =
        station.store.vehicle_certificates(now()).into_iter().map(|own| own.key_uri).collect();
    assert_eq!(names, [uri("third"), uri("second"), uri("other")]);
}

/// A02.FR.15: if there is no room for the former certificate, the newest replaces it. Each
/// certificate can be renewed any number of times.
#[test]
fn a02_fr_15_without_room_the_one_before_is_discarded_and_renewal_goes_on() {
    let root = root("V2G");
    let station = Station::new();
    station.must_install(V2GRootCertificate, &root.pem());
    let sign = |name: &str, secc_id: &str| {
        let key = key();
        request(&station, name, secc_id, &key);
        station.signed_as(&leaf(&root, &key, secc_params(secc_id)), V2G)
    };
    // One SECC for each certificate: as many as there is room for, none with a former certificate.
    let most = MAX_SECCS * 4;
    for number in 0..most {
        assert!(sign(&format!("first-{number}"), &format!("SECC-{number}")).installed.is_some(), "{number}");
    }
    assert!(sign("other", "SECC-other").installed.is_none(), "there is a bound");
    for round in ["second", "third"] {
        for number in 0..most {
            let renewed = sign(&format!("{round}-{number}"), &format!("SECC-{number}"));
            assert!(renewed.installed.is_some(), "{round} {number}: {renewed:?}");
            assert_eq!(station.store.condemned_keys().len(), 1, "the key of the one before");
            for key in station.store.condemned_keys() {
                station.store.key_destroyed(&key).expect("struck out");
            }
        }
    }
    assert_eq!(station.store.vehicle_certificates(now()).len(), most);
}

/// Several answers to one CSR (TC_A_23): each is as good as the first.
#[test]
fn tc_a_23_further_answers_for_vehicles() {
    let hierarchy = Hierarchy::new();
    let station = hierarchy.station();
    let key = key();
    request(&station, "v2g", "SECC-1", &key);
    let chain = hierarchy.chain(&key, "SECC-1");
    assert!(station.signed_as(&chain, V2G).installed.is_some());
    let again = station.signed_as(&chain, V2G);
    assert!(again.installed.is_none() && again.refused.is_none(), "in use already: {again:?}");
    for _ in 0..3 {
        assert!(station.signed_as(&hierarchy.chain(&key, "SECC-1"), V2G).installed.is_some());
    }
    assert_eq!(chains(&station).len(), 2);
    assert!(station.store.condemned_keys().is_empty(), "the key that they share is in use");
    let other = station.signed_as(&hierarchy.chain(&key, "SECC-2"), V2G);
    assert!(matches!(other.refused, Some(ChainRefused::CommonName { .. })), "{other:?}");
}

/// One certificate for both uses: it leads to a root of each use, is listed, and is the station's
/// own.
#[test]
fn a02_combined_certificate_serves_both() {
    let hierarchy = Hierarchy::new();
    let station = hierarchy.station();
    let key = key();
    station.request_for(&NewPending::new(uri("both"), CertificateSigningUse::Combined), &key);
    let chain = leaf(&hierarchy.two, &key, leaf_params()) + &hierarchy.two.pem() + &hierarchy.one.pem();
    let outcome = station.signed_as(&chain, None);
    assert!(
        detail(&outcome.response.status_info).contains("no installed CSMSRootCertificate"),
        "the connection needs it: {outcome:?}"
    );
    station.must_install(CSMSRootCertificate, &hierarchy.root.pem());
    let outcome = station.signed_as(&chain, V2G);
    assert!(matches!(outcome.refused, Some(ChainRefused::OtherUse)), "{outcome:?}");
    let own = station.signed_as(&chain, None).installed.expect("accepted");
    assert_eq!(own.state, OwnState::Renewed);
    assert_eq!(station.store.own_certificates().len(), 1);
    let listed = chains(&station);
    assert_eq!(listed.len(), 1);
    // M04.FR.06, also by a sub-CA: the chain would be deleted with it.
    let children = listed[0].child_certificate_hash_data.clone().expect("sub-CAs");
    for hash in children.iter().chain([&listed[0].certificate_hash_data]) {
        let response = station.delete(hash);
        assert_eq!(response.status, DeleteCertificateStatusEnumType::Failed);
        assert_eq!(reason(&response.status_info), "UnsupportedRequest");
    }

    // A certificate for the connection only replaces it there; vehicles keep the combined one.
    let key = crate::pki::key();
    station.request("own", &key);
    let new = station.signed(&leaf(&hierarchy.root, &key, leaf_params())).installed.expect("accepted");
    assert!(station.store.confirm_own(new.id).expect("confirmed").is_empty());
    let station = station.restart();
    assert_eq!(station.store.own_certificates().len(), 1);
    assert_eq!(chains(&station).len(), 1);
    // It was never a certificate for an SECC only, so its lack of a DC is still accepted.
    assert!(station.signed_as(&chain, V2G).refused.is_none());
    let hash = chains(&station).remove(0).certificate_hash_data;
    assert_eq!(station.delete(&hash).status, DeleteCertificateStatusEnumType::Accepted);
    assert_eq!(station.store.condemned_keys(), [uri("both")]);
}

/// Paths are found by key, so a cross-signed root in the chain is accepted if it can be listed.
/// Seen elsewhere (EVerest #1660): not supported.
#[test]
fn a02_fr_06_cross_signed_root_in_the_chain() {
    let (old, new) =
        (root("V2G old"), CertifiedIssuer::self_signed(ca_params("V2G new"), key()).expect("root"));
    let crossed = ca_params("V2G new").signed_by(new.key(), &old).expect("cross-signed");
    let station = Station::new();
    station.must_install(V2GRootCertificate, &new.pem());
    let key = key();
    request(&station, "v2g", "SECC-1", &key);
    let chain = leaf(&new, &key, secc_params("SECC-1")) + &crossed.pem();
    // Its issuer's key is unknown, so its hash data would be unknown too.
    let outcome = station.signed_as(&chain, V2G);
    assert!(matches!(outcome.refused, Some(ChainRefused::BeyondRoot { position: 1 })), "{outcome:?}");
    station.must_install(V2GRootCertificate, &old.pem());
    assert!(station.signed_as(&chain, V2G).installed.is_some());
    let children = chains(&station)[0].child_certificate_hash_data.clone().expect("one");
    assert_eq!(children.to_vec(), [hash(&crossed.pem(), &old)]);
    assert_eq!(station.delete(&children[0]).status, DeleteCertificateStatusEnumType::Accepted);
}

/// A certificate for the connection is not listed, so the issuer of the cross-signed one may be
/// unknown.
#[test]
fn a02_fr_06_cross_signed_root_in_the_chain_for_the_connection() {
    let (old, new) = (root("Old"), CertifiedIssuer::self_signed(ca_params("New"), key()).expect("root"));
    let crossed = ca_params("New").signed_by(new.key(), &old).expect("cross-signed");
    let station = Station::new();
    station.must_install(CSMSRootCertificate, &new.pem());
    let key = key();
    station.request("own", &key);
    let own = station.signed(&(leaf(&new, &key, leaf_params()) + &crossed.pem())).installed;
    assert_eq!(own.map(|own| own.chain.len()), Some(2), "a CSMS that knows only the old root needs both");
    assert_eq!(station.restart().store.own_certificates().len(), 1);
}

#[test]
fn m03_hash_algorithm_of_chains_is_configured() {
    let hierarchy = Hierarchy::new();
    let station = Station::with(settings().hash_algorithm(HashAlgorithm::Sha512));
    station.must_install(V2GRootCertificate, &hierarchy.root.pem());
    let key = key();
    request(&station, "v2g", "SECC-1", &key);
    assert!(station.signed_as(&hierarchy.chain(&key, "SECC-1"), V2G).installed.is_some());
    let listed = chains(&station).remove(0);
    let children = listed.child_certificate_hash_data.expect("sub-CAs");
    for hash in children.iter().chain([&listed.certificate_hash_data]) {
        assert_eq!(hash.hash_algorithm, HashAlgorithmEnumType::SHA512);
        assert_eq!(hash.issuer_key_hash.len(), 128);
    }
}
