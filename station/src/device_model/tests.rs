mod iso15118;
mod v16;

use ocpp_transport::SecurityProfile;
use ocpp_types::{
    Timestamp, decode, encode,
    v201::{
        GetBaseReportRequest, GetReportRequest, GetVariablesRequest, SetNetworkProfileRequest,
        SetVariablesRequest,
    },
};

use super::*;

/// The result of SetVariables or SetNetworkProfile: its status and the reason.
type Answer = (String, Option<String>);

pub(super) fn model(profile: u8) -> DeviceModel {
    let identity = StationIdentity::try_from("CS001").expect("short");
    let defaults = Defaults::new(identity, "Example CSO", Password::from("0123456789abcdef"));
    with_defaults(defaults, profile)
}

fn with_defaults(defaults: Defaults, profile: u8) -> DeviceModel {
    let data = decode(&connection("wss://one.example/ocpp", profile)).expect("valid");
    DeviceModel::new(defaults, NetworkConfiguration::new(data))
}

fn downgrading(profile: u8) -> DeviceModel {
    let mut defaults = model(profile).defaults;
    defaults.downgrade = Downgrade::ThreeToTwo;
    with_defaults(defaults, profile)
}

pub(super) fn situation(profile: u8) -> Situation {
    Situation {
        certificates: 3,
        certificate_capacity: 32,
        csms_root: Installed::Yes,
        own_certificate: Installed::Yes,
        additional_root_check: false,
        max_chain_size: 10_000,
        profile: SecurityProfile::from_number(profile).expect("1 to 3"),
        slot: 1,
    }
}

fn connection(url: &str, profile: u8) -> String {
    format!(
        r#"{{"ocppVersion":"OCPP20","ocppTransport":"JSON","ocppCsmsUrl":"{url}","messageTimeout":30,"securityProfile":{profile},"ocppInterface":"Wired0"}}"#
    )
}

fn set(model: &mut DeviceModel, variable: &str, value: &str, situation: &Situation) -> Answer {
    let (component, name) = variable.split_once('.').expect("component and variable");
    let request: SetVariablesRequest = decode(&format!(
        r#"{{"setVariableData":[{{"attributeValue":"{value}","component":{{"name":"{component}"}},"variable":{{"name":"{name}"}}}}]}}"#
    ))
    .expect("valid");
    let outcome = v201::set_variables(model, &request, situation);
    let result = outcome.response.set_variable_result.first().expect("one for one");
    let reason = result.attribute_status_info.as_ref().map(|info| info.reason_code.as_str().to_owned());
    let answer = (result.attribute_status.to_string(), reason);
    *model = outcome.model;
    answer
}

fn get(model: &DeviceModel, variable: &str, situation: &Situation) -> (String, Option<String>) {
    let (component, name) = variable.split_once('.').expect("component and variable");
    let (name, instance) = name.split_once('[').map_or((name, String::new()), |(name, instance)| {
        (name, format!(r#","instance":"{}""#, instance.trim_end_matches(']')))
    });
    let request: GetVariablesRequest = decode(&format!(
        r#"{{"getVariableData":[{{"component":{{"name":"{component}"}},"variable":{{"name":"{name}"{instance}}}}}]}}"#
    ))
    .expect("valid");
    let response = v201::get_variables(model, &request, situation);
    let result = response.get_variable_result.first().expect("one for one");
    (
        result.attribute_status.to_string(),
        result.attribute_value.as_ref().map(|value| value.as_str().to_owned()),
    )
}

fn store(model: &mut DeviceModel, slot: u32, url: &str, profile: u8, situation: &Situation) -> Answer {
    store_data(model, slot, &connection(url, profile), situation)
}

fn store_data(model: &mut DeviceModel, slot: u32, data: &str, situation: &Situation) -> Answer {
    let request: SetNetworkProfileRequest =
        decode(&format!(r#"{{"configurationSlot":{slot},"connectionData":{data}}}"#)).expect("valid");
    let outcome = v201::set_network_profile(model, &request, situation);
    let reason = outcome.response.status_info.as_ref().map(|info| info.reason_code.as_str().to_owned());
    let answer = (outcome.response.status.to_string(), reason);
    if let Some(changed) = outcome.changed {
        *model = changed;
    }
    answer
}

fn accepted() -> Answer {
    ("Accepted".to_owned(), None)
}

fn rejected(reason: &str) -> Answer {
    ("Rejected".to_owned(), Some(reason.to_owned()))
}

const PRIORITY: &str = "OCPPCommCtrlr.NetworkConfigurationPriority";

#[test]
fn every_variable_can_be_read_but_the_password() {
    let (model, situation) = (model(2), situation(2));
    let check = |variable: &str, status: &str, value: Option<&str>| {
        let expected = (status.to_owned(), value.map(str::to_owned));
        assert_eq!(get(&model, variable, &situation), expected, "{variable}");
    };
    check("SecurityCtrlr.Identity", "Accepted", Some("CS001"));
    check("SecurityCtrlr.OrganizationName", "Accepted", Some("Example CSO"));
    check("SecurityCtrlr.CertificateEntries", "Accepted", Some("3"));
    check("SecurityCtrlr.SecurityProfile", "Accepted", Some("2"));
    check("securityctrlr.SECURITYPROFILE", "Accepted", Some("2"));
    check("OCPPCommCtrlr.MessageTimeout[Default]", "Accepted", Some("30"));
    check("OCPPCommCtrlr.ActiveNetworkProfile", "Accepted", Some("1"));
    check(PRIORITY, "Accepted", Some("1"));
    // A01, errata B07.FR.03
    check("SecurityCtrlr.BasicAuthPassword", "Rejected", None);
    check("SecurityCtrlr.Nonsense", "UnknownVariable", None);
    check("OCPPCommCtrlr.MessageTimeout", "UnknownVariable", None);
    check("Nonsense.Identity", "UnknownComponent", None);
}

#[test]
fn a_value_that_breaks_its_rule_changes_nothing() {
    let mut model = model(2);
    let situation = situation(2);
    let mut check = |variable: &str, value: &str, reason: &str| {
        let before = model.to_json().expect("writes").to_string();
        assert_eq!(set(&mut model, variable, value, &situation), rejected(reason), "{variable} {value}");
        assert_eq!(model.to_json().expect("writes").as_str(), before);
    };
    check("OCPPCommCtrlr.HeartbeatInterval", "0", "ValueZeroNotAllowed");
    check("OCPPCommCtrlr.HeartbeatInterval", "-5", "ValuePositiveOnly");
    check("OCPPCommCtrlr.HeartbeatInterval", "99999999", "ValueTooHigh");
    check("OCPPCommCtrlr.HeartbeatInterval", "soon", "InvalidValue");
    // WebSocketPingInterval: 0 disables pings, a negative value is rejected.
    check("OCPPCommCtrlr.WebSocketPingInterval", "-1", "ValuePositiveOnly");
    check("SecurityCtrlr.SecurityProfile", "1", "ReadOnly");
    check("SecurityCtrlr.AllowCSMSTLSWildcards", "yes", "InvalidValue");
    check("SecurityCtrlr.OrganizationName", " ", "InvalidValue");
    check("SecurityCtrlr.OrganizationName", &"x".repeat(65), "InvalidValue");
    check(PRIORITY, "", "InvalidValue");
    check(PRIORITY, "1,1", "InvalidValue");
    check(PRIORITY, "one", "InvalidValue");
}

#[test]
fn tc_a_10_a_password_of_less_than_16_characters_is_rejected() {
    let (mut model, situation) = (model(2), situation(2));
    for (value, expected) in [
        ("0123456789abcde", rejected("InvalidValue")),
        ("0123456789 abcdef", rejected("InvalidValue")),
        ("ABCDEF*-_=:+|@.0", accepted()),
        (&*"x".repeat(64), accepted()),
        (&*"x".repeat(65), rejected("InvalidValue")),
    ] {
        assert_eq!(set(&mut model, "SecurityCtrlr.BasicAuthPassword", value, &situation), expected);
    }
    assert!(model.password().matches(&Password::from(&*"x".repeat(64))));
    // A01.FR.12
    assert!(!format!("{model:?}").contains("xxxx"));
}

#[test]
fn b09_fr_01_to_05_what_goes_into_a_slot() {
    let (mut model, situation) = (model(2), situation(2));
    assert_eq!(store(&mut model, 2, "wss://two.example/ocpp", 3, &situation), accepted());
    assert_eq!(
        store(&mut model, 5, "wss://two.example/ocpp", 2, &situation),
        rejected("InvalidConfSlot"),
        "B09.FR.05"
    );
    assert_eq!(store(&mut model, 0, "wss://two.example", 2, &situation), rejected("InvalidConfSlot"));
    assert_eq!(
        store(&mut model, 3, "ws://two.example", 1, &situation),
        rejected("NoSecurityDowngrade"),
        "B09.FR.04"
    );
    for (url, profile) in [
        ("ws://two.example", 2),
        ("https://two.example", 2),
        ("two.example", 2),
        ("wss://user:secret@two.example", 2),
        ("wss://two.example?a=b", 2),
        ("wss://two.example", 4),
        ("wss://two.example", 0),
    ] {
        let answer = store(&mut model, 3, url, profile, &situation);
        assert_eq!(answer, rejected("InvalidNetworkConf"), "{url} {profile}");
    }
    let good = connection("wss://two.example", 2);
    for (from, to) in [
        (r#""JSON""#, r#""SOAP""#),
        (r#""messageTimeout":30"#, r#""messageTimeout":0"#),
        (
            r#""messageTimeout":30"#,
            r#""messageTimeout":30,"apn":{"apn":"internet","apnAuthentication":"AUTO"}"#,
        ),
    ] {
        let answer = store_data(&mut model, 3, &good.replace(from, to), &situation);
        assert_eq!(answer, rejected("InvalidNetworkConf"), "{to}");
    }
    assert!(model.network().profile(3).is_none());
    assert_eq!(store(&mut model, 3, "wss://three.example", 2, &super::tests::situation(3)).0, "Rejected");
}

#[test]
fn b10_fr_02_a_slot_without_a_profile_is_rejected() {
    let (mut model, situation) = (model(2), situation(2));
    assert_eq!(set(&mut model, PRIORITY, "2,1", &situation), rejected("InvalidValue"));
    assert_eq!(store(&mut model, 2, "wss://two.example", 2, &situation), accepted());
    assert_eq!(set(&mut model, PRIORITY, "2, 1", &situation), accepted(), "B10.FR.01");
    assert_eq!(model.network().priority(), [2, 1]);
}

#[test]
fn tc_a_20_a05_fr_02_no_higher_profile_without_a_root() {
    let mut model = model(2);
    let bare = Situation { csms_root: Installed::No, ..situation(2) };
    assert_eq!(store(&mut model, 2, "wss://two.example", 3, &bare), accepted());
    assert_eq!(set(&mut model, PRIORITY, "2,1", &bare), rejected("InvalidValue"));
    assert_eq!(model.network().priority(), [1]);
}

#[test]
fn tc_a_21_a05_fr_03_no_profile_3_without_a_certificate() {
    let mut model = model(2);
    let bare = Situation { own_certificate: Installed::No, ..situation(2) };
    assert_eq!(store(&mut model, 2, "wss://two.example", 3, &bare), accepted());
    assert_eq!(set(&mut model, PRIORITY, "2,1", &bare), rejected("InvalidValue"));
    assert_eq!(set(&mut model, PRIORITY, "2,1", &situation(2)), accepted(), "A05.FR.04");
}

#[test]
fn tc_b_46_the_slot_of_the_connection_stays_usable_without_a_certificate() {
    // Delivered with profile 3, and connected with its password until there is a certificate.
    let mut model = model(3);
    let bare = Situation { own_certificate: Installed::No, slot: 1, ..situation(2) };
    assert_eq!(store(&mut model, 2, "wss://two.example", 2, &bare), accepted());
    assert_eq!(set(&mut model, PRIORITY, "2,1", &bare), accepted(), "to migrate, and to fall back");
    // A05.FR.03: a profile that is written into the slot now is not the one of the connection.
    assert_eq!(store(&mut model, 1, "wss://one.example", 3, &bare), accepted());
    assert_eq!(set(&mut model, PRIORITY, "1,2", &bare), rejected("InvalidValue"));
}

#[test]
fn a05_fr_06_lower_profiles_are_deleted_once_the_higher_one_has_connected() {
    let mut model = model(2);
    store(&mut model, 2, "wss://two.example", 3, &situation(2));
    store(&mut model, 3, "wss://three.example", 2, &situation(2));
    set(&mut model, PRIORITY, "2,1,3", &situation(2));
    assert!(model.handle_connected(SecurityProfile::TlsWithBasicAuth).is_none());
    let model = model.handle_connected(SecurityProfile::TlsWithClientCertificate).expect("changes");
    assert_eq!(model.network().priority(), [2]);
    assert!(model.network().profile(1).is_none() && model.network().profile(3).is_none());
}

#[test]
fn tc_a_22_a05_fr_08_to_10_downgrades() {
    // A05.FR.10: a lower profile is rejected.
    let mut strict = model(3);
    assert_eq!(
        store(&mut strict, 2, "wss://two.example", 2, &situation(3)),
        rejected("NoSecurityDowngrade"),
        "B09.FR.04"
    );
    // A05.FR.08: profile 2 is accepted if the downgrade is allowed.
    let mut lax = downgrading(3);
    assert_eq!(store(&mut lax, 2, "wss://two.example", 2, &situation(3)), accepted());
    assert_eq!(set(&mut lax, PRIORITY, "2,1", &situation(3)), accepted());
    assert!(lax.handle_connected(SecurityProfile::TlsWithClientCertificate).is_none());
    // A05.FR.09, B09.FR.31: profile 1 is never accepted.
    assert_eq!(store(&mut lax, 3, "ws://three.example", 1, &situation(2)), rejected("NoSecurityDowngrade"));
    // A05.FR.10 for the order: the profile was stored while it was allowed, and is not allowed now.
    let mut before = lax.clone();
    before.defaults.downgrade = Downgrade::Refused;
    assert_eq!(set(&mut before, PRIORITY, "1,2", &situation(3)), rejected("NoSecurityDowngrade"));
}

#[test]
fn what_was_set_survives_a_restart_and_the_defaults_may_change() {
    let (mut model, situation) = (model(2), situation(2));
    store(&mut model, 2, "wss://two.example", 3, &situation);
    for (variable, value) in [
        ("SecurityCtrlr.BasicAuthPassword", "fedcba9876543210"),
        ("OCPPCommCtrlr.RetryBackOffWaitMinimum", "7"),
        ("OCPPCommCtrlr.WebSocketPingInterval", "0"),
        (PRIORITY, "2,1"),
    ] {
        assert_eq!(set(&mut model, variable, value, &situation), accepted());
    }
    let text = model.to_json().expect("writes");
    let mut defaults = model.defaults.clone();
    defaults.organization = "Another CSO".to_owned();
    let again = DeviceModel::from_json(&text, defaults).expect("reads");
    assert_eq!(again.to_json().expect("writes"), text);
    assert!(again.password().matches(&Password::from("fedcba9876543210")));
    assert_eq!(again.back_off(), (Duration::from_secs(7), Duration::from_secs(5), 5));
    assert_eq!(again.ping_interval(), Duration::ZERO);
    assert_eq!(again.organization(), "Another CSO");
    assert_eq!(again.network().priority(), [2, 1]);
}

#[test]
fn a_damaged_or_newer_text_is_refused() {
    let (model, defaults) = (model(2), model(2).defaults);
    let good = model.to_json().expect("writes").to_string();
    let check = |text: &str, expected: &str| {
        let error = DeviceModel::from_json(text, defaults.clone()).expect_err("refused").to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(&good[..good.len() - 1], "not a stored device model");
    check(&good.replace(r#""format":1"#, r#""format":3"#), "update it");
    check(&good.replace("[1]", "[2]"), "network profiles");
    check(&good.replace("[1]", "[]"), "network profiles");
    check(
        &good.replace(r#""variables":{}"#, r#""variables":{"OCPPCommCtrlr.HeartbeatInterval":"0"}"#),
        "HeartbeatInterval",
    );
}

#[test]
fn a_report_tells_every_variable_once_and_no_password() {
    let now: Timestamp = "2026-01-02T03:04:05Z".parse().expect("a date-time");
    let mut model = model(2);
    set(&mut model, "SecurityCtrlr.BasicAuthPassword", "fedcba9876543210", &situation(2));
    let report = |base: &str| {
        let request: GetBaseReportRequest =
            decode(&format!(r#"{{"requestId":7,"reportBase":"{base}"}}"#)).expect("valid");
        let (response, reports) = v201::base_report(&model, &request, &situation(2), now);
        let frames = reports.iter().map(|report| encode(report).expect("valid")).collect::<Vec<_>>();
        let more = reports.iter().map(|report| report.tbc == Some(true)).collect::<Vec<_>>();
        let numbers = reports.iter().map(|report| report.seq_no).collect::<Vec<_>>();
        let data = reports.iter().filter_map(|report| report.report_data.as_ref());
        let names = data.flat_map(|data| data.iter().map(|data| data.variable.name.as_str().to_owned()));
        (response.status.to_string(), names.collect::<Vec<_>>(), more, numbers, frames.concat())
    };
    let (status, names, more, numbers, text) = report("FullInventory");
    assert_eq!(status, "Accepted");
    let station = Variable::ALL.into_iter().filter(|variable| !variable.is_of_iso15118());
    assert_eq!(names, station.map(|variable| variable.name().to_owned()).collect::<Vec<_>>());
    assert_eq!((more, numbers), (vec![true, true, false], vec![0, 1, 2]));
    assert!(!text.contains("fedcba"), "B07.FR.03");
    // M05.FR.06
    assert!(text.contains(r#""maxLimit":32"#), "{text}");
    assert!(text.contains(r#""valuesList":"1,2,3,4""#), "{text}");
    let (_, names, ..) = report("ConfigurationInventory");
    assert!(!names.contains(&"SecurityProfile".to_owned()) && names.len() == 13, "{names:?}");
    assert_eq!(report("SummaryInventory").0, "NotSupported");
}
