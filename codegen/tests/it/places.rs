//! Features of some editions only: types without names, messages without answers, files with prose.

use codegen::{
    GeneratedFile,
    edition::{Edition, MessageName, PlaceName, SchemaSet, Sender},
};
use serde_json::{Value, json};

use crate::generation::{PING, message, run};

const fn place(enclosing: &'static str, property: &'static str, name: &'static str) -> PlaceName {
    PlaceName { enclosing, property, name }
}

static NAMED: Edition = Edition {
    places: &[
        place("PingRequest", "items", "Item"),
        place("PingRequest", "kind", "Kind"),
        place("Item", "kind", "Kind"),
    ],
    ..PING
};
static UNNAMED: Edition = Edition { places: &[place("PingRequest", "items", "Item")], ..PING };
static NAMED_TOO_MUCH: Edition = Edition {
    places: &[
        place("PingRequest", "items", "Item"),
        place("PingRequest", "kind", "Kind"),
        place("Item", "kind", "Kind"),
        place("Item", "unit", "Unit"),
    ],
    ..PING
};

fn kind(values: &[&str]) -> Value {
    json!({ "type": "string", "enum": values })
}

/// A request that defines its types inline, as in OCPP 1.6.
fn messages(inner: &Value) -> Vec<(String, String)> {
    let item = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": { "kind": inner, "count": { "type": "integer" } },
    });
    let properties = json!({ "items": { "type": "array", "items": item }, "kind": kind(&["A", "B"]) });
    vec![
        message("PingRequest", json!({}), properties, json!([])),
        message("PingResponse", json!({}), json!({}), json!([])),
    ]
}

fn text<'a>(files: &'a [GeneratedFile], path: &str) -> &'a str {
    &files.iter().find(|file| file.path == path).unwrap_or_else(|| panic!("no {path}")).text
}

#[test]
fn types_in_their_place_are_named_by_the_table() {
    let files = run(&NAMED, &messages(&kind(&["A", "B"]))).expect("generated");
    assert!(text(&files, "datatypes/item.rs").contains("pub kind: Option<Kind>"));
    let request = text(&files, "messages/ping.rs");
    assert!(request.contains("pub items: Option<Vec<Item>>"), "{request}");
    assert!(text(&files, "enumerations/kind.rs").contains("Used by `PingRequest`."));
}

#[test]
fn a_table_that_does_not_fit_is_an_error() {
    for (edition, inner, expected) in [
        (&UNNAMED, kind(&["A", "B"]), "PingRequest.json writes out the type of Item.kind, which"),
        (&NAMED, kind(&["A", "C"]), "Kind means two things in PingRequest.json"),
        (&NAMED_TOO_MUCH, kind(&["A", "B"]), "no schema writes out the type of Item.unit"),
    ] {
        let error = run(edition, &messages(&inner)).expect_err(expected).to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn one_name_for_two_structures_in_two_files_is_an_error() {
    static BOTH: Edition = Edition {
        places: &[place("PingRequest", "kind", "Kind"), place("PingResponse", "kind", "Kind")],
        ..PING
    };
    let messages = [
        message("PingRequest", json!({}), json!({ "kind": kind(&["A"]) }), json!([])),
        message("PingResponse", json!({}), json!({ "kind": kind(&["B"]) }), json!([])),
    ];
    let error = run(&BOTH, &messages).expect_err("a conflict").to_string();
    assert!(
        error.starts_with("Kind means one thing in PingRequest.json and another in PingResponse.json"),
        "{error}"
    );
}

#[test]
fn what_is_sent_needs_no_answer() {
    static SENDING: Edition = Edition { sends: &[("Tell", Sender::ChargingStation)], ..PING };
    let mut messages = messages(&json!({ "type": "boolean" }));
    messages[0] = message("PingRequest", json!({}), json!({}), json!([]));
    messages.push(message("Tell", json!({}), json!({ "n": { "type": "integer" } }), json!(["n"])));
    let files = run(&SENDING, &messages).expect("generated");
    let tell = text(&files, "messages/tell.rs");
    assert!(tell.contains("impl Notification for Tell {"), "{tell}");
    assert!(text(&files, "actions.rs").contains("pub const SENDS: &[(&str, Sender)] = &[\n    (\"Tell\","));
    let send = text(&files, "dispatch/station_send.rs");
    assert!(send.contains("StationSend: SENDS, not ACTIONS {\n        Tell(Tell),"), "{send}");
    let call = text(&files, "dispatch/station_call.rs");
    assert!(call.contains("StationCall: ACTIONS, not SENDS {\n        Ping(PingRequest),"), "{call}");

    messages.pop();
    let error = run(&SENDING, &messages).expect_err("no schema").to_string();
    assert!(error.starts_with("Tell stands in the table of senders"), "{error}");
}

#[test]
fn ids_of_the_security_whitepaper_name_their_messages() {
    static WHITEPAPER: Edition = Edition {
        sets: &[SchemaSet {
            name: "v0",
            document: "made up",
            id_prefixes: &["urn:test:"],
            message_name: MessageName::ReqAndConf,
        }],
        ..PING
    };
    let named = |name: &str, id: &str| {
        let (_, text) = message(name, json!({}), json!({}), json!([]));
        (format!("{name}.json"), text.replace(&format!("urn:test:{name}"), &format!("urn:test:{id}")))
    };
    let good = [named("Ping", "Ping.req"), named("PingResponse", "Ping.conf")];
    let files = run(&WHITEPAPER, &good).expect("generated");
    let ping = text(&files, "messages/ping.rs");
    assert!(ping.starts_with(
        "// Generated by `cargo xtask regen` from schemas/v0: Ping.json and PingResponse.json."
    ));
    assert!(ping.contains("pub struct PingRequest"), "{ping}");

    for (name, id) in [("Ping", "Pong.req"), ("Ping", "Ping"), ("PingRequest", "Ping.conf")] {
        let error = run(&WHITEPAPER, &[named(name, id)]).expect_err(id).to_string();
        assert!(error.contains("which is not that of such a file of OCPP 0"), "{error}");
    }
}

#[test]
fn official_prose_becomes_documentation() {
    let properties = json!({
        "n": { "description": "Number of *items*.\r\nSee <https://example.org/a_b>.\r\n\r\n", "type": "integer" },
        "kind": { "$ref": "#/definitions/KindEnumType" },
    });
    let definitions =
        json!({ "KindEnumType": { "description": "Kind [of] it.", "type": "string", "enum": ["A"] } });
    let mut messages = vec![
        message("PingRequest", definitions, properties, json!([])),
        message("PingResponse", json!({}), json!({}), json!([])),
    ];
    let files = run(&PING_STATIC, &messages).expect("generated");
    let ping = text(&files, "messages/ping.rs");
    let expected = "    /// `n`, optional: a whole number.\n    ///\n    /// Number of \\*items\\*.\n    ///\n    /// See `<https://example.org/a_b>.`\n";
    assert!(ping.contains(expected), "{ping}");
    assert!(text(&files, "enumerations/kind_enum_type.rs").contains("/// Kind \\[of\\] it.\n"));

    // Without the prose, everything else is the same.
    let prose = [
        r#""description":"Number of *items*.\r\nSee <https://example.org/a_b>.\r\n\r\n","#,
        r#""description":"Kind [of] it.","#,
    ];
    for prose in prose {
        assert!(messages[0].1.contains(prose), "{}", messages[0].1);
        messages[0].1 = messages[0].1.replace(prose, "");
    }
    let plain = run(&PING_STATIC, &messages).expect("generated");
    assert!(!text(&plain, "messages/ping.rs").contains("items"));
    assert_eq!(plain.len(), files.len());
}

static PING_STATIC: Edition = PING;
