//! Random values of every message: a value stays the same when it is decoded and encoded, and an
//! invalid one is refused.

use ocpp_types::{Version, decode, encode};
use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{Index, select},
    test_runner::{Config, TestRunner},
};
use serde_json::{Map, Value, json};

use crate::{
    differential::equal,
    messages::{Message, messages},
};

/// The number of random payloads of each message; there are 387 messages.
const CASES: u32 = 24;

fn runner() -> TestRunner {
    // With the file's name, a failing payload is stored beside the file and tried first from then
    // on.
    TestRunner::new(Config { cases: CASES, source_file: Some(file!()), ..Config::default() })
}

fn every_message(version: Version, check: impl Fn(&Message, &Value)) {
    for message in messages().into_iter().filter(|message| message.version == version) {
        let schema = message.schema();
        check(&message, &schema);
    }
}

#[test]
fn v16_values_survive() {
    every_message(Version::V16, survive);
}

#[test]
fn v201_values_survive() {
    every_message(Version::V201, survive);
}

#[test]
fn v21_values_survive() {
    every_message(Version::V21, survive);
}

/// Encoding after decoding is the identity: for JSON by its meaning, and for the value exactly.
fn survive(message: &Message, schema: &Value) {
    let payloads = Schema { root: schema }.value(schema);
    let result = runner().run(&payloads, |payload| {
        let encoded = message.round_trip(&payload.to_string());
        let encoded = encoded.map_err(|error| TestCaseError::fail(format!("refused: {error}")))?;
        let read: Value = serde_json::from_str(&encoded).expect("JSON");
        prop_assert!(equal(&payload, &read), "became {}", encoded);
        prop_assert_eq!(&message.round_trip(&encoded).expect("what was encoded"), &encoded);
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{}: {error}", message.name));
}

#[test]
fn v16_broken_values_are_judged_as_by_the_schema() {
    every_message(Version::V16, broken);
}

#[test]
fn v201_broken_values_are_judged_as_by_the_schema() {
    every_message(Version::V201, broken);
}

#[test]
fn v21_broken_values_are_judged_as_by_the_schema() {
    every_message(Version::V21, broken);
}

/// Any JSON in any place of a valid payload: nothing panics, and the validator has the same result.
fn broken(message: &Message, schema: &Value) {
    let judge = jsonschema::options().should_validate_formats(true).build(schema).expect("a schema");
    let payloads = (Schema { root: schema }.value(schema), any::<Index>(), any_json());
    let result = runner().run(&payloads, |(mut payload, place, other)| {
        let mut pointers = Vec::new();
        collect(&payload, String::new(), &mut pointers);
        let pointer = place.get(&pointers);
        *payload.pointer_mut(pointer).expect("it was collected") = other;
        let ours = message.round_trip(&payload.to_string());
        prop_assert_eq!(ours.is_ok(), judge.is_valid(&payload), "{:?} at {}: {}", ours, pointer, payload);
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{}: {error}", message.name));
}

/// The pointers to a value and to everything in it.
fn collect(value: &Value, pointer: String, pointers: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                collect(value, format!("{pointer}/{name}"), pointers);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                collect(value, format!("{pointer}/{index}"), pointers);
            }
        }
        _ => {}
    }
    pointers.push(pointer);
}

/// JSON of any form, without the numbers for which types and schemas differ (see the table in the
/// documentation).
fn any_json() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-1_000_i64..1_000).prop_map(Value::from),
        (-1_000_i64..1_000).prop_map(|eighths| json!(eighths as f64 / 8.0)),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec(("[a-z]{0,4}", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
    .boxed()
}

/// Makes random valid values.
#[derive(Clone, Copy)]
struct Schema<'a> {
    root: &'a Value,
}

impl<'a> Schema<'a> {
    fn value(self, schema: &'a Value) -> BoxedStrategy<Value> {
        if let Some(reference) = schema["$ref"].as_str() {
            return self.value(self.root.pointer(reference.trim_start_matches('#')).expect("a definition"));
        }
        if let Some(values) = schema["enum"].as_array() {
            return select(values.clone()).boxed();
        }
        match schema["type"].as_str() {
            Some("object") => self.object(schema),
            Some("array") => {
                let bound = |keyword: &str| schema[keyword].as_u64().and_then(|bound| usize::try_from(bound).ok());
                let min = bound("minItems").unwrap_or(0);
                let max = bound("maxItems").unwrap_or(usize::MAX).min(min + 2);
                vec(self.value(&schema["items"]), min..=max).prop_map(Value::from).boxed()
            }
            Some("string") if schema["format"] == "date-time" => date_time(),
            Some("string") if schema["format"] == "uri" => {
                "[a-z][a-z0-9+.-]{0,5}:(//[a-z.]{0,9}(:[0-9]{0,4})?)?(/([a-z~_-]|%[0-9A-F]{2}){0,6}){0,3}(\\?[a-z=&/?]{0,9})?(#[a-z]{0,3})?"
                    .prop_map(Value::from)
                    .boxed()
            }
            Some("string") => text(schema["maxLength"].as_u64()),
            Some("integer") => {
                let bound = |keyword: &str| schema[keyword].as_f64().map(|bound| bound as i64);
                let range = bound("minimum").unwrap_or(i64::MIN)..=bound("maximum").unwrap_or(i64::MAX);
                range.prop_map(Value::from).boxed()
            }
            Some("number") => number(schema),
            Some("boolean") => any::<bool>().prop_map(Value::from).boxed(),
            _ => any_json(),
        }
    }

    fn object(self, schema: &'a Value) -> BoxedStrategy<Value> {
        let required: Vec<_> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let members = schema["properties"].as_object().into_iter().flatten().map(|(name, member)| {
            let value = self.value(member);
            let chosen = if required.contains(&name.as_str()) {
                value.prop_map(Some).boxed()
            } else {
                option::weighted(0.4, value).boxed()
            };
            let name = name.clone();
            chosen.prop_map(move |value| value.map(|value| (name.clone(), value))).boxed()
        });
        let known = members.collect::<Vec<_>>();
        let extra = if schema["additionalProperties"] == false {
            Just(Vec::new()).boxed()
        } else {
            vec(("x[a-z\u{e9}/~\"]{0,4}", any_json()), 0..3).boxed()
        };
        (known, extra)
            .prop_map(|(known, extra)| {
                Value::Object(known.into_iter().flatten().chain(extra).collect::<Map<_, _>>())
            })
            .boxed()
    }
}

/// Texts of all lengths, including the maximum.
fn text(max: Option<u64>) -> BoxedStrategy<Value> {
    let max = max.map_or(40, |max| usize::try_from(max).expect("a length"));
    let short = vec(any::<char>(), 0..=max.min(12)).prop_map(String::from_iter);
    let longest = any::<char>().prop_map(move |letter| letter.to_string().repeat(max));
    prop_oneof![8 => short, 1 => longest].prop_map(Value::from).boxed()
}

fn date_time() -> BoxedStrategy<Value> {
    // From 0001-01-02 to 9999-12-30, so that no offset leads out of the years that can be written.
    let nanoseconds = select(vec![0, 1, 1_000, 123_456_789, 250_000_000, 999_999_999]);
    (-62_135_510_400_i64..253_402_214_400, nanoseconds, -1439_i32..1440)
        .prop_map(|(seconds, nanoseconds, minutes)| {
            let time = chrono::DateTime::from_timestamp(seconds, nanoseconds).expect("it is in range");
            let offset = chrono::FixedOffset::east_opt(minutes * 60).expect("less than a day");
            json!(time.with_timezone(&offset).to_rfc3339())
        })
        .boxed()
}

fn number(schema: &Value) -> BoxedStrategy<Value> {
    let bound = |keyword: &str| schema[keyword].as_f64();
    if schema["multipleOf"] == 0.1 {
        return (-1_000_000_i64..1_000_000).prop_map(|tenths| json!(tenths as f64 / 10.0)).boxed();
    }
    match (bound("minimum"), bound("maximum")) {
        (None, None) => {
            use proptest::num::f64::{NORMAL, SUBNORMAL, ZERO};
            prop_oneof![any::<i64>().prop_map(Value::from), (NORMAL | SUBNORMAL | ZERO).prop_map(Value::from)]
                .boxed()
        }
        (min, max) => (min.unwrap_or(-1e9)..=max.unwrap_or(1e9)).prop_map(Value::from).boxed(),
    }
}

proptest! {
    /// Compares the type's own values, not only their JSON.
    #[test]
    fn a_value_that_was_encoded_is_decoded_to_itself(
        serial in ".{0,40}", chains in vec((".{0,128}", 0_usize..4), 1..4)
    ) {
        use ocpp_types::{BoundedVec, v201::{
            CertificateHashDataChainType, CertificateHashDataType, GetCertificateIdUseEnumType,
            GetInstalledCertificateIdsResponse, GetInstalledCertificateStatusEnumType, HashAlgorithmEnumType,
        }};

        let hash = |name: &str| CertificateHashDataType::new(
            HashAlgorithmEnumType::SHA384,
            name.try_into().unwrap(),
            "".try_into().unwrap(),
            serial.as_str().try_into().unwrap(),
        );
        let chains: Vec<_> = chains.iter().map(|(name, children)| {
            let mut chain = CertificateHashDataChainType::new(
                hash(name), GetCertificateIdUseEnumType::CSMSRootCertificate,
            );
            chain.child_certificate_hash_data = BoundedVec::try_from(vec![hash("é"); *children]).ok();
            chain
        }).collect();
        let mut response = GetInstalledCertificateIdsResponse::new(GetInstalledCertificateStatusEnumType::Accepted);
        response.certificate_hash_data_chain = Some(chains.try_into().unwrap());
        let text = encode(&response).unwrap();
        prop_assert_eq!(decode::<GetInstalledCertificateIdsResponse>(&text).unwrap(), response);
    }
}
