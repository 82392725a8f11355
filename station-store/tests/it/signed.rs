//! CertificateSigned (A02.FR.06–08, .16): the chains that are accepted, and each refusal with its
//! own reason.

use ocpp_types::v201::{
    CertificateSignedResponse, CertificateSignedStatusEnumType, CertificateSigningUseEnumType,
    InstallCertificateUseEnumType,
};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use station_store::{ChainRefused, OwnState, SignedOutcome};

use crate::pki::{
    Authority, SERIAL_NUMBER, Station, ca_params, detail, key, leaf, leaf_params, reason, root, root_of,
    settings, sub_ca, sub_ca_of, uri,
};

const CSMS: InstallCertificateUseEnumType = InstallCertificateUseEnumType::CSMSRootCertificate;

/// A station with a CSMS root installed and one key pending.
struct Scene {
    station: Station,
    root: Authority,
    key: KeyPair,
}

impl Scene {
    fn new() -> Self {
        Self::below(root("CSMS"))
    }

    fn below(root: Authority) -> Self {
        let station = Station::new();
        station.must_install(CSMS, &root.pem());
        let key = key();
        station.request("own", &key);
        Self { station, root, key }
    }

    fn leaf(&self, change: impl FnOnce(&mut CertificateParams)) -> String {
        let mut params = leaf_params();
        change(&mut params);
        leaf(&self.root, &self.key, params)
    }

    #[track_caller]
    fn check_accepted(&self, chain: &str) {
        let outcome = self.station.signed(chain);
        assert_eq!(outcome.response.status, CertificateSignedStatusEnumType::Accepted, "{outcome:?}");
        assert!(outcome.refused.is_none());
        let own = outcome.installed.expect("to connect with");
        assert_eq!(own.state, OwnState::Renewed);
        assert_eq!(own.key_uri, uri("own"));
        assert_eq!(self.station.store.own_certificates(), [own]);
        assert!(self.station.store.pending().is_empty());
    }

    /// The chain is refused, with the reason code `code` and `expected` in the explanation. The
    /// refusal changes nothing.
    #[track_caller]
    fn check_refused(&self, chain: &str, code: &str, expected: &str) -> ChainRefused {
        check_rejected(&self.station, self.station.signed(chain), code, expected)
            .expect("a reason for the event")
    }

    #[track_caller]
    fn check_invalid(&self, chain: &str, expected: &str) {
        self.check_refused(chain, "InvalidCertificate", expected);
    }
}

#[track_caller]
fn check_rejected(
    station: &Station,
    outcome: SignedOutcome<CertificateSignedResponse>,
    code: &str,
    expected: &str,
) -> Option<ChainRefused> {
    assert_eq!(outcome.response.status, CertificateSignedStatusEnumType::Rejected);
    assert_eq!(reason(&outcome.response.status_info), code);
    let detail = detail(&outcome.response.status_info);
    assert!(detail.contains(expected), "{detail:?} should say {expected:?}");
    assert!(outcome.installed.is_none());
    assert!(station.store.own_certificates().is_empty());
    assert_eq!(station.store.pending().len(), 1, "the key still waits");
    outcome.refused
}

/// Seen elsewhere (open-ocpp #230): a leaf was refused because it came without a root.
#[test]
fn a02_fr_08_leaf_below_the_root() {
    let scene = Scene::new();
    scene.check_accepted(&scene.leaf(|_| {}));
}

/// Seen elsewhere (libocpp #305, #380): TLS presented the leaf without its sub-CAs.
#[test]
fn a02_fr_08_leaf_with_sub_cas_in_order() {
    let scene = Scene::new();
    let one = sub_ca(&scene.root, "Sub 1");
    let two = sub_ca(&one, "Sub 2");
    let leaf = leaf(&two, &scene.key, leaf_params());
    scene.check_accepted(&format!("{leaf}{}{}", two.pem(), one.pem()));
    let own = scene.station.store.own_certificates().remove(0);
    assert_eq!(own.chain.len(), 3);
    assert_eq!(own.chain[1..], [two.der().clone(), one.der().clone()], "kept as received, leaf first");
}

/// Not recommended (A00.FR.514), but valid if it fits.
#[test]
fn a00_fr_514_extended_key_usage_is_optional() {
    let scene = Scene::new();
    scene.check_accepted(
        &scene.leaf(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
    );
    let scene = Scene::new();
    let server = scene.leaf(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    scene.check_invalid(&server, "the certification path is not valid");
}

#[test]
fn a00_fr_512_key_usage_is_optional() {
    let scene = Scene::new();
    scene.check_accepted(&scene.leaf(|params| params.key_usages = Vec::new()));
    let scene = Scene::new();
    let encipherment = scene.leaf(|params| params.key_usages = vec![KeyUsagePurpose::KeyEncipherment]);
    scene.check_invalid(&encipherment, "A00.FR.512");
}

#[test]
fn a02_fr_16_chain_too_large() {
    let station = Station::with(settings().max_chain_size(600));
    let root = root("CSMS");
    station.must_install(CSMS, &root.pem());
    let key = key();
    station.request("own", &key);
    let chain = format!("{}{}", leaf(&root, &key, leaf_params()), "\n".repeat(600));
    let refused = check_rejected(&station, station.signed(&chain), "TooLargeElement", "A02.FR.16");
    assert!(refused.is_none(), "nothing is known of the certificate, so no event");
}

#[test]
fn a02_fr_07_not_a_chain() {
    let scene = Scene::new();
    let leaf = scene.leaf(|_| {});
    scene.check_invalid("", "there is no PEM certificate in the text");
    scene.check_invalid("no certificate", "there is no PEM certificate in the text");
    scene.check_invalid(&leaf[..leaf.len() - 30], "not closed");
    scene.check_invalid(&key().serialize_pem(), "PRIVATE KEY");
    scene.check_invalid(&leaf.repeat(8), "the limit is 7");
}

/// A certificate for a key that was never requested, or that was dropped.
#[test]
fn tc_a_14_leaf_of_another_key() {
    let scene = Scene::new();
    let other = leaf(&scene.root, &key(), leaf_params());
    let refused = scene.check_refused(&other, "InvalidCertificate", "not that of a pending");
    assert!(matches!(refused, ChainRefused::UnknownKey));

    let given_up = key();
    let id = scene.station.request("given up", &given_up);
    scene.station.store.drop_pending(id).expect("dropped");
    scene.check_invalid(&leaf(&scene.root, &given_up, leaf_params()), "not that of a pending");

    // The key is only announced: without a CSR no authority can have signed it.
    scene.station.store.drop_pending(scene.station.store.pending()[0].id).expect("dropped");
    scene.station.store.begin_pending(&crate::pki::new_pending("announced")).expect("announced");
    scene.check_invalid(&scene.leaf(|_| {}), "not that of a pending");
}

/// Seen elsewhere (citrineos #1054, libocpp #514): the type was left out, and the use was unclear.
#[test]
fn a02_fr_13_other_certificate_type() {
    let scene = Scene::new();
    let chain = scene.leaf(|_| {});
    let outcome = scene.station.signed_as(&chain, Some(CertificateSigningUseEnumType::V2GCertificate));
    let refused = check_rejected(&scene.station, outcome, "InvalidValue", "requested for another use");
    assert!(matches!(refused, Some(ChainRefused::OtherUse)));
    // A02.FR.14: repeating the type is only recommended.
    assert!(scene.station.signed_as(&chain, None).installed.is_some());
}

/// Seen elsewhere (Hubject's audit, HUB20-42-004): a root in the chain was accepted as proof.
#[test]
fn a02_fr_07_root_in_the_chain() {
    let scene = Scene::new();
    let chain = format!("{}{}", scene.leaf(|_| {}), scene.root.pem());
    scene.check_invalid(&chain, "certificate 1 of the chain is a root");
    let self_signed = leaf_params().self_signed(&scene.key).expect("self-signed").pem();
    scene.check_invalid(&self_signed, "certificate 0 of the chain is a root");
}

/// Seen elsewhere (Hubject's audit, HUB20-412-001): sub-CAs in the wrong order.
#[test]
fn a02_fr_07_wrong_order_or_missing_links() {
    let scene = Scene::new();
    let one = sub_ca(&scene.root, "Sub 1");
    let two = sub_ca(&one, "Sub 2");
    let leaf_pem = leaf(&two, &scene.key, leaf_params());
    scene.check_invalid(
        &format!("{leaf_pem}{}{}", one.pem(), two.pem()),
        "certificate 0 of the chain is not followed",
    );
    scene.check_invalid(&format!("{leaf_pem}{}", two.pem()), "leads to no installed CSMSRootCertificate");
    scene.check_invalid(&leaf_pem, "leads to no installed CSMSRootCertificate");
    let stray = sub_ca(&scene.root, "Stray");
    scene.check_invalid(
        &format!("{}{}", scene.leaf(|_| {}), stray.pem()),
        "certificate 0 of the chain is not followed",
    );
    // The CA has the right name, but another key.
    let twin = sub_ca(&one, "Sub 2");
    scene.check_invalid(
        &format!("{leaf_pem}{}{}", twin.pem(), one.pem()),
        "was not signed by the one after it",
    );
}

/// Seen elsewhere (libocpp #35): a certificate of another hierarchy was accepted because all roots
/// were in one store.
#[test]
fn a02_fr_06_root_of_another_use_does_not_count() {
    let scene = Scene::new();
    let other = root("Manufacturer");
    scene.station.must_install(InstallCertificateUseEnumType::ManufacturerRootCertificate, &other.pem());
    scene
        .check_invalid(&leaf(&other, &scene.key, leaf_params()), "leads to no installed CSMSRootCertificate");
    scene.station.must_install(CSMS, &other.pem());
    scene.check_accepted(&leaf(&other, &scene.key, leaf_params()));
}

/// Seen elsewhere (EVerest #1660): paths were found by name only.
#[test]
fn a02_fr_06_roots_that_share_a_name() {
    let scene = Scene::new();
    let rekeyed = root("CSMS");
    scene.check_invalid(&leaf(&rekeyed, &scene.key, leaf_params()), "not valid");
    scene.station.must_install(CSMS, &rekeyed.pem());
    scene.check_accepted(&leaf(&rekeyed, &scene.key, leaf_params()));
}

/// The errata to A02.FR.06: the present time must be inside the validity, not before and not after.
/// Seen elsewhere (libevse-security #24): certificates that are not valid yet.
#[test]
fn a02_fr_06_outside_its_validity() {
    let scene = Scene::new();
    let expired = scene.leaf(|params| params.not_after = date_time_ymd(2030, 6, 1));
    scene.check_invalid(&expired, "expired at 2030-06-01T00:00:00Z, and now it is 2030-06-15T00:00:00Z");
    let future = scene.leaf(|params| params.not_before = date_time_ymd(2030, 7, 1));
    scene.check_invalid(&future, "valid only from 2030-07-01T00:00:00Z");
    let mut params = ca_params("Sub");
    params.not_after = date_time_ymd(2030, 6, 1);
    let sub = sub_ca_of(&scene.root, params);
    let chain = format!("{}{}", leaf(&sub, &scene.key, leaf_params()), sub.pem());
    scene.check_invalid(&chain, "certificate 1 of the chain is not valid now: expired");
    // The CSMS's clock may be ahead.
    let ahead = std::time::Duration::from_secs(299);
    scene.check_accepted(&scene.leaf(|params| params.not_before = date_time_ymd(2030, 6, 15) + ahead));
}

/// An expired root is still listed, but no new certificate is accepted under it.
#[test]
fn a02_fr_06_expired_root() {
    let mut params = ca_params("Short");
    params.not_after = date_time_ymd(2030, 7, 1);
    let scene = Scene::below(root_of(params));
    let later = crate::pki::now() + std::time::Duration::from_secs(40 * 86_400);
    let chain = scene.leaf(|_| {});
    let request = ocpp_types::v201::CertificateSignedRequest::new(chain.as_str().try_into().expect("short"));
    let outcome = scene.station.store.certificate_signed(&request, later);
    check_rejected(
        &scene.station,
        outcome,
        "InvalidCertificate",
        "the root of the chain is not valid now: expired",
    );
    assert_eq!(scene.station.all().len(), 1);
}

#[test]
fn a02_fr_06_path_rules() {
    // pathLenConstraint of the root.
    let mut params = ca_params("Constrained");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let scene = Scene::below(root_of(params));
    let sub = sub_ca(&scene.root, "Sub");
    let chain = format!("{}{}", leaf(&sub, &scene.key, leaf_params()), sub.pem());
    scene.check_invalid(&chain, "pathLenConstraint");
    scene.check_accepted(&scene.leaf(|_| {}));

    // pathLenConstraint of a sub-CA.
    let scene = Scene::new();
    let mut params = ca_params("Sub 1");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let one = sub_ca_of(&scene.root, params);
    let two = sub_ca(&one, "Sub 2");
    let chain = format!("{}{}{}", leaf(&two, &scene.key, leaf_params()), two.pem(), one.pem());
    scene.check_invalid(&chain, "the certification path is not valid");

    // An issuer that is not a CA.
    let mut params = ca_params("No CA");
    params.is_ca = IsCa::NoCa;
    let none = sub_ca_of(&scene.root, params);
    let chain = format!("{}{}", leaf(&none, &scene.key, leaf_params()), none.pem());
    scene.check_invalid(&chain, "certificate 1 of the chain is not that of a certification authority");
    let mut params = ca_params("Cannot sign");
    params.key_usages = vec![KeyUsagePurpose::CrlSign];
    let mute = sub_ca_of(&scene.root, params);
    let chain = format!("{}{}", leaf(&mute, &scene.key, leaf_params()), mute.pem());
    scene.check_invalid(&chain, "certificate 1 of the chain is not that of a certification authority");

    // The leaf must not be a CA.
    let ca = scene.leaf(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    scene.check_invalid(&ca, "the certification path is not valid");

    // An unknown critical extension.
    let critical = scene.leaf(|params| {
        let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![0x05, 0x00]);
        extension.set_criticality(true);
        params.custom_extensions = vec![extension];
    });
    scene.check_invalid(&critical, "the certification path is not valid");
}

#[test]
fn a00_fr_511_common_name_is_the_serial_number() {
    let scene = Scene::new();
    for wrong in ["CS-0043", "cs-0042", "CS-00421", "CS-004", ""] {
        let chain = scene.leaf(|params| params.distinguished_name.push(DnType::CommonName, wrong));
        scene.check_invalid(&chain, "A00.FR.511");
    }
    let none = scene.leaf(|params| {
        params.distinguished_name.remove(DnType::CommonName);
    });
    scene.check_invalid(&none, "A00.FR.511");
    let printable = scene.leaf(|params| {
        let name = rcgen::string::PrintableString::try_from(SERIAL_NUMBER).expect("printable");
        params.distinguished_name.push(DnType::CommonName, rcgen::DnValue::PrintableString(name));
    });
    scene.check_accepted(&printable);
}

#[test]
fn a00_fr_509_organization() {
    let scene = Scene::new();
    let other = scene.leaf(|params| params.distinguished_name.push(DnType::OrganizationName, "Other CSO"));
    scene.check_invalid(&other, "A00.FR.509");
    let none = scene.leaf(|params| {
        params.distinguished_name.remove(DnType::OrganizationName);
    });
    scene.check_invalid(&none, "A00.FR.509");
    // The CSMS refuses a certificate with several O (A00.FR.404).
    let several = scene.leaf(|params| {
        params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 10]), "Other CSO");
    });
    scene.check_invalid(&several, "A00.FR.509");
}

#[test]
fn a02_fr_07_signature_changed() {
    let scene = Scene::new();
    let pem = scene.leaf(|_| {});
    let certificate = station_store::Certificate::from_pem(&pem).expect("leaf");
    let mut der = certificate.der().to_vec();
    let last = der.len() - 1;
    der[last] ^= 1;
    let changed = station_store::Certificate::from_der(der).expect("still a certificate").to_pem();
    scene.check_invalid(&changed, "not valid");
}

/// The CSMS sends the chain again because it received no answer. There may be several answers to
/// one CSR (TC_A_23).
#[test]
fn tc_a_23_repeated_and_late_answers() {
    let scene = Scene::new();
    let chain = scene.leaf(|_| {});
    scene.check_accepted(&chain);
    let first = scene.station.store.own_certificates().remove(0);
    let again = scene.station.signed(&chain);
    assert_eq!(again.installed.as_ref(), Some(&first), "the same certificate again is the same certificate");

    // Another certificate for the same CSR.
    let second = scene.station.signed(&scene.leaf(|_| {})).installed.expect("accepted");
    assert_ne!(second.id, first.id);
    assert_eq!(second.key_uri, first.key_uri);
    let own: Vec<_> = scene.station.store.own_certificates().iter().map(|own| own.id).collect();
    assert_eq!(own, [second.id, first.id], "newest first");

    // Whichever certificate connects, the key that both share is kept.
    assert_eq!(scene.station.store.confirm_own(first.id).expect("confirmed"), Vec::<String>::new());
    assert!(scene.station.store.condemned_keys().is_empty());
    let repeated = scene.station.signed(&chain);
    assert_eq!(repeated.response.status, CertificateSignedStatusEnumType::Accepted);
    assert!(repeated.installed.is_none(), "it is in use already");
    let late = scene.station.signed(&scene.leaf(|_| {}));
    assert_eq!(late.response.status, CertificateSignedStatusEnumType::Rejected, "nobody asked for another");
}

/// Earlier keys stay pending, so an answer to the first of several CSRs is recognised (TC_A_23 in
/// its first version). Seen elsewhere (tfocpp): each resend dropped the key before it.
#[test]
fn tc_a_23_answer_to_an_earlier_key() {
    let scene = Scene::new();
    let later = key();
    scene.station.request("later", &later);
    let own = scene.station.signed(&scene.leaf(|_| {})).installed.expect("accepted");
    assert_eq!(own.key_uri, uri("own"));
    assert_eq!(scene.station.store.pending().len(), 1);
    let own = scene.station.signed(&leaf(&scene.root, &later, leaf_params())).installed.expect("accepted");
    assert_eq!(own.key_uri, uri("later"));
    assert_eq!(scene.station.store.confirm_own(own.id).expect("confirmed"), [uri("own")]);
}

/// A certificate that arrived while the station connected with another one was never tried.
#[test]
fn a02_fr_10_a_certificate_that_came_after_the_choice_is_not_discarded() {
    let scene = Scene::new();
    let first = scene.station.signed(&scene.leaf(|_| {})).installed.expect("accepted");
    let later = key();
    scene.station.request("later", &later);
    let second = scene.station.signed(&leaf(&scene.root, &later, leaf_params())).installed.expect("accepted");
    let store = &scene.station.store;
    assert_eq!(store.confirm_own_of(first.id, first.id).expect("confirmed"), Vec::<String>::new());
    let kept: Vec<_> = store.own_certificates().iter().map(|own| (own.id, own.state)).collect();
    assert_eq!(kept, [(second.id, OwnState::Renewed), (first.id, OwnState::InUse)]);
    // Now it was tried, and the CSMS accepted the other one.
    assert_eq!(store.confirm_own_of(first.id, second.id).expect("confirmed"), [uri("later")]);
    assert_eq!(store.own_certificates().len(), 1);
}

/// A chain that was accepted before is checked again each time it arrives.
#[test]
fn a02_fr_06_a_repeated_chain_that_has_expired_meanwhile() {
    let scene = Scene::new();
    let chain = scene.leaf(|params| params.not_after = date_time_ymd(2030, 6, 20));
    scene.check_accepted(&chain);
    let request = ocpp_types::v201::CertificateSignedRequest::new(chain.as_str().try_into().expect("short"));
    let later = crate::pki::now() + std::time::Duration::from_secs(10 * 86_400);
    for confirmed in [false, true] {
        let outcome = scene.station.store.certificate_signed(&request, later);
        assert_eq!(outcome.response.status, CertificateSignedStatusEnumType::Rejected, "{outcome:?}");
        assert!(matches!(outcome.refused, Some(ChainRefused::Validity { position: 0, .. })), "{outcome:?}");
        assert!(outcome.installed.is_none());
        let own = scene.station.store.own_certificates();
        assert_eq!(own.len(), 1, "and what is kept stays as it is");
        if !confirmed {
            scene.station.store.confirm_own(own[0].id).expect("confirmed");
        }
    }
}
