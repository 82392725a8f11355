use alloc::{
    collections::BTreeMap,
    string::{String, ToString as _},
    vec,
    vec::Vec,
};

use proptest::prelude::*;
use serde::Serialize;

use super::write;

#[derive(Serialize)]
struct Named {
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    absent: Option<u8>,
    null: Option<u8>,
    unit: (),
    letter: char,
    small: f32,
    large: f64,
    numbers: (i8, i16, i32, i64, u8, u16, u32, u64, u128),
    empty: Vec<u8>,
    map: BTreeMap<String, Vec<bool>>,
    kinds: Vec<Kind>,
    wrapped: Wrapped,
    pair: Pair,
    nothing: Nothing,
}

#[derive(Serialize)]
enum Kind {
    Unit,
    Newtype(i64),
    Tuple(i64, i64),
    Struct { a: i64 },
}

#[derive(Serialize)]
struct Wrapped(i64);

#[derive(Serialize)]
struct Pair(i64, String);

#[derive(Serialize)]
struct Nothing;

/// Checks that the writer writes the same text as serde_json.
fn check<T: Serialize>(value: &T) {
    assert_eq!(write(value).unwrap(), serde_json::to_string(value).unwrap());
}

#[test]
fn everything_that_serde_has() {
    check(&Named {
        text: (0..=0x7f_u8).map(char::from).chain("é漢😀\u{2028}".chars()).collect(),
        absent: None,
        null: None,
        unit: (),
        letter: '"',
        small: 0.1,
        large: 1e21,
        numbers: (-1, -2, -3, i64::MIN, 1, 2, 3, u64::MAX, u128::MAX),
        empty: vec![],
        map: [("a\n".to_string(), vec![true, false]), (String::new(), vec![])].into(),
        kinds: vec![Kind::Unit, Kind::Newtype(1), Kind::Tuple(1, 2), Kind::Struct { a: 1 }],
        wrapped: Wrapped(7),
        pair: Pair(1, "b".to_string()),
        nothing: Nothing,
    });
    check(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0, 1.0, 5e-324, f64::MAX, 1e16, 123_456.7]);
    check(&[f32::NAN, f32::MAX, 16.5]);
}

#[test]
fn what_has_no_place_in_json() {
    let error = write(&BTreeMap::from([(1, 2)])).unwrap_err();
    assert_eq!(error.to_string(), "a member whose name is not a string");
    // Raw numbers are written unchanged; other raw JSON is refused.
    let raw = |text: &str| serde_json::value::RawValue::from_string(text.to_string()).unwrap();
    assert_eq!(write(&raw("1.50")).unwrap(), "1.50");
    assert!(write(&raw(r#""a""#)).is_err());
}

proptest! {
    #[test]
    fn any_string(text in any::<String>()) {
        check(&text);
    }

    #[test]
    fn any_float(value in any::<f64>()) {
        check(&value);
    }
}
