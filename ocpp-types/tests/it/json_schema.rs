//! The schema that each type states means what the schema of its message means.

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

/// Keywords that name or explain and rule nothing out.
const ANNOTATIONS: &[&str] = &["$id", "$schema", "default", "definitions", "id", "javaType", "title"];

/// Keywords that rule something out.
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

/// The schema without references, in one form for one meaning. A keyword that this function does not know is a panic.
fn normal(root: &Value) -> Value {
    normal_node(root, root)
}

fn normal_node(root: &Value, node: &Value) -> Value {
    if node == &Value::Bool(true) {
        return json!({});
    }
    let members = node.as_object().unwrap_or_else(|| panic!("{node} is not a schema"));
    if let Some(reference) = members.get("$ref") {
        // Beside a reference, the drafts in use ignore everything.
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
            // 0 and 0.0 are one number.
            "minimum" | "maximum" | "multipleOf" => json!(value.as_f64().expect("a number")),
            // Of objects only; on strings the official files have it without a meaning.
            "additionalProperties" if members["type"] != "object" => continue,
            // Of tuples only; nothing else has a meaning of it.
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
    let text = message.schema().to_string();
    for (from, to) in [
        (r#""maxLength":60"#, r#""maxLength":61"#),
        (r#""minItems":1"#, r#""minItems":2"#),
        (r#""maxItems":5"#, r#""maxItems":6"#),
        (r#""minimum":0.0"#, r#""minimum":1.0"#),
        (r#""format":"date-time","#, ""),
        (r#""type":"number""#, r#""type":"integer""#),
        (r#""additionalProperties":false,"javaType":"Tariff""#, r#""javaType":"Tariff""#),
        (r#""currency""#, r#""Currency""#),
        (r#""Monday","#, ""),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(text, changed, "{from} in {text}");
        let changed = serde_json::from_str(&changed).expect("JSON");
        let mut differences = Vec::new();
        compare("", &normal(&changed), &derived, &mut differences);
        assert!(!differences.is_empty(), "{from}");
    }
}
