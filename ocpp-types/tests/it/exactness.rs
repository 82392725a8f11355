//! What is kept to the letter.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ocpp_types::{
    BoundedString, BoundedVec, CustomData, NonEmptyVec, Number, Timestamp, Value, Version, decode, encode,
    v201,
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
fn integers_beyond_64_bits_are_refused_and_not_rounded() {
    for number in ["9223372036854775808", "-9223372036854775809", "1e30", "9007199254740993.0"] {
        let payload =
            format!(r#"{{"status":"Accepted","currentTime":"2024-05-06T12:00:00Z","interval":{number}}}"#);
        let error = decode::<v201::BootNotificationResponse>(&payload).unwrap_err();
        assert_eq!(error.pointer(), "/interval", "{error}");
    }
    for (number, value) in
        [("9223372036854775807", i64::MAX), ("-9223372036854775808", i64::MIN), ("1e2", 100), ("-0.0", 0)]
    {
        let payload =
            format!(r#"{{"status":"Accepted","currentTime":"2024-05-06T12:00:00Z","interval":{number}}}"#);
        assert_eq!(decode::<v201::BootNotificationResponse>(&payload).unwrap().interval, value);
    }
}

#[test]
fn digits_beyond_those_of_a_float_and_of_a_nanosecond_are_cut() {
    let number: Number = serde_json::from_str("0.12345678901234567890").unwrap();
    assert_eq!(encode(&number).unwrap(), "0.12345678901234568");
    let time: Timestamp = "2024-05-06T12:00:00.1234567899Z".parse().unwrap();
    assert_eq!(time.to_string(), "2024-05-06T12:00:00.123456789Z");
}

#[test]
fn instants_that_cannot_be_written_are_an_error() {
    let far = Timestamp::from(UNIX_EPOCH + Duration::from_secs(300_000_000_000));
    let error = encode(&v201::HeartbeatResponse::new(far)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "payload cannot be encoded: a point in time outside of the years 0 to 9999"
    );
    // In UTC this is a year before 0.
    assert!("0000-01-01T00:00:00+01:00".parse::<Timestamp>().is_err());
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

proptest! {
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
