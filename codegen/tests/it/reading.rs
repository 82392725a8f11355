//! Every keyword is understood or refused.

use codegen::{document, facts};
use serde_json::{Value, json};

/// A message with one member of the given schema.
fn message(member: Value) -> String {
    json!({
        "$schema": "http://json-schema.org/draft-06/schema#",
        "$id": "urn:OCPP:Cp:2:2020:3:PingRequest",
        "definitions": {},
        "type": "object",
        "additionalProperties": false,
        "properties": { "member": member },
    })
    .to_string()
}

fn check(text: &str, expected: &str) {
    let error = document::read("PingRequest.json", text).expect_err(expected);
    let message = error.to_string();
    assert!(message.starts_with(&format!("PingRequest.json, at {expected}")), "{message}");
}

#[test]
fn unknown_keywords_are_refused_with_their_place() {
    for (member, expected) in [
        (json!({ "type": "string", "minLength": 1 }), "/properties/member/minLength: keyword \"minLength\""),
        (json!({ "type": "string", "pattern": "a" }), "/properties/member/pattern: keyword \"pattern\""),
        (json!({ "type": "string", "format": "email" }), "/properties/member/format: format \"email\""),
        (
            json!({ "type": "string", "format": "date-time", "maxLength": 20 }),
            "/properties/member/maxLength: keyword",
        ),
        (json!({ "type": "number", "multipleOf": 0.2 }), "/properties/member/multipleOf: steps of 0.2"),
        (
            json!({ "type": "integer", "minimum": 0.5 }),
            "/properties/member/minimum: 0.5 as a bound, which is not whole",
        ),
        (
            json!({ "type": "array", "items": { "type": "integer", "const": 1 } }),
            "/properties/member/items/const: keyword",
        ),
        (json!({ "type": "array" }), "/properties/member: an array without items"),
        (json!({ "type": ["string", "null"] }), "/properties/member/type: type"),
        (json!({ "oneOf": [] }), "/properties/member/oneOf: keyword \"oneOf\""),
        (json!({ "$ref": "other.json" }), "/properties/member/$ref: reference"),
        (
            json!({ "type": "object", "required": ["x"] }),
            "/properties/member/required: \"x\" is not a property",
        ),
        (
            json!({ "type": "object", "additionalProperties": {} }),
            "/properties/member/additionalProperties: {}",
        ),
        (json!([]), "/properties/member: a schema is an object"),
    ] {
        check(&message(member), expected);
    }
    check(&message(json!({})).replace("draft-06", "draft-07"), "/$schema: draft");
    check("[]", "/: a schema file is an object");
}

#[test]
fn text_that_is_not_json_is_an_error() {
    for text in ["", "{", "\0", "{\"a\":1,}"] {
        assert!(document::read("PingRequest.json", text).is_err(), "{text:?}");
    }
}

#[test]
fn facts_are_kept_and_prose_is_not() {
    let official = concat!(
        "\u{feff}{\r\n\"$schema\":\"http://json-schema.org/draft-06/schema#\",\"$id\":\"urn:OCPP:Cp:2:2020:3:PingRequest\",",
        r#""comment":"prose","definitions":{"AEnumType":{"description":"prose","javaType":"AEnum","type":"string","#,
        r#""default":"B","additionalProperties":false,"enum":["B","A"]}},"type":"object","additionalProperties":false,"#,
        r##""description":"prose","properties":{"zone":{"$ref":"#/definitions/AEnumType"},"##,
        r#""description":{"description":"prose","type":"array","additionalItems":false,"#,
        r#""items":{"description":"prose","type":"integer","minimum":0.0},"minItems":1}},"required":["description"]}"#
    );
    let facts = facts::extract("PingRequest.json", official).expect("readable");
    assert_eq!(
        facts,
        r##"{
  "$schema": "http://json-schema.org/draft-06/schema#",
  "$id": "urn:OCPP:Cp:2:2020:3:PingRequest",
  "definitions": {
    "AEnumType": {
      "javaType": "AEnum",
      "type": "string",
      "default": "B",
      "additionalProperties": false,
      "enum": [
        "B",
        "A"
      ]
    }
  },
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "zone": {
      "$ref": "#/definitions/AEnumType"
    },
    "description": {
      "type": "array",
      "additionalItems": false,
      "items": {
        "type": "integer",
        "minimum": 0.0
      },
      "minItems": 1
    }
  },
  "required": [
    "description"
  ]
}
"##
    );
}
