//! The content of an error, and what it must not contain.

use ocpp_types::{DecodeError, RpcErrorCode, Version, Violation, decode, v16, v21, v201};
use serde_core::de::DeserializeOwned;

fn check<T: DeserializeOwned>(payload: &str, pointer: &str, code: RpcErrorCode, message: &str) {
    let Err(error) = decode::<T>(payload) else { panic!("accepted: {payload}") };
    assert_eq!((error.pointer(), error.rpc_code(Version::V201)), (pointer, code), "{error}");
    assert_eq!(error.to_string(), message);
}

#[test]
fn csr_of_5501_characters() {
    check::<v201::SignCertificateRequest>(
        &format!(r#"{{"csr":"{}"}}"#, "x".repeat(5501)),
        "/csr",
        RpcErrorCode::PropertyConstraintViolation,
        "/csr: 5501 characters, at most 5500 are allowed",
    );
}

#[test]
fn unknown_certificate_type() {
    check::<v201::SignCertificateRequest>(
        r#"{"csr":"","certificateType":"CSMSCertificate"}"#,
        "/certificateType",
        RpcErrorCode::TypeConstraintViolation,
        r#"/certificateType: found "CSMSCertificate", expected one of ChargingStationCertificate, V2GCertificate"#,
    );
}

#[test]
fn serial_number_of_41_characters() {
    let payload = format!(
        r#"{{"certificateHashData":{{"hashAlgorithm":"SHA256","issuerNameHash":"","issuerKeyHash":"","serialNumber":"{}"}}}}"#,
        "0".repeat(41)
    );
    check::<v201::DeleteCertificateRequest>(
        &payload,
        "/certificateHashData/serialNumber",
        RpcErrorCode::PropertyConstraintViolation,
        "/certificateHashData/serialNumber: 41 characters, at most 40 are allowed",
    );
}

#[test]
fn each_kind_of_fault() {
    use RpcErrorCode::{
        FormatViolation, OccurrenceConstraintViolation, PropertyConstraintViolation, TypeConstraintViolation,
    };
    for (payload, pointer, code, message) in [
        ("", "", FormatViolation, "payload: not JSON, at line 1 column 1"),
        ("[]", "", FormatViolation, "payload: found an array, expected an object"),
        ("null", "", FormatViolation, "payload: found null, expected an object"),
        (
            r#"{"csr":"","x":1}"#,
            "/x",
            FormatViolation,
            "/x: no such member; known are customData, csr, certificateType",
        ),
        (r#"{"csr":"","csr":""}"#, "/csr", FormatViolation, "/csr: the same member twice"),
        ("{}", "/csr", OccurrenceConstraintViolation, "/csr: required, but absent"),
        (
            r#"{"csr":1}"#,
            "/csr",
            TypeConstraintViolation,
            "/csr: found a number, expected a string of at most 5500 characters",
        ),
        (
            r#"{"csr":"","certificateType":null}"#,
            "/certificateType",
            TypeConstraintViolation,
            "/certificateType: found null, expected a string, one of the values of CertificateSigningUseEnumType",
        ),
        (
            r#"{"csr":"","customData":{}}"#,
            "/customData/vendorId",
            OccurrenceConstraintViolation,
            "/customData/vendorId: required, but absent",
        ),
        (
            r#"{"csr":"","customData":{"vendorId":"a","x":[{"y":1,"y":2}]}}"#,
            "/customData/x/0/y",
            FormatViolation,
            "/customData/x/0/y: the same member twice",
        ),
    ] {
        check::<v201::SignCertificateRequest>(payload, pointer, code, message);
    }
    check::<v201::GetInstalledCertificateIdsRequest>(
        r#"{"certificateType":[]}"#,
        "/certificateType",
        OccurrenceConstraintViolation,
        "/certificateType: 0 items, expected at least 1",
    );
    check::<v201::SecurityEventNotificationRequest>(
        r#"{"type":"MemoryExhaustion","timestamp":"2024-05-06T12:00:00"}"#,
        "/timestamp",
        PropertyConstraintViolation,
        r#"/timestamp: found "2024-05-06T12:00:00", expected a string, a date-time by RFC 3339 with its offset"#,
    );
    check::<v201::HeartbeatResponse>(
        r#"{"currentTime":"2024-05-06T12:00:00Z"} {}"#,
        "",
        FormatViolation,
        "payload: not JSON, at line 1 column 40",
    );
}

#[test]
fn every_violation_has_its_code() {
    use RpcErrorCode::{
        FormatViolation, OccurrenceConstraintViolation, PropertyConstraintViolation, TypeConstraintViolation,
    };
    for (violation, code) in [
        (Violation::NotJson, FormatViolation),
        (Violation::NotAnObject, FormatViolation),
        (Violation::UnknownMember, FormatViolation),
        (Violation::DuplicateMember, FormatViolation),
        (Violation::WrongType, TypeConstraintViolation),
        (Violation::UnknownValue, TypeConstraintViolation),
        (Violation::Constraint, PropertyConstraintViolation),
        (Violation::MissingMember, OccurrenceConstraintViolation),
        (Violation::ItemCount, OccurrenceConstraintViolation),
    ] {
        for version in Version::ALL {
            assert_eq!(RpcErrorCode::of_violation(violation, *version), code);
        }
    }
}

#[test]
fn every_version_has_its_spelling() {
    for (payload, in_v16, in_v2) in [
        ("{", "FormationViolation", "FormatViolation"),
        (r#"{"csr":"","x":1}"#, "FormationViolation", "FormatViolation"),
        ("{}", "OccurenceConstraintViolation", "OccurrenceConstraintViolation"),
        (r#"{"csr":1}"#, "TypeConstraintViolation", "TypeConstraintViolation"),
    ] {
        let spelled =
            |error: DecodeError, version: Version| error.rpc_code(version).as_str(version).to_owned();
        let v16 = decode::<v16::SignCertificateRequest>(payload).unwrap_err();
        let v201 = decode::<v201::SignCertificateRequest>(payload).unwrap_err();
        let v21 = decode::<v21::SignCertificateRequest>(payload).unwrap_err();
        assert_eq!(spelled(v16, Version::V16), in_v16, "{payload}");
        assert_eq!(spelled(v201, Version::V201), in_v2, "{payload}");
        assert_eq!(spelled(v21, Version::V21), in_v2, "{payload}");
    }
}

#[test]
fn rules_of_1_6_and_2_1_are_stated() {
    let error = decode::<v16::GetDiagnosticsRequest>(r#"{"location":"cs:hunter2@example"}"#);
    assert!(error.is_ok(), "a scheme and a path: {error:?}");
    let error =
        decode::<v16::GetDiagnosticsRequest>(r#"{"location":"//cs:hunter2@example.org"}"#).unwrap_err();
    assert_eq!(error.to_string(), "/location: not a URI by RFC 3986 with its scheme");
    let period = r#"{"connectorId":1,"csChargingProfiles":{"chargingProfileId":1,"stackLevel":0,"chargingProfilePurpose":"TxProfile",
        "chargingProfileKind":"Absolute","chargingSchedule":{"chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":16.25}]}}}"#;
    let error = decode::<v16::SetChargingProfileRequest>(period).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/csChargingProfiles/chargingSchedule/chargingSchedulePeriod/0/limit: found 16.25, expected a number with at most one decimal"
    );
    let error = decode::<v21::ClosePeriodicEventStreamRequest>(r#"{"id":-1}"#).unwrap_err();
    assert_eq!(error.to_string(), "/id: found -1, expected a whole number, at least 0");
    // The tag of a driver and the value of a key are secrets in 1.6 too.
    let payload = format!(r#"{{"idTag":"{}"}}"#, "7".repeat(21));
    let error = decode::<v16::AuthorizeRequest>(&payload).unwrap_err();
    assert_eq!(error.to_string(), "/idTag: too long, at most 20 are allowed");
    let payload = format!(r#"{{"key":"AuthorizationKey","value":"{}"}}"#, "f".repeat(501));
    let error = decode::<v16::ChangeConfigurationRequest>(&payload).unwrap_err();
    assert_eq!(error.to_string(), "/value: too long, at most 500 are allowed");
}

#[test]
fn secrets_are_not_repeated() {
    const SECRET: &str = "hunter2";
    fn refused<T: DeserializeOwned>(payload: &str) {
        let Err(error) = decode::<T>(payload) else { panic!("accepted: {payload}") };
        assert!(!format!("{error} {error:?}").contains(SECRET), "{error}");
    }
    // Values of variables, tokens and a vendor's own data, each in a place where a fault would show
    // the value.
    refused::<v201::SetVariablesRequest>(&format!(
        r#"{{"setVariableData":[{{"attributeValue":["{SECRET}"],"component":{{"name":"a"}},"variable":{{"name":"b"}}}}]}}"#
    ));
    refused::<v201::AuthorizeRequest>(&format!(r#"{{"idToken":{{"idToken":"a","type":"{SECRET}"}}}}"#));
    refused::<v201::SignCertificateRequest>(&format!(
        r#"{{"csr":"","customData":{{"vendorId":["{SECRET}"]}}}}"#
    ));
    refused::<v201::SetNetworkProfileRequest>(&format!(
        r#"{{"configurationSlot":1,"connectionData":{{"ocppVersion":"OCPP20","ocppTransport":"JSON","ocppCsmsUrl":"","messageTimeout":30,
        "securityProfile":2,"ocppInterface":"Wired0","apn":{{"apn":"","apnPassword":{{"a":"{SECRET}"}},"apnAuthentication":"PAP"}}}}}}"#
    ));
    // A key that is too long is neither shown nor counted.
    refused::<v201::SetNetworkProfileRequest>(&format!(
        r#"{{"configurationSlot":1,"connectionData":{{"ocppVersion":"OCPP20","ocppTransport":"JSON","ocppCsmsUrl":"","messageTimeout":30,
        "securityProfile":2,"ocppInterface":"Wired0","vpn":{{"server":"","user":"","password":"","key":"{}","type":"PPTP"}}}}}}"#,
        SECRET.repeat(40)
    ));
    let payload = format!(r#"{{"idToken":{{"idToken":"{}","type":"Central"}}}}"#, "7".repeat(37));
    let error = decode::<v201::AuthorizeRequest>(&payload).unwrap_err();
    assert_eq!(error.to_string(), "/idToken/idToken: too long, at most 36 are allowed");
    // Text that is not JSON is not repeated either.
    refused::<v201::SignCertificateRequest>(&format!(r#"{{"csr":"{SECRET}"#));
    refused::<v201::SignCertificateRequest>(&format!(r#""{SECRET}""#));
}

#[test]
fn long_names_and_values_are_cut() {
    let name = "n".repeat(100_000);
    let error = decode::<v201::SignCertificateRequest>(&format!(r#"{{"csr":"","{name}":1}}"#)).unwrap_err();
    assert!(error.to_string().len() < 300, "{error}");
    let value = "v".repeat(100_000);
    let payload = format!(r#"{{"csr":"","certificateType":"{value}"}}"#);
    let error = decode::<v201::SignCertificateRequest>(&payload).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/certificateType: found a string of 100000 characters, expected one of ChargingStationCertificate, V2GCertificate"
    );
    let error = decode::<v201::SignCertificateRequest>("{\"csr\":\"\",\"a\\u001b[31m\\n\":1}").unwrap_err();
    assert!(!error.to_string().contains(['\u{1b}', '\n']), "{error}");
}
