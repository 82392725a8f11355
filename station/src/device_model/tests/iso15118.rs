//! The ISO 15118 controllers.

use super::*;

/// A station with a controller for each of these EVSEs, with these SeccIds.
fn vehicles(controllers: &[(Option<u32>, &str)]) -> DeviceModel {
    let controllers = controllers.iter().map(|(evse, secc_id)| {
        let texts = [
            (Variable::SeccId, *secc_id),
            (Variable::SeccOrganizationName, "Example CSO"),
            (Variable::CountryName, "nl"),
            (Variable::PncEnabled, "true"),
            (Variable::V2gCertificateInstallationEnabled, "true"),
            (Variable::ContractCertificateInstallationEnabled, "false"),
            (Variable::CentralContractValidationAllowed, "false"),
            (Variable::ContractValidationOffline, "false"),
        ];
        (*evse, BTreeMap::from(texts.map(|(variable, text)| (variable, text.to_owned()))))
    });
    let mut defaults = model(2).defaults;
    defaults.iso15118 = Some(Iso15118 { controllers: controllers.collect(), combined_certificates: false });
    with_defaults(defaults, 2)
}

/// `ISO15118Ctrlr`, of an EVSE or of the station as a whole.
fn component(evse: Option<i64>) -> String {
    let evse = evse.map(|evse| format!(r#""evse":{{"id":{evse}}},"#)).unwrap_or_default();
    format!(r#"{{{evse}"name":"ISO15118Ctrlr"}}"#)
}

fn read(model: &DeviceModel, component: &str, name: &str) -> (String, String) {
    let request: GetVariablesRequest = decode(&format!(
        r#"{{"getVariableData":[{{"component":{component},"variable":{{"name":"{name}"}}}}]}}"#
    ))
    .expect("valid");
    let response = v201::get_variables(model, &request, &situation(2));
    let result = response.get_variable_result.first().expect("one for one");
    // The answer repeats the component of the question.
    assert_eq!(encode(&result.component).expect("valid"), component);
    let value = result.attribute_value.as_ref().map(|value| value.as_str().to_owned());
    (result.attribute_status.to_string(), value.unwrap_or_default())
}

fn write(model: &mut DeviceModel, component: &str, name: &str, value: &str) -> String {
    let request: SetVariablesRequest = decode(&format!(
        r#"{{"setVariableData":[{{"attributeValue":"{value}","component":{component},"variable":{{"name":"{name}"}}}}]}}"#
    ))
    .expect("valid");
    let outcome = v201::set_variables(model, &request, &situation(2));
    *model = outcome.model;
    outcome.response.set_variable_result.first().expect("one for one").attribute_status.to_string()
}

const NAMES: [&str; 8] = [
    "SeccId",
    "CountryName",
    "OrganizationName",
    "PnCEnabled",
    "V2GCertificateInstallationEnabled",
    "ContractCertificateInstallationEnabled",
    "CentralContractValidationAllowed",
    "ContractValidationOffline",
];

#[test]
fn a_station_without_iso_15118_has_no_such_component() {
    let mut model = model(2);
    for evse in [None, Some(1)] {
        assert_eq!(read(&model, &component(evse), "SeccId").0, "UnknownComponent");
        assert_eq!(write(&mut model, &component(evse), "SeccId", "A"), "UnknownComponent");
    }
    assert!(model.seccs().is_empty() && model.seccs_of(None).is_empty() && !model.has_iso15118());
}

#[test]
fn a_controller_is_found_where_it_is_and_nowhere_else() {
    let each = vehicles(&[(Some(1), "A"), (Some(2), "B")]);
    let whole = vehicles(&[(None, "A")]);
    for name in NAMES {
        assert_eq!(read(&each, &component(Some(2)), name).0, "Accepted", "{name}");
        assert_eq!(read(&each, &component(None), name).0, "UnknownComponent", "{name}");
        assert_eq!(read(&each, &component(Some(3)), name).0, "UnknownComponent", "{name}");
        assert_eq!(read(&whole, &component(None), name).0, "Accepted", "{name}");
        assert_eq!(read(&whole, &component(Some(1)), name).0, "UnknownComponent", "{name}");
    }
    assert_eq!(read(&each, &component(Some(2)), "SeccId").1, "B");
    assert_eq!(read(&each, &component(Some(2)), "BasicAuthPassword").0, "UnknownVariable");
    for evse in ["-1", "4294967297", "0"] {
        let component = format!(r#"{{"evse":{{"id":{evse}}},"name":"ISO15118Ctrlr"}}"#);
        assert_eq!(read(&each, &component, "SeccId").0, "UnknownComponent", "{evse}");
    }
    let connector = r#"{"evse":{"id":1,"connectorId":1},"name":"ISO15118Ctrlr"}"#;
    assert_eq!(read(&each, connector, "SeccId").0, "UnknownComponent");
    // The other controllers are the station's own.
    let security = r#"{"evse":{"id":1},"name":"SecurityCtrlr"}"#;
    assert_eq!(read(&each, security, "Identity").0, "UnknownComponent");
}

#[test]
fn each_variable_is_set_for_its_evse_only_and_survives_a_restart() {
    let mut model = vehicles(&[(Some(1), "A"), (Some(2), "B")]);
    let new = ["C", "DE", "Another CSO", "false", "false", "true", "true", "true"];
    for (name, value) in NAMES.into_iter().zip(new) {
        let before = read(&model, &component(Some(1)), name);
        assert_eq!(write(&mut model, &component(Some(2)), name, value), "Accepted", "{name}");
        assert_eq!(read(&model, &component(Some(2)), name).1, value);
        assert_eq!(read(&model, &component(Some(1)), name), before, "{name}");
    }
    // SecurityCtrlr has a variable of the same name.
    assert_eq!(model.organization(), "Example CSO");
    let text = model.to_json().expect("writes");
    let again = DeviceModel::from_json(&text, model.defaults.clone()).expect("reads");
    assert_eq!(again.seccs(), model.seccs());
    for (name, value) in NAMES.into_iter().zip(new) {
        assert_eq!(read(&again, &component(Some(2)), name).1, value);
    }
    // A controller that is removed keeps its settings, and does not affect others.
    let without = DeviceModel::from_json(&text, super::model(2).defaults).expect("reads");
    assert_eq!(without.to_json().expect("writes"), text);
}

#[test]
fn a_value_that_breaks_its_rule_is_rejected() {
    let mut model = vehicles(&[(None, "A")]);
    let long = "x".repeat(65);
    for (name, value) in [
        ("SeccId", ""),
        ("SeccId", &long),
        ("CountryName", "N"),
        ("CountryName", "NLD"),
        ("CountryName", "N1"),
        ("CountryName", "ÅL"),
        ("OrganizationName", &long),
        ("PnCEnabled", "yes"),
        ("ContractValidationOffline", "TRUE"),
    ] {
        let before = model.to_json().expect("writes").to_string();
        assert_eq!(write(&mut model, &component(None), name, value), "Rejected", "{name} {value}");
        assert_eq!(model.to_json().expect("writes").as_str(), before);
    }
    assert_eq!(write(&mut model, &component(None), "SeccId", &long[1..]), "Accepted");
}

#[test]
fn both_inventories_report_each_controller() {
    let now: Timestamp = "2026-01-02T03:04:05Z".parse().expect("a date-time");
    for (controllers, evses) in
        [(&[(None, "A")][..], vec![None]), (&[(Some(1), "A"), (Some(2), "A")], vec![Some(1), Some(2)])]
    {
        let model = vehicles(controllers);
        for base in ["FullInventory", "ConfigurationInventory"] {
            let request: GetBaseReportRequest =
                decode(&format!(r#"{{"requestId":7,"reportBase":"{base}"}}"#)).expect("valid");
            let (_, reports) = v201::base_report(&model, &request, &situation(2), now);
            let data =
                reports.iter().flat_map(|report| report.report_data.iter().flat_map(|data| data.iter()));
            let told = data.filter(|data| data.component.name.as_str() == "ISO15118Ctrlr").map(|data| {
                let attribute = data.variable_attribute.first().expect("Actual");
                assert_eq!(attribute.persistent, Some(true));
                (data.component.evse.as_ref().map(|evse| evse.id), data.variable.name.as_str().to_owned())
            });
            let expected = evses.iter().flat_map(|evse| NAMES.map(|name| (*evse, name.to_owned())));
            assert_eq!(told.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{base}");
        }
    }
}

#[test]
fn b08_a_report_of_what_is_named() {
    let now: Timestamp = "2026-01-02T03:04:05Z".parse().expect("a date-time");
    let model = vehicles(&[(Some(1), "A"), (Some(2), "B")]);
    let check = |members: &str, status: &str, expected: &[(Option<i64>, &str)]| {
        let request: GetReportRequest = decode(&format!(r#"{{"requestId":7{members}}}"#)).expect("valid");
        let (response, reports) = v201::report(&model, &request, &situation(2), now);
        let data = reports.iter().flat_map(|report| report.report_data.iter().flat_map(|data| data.iter()));
        let told =
            data.map(|data| (data.component.evse.as_ref().map(|evse| evse.id), data.variable.name.as_str()));
        assert_eq!(
            (response.status.to_string().as_str(), told.collect::<Vec<_>>().as_slice()),
            (status, expected)
        );
        assert!(reports.iter().all(|report| report.request_id == 7));
    };
    let named = |list: &str| format!(r#","componentVariable":[{list}]"#);
    let secc_id = r#"{"component":{"name":"ISO15118Ctrlr"},"variable":{"name":"SeccId"}}"#;
    check(&named(secc_id), "Accepted", &[(Some(1), "SeccId"), (Some(2), "SeccId")]);
    let of_2 = r#"{"component":{"name":"iso15118ctrlr","evse":{"id":2}},"variable":{"name":"seccid"}}"#;
    check(&named(of_2), "Accepted", &[(Some(2), "SeccId")]);
    // Each variable is reported once, however often the request selects it.
    let timeout = r#"{"component":{"name":"OCPPCommCtrlr"},"variable":{"name":"MessageTimeout"}}"#;
    let all = named(&[of_2, timeout, secc_id].join(","));
    check(&all, "Accepted", &[(None, "MessageTimeout"), (Some(1), "SeccId"), (Some(2), "SeccId")]);
    for nothing in [
        r#"{"component":{"name":"ISO15118Ctrlr","evse":{"id":3}}}"#,
        r#"{"component":{"name":"ISO15118Ctrlr","evse":{"id":1,"connectorId":1}}}"#,
        r#"{"component":{"name":"SecurityCtrlr","evse":{"id":1}}}"#,
        r#"{"component":{"name":"Nonsense"}}"#,
        r#"{"component":{"name":"OCPPCommCtrlr"},"variable":{"name":"MessageTimeout","instance":"Other"}}"#,
    ] {
        check(&named(nothing), "EmptyResultSet", &[]);
    }
    check(r#","componentCriteria":["Problem"]"#, "EmptyResultSet", &[]);
    let both = format!(r#"{},"componentCriteria":["Problem","Active"]"#, named(of_2));
    check(&both, "Accepted", &[(Some(2), "SeccId")]);
}

#[test]
fn a02_evses_that_share_a_secc_need_one_certificate() {
    let mut model = vehicles(&[(Some(1), "A"), (Some(2), "B"), (Some(3), "A")]);
    let ids = |seccs: Vec<Secc>| seccs.into_iter().map(|secc| (secc.id, secc.evses)).collect::<Vec<_>>();
    let (a, b) = (("A".to_owned(), vec![1, 3]), ("B".to_owned(), vec![2]));
    assert_eq!(ids(model.seccs()), [a.clone(), b.clone()]);
    // F06.FR.11
    assert_eq!(ids(model.seccs_of(None)), [a.clone(), b.clone()]);
    assert_eq!(ids(model.seccs_of(Some(3))), [a]);
    assert!(model.seccs_of(Some(4)).is_empty() && model.seccs_of(Some(-1)).is_empty());
    let first = model.seccs().remove(0);
    assert_eq!((first.organization.as_str(), first.country.as_deref()), ("Example CSO", Some("NL")));
    // The setting is on for an SECC if it is on for one of its controllers.
    write(&mut model, &component(Some(1)), "V2GCertificateInstallationEnabled", "false");
    assert!(model.seccs()[0].certificate_installation);
    write(&mut model, &component(Some(3)), "V2GCertificateInstallationEnabled", "false");
    assert!(!model.seccs()[0].certificate_installation && model.seccs()[1].certificate_installation);
    // F06.FR.03: one controller for all, whatever EVSE is named.
    assert_eq!(ids(vehicles(&[(None, "A")]).seccs_of(Some(7))), [("A".to_owned(), vec![])]);
}

#[test]
fn a02_fr_21_pnc_is_off_until_the_station_starts_anew() {
    let mut model = vehicles(&[(Some(1), "A"), (Some(2), "B"), (Some(3), "A")]);
    let written = model.to_json().expect("writes");
    model.suspend_pnc("A");
    let enabled = |model: &DeviceModel| [1, 2, 3].map(|evse| model.is_pnc_enabled(Some(evse)));
    assert_eq!(enabled(&model), [false, true, false]);
    assert_eq!(read(&model, &component(Some(1)), "PnCEnabled").1, "false");
    assert_eq!(model.to_json().expect("writes"), written, "it is not persistent");
    // The CSMS may set it again at once.
    assert_eq!(write(&mut model, &component(Some(1)), "PnCEnabled", "true"), "Accepted");
    assert_eq!(enabled(&model), [true, true, false]);
    let text = model.to_json().expect("writes");
    let again = DeviceModel::from_json(&text, model.defaults.clone()).expect("reads");
    assert_eq!(enabled(&again), [true; 3]);
}
