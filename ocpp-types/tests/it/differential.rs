//! Every message against its schema, compared with a validator that we did not write.

use std::collections::BTreeMap;

use chrono::DateTime;
use ocpp_types::Version;
use serde_json::Value;

use crate::{
    messages::{Message, messages},
    payloads::{Case, Payloads},
};

#[derive(Default)]
struct Count {
    cases: usize,
    wrong: usize,
}

#[test]
fn v16_accepts_exactly_what_the_schemas_accept() {
    compare(Version::V16);
}

#[test]
fn v201_accepts_exactly_what_the_schemas_accept() {
    compare(Version::V201);
}

#[test]
fn v21_accepts_exactly_what_the_schemas_accept() {
    compare(Version::V21);
}

fn compare(version: Version) {
    let mut counts: BTreeMap<(&str, &str), Count> = BTreeMap::new();
    let mut problems = Vec::new();
    for message in messages().into_iter().filter(|message| message.version == version) {
        let schema = message.schema();
        let judge = jsonschema::options().should_validate_formats(true).build(&schema).expect("a schema");
        for case in Payloads::new(&schema).cases() {
            let verdict = if case.fault.is_none() { "valid" } else { "invalid" };
            let count = counts.entry((verdict, case.class)).or_default();
            count.cases += 1;
            if let Err(problem) = check(&message, &judge, &case) {
                count.wrong += 1;
                problems.push(format!(
                    "{}, {}: {problem}\n  {}",
                    message.name,
                    case.class,
                    shown(&case.payload)
                ));
            }
        }
    }
    println!("{version}");
    for ((verdict, class), count) in &counts {
        println!("{verdict:8} {class:32} {:6} cases, {} wrong", count.cases, count.wrong);
    }
    println!("{:8} {:32} {:6} cases", "all", "", counts.values().map(|count| count.cases).sum::<usize>());
    assert!(
        problems.is_empty(),
        "{} wrong:\n{}",
        problems.len(),
        problems.iter().take(20).cloned().collect::<Vec<_>>().join("\n")
    );
}

/// Compares the validator's result with ours, and ours with the expected fault.
fn check(message: &Message, judge: &jsonschema::Validator, case: &Case) -> Result<(), String> {
    if judge.is_valid(&case.payload) != case.fault.is_none() {
        return Err("the judge does not share the generator's verdict".to_owned());
    }
    let text = case.payload.to_string();
    match (message.round_trip(&text), &case.fault) {
        (Ok(encoded), None) => {
            let encoded: Value =
                serde_json::from_str(&encoded).map_err(|error| format!("encoded badly: {error}"))?;
            if !judge.is_valid(&encoded) {
                return Err(format!("encoded invalid: {encoded}"));
            }
            if !equal(&case.payload, &encoded) {
                return Err(format!("encoded unequal: {}", shown(&encoded)));
            }
            Ok(())
        }
        (Err(error), None) => Err(format!("refused, though valid: {error}")),
        (Ok(_), Some(_)) => Err("accepted, though invalid".to_owned()),
        (Err(error), Some((violation, pointer))) => {
            if error.violation() != *violation || error.pointer() != pointer {
                return Err(format!(
                    "{violation:?} at {pointer:?} is called {:?}: {error}",
                    error.violation()
                ));
            }
            let described = error.to_string();
            if described.len() > 1_000 {
                return Err(format!("the error has {} bytes", described.len()));
            }
            // Every violation has a code. The test beside the table checks the codes.
            assert!(error.rpc_code(message.version).as_str(message.version).ends_with("Violation"));
            Ok(())
        }
    }
}

/// Equal as JSON, where numbers are equal by value and date-times by instant.
pub(crate) fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, one)| other.get(name).is_some_and(|other| equal(one, other)))
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        (Value::Number(one), Value::Number(other)) => match (one.as_i64(), other.as_i64()) {
            (Some(one), Some(other)) => one == other,
            _ => one.as_f64() == other.as_f64(),
        },
        (Value::String(one), Value::String(other)) => {
            one == other
                || match (DateTime::parse_from_rfc3339(one), DateTime::parse_from_rfc3339(other)) {
                    (Ok(one), Ok(other)) => one == other,
                    _ => false,
                }
        }
        (one, other) => one == other,
    }
}

fn shown(value: &Value) -> String {
    value.to_string().chars().take(400).collect()
}
