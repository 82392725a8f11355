//! The schema of each type has the same meaning as the schema of its message.

use serde_json::{Map, Value, json};

use crate::messages::messages;

#[test]
fn every_type_states_the_schema_that_it_was_generated_from() {
    let mut differences = Vec::new();
    let messages = messages();
    for message in &messages {
        let committed = normal(&message.schema());
        let derived = normal(&message.derived_schema());
        compare(&format!("{} {}", message.version, message.name), &committed, &derived, &mut differences);
    }
    println!("{} messages, {} differences", messages.len(), differences.len());
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert_eq!(messages.len(), 78 + 128 + 181);
}

/// Keywords that name or explain, and restrict nothing.
const ANNOTATIONS: &[&str] = &["$id", "$schema", "default", "definitions", "id", "javaType", "title"];

/// Keywords that restrict values.
const RULES: &[&str] = &[
    "additionalProperties",
    "enum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minimum",
    "multipleOf",
    "properties",
    "required",
    "type",
];

/// The schema without references, in a form that is the same for the same meaning. Panics for an
/// unknown keyword.
fn normal(root: &Value) -> Value {
    normal_node(root, root)
}

fn normal_node(root: &Value, node: &Value) -> Value {
    if node == &Value::Bool(true) {
        return json!({});
    }
    let members = node.as_object().unwrap_or_else(|| panic!("{node} is not a schema"));
    if let Some(reference) = members.get("$ref") {
        // The drafts in use ignore everything beside a reference.
        let pointer = reference.as_str().and_then(|text| text.strip_prefix('#')).expect("a local reference");
        return normal_node(root, root.pointer(pointer).expect("a definition"));
    }
    let mut rules = Map::new();
    for (keyword, value) in members.iter().filter(|(keyword, _)| !ANNOTATIONS.contains(&keyword.as_str())) {
        let value = match keyword.as_str() {
            "properties" => {
                let properties = value.as_object().expect("properties");
                properties.iter().map(|(name, node)| (name.clone(), normal_node(root, node))).collect()
            }
            "items" => normal_node(root, value),
            "required" | "enum" => {
                let mut values: Vec<_> = value.as_array().expect("a list").clone();
                values.sort_by_key(Value::to_string);
                Value::Array(values)
            }
            // 0 and 0.0 are the same number.
            "minimum" | "maximum" | "multipleOf" => json!(value.as_f64().expect("a number")),
            // Has a meaning for objects only; the official files also have it on strings.
            "additionalProperties" if members["type"] != "object" => continue,
            // Has a meaning for tuples only.
            "additionalItems" if members["items"].is_object() => continue,
            known => {
                assert!(RULES.contains(&known), "keyword {known}");
                value.clone()
            }
        };
        let rules_nothing_out = match keyword.as_str() {
            "properties" => value == json!({}),
            "required" => value == json!([]),
            "minItems" => value == json!(0),
            _ => false,
        };
        if !rules_nothing_out {
            rules.insert(keyword.clone(), value);
        }
    }
    Value::Object(rules)
}

fn compare(place: &str, committed: &Value, derived: &Value, differences: &mut Vec<String>) {
    match (committed, derived) {
        (Value::Object(committed), Value::Object(derived)) => {
            let mut keys: Vec<_> = committed.keys().chain(derived.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let (committed, derived) = (&committed.get(key), &derived.get(key));
                let (committed, derived) =
                    (committed.unwrap_or(&Value::Null), derived.unwrap_or(&Value::Null));
                compare(&format!("{place}/{key}"), committed, derived, differences);
            }
        }
        (committed, derived) if committed == derived => {}
        (committed, derived) => {
            differences.push(format!("{place}: the schema has {committed}, the type states {derived}"));
        }
    }
}

#[test]
fn the_comparison_finds_each_kind_of_difference() {
    let messages = messages();
    let message = messages
        .iter()
        .find(|message| message.name == "ChangeTransactionTariffRequest")
        .expect("the message");
    let derived = normal(&message.derived_schema());
    let tariff = "/definitions/TariffType";
    // A pointer to the object with the keyword, the keyword, and its new value; `null` removes it.
    for (place, keyword, value) in [
        (format!("{tariff}/properties/tariffId"), "maxLength", json!(61)),
        (format!("{tariff}/properties/tariffId"), "maxLength", json!(null)),
        (format!("{tariff}/properties/tariffId"), "pattern", json!(null)),
        (format!("{tariff}/properties/description"), "minItems", json!(2)),
        (format!("{tariff}/properties/description"), "maxItems", json!(11)),
        (format!("{tariff}/properties/description"), "type", json!("string")),
        (format!("{tariff}/properties/validFrom"), "format", json!(null)),
        (format!("{tariff}/properties/validFrom"), "format", json!("uri")),
        (tariff.to_owned(), "additionalProperties", json!(null)),
        (tariff.to_owned(), "required", json!(["tariffId"])),
        (format!("{tariff}/properties"), "currency", json!(null)),
        (format!("{tariff}/properties"), "Currency", json!({ "type": "string" })),
        ("/definitions/DayOfWeekEnumType".to_owned(), "enum", json!(["Monday"])),
        ("/definitions/TariffConditionsType/properties/minEnergy".to_owned(), "type", json!("integer")),
        ("/definitions/TariffConditionsType/properties/minEnergy".to_owned(), "minimum", json!(0)),
    ] {
        let mut changed = message.schema();
        let holder = changed.pointer_mut(&place).and_then(Value::as_object_mut).expect("a place");
        let is_there = holder.contains_key(keyword);
        if value.is_null() {
            holder.remove(keyword);
        } else {
            holder.insert(keyword.to_owned(), value.clone());
        }
        let mut differences = Vec::new();
        compare("", &normal(&changed), &derived, &mut differences);
        // Only the removal of an absent keyword changes nothing.
        assert_eq!(differences.is_empty(), value.is_null() && !is_there, "{place} {keyword} {value}");
    }
}
