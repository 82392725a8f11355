//! Security profiles 2 and 3: which certificates each side accepts.

use std::error::Error as _;

use certificates::path::PathError;
use ocpp_transport::name_rule::{NameRuleError, Wildcards};
use ocpp_transport::tls::{
    BadCertificate, ProvedBy, SecurityEventKind, TlsFailure, client_config_proving, client_config_with,
};
use ocpp_transport::{ConnectError, Security, SecurityProfile};
use ocpp_types::v201;

use crate::lab::{Happened, Lab, PASSWORD, heartbeats, nothing, within};
use crate::pki::{Authority, Leaf, allowed_hosts, critical_policy};

#[tokio::test]
async fn tc_a_04_tc_a_07_mutual_tls_carries_calls_both_ways() {
    let root = Authority::root("CSO root");
    let mut lab = Lab::tls(&root, heartbeats()).await;
    let key = root.issue(&Leaf::new("SN-1"));
    let certificate = key.chain[0].clone();
    let connection = lab.connect(lab.profile_3(key), heartbeats()).await.unwrap();

    let Happened::Asked(asked) = lab.next().await else { panic!() };
    assert_eq!(asked.identity.as_str(), "CS001");
    assert_eq!(asked.profile, SecurityProfile::TlsWithClientCertificate);
    assert!(asked.basic.is_none());
    let station = lab.connected().await;
    assert_eq!(station.client_certificate(), Some(&[certificate][..]));
    assert_eq!(station.client_subject().unwrap().common_name, "SN-1");
    assert_eq!(station.context::<String>().map(String::as_str), Some("SN-1"));

    within(connection.peer().call(v201::HeartbeatRequest::new())).await.unwrap();
    within(station.call(v201::HeartbeatRequest::new())).await.unwrap();
    lab.stop().await;
}

#[tokio::test]
async fn tc_a_01_profile_2_proves_the_station_by_password() {
    let root = Authority::root("CSO root");
    let mut lab = Lab::tls(&root, heartbeats()).await;
    let connection = lab.connect(lab.profile_2(), nothing()).await.unwrap();
    let Happened::Asked(asked) = lab.next().await else { panic!() };
    assert_eq!(asked.profile, SecurityProfile::TlsWithBasicAuth);
    assert_eq!(asked.basic.unwrap().user, "CS001");
    assert!(asked.client_certificate.is_none());
    within(connection.peer().call(v201::HeartbeatRequest::new())).await.unwrap();
}

#[tokio::test]
async fn both_sides_accept_a_path_over_a_sub_ca() {
    let root = Authority::root("CSO root");
    let sub = root.sub("CSO sub-CA");
    let server = sub.issue(&Leaf::new("localhost")).with_intermediate(&sub);
    let lab = Lab::tls_as(&root, server, heartbeats()).await;
    let key = sub.issue(&Leaf::new("SN-1")).with_intermediate(&sub);
    let connection = lab.connect(lab.profile_3(key), nothing()).await.unwrap();
    within(connection.peer().call(v201::HeartbeatRequest::new())).await.unwrap();
}

/// The station's verdict on a CSMS with this certificate, issued under the station's root.
async fn judge(leaf: Leaf) -> BadCertificate {
    let root = Authority::root("CSO root");
    let lab = Lab::tls_as(&root, root.issue(&leaf), nothing()).await;
    bad_certificate(lab.connect(lab.profile_2(), nothing()).await.unwrap_err())
}

#[track_caller]
fn bad_certificate(error: ConnectError) -> BadCertificate {
    match error {
        ConnectError::Tls { source: TlsFailure::BadServerCertificate { reason }, .. } => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a00_fr_309_another_common_name_is_refused() {
    let reason = judge(Leaf::new("localhost.example")).await;
    let mismatch =
        NameRuleError::Mismatch { presented: "localhost.example".into(), expected: "localhost".into() };
    assert_eq!(reason, BadCertificate::Name(mismatch));
}

/// A sub-CA that may certify some hosts cannot name another one in the common name, which OCPP
/// uses, even without subjectAltName.
#[tokio::test]
async fn a00_fr_309_rfc_5280_4_2_1_10_constraints_on_hosts_are_about_the_common_name() {
    let root = Authority::root("CSO root");
    let sub = root.sub_with("sub-CA", allowed_hosts);
    let own = sub.issue(&Leaf::new("localhost")).with_intermediate(&sub);
    let lab = Lab::tls_as(&root, own, nothing()).await;
    let reason = bad_certificate(lab.connect(lab.profile_2(), nothing()).await.unwrap_err());
    let expected = PathError::NameConstraint { position: 0, name: "localhost".to_owned() };
    assert_eq!(reason, BadCertificate::Path(expected));
}

/// On both sides, with both versions of TLS. The signature of the handshake is verified, too.
#[tokio::test]
async fn rfc_5280_4_2_1_4_critical_policies_are_accepted() {
    let root = Authority::root("CSO root");
    let sub = root.sub_with("sub-CA", critical_policy);
    let own = sub.issue(&Leaf::new("localhost").with(critical_policy)).with_intermediate(&sub);
    let lab = Lab::tls_as(&root, own, nothing()).await;
    let key = sub.issue(&Leaf::new("SN-1").with(critical_policy)).with_intermediate(&sub);
    lab.connect(lab.profile_3(key), nothing()).await.unwrap();
}

#[tokio::test]
async fn tc_a_05_a_wildcard_is_refused() {
    let reason = judge(Leaf::new("*.localhost")).await;
    assert_eq!(reason, BadCertificate::Name(NameRuleError::Wildcard { presented: "*.localhost".into() }));
}

#[tokio::test]
async fn an_allowed_wildcard_still_has_to_match() {
    let root = Authority::root("CSO root");
    let lab = Lab::tls_as(&root, root.issue(&Leaf::new("*.localhost")), nothing()).await;
    let tls = client_config_with(vec![root.der()], None, Wildcards::Allow).unwrap();
    let security = Security::TlsWithBasicAuth { password: PASSWORD.into(), tls: tls.into() };
    let error = lab.connect(security, nothing()).await.unwrap_err();
    assert!(matches!(bad_certificate(error), BadCertificate::Name(NameRuleError::Mismatch { .. })));
}

#[tokio::test]
async fn the_root_that_has_proved_the_csms_is_known() {
    let [root, other, impostor] = ["CSO root", "other root", "CSO root"].map(Authority::root);
    let lab = Lab::tls_as(&root, root.issue(&Leaf::new("localhost")), nothing()).await;
    for (roots, expected) in [
        (vec![other.der(), root.der()], Some(root.der())),
        (vec![impostor.der(), root.der()], Some(root.der())),
        (vec![other.der()], None),
    ] {
        let proved_by = ProvedBy::default();
        let tls = client_config_proving(roots, None, Wildcards::Refuse, proved_by.clone()).unwrap();
        let security = Security::TlsWithBasicAuth { password: PASSWORD.into(), tls: tls.into() };
        assert_eq!(lab.connect(security, nothing()).await.is_ok(), expected.is_some());
        assert_eq!(proved_by.root(), expected);
    }
}

#[tokio::test]
async fn tc_a_05_an_expired_certificate_is_refused() {
    assert!(matches!(judge(Leaf::new("localhost").years(2020, 2021)).await, BadCertificate::Expired { .. }));
}

#[tokio::test]
async fn tc_a_05_a_certificate_of_the_future_is_refused() {
    let reason = judge(Leaf::new("localhost").years(2998, 2999)).await;
    assert!(matches!(reason, BadCertificate::NotYetValid { .. }));
}

#[tokio::test]
async fn tc_a_05_an_unknown_root_is_refused() {
    let (root, other) = (Authority::root("CSO root"), Authority::root("other root"));
    let lab = Lab::tls_as(&root, other.issue(&Leaf::new("localhost")), nothing()).await;
    let error = lab.connect(lab.profile_2(), nothing()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("no TLS connection to localhost:{}", lab.address.port()));
    assert_eq!(error.source().unwrap().to_string(), "the certificate of the CSMS is not valid");
    assert_eq!(bad_certificate(error), BadCertificate::UnknownIssuer);
}

#[tokio::test]
async fn tc_a_05_a_root_of_the_same_name_is_another_root() {
    let (root, impostor) = (Authority::root("CSO root"), Authority::root("CSO root"));
    let lab = Lab::tls_as(&root, impostor.issue(&Leaf::new("localhost")), nothing()).await;
    let error = lab.connect(lab.profile_2(), nothing()).await.unwrap_err();
    assert!(matches!(bad_certificate(error), BadCertificate::Path(_)));
}

/// The error of a station that presents this certificate to a CSMS with trust in `root`.
async fn present(root: &Authority, key: crate::pki::Identified) -> ConnectError {
    let mut lab = Lab::tls(root, nothing()).await;
    let error = lab.connect(lab.profile_3(key), nothing()).await.unwrap_err();
    let Happened::Event(event) = lab.next().await else { panic!("the admission is not asked") };
    assert_eq!(event.kind, SecurityEventKind::InvalidChargingStationCertificate);
    assert!(lab.log.try_recv().is_err());
    error
}

#[track_caller]
fn refused_with(error: &ConnectError) -> &str {
    match error {
        ConnectError::Tls { source: TlsFailure::OwnCertificateRefused { alert }, .. } => alert,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a00_fr_403_a_client_certificate_of_another_ca_is_refused() {
    let (root, other) = (Authority::root("CSO root"), Authority::root("other root"));
    let error = present(&root, other.issue(&Leaf::new("SN-1"))).await;
    assert_eq!(refused_with(&error), "UnknownCA");
}

#[tokio::test]
async fn tc_a_08_an_expired_client_certificate_is_refused() {
    let root = Authority::root("CSO root");
    let error = present(&root, root.issue(&Leaf::new("SN-1").years(2020, 2021))).await;
    assert_eq!(refused_with(&error), "CertificateExpired");
}

#[tokio::test]
async fn a00_fr_404_a_client_certificate_of_another_organization_is_refused() {
    let root = Authority::root("CSO root");
    for organization in ["Ladestrom", "ladestrom eG", "Ladestrom eG & Co"] {
        let error = present(&root, root.issue(&Leaf::new("SN-1").organization(organization))).await;
        assert_eq!(refused_with(&error), "CertificateUnknown", "{organization}");
    }
}

#[tokio::test]
async fn tc_a_08_a_client_certificate_of_another_serial_number_is_refused() {
    let root = Authority::root("CSO root");
    let lab = Lab::tls(&root, nothing()).await;
    let key = root.issue(&Leaf::new("SN-2"));
    let error = lab.connect(lab.profile_3(key), nothing()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Refused { status: 401, .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_without_tls_is_recognized() {
    let lab = Lab::plain(nothing(), Default::default()).await;
    let url = format!("wss://localhost:{}/ocpp", lab.address.port()).parse().unwrap();
    let mut config = lab.config("CS001", lab.profile_2());
    config.url = url;
    let error = within(ocpp_transport::connect(&config, nothing())).await.unwrap_err();
    assert!(matches!(error, ConnectError::Tls { source: TlsFailure::Other(_), .. }), "{error:?}");
}

#[tokio::test]
async fn a_station_needs_a_root() {
    assert!(Security::profile_2(PASSWORD.into(), Vec::new()).is_err());
}

#[tokio::test]
async fn a_key_of_another_certificate_is_refused_at_once() {
    let root = Authority::root("CSO root");
    let mut key = root.issue(&Leaf::new("SN-1"));
    key.chain = root.issue(&Leaf::new("SN-1")).chain;
    let error = Security::profile_3(key.client(), vec![root.der()]).unwrap_err();
    assert_eq!(error.to_string(), "the key does not belong to the first certificate of the chain");
}
