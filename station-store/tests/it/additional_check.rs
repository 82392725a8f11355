//! AdditionalRootCertificateCheck (M05.FR.09–17): one CSMS root, its successor signed by it, and a
//! fallback between the two.

use ocpp_types::v201::InstallCertificateStatusEnumType::{Accepted, Rejected};
use ocpp_types::v201::InstallCertificateUseEnumType::{CSMSRootCertificate, V2GRootCertificate};
use ocpp_types::v201::{DeleteCertificateStatusEnumType, GetCertificateIdUseEnumType as Listed};
use rcgen::{BasicConstraints, CertifiedIssuer, IsCa, SerialNumber, date_time_ymd};
use station_store::{
    AdditionalRootCheck, Certificate, CertificateId, HashAlgorithm, RootUse, Settings, Store,
};

use crate::pki::{
    Authority, Station, ca_params, detail, hash_data, key, leaf, leaf_params, now, reason, root, root_of,
    settings, sub_ca, sub_ca_of,
};

fn checking() -> Settings {
    settings().additional_root_check(AdditionalRootCheck::On)
}

/// A station with `root` installed and the check on.
fn station(root: &Authority) -> Station {
    let station = Station::with(checking());
    station.must_install(CSMSRootCertificate, &root.pem());
    station
}

/// The hash data of the root `pem` under the key of `issuer`.
fn hash(pem: &str, issuer: &Authority) -> ocpp_types::v201::CertificateHashDataType {
    let read = |pem: &str| Certificate::from_pem(pem).expect("a certificate");
    hash_data(
        CertificateId::new(&read(pem), read(&issuer.pem()).public_key()).hash_data(HashAlgorithm::Sha256),
    )
}

#[track_caller]
fn check_refused(station: &Station, pem: &str, expected: &str) {
    let before = station.all();
    let response = station.install(CSMSRootCertificate, pem);
    assert_eq!(response.status, Rejected);
    assert_eq!(reason(&response.status_info), "InvalidCertificate");
    let detail = detail(&response.status_info);
    assert!(detail.contains(expected), "{detail:?} should say {expected:?}");
    assert_eq!(station.all(), before, "and the old root is the one that is listed");
}

/// M05.FR.11
#[test]
fn tc_m_09_root_that_the_old_one_did_not_sign() {
    let old = root("CSMS");
    let station = station(&old);
    check_refused(&station, &root("Other").pem(), "did not sign the new one (M05.FR.11)");
    // The root has the same name, but another key.
    check_refused(&station, &sub_ca(&root("CSMS"), "Next").pem(), "did not sign the new one");
    let mut expired = ca_params("Next");
    expired.not_after = date_time_ymd(2030, 6, 1);
    check_refused(&station, &sub_ca_of(&old, expired).pem(), "not valid now");
    let leaf = leaf(&old, &key(), leaf_params());
    check_refused(&station, &leaf, "not that of a certification authority");
    assert_eq!(station.all(), [(Listed::CSMSRootCertificate, hash(&old.pem(), &old))]);
    assert_eq!(station.store.fallback_root(), None);
    // Roots for other uses are not checked, and sub-CAs are not accepted there.
    station.must_install(V2GRootCertificate, &root("V2G").pem());
    assert_eq!(station.install(V2GRootCertificate, &sub_ca(&old, "Sub").pem()).status, Rejected);
}

/// M05.FR.12, .13
#[test]
fn tc_m_30_connected_with_the_new_root() {
    let old = root("CSMS");
    let new = sub_ca(&old, "CSMS 2");
    let station = station(&old);
    station.must_install(CSMSRootCertificate, &new.pem());
    let station = station.restart();
    // Both are listed; the station relies on the new one.
    let both = [hash(&old.pem(), &old), hash(&new.pem(), &old)];
    assert_eq!(station.all().into_iter().map(|(_, hash)| hash).collect::<Vec<_>>(), both);
    assert_eq!(station.store.roots(CSMSRootCertificate), [new.der().clone()]);
    assert_eq!(station.store.fallback_root().as_ref(), Some(old.der()));
    let installed = station.store.installed_roots().into_iter();
    let installed = installed.map(|root| (root.certificate, hash_data(root.hash), root.is_fallback));
    let told = [(old.der(), true), (new.der(), false)].into_iter().zip(both.clone());
    let told = told.map(|((der, is_fallback), hash)| (der.clone(), hash, is_fallback));
    assert_eq!(installed.collect::<Vec<_>>(), told.collect::<Vec<_>>());

    let (session, dropped) = station.store.session(new.der());
    dropped.expect("written");
    let station = station.restart();
    assert_eq!(station.all(), [(Listed::CSMSRootCertificate, both[1].clone())], "the old one is not listed");
    assert_eq!(station.store.fallback_root(), None);
    drop(session);
}

/// M05.FR.14, .16
#[test]
fn tc_m_31_connected_with_the_fallback_root() {
    let old = root("CSMS");
    let new = sub_ca(&old, "CSMS 2");
    let station = station(&old);
    station.must_install(CSMSRootCertificate, &new.pem());
    let (_session, dropped) = station.store.session(old.der());
    dropped.expect("nothing to write");
    let station = station.restart();
    assert_eq!(station.all().len(), 2, "the old one is still listed, and the new one may yet prove itself");
    assert_eq!(station.store.roots(CSMSRootCertificate), [new.der().clone()]);
    assert_eq!(station.store.fallback_root().as_ref(), Some(old.der()));
}

#[test]
fn m05_fr_09_one_root_and_one_fallback_at_most() {
    let first = root("CSMS 1");
    let second = sub_ca(&first, "CSMS 2");
    let third = sub_ca(&second, "CSMS 3");
    let station = station(&first);
    station.must_install(CSMSRootCertificate, &second.pem());
    // The fallback cannot sign a successor any more.
    check_refused(&station, &sub_ca(&first, "CSMS 2b").pem(), "did not sign the new one");
    check_refused(&station, &first.pem(), "did not sign the new one");
    station.must_install(CSMSRootCertificate, &third.pem());
    let station = station.restart();
    let listed: Vec<_> = station.all().into_iter().map(|(_, hash)| hash).collect();
    assert_eq!(listed, [hash(&second.pem(), &first), hash(&third.pem(), &second)]);
    assert_eq!(station.store.fallback_root().as_ref(), Some(second.der()));
    assert_eq!(station.store.roots(CSMSRootCertificate), [third.der().clone()]);
}

/// Several roots were installed without the check: the successor of one of them replaces all.
#[test]
fn m05_fr_09_roots_from_before_the_check() {
    let station = Station::new();
    let (one, two) = (root("One"), root("Two"));
    station.must_install(CSMSRootCertificate, &one.pem());
    station.must_install(CSMSRootCertificate, &two.pem());
    let Station { directory, store, .. } = station;
    drop(store);
    let store = Store::open(directory.path().join("store.redb"), checking()).expect("opens");
    assert_eq!(store.roots(RootUse::Csms).len(), 2, "nothing goes by itself");
    let next = sub_ca(&two, "Two 2");
    store.provision_root(RootUse::Csms, &next.pem(), now()).expect("signed by one of them");
    assert_eq!(store.roots(RootUse::Csms), [next.der().clone()]);
    assert_eq!(store.fallback_root().as_ref(), Some(two.der()));
    assert_eq!(store.entries(), 2);
}

#[test]
fn m05_fr_17_installed_already_is_replaced() {
    let old = root("CSMS");
    let new = sub_ca(&old, "CSMS 2");
    let station = station(&old);
    station.must_install(CSMSRootCertificate, &old.pem());
    assert_eq!(station.store.fallback_root(), None, "no rotation");
    station.must_install(CSMSRootCertificate, &new.pem());
    let before = station.all();
    station.must_install(CSMSRootCertificate, &new.pem());
    assert_eq!(station.all(), before);
    assert_eq!(station.store.fallback_root().as_ref(), Some(old.der()), "the fallback stays");
}

/// A root of the same name and key with a new validity signed itself, so the old one signed it too.
#[test]
fn m05_fr_10_renewed_with_the_same_key() {
    let old = root("CSMS");
    let station = station(&old);
    let mut params = ca_params("CSMS");
    params.not_after = date_time_ymd(2040, 1, 1);
    params.serial_number = Some(SerialNumber::from(4711));
    let renewed = params.self_signed(old.key()).expect("root");
    station.must_install(CSMSRootCertificate, &renewed.pem());
    assert_eq!(station.store.roots(CSMSRootCertificate), [renewed.der().clone()]);
    assert_eq!(station.store.fallback_root().as_ref(), Some(old.der()));

    // With the same serial number too, it cannot be distinguished from the one that it replaces, so
    // there is no fallback.
    let twin = Station::with(checking());
    twin.must_install(CSMSRootCertificate, &old.pem());
    let mut params = ca_params("CSMS");
    params.not_after = date_time_ymd(2040, 1, 1);
    let renewed = params.self_signed(old.key()).expect("root");
    twin.must_install(CSMSRootCertificate, &renewed.pem());
    let twin = twin.restart();
    assert_eq!(twin.store.roots(CSMSRootCertificate), [renewed.der().clone()]);
    assert_eq!((twin.store.fallback_root(), twin.store.entries()), (None, 1));
}

#[test]
fn m05_fr_06_the_fallback_needs_room() {
    let old = root("CSMS");
    let station = Station::with(checking().max_entries(1));
    station.must_install(CSMSRootCertificate, &old.pem());
    let response = station.install(CSMSRootCertificate, &sub_ca(&old, "CSMS 2").pem());
    assert_eq!((response.status, reason(&response.status_info)), (Rejected, "OutOfStorage"));
    let station = Station::with(checking().max_entries(2));
    station.must_install(CSMSRootCertificate, &old.pem());
    let second = sub_ca(&old, "CSMS 2");
    station.must_install(CSMSRootCertificate, &second.pem());
    // The third root replaces the first.
    assert_eq!(station.install(CSMSRootCertificate, &sub_ca(&second, "CSMS 3").pem()).status, Accepted);
    assert_eq!(station.store.entries(), 2);
}

#[test]
fn m05_fr_10_the_whole_chain_is_verified() {
    let mut params = ca_params("Leaves only");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let old = root_of(params);
    check_refused(&station(&old), &sub_ca(&old, "Next").pem(), "may not issue another one");
    // An expired root cannot sign a successor.
    let mut params = ca_params("Short");
    params.not_after = date_time_ymd(2030, 7, 1);
    let old = root_of(params);
    let station = station(&old);
    let later = now() + std::time::Duration::from_secs(40 * 86_400);
    let error = station.store.provision_root(RootUse::Csms, &sub_ca(&old, "Next").pem(), later);
    let text = format!("{:?}", error.expect_err("expired"));
    assert!(text.contains("OldRootValidity"), "{text}");
}

/// The new root is an anchor by itself: the old one may have been removed.
#[test]
fn a02_fr_06_chains_below_the_new_and_the_fallback_root() {
    let old = root("CSMS");
    let new = sub_ca(&old, "CSMS 2");
    for below in [&old, &new] {
        let station = station(&old);
        station.must_install(CSMSRootCertificate, &new.pem());
        let key = key();
        station.request("own", &key);
        let outcome = station.signed(&leaf(below, &key, leaf_params()));
        assert!(outcome.installed.is_some(), "{outcome:?}");
    }
    let station = station(&old);
    station.must_install(CSMSRootCertificate, &new.pem());
    let (_session, dropped) = station.store.session(new.der());
    dropped.expect("written");
    let key = key();
    station.request("own", &key);
    assert!(station.signed(&leaf(&new, &key, leaf_params())).installed.is_some());
}

/// Accepted, listed, deletable: this also applies to roots that are not self-signed. A fallback
/// becomes the present root when no other root is left.
#[test]
fn m04_roots_of_a_rotation_are_deletable() {
    let old = root("CSMS");
    let new = sub_ca(&old, "CSMS 2");
    for delete_first in [0, 1] {
        let station = station(&old);
        station.must_install(CSMSRootCertificate, &new.pem());
        let listed = station.all();
        let delete =
            |hash| assert_eq!(station.delete(hash).status, DeleteCertificateStatusEnumType::Accepted);
        delete(&listed[delete_first].1);
        assert_eq!(station.store.fallback_root(), None);
        assert_eq!(station.store.roots(CSMSRootCertificate).len(), 1, "what is left is relied on");
        let listed = station.all();
        delete(&listed[0].1);
        assert!(station.restart().all().is_empty());
    }
}

/// A cross-signed certificate of the same key is another certificate, and a CSMS can distinguish
/// the two.
#[test]
fn m05_cross_signed_root_beside_the_self_signed_one() {
    let old = root("CSMS");
    let key = key();
    let new = CertifiedIssuer::self_signed(ca_params("CSMS 2"), key).expect("root");
    let crossed = ca_params("CSMS 2").signed_by(new.key(), &old).expect("cross-signed");
    let station = station(&old);
    check_refused(&station, &new.pem(), "did not sign the new one");
    station.must_install(CSMSRootCertificate, &crossed.pem());
    let own = crate::pki::key();
    station.request("own", &own);
    assert!(station.signed(&leaf(&new, &own, leaf_params())).installed.is_some(), "by its key");
}
