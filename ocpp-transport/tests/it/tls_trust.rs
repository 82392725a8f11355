//! Which certificates a CSMS accepts, on both TLS libraries: revoked, expired by permission, and
//! after a reload.

use std::sync::Arc;

use ocpp_transport::tls::{ClientTrust, RevocationPolicy, SecurityEventKind, TlsConfigError, TlsFailure};
use ocpp_transport::{CloseReason, ConnectError, NotTls};
use ocpp_types::v201;
use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyUsagePurpose};
use rustls::sign::{Signer, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};

use crate::lab::{Engine, Happened, Lab, heartbeats, nothing, on_both, within};
use crate::pki::{Authority, Identified, Leaf, ORGANIZATION, critical_policy};
use crate::s_client::SClient;

async fn lab(engine: Engine, root: &Authority, trust: &ClientTrust) -> Lab {
    Lab::serve_tls(engine.serve(root, trust), root, heartbeats()).await
}

/// Connects with a certificate, once with each version of TLS, and returns whether that works.
async fn is_accepted(lab: &mut Lab, key: &Identified) -> bool {
    let mut accepted = Vec::new();
    for version in ["-tls1_2", "-tls1_3"] {
        let outcome = SClient::new(lab).with_certificate(key).run(&[version]).await;
        accepted.push(outcome.upgraded());
        if !outcome.upgraded() {
            assert!(outcome.text.contains("alert"), "{}", outcome.text);
            // A station would take these alerts for a fault of its own and report the wrong event.
            for wrong in ["alert handshake failure", "alert protocol version", "alert internal error"] {
                assert!(!outcome.text.contains(wrong), "{}", outcome.text);
            }
        }
    }
    assert_eq!(accepted[0], accepted[1]);
    accepted[0]
}

/// A key that does not provide its public key, so that it is not compared with the certificate.
#[derive(Debug)]
struct OtherKey(Arc<dyn SigningKey>);

impl SigningKey for OtherKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        self.0.choose_scheme(offered)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.0.algorithm()
    }
}

on_both! {
    async fn a00_fr_705_a_revoked_certificate_is_refused_and_reported(engine: Engine) {
        let root = Authority::root("CSO root");
        let trust = root.trust().with_crls(vec![root.crl(&[7], 2999)]);
        let mut lab = lab(engine, &root, &trust).await;
        let revoked = root.issue(&Leaf::new("SN-1").serial(7));
        assert!(!is_accepted(&mut lab, &revoked).await);
        let Happened::Event(event) = lab.next().await else { panic!() };
        assert_eq!(event.kind, SecurityEventKind::InvalidChargingStationCertificate);
        assert!(event.reason.contains("revoked"), "{}", event.reason);
        // Both versions of TLS: one episode.
        assert!(lab.log.try_recv().is_err());
        assert!(is_accepted(&mut lab, &root.issue(&Leaf::new("SN-1").serial(8))).await);
    }

    async fn a_revoked_sub_ca_takes_its_stations_with_it(engine: Engine) {
        let root = Authority::root("CSO root");
        let sub = root.sub("CSO sub-CA");
        let key = sub.issue(&Leaf::new("SN-1")).with_intermediate(&sub);
        let mut lab = lab(engine, &root, &root.trust()).await;
        assert!(is_accepted(&mut lab, &key).await);
        let trust = root.trust().with_crls(vec![root.crl(&[sub.serial()], 2999)]);
        lab.handle.reload_tls(engine.serve(&root, &trust)).await.unwrap();
        assert!(!is_accepted(&mut lab, &key).await);
    }

    async fn a_certificate_without_a_list_is_accepted_unless_lists_are_required(engine: Engine) {
        let root = Authority::root("CSO root");
        let other = Authority::root("other root");
        let key = root.issue(&Leaf::new("SN-1").serial(8));
        let of_other = other.crl(&[8], 2999);
        let stale = root.crl(&[7], 2022);
        let required = |lists| root.trust().with_crls(lists).with_revocation(RevocationPolicy::Required);
        for (trust, expected) in [
            (root.trust().with_crls(vec![of_other.clone()]), true),
            (root.trust().with_crls(vec![stale.clone()]), true),
            (required(vec![]), false),
            (required(vec![of_other]), false),
            (required(vec![stale.clone()]), false),
            (required(vec![root.crl(&[7], 2999)]), true),
            // A list past its nextUpdate still revokes.
            (root.trust().with_crls(vec![root.crl(&[8], 2022)]), false),
        ] {
            let mut lab = lab(engine, &root, &trust).await;
            assert_eq!(is_accepted(&mut lab, &key).await, expected, "{trust:?}");
        }
    }

    async fn a00_fr_512_a_station_whose_key_may_not_sign_is_refused(engine: Engine) {
        let root = Authority::root("CSO root");
        let mut lab = lab(engine, &root, &root.trust()).await;
        let encipher = |params: &mut CertificateParams| {
            params.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
        };
        assert!(!is_accepted(&mut lab, &root.issue(&Leaf::new("SN-1").with(encipher))).await);
        let Happened::Event(event) = lab.next().await else { panic!() };
        assert!(event.reason.contains("digitalSignature"), "{}", event.reason);
    }

    async fn rfc_5280_4_2_1_4_a_station_with_critical_policies_is_accepted(engine: Engine) {
        let root = Authority::root("CSO root");
        let mut lab = lab(engine, &root, &root.trust()).await;
        assert!(is_accepted(&mut lab, &root.issue(&Leaf::new("SN-1").with(critical_policy))).await);
    }

    async fn a00_fr_404_each_string_type_of_a_name_is_read(engine: Engine) {
        let root = Authority::root("CSO root");
        let mut lab = lab(engine, &root, &root.trust()).await;
        let in_ia5 = |params: &mut CertificateParams| {
            let mut name = DistinguishedName::new();
            name.push(DnType::OrganizationName, DnValue::BmpString("Ladestrom eG".try_into().unwrap()));
            name.push(DnType::CommonName, DnValue::Ia5String("SN-1".try_into().unwrap()));
            params.distinguished_name = name;
        };
        assert!(is_accepted(&mut lab, &root.issue(&Leaf::new("SN-1").with(in_ia5))).await);
    }

    async fn a_list_that_the_issuer_did_not_sign_revokes_nothing(engine: Engine) {
        let (root, impostor) = (Authority::root("CSO root"), Authority::root("CSO root"));
        let trust = root.trust().with_crls(vec![impostor.crl(&[8], 2999)]);
        let mut lab = lab(engine, &root, &trust).await;
        // It replaces the list of the right issuer, so nothing is known, and no station is
        // admitted.
        assert!(!is_accepted(&mut lab, &root.issue(&Leaf::new("SN-1").serial(8))).await);
    }

    async fn tc_a_08_certificates_that_are_not_valid_are_refused(engine: Engine) {
        let (root, other) = (Authority::root("CSO root"), Authority::root("other root"));
        let impostor = Authority::root("CSO root");
        for key in [
            other.issue(&Leaf::new("SN-1")),
            impostor.issue(&Leaf::new("SN-1")),
            root.issue(&Leaf::new("SN-1").years(2020, 2021)),
            root.issue(&Leaf::new("SN-1").years(2998, 2999)),
            root.issue(&Leaf::new("SN-1").organization("Ladestrom eG & Co")),
            root.issue(&Leaf::new("SN-1").organization("ladestrom eg")),
            root.issue(&Leaf::new("SN-1")).with_intermediate(&other),
        ].into_iter().enumerate() {
            let (number, key) = key;
            let mut lab = lab(engine, &root, &root.trust()).await;
            // The last one has an unrelated certificate in its chain, which the path does not need.
            assert_eq!(is_accepted(&mut lab, &key).await, number == 6, "{number}");
            if number != 6 {
                assert_eq!(lab.event().await, SecurityEventKind::InvalidChargingStationCertificate);
            }
        }
    }

    async fn a00_fr_407_each_bad_certificate_from_one_address_is_reported_by_name(engine: Engine) {
        let root = Authority::root("CSO root");
        let mut lab = lab(engine, &root, &root.trust().with_crls(vec![root.crl(&[7], 2999)])).await;
        let stranger = Authority::root("another root");
        // A certificate without its key.
        let mut stolen = root.issue(&Leaf::new("SN-1"));
        stolen.key = Arc::new(OtherKey(root.issue(&Leaf::new("SN-1")).key));
        let bad = [
            (stolen, "CN=SN-1", "CN=CSO root", "BadSignature"),
            (root.issue(&Leaf::new("SN-1").years(2020, 2021)), "CN=SN-1", "CN=CSO root", "expired"),
            (stranger.issue(&Leaf::new("SN-1")), "CN=SN-1", "CN=another root", "not issued under"),
            (root.issue(&Leaf::new("SN-1").serial(7)), "CN=SN-1", "CN=CSO root", "revoked"),
            // Not SN-1's certificate. Only the application can find that.
            (root.issue(&Leaf::new("SN-2")), "CN=SN-2", "CN=CSO root", "credentials"),
        ];
        for _ in 0..2 {
            for (key, ..) in &bad {
                lab.connect(lab.profile_3(key.clone()), nothing()).await.unwrap_err();
            }
        }
        let mut events = Vec::new();
        while let Ok(happened) = lab.log.try_recv() {
            if let Happened::Event(event) = happened {
                events.push(event);
            }
        }
        assert_eq!(events.len(), bad.len(), "{events:#?}");
        let mut fingerprints = std::collections::BTreeSet::new();
        for (event, (_, subject, issuer, reason)) in events.iter().zip(&bad) {
            let certificate = event.certificate.as_ref().expect("a certificate");
            let names = certificate.names.as_ref().expect("it can be read");
            assert!(names.subject.starts_with(subject), "{event:?}");
            assert!(names.issuer.starts_with(issuer), "{event:?}");
            assert!(event.reason.contains(reason), "{event:?}");
            assert!(fingerprints.insert(certificate.fingerprint), "{event:?}");
        }
    }

    async fn a00_fr_405_a_certificate_of_another_station_is_refused_and_reported(engine: Engine) {
        let root = Authority::root("CSO root");
        let mut lab = lab(engine, &root, &root.trust()).await;
        let key = root.issue(&Leaf::new("SN-2"));
        for _ in 0..2 {
            let error = lab.connect(lab.profile_3(key.clone()), nothing()).await.unwrap_err();
            assert!(matches!(error, ConnectError::Refused { status: 401, .. }), "{error:?}");
        }
        assert_eq!(lab.event().await, SecurityEventKind::InvalidChargingStationCertificate);
        assert!(matches!(lab.next().await, Happened::Asked(_)));
        assert!(lab.log.try_recv().is_err(), "one episode");
    }

    async fn a00_fr_429_an_expired_certificate_is_accepted_by_permission_only(engine: Engine) {
        let root = Authority::root("CSO root");
        let permitted = || root.trust().with_expired_permitted(["SN-1".to_owned()]);
        let mut lab = lab(engine, &root, &permitted()).await;
        let connection = lab.connect(lab.profile_3(root.issue(&Leaf::new("SN-1").years(2020, 2021))), nothing()).await;
        let connection = connection.unwrap();
        within(connection.peer().call(v201::HeartbeatRequest::new())).await.unwrap();
        let Happened::Asked(asked) = lab.next().await else { panic!() };
        assert!(asked.certificate_expired);
        drop(connection);

        // The permission is for this station only, and only for expiry. Everything else must be
        // valid.
        for leaf in [
            Leaf::new("SN-10").years(2020, 2021),
            Leaf::new("SN-1").years(2998, 2999),
            Leaf::new("SN-1").years(2020, 2021).organization("Somebody Else"),
        ] {
            assert!(!is_accepted(&mut lab, &root.issue(&leaf)).await);
        }
        let stranger = Authority::root("other root").issue(&Leaf::new("SN-1").years(2020, 2021));
        assert!(!is_accepted(&mut lab, &stranger).await);

        let trust = permitted().with_crls(vec![root.crl(&[7], 2999)]);
        lab.handle.reload_tls(engine.serve(&root, &trust)).await.unwrap();
        let revoked = root.issue(&Leaf::new("SN-1").years(2020, 2021).serial(7));
        assert!(!is_accepted(&mut lab, &revoked).await);

        // A valid certificate is not reported as expired.
        let mut lab = Lab::serve_tls(engine.serve(&root, &permitted()), &root, heartbeats()).await;
        lab.connect(lab.profile_3(root.issue(&Leaf::new("SN-1"))), nothing()).await.unwrap();
        let Happened::Asked(asked) = lab.next().await else { panic!() };
        assert!(!asked.certificate_expired);
    }

    async fn a_reload_serves_new_connections_and_leaves_the_old_ones(engine: Engine) {
        let root = Authority::root("CSO root");
        let mut lab = lab(engine, &root, &root.trust()).await;
        let first = lab.connect(lab.profile_3(root.issue(&Leaf::new("SN-1"))), nothing()).await.unwrap();
        let before = lab.connected().await;

        // Another hierarchy for everything: the certificate of the CSMS, and the roots of the
        // stations.
        let next = Authority::root("next root");
        assert_eq!(lab.handle.reload_tls(engine.serve(&next, &next.trust())).await, Ok(Vec::new()));
        assert_eq!(lab.handle.connections(), 1);

        let error = lab.connect(lab.profile_2(), nothing()).await.unwrap_err();
        assert!(
            matches!(error, ConnectError::Tls { source: TlsFailure::BadServerCertificate { .. }, .. }),
            "{error:?}"
        );
        lab.root = next.der();
        let mut config = lab.config("RDAM|123", lab.profile_3(next.issue(&Leaf::new("SN-1"))));
        config.connect_timeout = std::time::Duration::from_secs(10);
        let second = within(ocpp_transport::connect(&config, nothing())).await.unwrap();
        within(second.peer().call(v201::HeartbeatRequest::new())).await.unwrap();

        // The old connection is not affected.
        within(first.peer().call(v201::HeartbeatRequest::new())).await.unwrap();
        within(before.call(v201::HeartbeatRequest::new())).await.unwrap_err();
        assert!(before.is_open());
        assert_eq!(lab.handle.connections(), 2);
    }

    async fn a_reload_closes_connections_with_a_revoked_certificate(engine: Engine) {
        let root = Authority::root("CSO root");
        let mut lab = lab(engine, &root, &root.trust()).await;
        let key = root.issue(&Leaf::new("SN-1").serial(7));
        let mut revoked = lab.connect(lab.profile_3(key), nothing()).await.unwrap();
        lab.connected().await;
        let config = lab.config("RDAM|123", lab.profile_3(root.issue(&Leaf::new("SN-1").serial(8))));
        let other = within(ocpp_transport::connect(&config, nothing())).await.unwrap();
        lab.connected().await;

        let trust = root.trust().with_crls(vec![root.crl(&[7], 2999)]);
        let closed = lab.handle.reload_tls(engine.serve(&root, &trust)).await.unwrap();
        assert_eq!(closed, ["CS001".parse().unwrap()]);
        let reason = within(revoked.closed()).await;
        assert!(matches!(reason, CloseReason::Peer { code: Some(1008), .. }), "{reason:?}");
        within(other.peer().call(v201::HeartbeatRequest::new())).await.unwrap();
    }

    async fn a_reload_closes_connections_with_a_certificate_revoked_after_it_expired(engine: Engine) {
        let root = Authority::root("CSO root");
        let permitted = root.trust().with_expired_permitted(["SN-1".to_owned()]);
        let mut lab = lab(engine, &root, &permitted).await;
        let key = root.issue(&Leaf::new("SN-1").years(2020, 2021).serial(7));
        let mut revoked = lab.connect(lab.profile_3(key), nothing()).await.unwrap();
        lab.connected().await;
        // An expired certificate is disconnected, too, if it is revoked.
        let other = root.trust().with_crls(vec![root.crl(&[8], 2999)]);
        assert_eq!(lab.handle.reload_tls(engine.serve(&root, &other)).await, Ok(Vec::new()));
        let trust = root.trust().with_crls(vec![root.crl(&[7], 2999)]);
        let closed = lab.handle.reload_tls(engine.serve(&root, &trust)).await.unwrap();
        assert_eq!(closed, ["CS001".parse().unwrap()]);
        let reason = within(revoked.closed()).await;
        assert!(matches!(reason, CloseReason::Peer { code: Some(1008), .. }), "{reason:?}");
    }

    async fn without_roots_no_certificate_is_asked_for(engine: Engine) {
        let root = Authority::root("CSO root");
        let mut lab = lab(engine, &root, &ClientTrust::default()).await;
        let outcome = SClient::new(&lab).with_certificate(&root.issue(&Leaf::new("SN-1"))).run(&[]).await;
        assert!(outcome.upgraded(), "{}", outcome.text);
        assert_eq!(lab.connected_again().await.profile().number(), 2);
    }

    async fn the_chain_of_each_certificate_is_sent_with_it(engine: Engine) {
        let root = Authority::root("CSO root");
        let sub = root.sub("CSO sub-CA");
        let deep = sub.sub("CSO sub-CA 2");
        let ecdsa = sub.issue(&Leaf::new("localhost")).with_intermediate(&sub);
        let tls = match engine {
            Engine::Rustls => {
                let key = ocpp_transport::tls::ServerKey::software(ecdsa.software()).unwrap();
                ocpp_transport::tls::ServerTls::rustls(key, &root.trust()).unwrap()
            }
            Engine::OpenSsl => {
                let rsa = deep.issue(&Leaf::new("localhost").rsa()).with_intermediate(&deep).with_intermediate(&sub);
                ocpp_transport::tls::ServerTls::openssl(&[ecdsa.software(), rsa.software()], &root.trust()).unwrap()
            }
        };
        let lab = Lab::serve_tls(tls, &root, nothing()).await;
        let client = SClient::new(&lab);
        let outcome = client.run(&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"]).await;
        outcome.assert_upgraded_with("ECDHE-ECDSA-AES128-GCM-SHA256");
        if engine == Engine::OpenSsl {
            let outcome = client.run(&["-tls1_2", "-cipher", "AES128-GCM-SHA256"]).await;
            outcome.assert_upgraded_with("AES128-GCM-SHA256");
        }
    }
}

#[tokio::test]
async fn a_server_without_tls_cannot_be_given_any() {
    let root = Authority::root("CSO root");
    let lab = Lab::plain(nothing(), Default::default()).await;
    let tls = Engine::Rustls.serve(&root, &root.trust());
    assert_eq!(lab.handle.reload_tls(tls).await, Err(NotTls));
}

#[test]
fn an_invalid_configuration_is_refused_at_once() {
    use ocpp_transport::tls::{ServerKey, ServerTls, SoftwareKey};
    let root = Authority::root("CSO root");
    let key = || root.issue(&Leaf::new("localhost")).software();
    let rustls = |trust: &ClientTrust| ServerTls::rustls(ServerKey::software(key()).unwrap(), trust);
    let garbage = root.trust().with_crls(vec![root.crl(&[], 2999), vec![0x30, 0].into()]);
    assert!(matches!(rustls(&garbage), Err(TlsConfigError::BadCrl { position: 2, .. })));
    let garbage = ClientTrust::new(vec![vec![0x30, 0].into()], vec![ORGANIZATION.to_owned()]);
    assert!(matches!(rustls(&garbage), Err(TlsConfigError::BadRoot { position: 1, .. })));
    assert!(matches!(ServerTls::openssl(&[], &root.trust()), Err(TlsConfigError::NoCertificate)));
    let other = SoftwareKey { chain: key().chain, key: key().key };
    assert!(matches!(ServerTls::openssl(&[other], &root.trust()), Err(TlsConfigError::OpenSsl(_))));
    let tls = rustls(&root.trust()).unwrap();
    assert!(format!("{tls:?} {:?}", Arc::new(key())).contains("SoftwareKey"));
}
