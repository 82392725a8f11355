//! Values that are kept exactly.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ocpp_types::{
    BoundedNumber, BoundedString, BoundedVec, CustomData, NonEmptyVec, Number, Tenths, Timestamp, Uri, Value,
    Version, decode, encode, v201,
};
use proptest::prelude::*;

#[test]
fn vendors_data_comes_back_as_it_came() {
    let text = concat!(
        r#"{"customData":{"vendorId":"org.example","z":1,"a":{"y":[1,2.5,-3,18446744073709551615],"x":{}},"#,
        r#""é":"\u0000","n":null,"b":[true,false]},"vendorId":"v","messageId":"m","data":{"b":null,"a":[[]]}}"#
    );
    let request: v201::DataTransferRequest = decode(text).unwrap();
    let Some(Value::Object(data)) = &request.data else { panic!("{request:?}") };
    assert_eq!(data.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["b", "a"]);
    let encoded = encode(&request).unwrap();
    let custom = &text[..text.find(r#","vendorId":"v""#).unwrap()];
    assert!(encoded.starts_with(custom), "{encoded}");
    assert_eq!(decode::<v201::DataTransferRequest>(&encoded).unwrap(), request);
}

#[test]
fn null_is_data_and_not_absence() {
    let with: v201::DataTransferRequest = decode(r#"{"vendorId":"v","data":null}"#).unwrap();
    assert_eq!(with.data, Some(Value::Null));
    assert_eq!(encode(&with).unwrap(), r#"{"data":null,"vendorId":"v"}"#);
    let without: v201::DataTransferRequest = decode(r#"{"vendorId":"v"}"#).unwrap();
    assert_eq!(without.data, None);
}

#[test]
fn a_vendor_id_among_the_extras_cannot_make_a_frame_invalid() {
    let mut data = CustomData::new(BoundedString::try_from("org.example").unwrap());
    data.extra.insert("vendorId", 1);
    data.extra.insert("a", "b");
    assert_eq!(encode(&data).unwrap(), r#"{"vendorId":"org.example","a":"b"}"#);
}

#[test]
fn system_time_before_and_after_1970() {
    for (seconds, nanoseconds, text) in [
        (0, 0, "1970-01-01T00:00:00Z"),
        (1, 500_000_000, "1970-01-01T00:00:01.500Z"),
        (1_714_996_800, 1, "2024-05-06T12:00:00.000000001Z"),
    ] {
        let time = UNIX_EPOCH + Duration::new(seconds, nanoseconds);
        assert_eq!(Timestamp::from(time).to_string(), text);
        assert_eq!(SystemTime::from(Timestamp::from(time)), time);
    }
    let before = UNIX_EPOCH - Duration::from_millis(1500);
    assert_eq!(Timestamp::from(before).to_string(), "1969-12-31T23:59:58.500Z");
    assert_eq!(SystemTime::from(Timestamp::from(before)), before);
}

#[test]
fn bounds_hold_when_values_are_built() {
    assert!(BoundedString::<4>::try_from("éééé").is_ok());
    assert_eq!(
        BoundedString::<4>::try_from("ééééé").unwrap_err().to_string(),
        "5 characters, at most 4 are allowed"
    );
    assert_eq!(BoundedString::<4>::truncated("ééééé").as_str(), "éééé");
    assert_eq!(
        NonEmptyVec::<i64>::try_from(vec![]).unwrap_err().to_string(),
        "0 items, at least 1 are needed"
    );
    assert_eq!(
        BoundedVec::<i64, 1, 2>::try_from(vec![1, 2, 3]).unwrap_err().to_string(),
        "3 items, 1 to 2 are allowed"
    );
}

#[test]
fn numbers_with_a_rule() {
    type Discharge = BoundedNumber<{ i64::MIN }, 0>;
    for (value, is_within) in
        [(0.0, true), (-0.0, true), (-1e300, true), (1e-300, false), (0.1, false), (f64::NAN, false)]
    {
        assert_eq!(Discharge::try_from(value).is_ok(), is_within, "{value}");
    }
    assert!(Discharge::try_from(Number::from(u64::MAX)).is_err());
    assert_eq!(Discharge::try_from(1.0).unwrap_err().to_string(), "not a number, at most 0");
    assert_eq!(
        BoundedNumber::<0, 100>::try_from(100.5).unwrap_err().to_string(),
        "not a number from 0 to 100"
    );

    for (value, text) in [(16.0, "16"), (0.3, "0.3"), (-12.2, "-12.2"), (1e300, "1e300")] {
        assert_eq!(encode(&Tenths::try_from(value).unwrap()).unwrap().replace('+', ""), text);
    }
    for value in [16.25, -12.200_000_000_000_001, 1e-7, f64::INFINITY] {
        assert!(Tenths::try_from(value).is_err(), "{value}");
    }
    assert_eq!(Tenths::rounded(-12.200_000_000_000_001).unwrap(), Tenths::try_from(-12.2).unwrap());
    assert!(Tenths::rounded(f64::NAN).is_err());
}

#[test]
fn leap_seconds_are_at_the_end_of_a_day_only() {
    for (text, is_valid) in [
        ("2016-12-31T23:59:60Z", true),
        ("2016-12-31T23:59:60.5Z", true),
        ("1998-12-31T15:59:60.123-08:00", true),
        ("1998-12-31T23:58:60Z", false),
        ("1998-12-31T22:59:60Z", false),
        ("1998-12-31T23:59:60+01:00", false),
        ("1998-12-31T23:59:61Z", false),
    ] {
        assert_eq!(text.parse::<Timestamp>().is_ok(), is_valid, "{text}");
    }
    let within = chrono::NaiveDate::from_ymd_opt(2024, 5, 6).unwrap();
    let within = within.and_hms_nano_opt(12, 0, 59, 1_500_000_000).unwrap().and_utc();
    assert!(encode(&v201::HeartbeatResponse::new(Timestamp::from(within))).is_err());
}

#[test]
fn subprotocols() {
    assert_eq!("ocpp2.0.1".parse(), Ok(Version::V201));
    for (version, name) in
        [(Version::V16, "ocpp1.6"), (Version::V201, "ocpp2.0.1"), (Version::V21, "ocpp2.1")]
    {
        assert_eq!(version.subprotocol(), name);
        assert_eq!(name.parse(), Ok(version));
    }
    assert!("ocpp2.0".parse::<Version>().is_err());
}

/// The result of a validator that we did not write.
fn judged(schema: serde_json::Value, value: &serde_json::Value) -> bool {
    jsonschema::options().should_validate_formats(true).build(&schema).expect("a schema").is_valid(value)
}

proptest! {
    #[test]
    fn date_times_are_those_of_the_judge(
        text in "(00|19|20|99)[0-9]{2}-(0[0-9]|1[0-3])-([0-2][0-9]|3[0-2])[Tt ]([01][0-9]|2[0-4]):([0-5][0-9]|60):([0-5][0-9]|6[01])(\\.[0-9]{0,11})?([Zz]|[+\\-−]([01][0-9]|2[0-4]):([0-5][0-9]|60)|)"
    ) {
        let schema = serde_json::json!({ "type": "string", "format": "date-time" });
        let expected = judged(schema, &text.as_str().into());
        // The years before 0 and after 9999 in UTC are in the table of deviations.
        if !text.starts_with("0000-01-01") && !text.starts_with("9999-12-31") {
            prop_assert_eq!(text.parse::<Timestamp>().is_ok(), expected, "{}", text);
        }
    }

    #[test]
    fn uris_are_those_of_the_judge(text in "[a-z1+.]{0,3}:?(//)?[a-zA-Z0-9@:/?#%.v~ é!\\[\\]-]{0,14}") {
        let schema = serde_json::json!({ "type": "string", "format": "uri" });
        let expected = judged(schema, &text.as_str().into());
        prop_assert_eq!(text.parse::<Uri>().is_ok(), expected, "{}", text);
    }

    #[test]
    fn decimals_are_those_of_the_judge(value in -1_000_000_000_i64..1_000_000_000, scale in 0_u32..4) {
        #[allow(clippy::cast_precision_loss, reason = "below 2^53")]
        let value = value as f64 / f64::from(10_u32.pow(scale));
        let schema = serde_json::json!({ "type": "number", "multipleOf": 0.1 });
        prop_assert_eq!(Tenths::try_from(value).is_ok(), judged(schema, &value.into()), "{}", value);
    }

    #[test]
    fn numbers_keep_their_value(value in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO) {
        let number = Number::try_from(value).unwrap();
        prop_assert_eq!(number.as_f64(), value);
        let text = encode(&number).unwrap();
        let read: Number = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(read, number);
    }

    #[test]
    fn instants_survive_to_the_nanosecond(seconds in -62_135_596_800_i64..253_402_300_800, nanoseconds in 0_u32..1_000_000_000) {
        let time = chrono::DateTime::from_timestamp(seconds, nanoseconds).unwrap();
        let text = Timestamp::from(time).to_string();
        prop_assert_eq!(chrono::DateTime::<chrono::Utc>::from(text.parse::<Timestamp>().unwrap()), time);
    }

    #[test]
    fn strings_count_characters(text in ".{0,12}") {
        let fits = text.chars().count() <= 8;
        prop_assert_eq!(BoundedString::<8>::try_from(text.as_str()).is_ok(), fits);
        let payload = serde_json::json!({ "status": "Accepted", "statusInfo": { "reasonCode": text } }).to_string();
        prop_assert!(decode::<v201::SignCertificateResponse>(&payload).is_ok());
    }
}
