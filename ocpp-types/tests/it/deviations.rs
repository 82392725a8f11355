//! Deviations of the types from the schemas: one test for each row of the table in the
//! documentation of the crate, in its order; and two cases that only look like deviations.

use std::time::{Duration, UNIX_EPOCH};

use ocpp_types::{
    BoundedNumber, DecodeError, Number, Tenths, Timestamp, Violation, decode, encode, v16, v201,
};

/// A response of 2.0.1, draft-06, with an integer.
fn interval(number: &str) -> Result<i64, DecodeError> {
    let payload =
        format!(r#"{{"status":"Accepted","currentTime":"2024-05-06T12:00:00Z","interval":{number}}}"#);
    decode::<v201::BootNotificationResponse>(&payload).map(|response| response.interval)
}

/// A request of 1.6, draft-04, with an integer.
fn connector(number: &str) -> Result<i64, DecodeError> {
    let payload = format!(r#"{{"connectorId":{number}}}"#);
    decode::<v16::UnlockConnectorRequest>(&payload).map(|request| request.connector_id)
}

#[test]
fn integers_beyond_64_bits_are_refused_and_not_rounded() {
    for number in ["9223372036854775808", "-9223372036854775809", "18446744073709551616"] {
        for error in [interval(number).unwrap_err(), connector(number).unwrap_err()] {
            assert_eq!(error.violation(), Violation::Constraint, "{error}");
            assert!(error.to_string().ends_with("expected a whole number of 64 bits"), "{error}");
        }
    }
    for (number, value) in [("9223372036854775807", i64::MAX), ("-9223372036854775808", i64::MIN)] {
        assert_eq!(interval(number), Ok(value));
        assert_eq!(connector(number), Ok(value));
    }
}

#[test]
fn integers_from_2_to_the_53_on_are_read_in_digits_only() {
    for number in ["1e30", "9007199254740993.0", "9007199254740992.0", "9.007199254740992e15"] {
        assert_eq!(interval(number).unwrap_err().violation(), Violation::Constraint, "{number}");
    }
    assert_eq!(interval("9007199254740991.0"), Ok(9_007_199_254_740_991));
    assert_eq!(interval("9007199254740993"), Ok(9_007_199_254_740_993));
    for (number, value) in [("1e2", 100), ("17.0", 17), ("-1.50e1", -15), ("-0.0", 0)] {
        assert_eq!(interval(number), Ok(value));
    }
}

#[test]
fn a_fraction_too_small_for_a_float_is_not_seen() {
    assert_eq!(interval("1.00000000000000000001"), Ok(1));
    // The smallest fraction of 1 that a float has.
    assert_eq!(interval("1.0000000000000002").unwrap_err().violation(), Violation::WrongType);
    // 1.6 does not allow a fraction.
    assert_eq!(connector("1.00000000000000000001").unwrap_err().violation(), Violation::WrongType);
}

#[test]
fn an_integer_of_1_6_is_in_digits() {
    // Not a deviation: in draft-04 neither 0.0 nor -0.0 is an integer, and -0 is one.
    assert_eq!(connector("-0"), Ok(0));
    assert_eq!(interval("-0"), Ok(0));
    for number in ["-0.0", "-0e0", "-0E-5", "0.0", "17.0", "1e2", "-1e0", "-1.5"] {
        let error = connector(number).unwrap_err();
        assert_eq!(error.violation(), Violation::WrongType, "{number}");
        assert_eq!(error.to_string(), "/connectorId: found a number, expected a whole number in digits");
    }
}

#[test]
fn digits_beyond_those_of_a_float_are_rounded_but_for_data_of_a_vendor() {
    for number in ["0.12345678901234567890", "1.923840537789379e16", "17.0", "-0.0", "-0", "1E2", "1e-400"] {
        let payload = format!(r#"{{"csr":"","customData":{{"vendorId":"v","x":[{{"y":{number}}}]}}}}"#);
        let request: v201::SignCertificateRequest = decode(&payload).unwrap();
        assert!(encode(&request).unwrap().contains(&format!(r#""y":{number}}}"#)), "{number}");
        // Also with serde_json, through its form for raw JSON.
        assert!(serde_json::to_string(&request).unwrap().contains(&format!(r#""y":{number}}}"#)));
    }

    let number: Number = serde_json::from_str("0.12345678901234567890").unwrap();
    assert_eq!(encode(&number).unwrap(), "0.12345678901234568");
    let whole: Number = serde_json::from_str("18446744073709551615").unwrap();
    assert_eq!(encode(&whole).unwrap(), "18446744073709551615");
}

#[test]
fn a_rule_is_held_against_the_rounded_number() {
    let bounded: BoundedNumber<0, 100> = serde_json::from_str("100.00000000000000000001").unwrap();
    assert_eq!(bounded.get(), Number::from(100));
    let tenths: Tenths = serde_json::from_str("12.30000000000000000001").unwrap();
    assert_eq!(encode(&tenths).unwrap(), "12.3");
    assert!(serde_json::from_str::<BoundedNumber<0, 100>>("100.00000000000002").is_err());
    assert!(serde_json::from_str::<Tenths>("12.300000000000002").is_err());
}

#[test]
fn numbers_beyond_those_of_a_float_are_refused() {
    assert!(serde_json::from_str::<Number>("1e309").is_err());
    assert!(serde_json::from_str::<Number>("-1e309").is_err());
    assert!(serde_json::from_str::<Number>("1.7976931348623157e308").is_ok());
    for number in ["1e400", "-1e400", "1e308999"] {
        let data = decode::<v201::SignCertificateRequest>(&format!(
            "{{\n \"csr\":\"\",\"customData\":{{\"vendorId\":\"v\",\"x\":{number}}}}}"
        ));
        for error in [interval(number).unwrap_err(), connector(number).unwrap_err(), data.unwrap_err()] {
            // It is JSON, and it is not nested.
            assert_eq!(error.violation(), Violation::Constraint, "{error}");
            assert!(error.to_string().starts_with("payload: a number beyond those of a float"), "{error}");
        }
    }
}

/// OCPP 1.6, 3.14: ISO 8601. In 2.x the schema decides (2.0.1 Part 2, dateTime: RFC 3339).
#[test]
fn a_date_time_of_1_6_is_read_as_iso_8601() {
    for (text, expected) in [
        ("2026-11-30T12:00:00.123456", "2026-11-30T12:00:00.123456Z"),
        ("2026-11-30T12:00:00", "2026-11-30T12:00:00Z"),
        ("2026-11-30T12:00", "2026-11-30T12:00:00Z"),
        ("2026-11-30T12:00Z", "2026-11-30T12:00:00Z"),
        ("2026-11-30T12:00:00,5", "2026-11-30T12:00:00.500Z"),
        ("2026-11-30T12:00:00+0200", "2026-11-30T10:00:00Z"),
        ("2026-11-30T12:00:00-02", "2026-11-30T14:00:00Z"),
        ("2026-11-30T12:00:00+02:00", "2026-11-30T10:00:00Z"),
    ] {
        let payload = format!(r#"{{"currentTime":"{text}"}}"#);
        let response: v16::HeartbeatResponse = decode(&payload).expect(text);
        assert_eq!(encode(&response).unwrap(), format!(r#"{{"currentTime":"{expected}"}}"#));
        let event = format!(r#"{{"type":"InvalidTLSVersion","timestamp":"{text}"}}"#);
        let event: v16::SecurityEventNotificationRequest = decode(&event).expect(text);
        assert_eq!(event.timestamp.to_string(), expected);
        let strict = decode::<v201::HeartbeatResponse>(&payload);
        assert_eq!(strict.is_ok(), text.ends_with("+02:00"), "{text}");
    }
    for text in [
        "2026-11-30",
        "2026-11-30T",
        "2026-11-30T12",
        "2026-11-30T12:0",
        "2026-11-30 12:00:00",
        "12:00:00",
        "",
        "2026-11-30T12:00:00+1",
        "2026-11-30T12:00:00Z0",
        "2026-11-30T12:00:00+02:0",
        "2026-11-30T25:00",
        "2026-11-30T12:00:00ä",
        "2026-11-30T12:00:00+äa",
        "2026-11-30T12:00:00.",
        "2026-13-30T12:00:00",
        "20261130T120000Z",
    ] {
        let error = decode::<v16::HeartbeatResponse>(&format!(r#"{{"currentTime":"{text}"}}"#)).unwrap_err();
        assert_eq!((error.pointer(), error.violation()), ("/currentTime", Violation::Constraint), "{text}");
    }
}

#[test]
fn an_instant_whose_year_has_four_digits_in_one_offset_only_is_written_in_it() {
    // Not a deviation: each of them is a date-time, and is written as the same instant.
    for (text, written) in [
        ("0000-01-01T00:00:00+00:01", "0000-01-01T23:58:00+23:59"),
        ("0000-01-01T00:00:00+23:59", "0000-01-01T00:00:00+23:59"),
        ("9999-12-31T23:59:59-00:01", "9999-12-31T00:01:59-23:59"),
        ("9999-12-31T23:59:59.999-23:59", "9999-12-31T23:59:59.999-23:59"),
        ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999Z"),
    ] {
        let payload = format!(r#"{{"currentTime":"{text}"}}"#);
        let response: v201::HeartbeatResponse = decode(&payload).expect(text);
        assert_eq!(encode(&response).unwrap(), format!(r#"{{"currentTime":"{written}"}}"#));
        let again: Timestamp = written.parse().unwrap();
        assert_eq!(again, response.current_time);
        assert_eq!(Timestamp::from(std::time::SystemTime::from(again)), again);
    }
    // An instant with no such offset cannot be sent.
    let far = Timestamp::from(UNIX_EPOCH + Duration::from_secs(300_000_000_000));
    let error = encode(&v201::HeartbeatResponse::new(far)).unwrap_err().to_string();
    assert!(
        error.starts_with("payload cannot be encoded: a point in time outside of the years 0 to 9999"),
        "{error}"
    );
}

#[test]
fn digits_beyond_those_of_a_nanosecond_are_cut() {
    let time: Timestamp = "2024-05-06T12:00:00.1234567899Z".parse().unwrap();
    assert_eq!(time.to_string(), "2024-05-06T12:00:00.123456789Z");
}

#[test]
fn half_of_a_surrogate_pair_is_no_text() {
    let whole = decode::<v201::SignCertificateRequest>(r#"{"csr":"\ud83d\ude00"}"#).unwrap();
    assert_eq!(whole.csr.as_str(), "😀");
    for half in [r#"{"csr":"\ud83d"}"#, r#"{"csr":"\ude00\ud83d"}"#] {
        let error = decode::<v201::SignCertificateRequest>(half).unwrap_err();
        assert_eq!(error.violation(), Violation::NotJson);
    }
}

#[test]
fn nesting_ends_at_127() {
    let nested = |depth: usize| {
        // The payload and its customData are two of them.
        let (open, close) = ("[".repeat(depth - 2), "]".repeat(depth - 2));
        decode::<v201::SignCertificateRequest>(&format!(
            r#"{{"csr":"","customData":{{"vendorId":"v","x":{open}{close}}}}}"#
        ))
    };
    assert!(nested(127).is_ok());
    let error = nested(128).unwrap_err();
    assert_eq!(error.violation(), Violation::NotJson);
    assert!(error.to_string().starts_with("payload: more than 127 values within one another, at line 1"));
}

#[test]
fn the_same_member_twice_is_refused() {
    for (payload, pointer) in [
        (r#"{"csr":"","csr":""}"#, "/csr"),
        (r#"{"csr":"","customData":{"vendorId":"v","x":{"y":1,"y":1}}}"#, "/customData/x/y"),
    ] {
        let error = decode::<v201::SignCertificateRequest>(payload).unwrap_err();
        assert_eq!((error.violation(), error.pointer()), (Violation::DuplicateMember, pointer));
    }
}
