//! The configuration keys of OCPP 1.6.

use std::collections::BTreeSet;

use ocpp_transport::{Password, SecurityProfile, StationIdentity};
use ocpp_types::{
    BoundedString,
    v16::{ChangeConfigurationRequest, ConfigurationStatus, GetConfigurationRequest},
    v201::{NetworkConnectionProfileType, OCPPInterfaceEnumType, OCPPTransportEnumType, OCPPVersionEnumType},
};

use crate::device_model::{
    ConfigurationOutcome, Defaults, DeviceModel, Installed, NetworkConfiguration, Situation, Variable,
};

/// A station whose slot 1 holds a profile of this security level.
fn station(security_profile: i64) -> DeviceModel {
    let profile = NetworkConnectionProfileType::new(
        OCPPVersionEnumType::OCPP16,
        OCPPTransportEnumType::JSON,
        BoundedString::try_from("wss://csms.example/ocpp").expect("short"),
        30,
        security_profile,
        OCPPInterfaceEnumType::Wired0,
    );
    DeviceModel::new(defaults(), NetworkConfiguration::new(profile))
}

fn defaults() -> Defaults {
    let identity = StationIdentity::try_from("CS001").expect("good");
    Defaults::new(identity, "Example CSO", Password::from("correct-horse-battery"))
}

/// Connected by profile 2, with root and certificate.
const SITUATION: Situation = Situation {
    certificates: 1,
    certificate_capacity: 7,
    csms_root: Installed::Yes,
    own_certificate: Installed::Yes,
    additional_root_check: false,
    max_chain_size: 5600,
    profile: SecurityProfile::TlsWithBasicAuth,
    slot: 1,
};

fn change(model: &DeviceModel, key: &str, value: &str, situation: &Situation) -> ConfigurationOutcome {
    let key = BoundedString::try_from(key).expect("short");
    let request = ChangeConfigurationRequest::new(key, BoundedString::try_from(value).expect("short"));
    model.change_configuration(&request, situation)
}

#[test]
fn tc_084_a05_fr_01_to_05_when_the_security_profile_is_raised() {
    let model = station(2);
    let no_root = Situation { csms_root: Installed::No, ..SITUATION };
    let no_certificate = Situation { own_certificate: Installed::No, ..SITUATION };
    let unsecured = Situation { profile: SecurityProfile::UnsecuredWithBasicAuth, ..no_certificate };
    for (rule, value, situation, accepted) in [
        ("A05.FR.01", "2", SITUATION, false),
        ("A05.FR.01", "1", SITUATION, false),
        ("A05.FR.03", "3", no_root, false),
        ("A05.FR.04", "3", no_certificate, false),
        ("A05.FR.05", "3", SITUATION, true),
        ("A05.FR.05", "2", unsecured, true),
        ("A05.FR.03", "2", Situation { csms_root: Installed::No, ..unsecured }, false),
    ] {
        let outcome = change(&model, "SecurityProfile", value, &situation);
        let expected = if accepted { ConfigurationStatus::Accepted } else { ConfigurationStatus::Rejected };
        assert_eq!(outcome.response.status, expected, "{rule}");
        assert_eq!(outcome.refused.is_none(), accepted, "{rule}");
        let level = outcome.model.network().profile(1).expect("is there").security_profile;
        assert_eq!(level, if accepted { value.parse().expect("a number") } else { 2 }, "{rule}");
    }
    // It is stored with the network profile, where OCPP 2.x looks for it.
    let raised = change(&model, "SecurityProfile", "3", &SITUATION).model;
    let again = DeviceModel::from_json(&raised.to_json().expect("writes"), defaults()).expect("reads");
    assert_eq!(again.network().profile(1).expect("is there").security_profile, 3);
}

#[test]
fn tc_073_an_authorization_key_is_kept_as_bytes_over_a_restart() {
    // Keys that are not text, and keys that are.
    for key in ["0001020304050607FFFFFFFFFFFFFFFFFFFFFFFF", "30313233343536373839616263646566"] {
        let outcome = change(&station(3), "AuthorizationKey", key, &SITUATION);
        assert_eq!(outcome.response.status, ConfigurationStatus::Accepted);
        assert_eq!(outcome.changed, BTreeSet::from([Variable::BasicAuthPassword]));
        let text = outcome.model.to_json().expect("writes");
        let again = DeviceModel::from_json(&text, defaults()).expect("reads");
        assert_eq!(again.password().to_hexadecimal().to_uppercase(), key.to_uppercase());
    }
    for wrong in ["", "00010203040506070809", "000102030405060708090a0b0c0d0e0g"] {
        let outcome = change(&station(3), "AuthorizationKey", wrong, &SITUATION);
        assert_eq!(outcome.response.status, ConfigurationStatus::Rejected);
        assert!(outcome.changed.is_empty());
        let reason = outcome.refused.expect("a reason");
        assert!(wrong.is_empty() || !reason.contains(wrong), "A01.FR.12: {reason}");
    }
}

#[test]
fn a_key_is_told_once_however_often_it_is_asked_for() {
    let name = |text: &str| BoundedString::<50>::try_from(text).expect("short");
    let mut request = GetConfigurationRequest::new();
    request.key = Some(vec![name("CPONAME"), name("Colour"), name("cpoName"), name("Colour")]);
    let answer = station(3).get_configuration(&request, &SITUATION);
    let told = answer.configuration_key.expect("one");
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].value.as_ref().map(|value| value.as_str()), Some("Example CSO"));
    assert_eq!(answer.unknown_key.map(|keys| keys.len()), Some(2));
    // An empty list selects all keys.
    request.key = Some(Vec::new());
    let answer = station(3).get_configuration(&request, &SITUATION);
    let told = answer.configuration_key.expect("all");
    assert_eq!(told.len(), 8);
    let capacity = told.iter().find(|key| key.key.as_str() == "CertificateStoreMaxLength");
    assert_eq!(capacity.and_then(|key| key.value.as_ref()).map(|value| value.as_str()), Some("7"));
    assert_eq!(answer.unknown_key, None);
}
