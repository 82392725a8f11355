//! Payloads that are derived from a schema: valid ones, and ones with exactly one fault.

use ocpp_types::Violation;
use serde_json::{Map, Value, json};

/// A payload, and the change that was made to it.
pub(crate) struct Case {
    pub(crate) class: &'static str,
    pub(crate) payload: Value,
    /// The fault and its place; `None` for valid payloads.
    pub(crate) fault: Option<(Violation, String)>,
}

/// Makes payloads of one schema.
pub(crate) struct Payloads<'a> {
    root: &'a Value,
}

/// A place in the full payload, and its schema.
struct Place<'a> {
    pointer: String,
    schema: &'a Value,
}

#[derive(Clone, Copy, PartialEq)]
enum Size {
    Minimal,
    Full,
}

impl<'a> Payloads<'a> {
    pub(crate) fn new(root: &'a Value) -> Self {
        Self { root }
    }

    /// All payloads, valid and not.
    pub(crate) fn cases(&self) -> Vec<Case> {
        let full = self.value(self.root, Size::Full);
        let mut cases =
            vec![valid("minimal", self.value(self.root, Size::Minimal)), valid("full", full.clone())];
        for other in [json!([]), json!(null), json!("text"), json!(1), json!(true), json!([full.clone()])] {
            cases.push(Case {
                class: "not an object",
                payload: other,
                fault: Some((Violation::NotAnObject, String::new())),
            });
        }
        let mut places = Vec::new();
        self.places(self.root, String::new(), &mut places);
        for place in &places {
            self.vary(&full, place, &mut cases);
        }
        cases
    }

    fn resolve(&self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(reference) => self.root.pointer(reference.trim_start_matches('#')).expect("a definition"),
            None => schema,
        }
    }

    /// Only in draft-04, `17.0` is not an integer.
    fn integers_are_digits(&self) -> bool {
        self.root["$schema"].as_str().is_some_and(|draft| draft.contains("draft-04"))
    }

    /// OCPP 1.6 allows points in time that its schemas do not allow (`deviations.rs`).
    fn is_v16(&self) -> bool {
        let id = self.root["$id"].as_str().or(self.root["id"].as_str()).unwrap_or_default();
        id.contains(":1.6:")
    }

    fn value(&self, schema: &'a Value, size: Size) -> Value {
        let schema = self.resolve(schema);
        if let Some(values) = schema["enum"].as_array() {
            return values[0].clone();
        }
        match schema["type"].as_str() {
            Some("object") => {
                let required = names(&schema["required"]);
                let mut members = Map::new();
                for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
                    if size == Size::Full || required.contains(&name.as_str()) {
                        members.insert(name.clone(), self.value(schema, size));
                    }
                }
                Value::Object(members)
            }
            Some("array") => {
                let count = schema["minItems"].as_u64().unwrap_or(1).max(1);
                (0..count).map(|_| self.value(&schema["items"], size)).collect()
            }
            Some("string") if schema["format"] == "date-time" => json!("2024-05-06T12:00:00Z"),
            Some("string") if schema["format"] == "uri" => json!("ftp://example.org/"),
            Some("string") => {
                json!("text".chars().take(length(schema).unwrap_or(usize::MAX)).collect::<String>())
            }
            Some("integer") => json!(schema["minimum"].as_f64().unwrap_or(17.0) as i64),
            Some("number") => json!(schema["maximum"].as_f64().unwrap_or(16.5) - 0.5),
            Some("boolean") => json!(true),
            None => json!({ "any": [null, 1, "text"] }),
            Some(other) => panic!("type {other}"),
        }
    }

    fn places(&self, schema: &'a Value, pointer: String, places: &mut Vec<Place<'a>>) {
        let schema = self.resolve(schema);
        if let Some(properties) = schema["properties"].as_object() {
            for (name, schema) in properties {
                self.places(schema, format!("{pointer}/{name}"), places);
            }
        }
        if schema["type"] == "array" {
            self.places(&schema["items"], format!("{pointer}/0"), places);
        }
        places.push(Place { pointer, schema });
    }

    /// The variations of one place.
    fn vary(&self, full: &Value, place: &Place<'a>, cases: &mut Vec<Case>) {
        let mut vary = Vary { full, pointer: &place.pointer, cases };
        let schema = place.schema;
        if let Some(values) = schema["enum"].as_array() {
            vary.enumeration(values);
            return;
        }
        match schema["type"].as_str() {
            Some("object") => {
                vary.object(schema);
                if schema["javaType"] == "CustomData" {
                    let text = r#"{"z":{"b":1,"a":[1.5,null,"é"]},"vendorId":"org.example","a":{}}"#;
                    vary.valid("customData", serde_json::from_str(text).expect("JSON"));
                }
            }
            Some("array") => {
                vary.array(schema, &self.value(&schema["items"], Size::Minimal));
            }
            Some("string") if schema["format"] == "date-time" => vary.date_time(self.is_v16()),
            Some("string") if schema["format"] == "uri" => vary.uri(),
            Some("string") => vary.text(length(schema)),
            Some("integer") => vary.integer(schema, self.integers_are_digits()),
            Some("number") => vary.number(schema),
            Some("boolean") => {
                vary.wrong_types(&[json!("true"), json!(1), json!(null), json!([]), json!({})])
            }
            _ => vary.any(),
        }
    }
}

/// Puts values into one place of the full payload.
struct Vary<'a> {
    full: &'a Value,
    pointer: &'a str,
    cases: &'a mut Vec<Case>,
}

impl Vary<'_> {
    fn valid(&mut self, class: &'static str, value: Value) {
        let payload = self.with(value);
        self.cases.push(valid(class, payload));
    }

    fn fault(&mut self, class: &'static str, violation: Violation, value: Value) {
        let payload = self.with(value);
        self.cases.push(Case { class, payload, fault: Some((violation, self.pointer.to_owned())) });
    }

    fn with(&self, value: Value) -> Value {
        let mut payload = self.full.clone();
        *payload.pointer_mut(self.pointer).expect("a place of the full payload") = value;
        payload
    }

    fn wrong_types(&mut self, values: &[Value]) {
        // The payload itself is not a member.
        if self.pointer.is_empty() {
            return;
        }
        for value in values {
            let class = if value.is_null() { "null" } else { "wrong type" };
            self.fault(class, Violation::WrongType, value.clone());
        }
    }

    fn object(&mut self, schema: &Value) {
        let whole = self.full.pointer(self.pointer).expect("a place of the full payload").clone();
        let members = whole.as_object().expect("an object");
        let required = names(&schema["required"]);
        for name in members.keys() {
            let mut fewer = members.clone();
            fewer.shift_remove_compatible(name);
            let payload = self.with(Value::Object(fewer));
            if required.contains(&name.as_str()) {
                let fault = Some((Violation::MissingMember, format!("{}/{name}", self.pointer)));
                self.cases.push(Case { class: "missing member", payload, fault });
            } else {
                self.cases.push(valid("without an optional member", payload));
            }
        }
        if schema["additionalProperties"] == false {
            for name in ["unknown", "CustomData", "x/y~z", "", "ключ"] {
                let mut more = members.clone();
                more.insert(name.to_owned(), json!("text"));
                let payload = self.with(Value::Object(more));
                let escaped = name.replace('~', "~0").replace('/', "~1");
                let fault = Some((Violation::UnknownMember, format!("{}/{escaped}", self.pointer)));
                self.cases.push(Case { class: "unknown member", payload, fault });
            }
        }
        let as_array: Value = members.values().cloned().collect();
        self.wrong_types(&[as_array, json!([]), json!("text"), json!(1), json!(true), json!(null)]);
    }

    fn array(&mut self, schema: &Value, item: &Value) {
        let repeated = |count: u64| (0..count).map(|_| item.clone()).collect::<Value>();
        let min = schema["minItems"].as_u64().unwrap_or(0);
        self.valid("array at its minimum", repeated(min));
        if min > 0 {
            self.fault("too few items", Violation::ItemCount, repeated(min - 1));
        }
        match schema["maxItems"].as_u64() {
            Some(max) => {
                self.valid("array at its maximum", repeated(max));
                self.fault("too many items", Violation::ItemCount, repeated(max + 1));
            }
            None => self.valid("array of many", repeated(50)),
        }
        self.wrong_types(&[item_in_place_of_list(item), json!({ "0": item }), json!(null)]);
    }

    fn enumeration(&mut self, values: &[Value]) {
        for value in values {
            self.valid("enumeration value", value.clone());
        }
        let first = values[0].as_str().expect("a string");
        let swapped: String = first
            .chars()
            .map(|letter| {
                if letter.is_lowercase() { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() }
            })
            .collect();
        for text in ["NoSuchValue", "", &swapped, &format!("{first} "), &format!("{first}\0")] {
            self.fault("unknown enumeration value", Violation::UnknownValue, json!(text));
        }
        self.wrong_types(&[json!(0), json!([first]), json!({ first: null }), json!(true), json!(null)]);
    }

    fn text(&mut self, max: Option<usize>) {
        for letter in ["x", "é", "漢", "😀"] {
            match max {
                Some(max) => {
                    self.valid("string at its greatest length", json!(letter.repeat(max)));
                    self.fault("string too long", Violation::Constraint, json!(letter.repeat(max + 1)));
                }
                None => self.valid("string without a greatest length", json!(letter.repeat(100_000))),
            }
        }
        let odd = "\u{0}\u{7f}\\\"/\u{2028}\t".chars().take(max.unwrap_or(usize::MAX));
        let odd: String = odd.collect();
        self.valid("odd characters", json!(odd));
        self.valid("empty string", json!(""));
        self.wrong_types(&[json!(1), json!(true), json!(["text"]), json!({ "text": "text" }), json!(null)]);
    }

    fn date_time(&mut self, is_v16: bool) {
        for text in [
            "2024-05-06T12:00:00Z",
            "2024-05-06T12:00:00.1Z",
            "2024-05-06T12:00:00.123456789Z",
            "2024-05-06T12:00:00+02:00",
            "2024-05-06T12:00:00.500-11:30",
            "2024-02-29T23:59:59Z",
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
            "2024-05-06t12:00:00z",
        ] {
            self.valid("date-time", json!(text));
        }
        for text in [
            "",
            "now",
            "2024-05-06",
            "2024-05-06 12:00:00Z",
            "2024-05-06T25:00:00Z",
            "2023-02-29T12:00:00Z",
            "2024-13-06T12:00:00Z",
            "2024-05-06T12:00:00.Z",
            "20240506T120000Z",
            "2024-05-06T12:00:00Z ",
            " 2024-05-06T12:00:00Z",
            "2024-05-06T12:00:60Z0",
            "+2024-05-06T12:00:00Z",
            "2024-5-6T12:00:00Z",
        ] {
            self.fault("bad date-time", Violation::Constraint, json!(text));
        }
        let of_iso_8601 = ["2024-05-06T12:00:00", "2024-05-06T12:00Z", "2024-05-06T12:00:00+0200"];
        for text in of_iso_8601.into_iter().filter(|_| !is_v16) {
            self.fault("bad date-time", Violation::Constraint, json!(text));
        }
        self.wrong_types(&[json!(1_714_996_800), json!({}), json!(null)]);
    }

    fn uri(&mut self) {
        for text in [
            "http://example.org",
            "ftp://user:pass%20word@example.org:21/a/b;c=d?e=f/?#g?",
            "https://[2001:db8::7]:8443/",
            "http://[v1.x:y]",
            "urn:isbn:0451450523",
            "mailto:a@example.org",
            "a:",
            "x://",
            "file:///etc/hosts",
            "A+-.1:/b//c",
            "http://192.0.2.1:/",
        ] {
            self.valid("uri", json!(text));
        }
        for text in [
            "",
            "example.org",
            "/logs",
            "//example.org/logs",
            "1http://example.org",
            "http://exa mple.org",
            "http://example.org/%",
            "http://example.org/%2",
            "http://example.org/%zz",
            "http://example.org/ä",
            "http://[::1",
            "http://[::g]",
            "http://[v1.]",
            "http://example.org:8a/",
            "http://example.org/a#b#c",
            "http://a@b@c/",
            "http://example.org/<>",
            "http://example.org/\n",
            ":a",
            "ht_tp:a",
        ] {
            self.fault("bad uri", Violation::Constraint, json!(text));
        }
        self.wrong_types(&[json!(1), json!({}), json!(null)]);
    }

    fn integer(&mut self, schema: &Value, in_digits: bool) {
        let bound = |keyword: &str| schema[keyword].as_f64().map(|bound| bound as i64);
        let (min, max) = (bound("minimum"), bound("maximum"));
        let within = |value: &i64| min.is_none_or(|min| min <= *value) && max.is_none_or(|max| *value <= max);
        for value in [0, 1, -1, 100, i64::from(i32::MAX), i64::from(i32::MIN), i64::MAX, i64::MIN]
            .iter()
            .filter(|value| within(value))
        {
            self.valid("integer", json!(value));
        }
        let float = json!(min.unwrap_or(17) as f64);
        if in_digits {
            self.fault("integer written 17.0", Violation::WrongType, float);
        } else {
            self.valid("integer written 17.0", float);
        }
        for outside in [min.map(|min| min - 1), max.map(|max| max + 1)].into_iter().flatten() {
            self.fault("integer out of range", Violation::Constraint, json!(outside));
        }
        self.wrong_types(&[json!(42.5), json!("1"), json!(true), json!([1]), json!(null)]);
    }

    fn number(&mut self, schema: &Value) {
        let (min, max) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
        let in_tenths = schema["multipleOf"] == 0.1;
        for value in [0.0, 1.0, -1.0, 0.1, 0.3, -273.1, 16.3, 123_456.7, 100.0, 99.9, 1e15] {
            if min.is_none_or(|min| min <= value) && max.is_none_or(|max| value <= max) {
                self.valid("number", json!(value));
            } else {
                self.fault("number out of range", Violation::Constraint, json!(value));
            }
        }
        for value in [16.25, 1e-7, -12.200_000_000_000_001, 0.01, 123_456_789.012_345] {
            if in_tenths {
                self.fault("number with many decimals", Violation::Constraint, json!(value));
            } else if min.is_none_or(|min| min <= value) && max.is_none_or(|max| value <= max) {
                self.valid("number", json!(value));
            }
        }
        for outside in [min.map(|min| min - 0.001), max.map(|max| max + 0.001)].into_iter().flatten() {
            self.fault("number out of range", Violation::Constraint, json!(outside));
        }
        self.wrong_types(&[json!("1"), json!(true), json!([1]), json!({}), json!(null)]);
    }

    fn any(&mut self) {
        for value in
            [json!(null), json!(1), json!("text"), json!(false), json!([[[]]]), json!({ "a": { "b": null } })]
        {
            self.valid("any value", value);
        }
    }
}

/// Uses `shift_remove` if serde_json keeps the order of members, and `remove` if it does not.
trait ShiftRemove {
    fn shift_remove_compatible(&mut self, name: &str);
}

impl ShiftRemove for Map<String, Value> {
    fn shift_remove_compatible(&mut self, name: &str) {
        *self = std::mem::take(self).into_iter().filter(|(present, _)| present != name).collect();
    }
}

fn valid(class: &'static str, payload: Value) -> Case {
    Case { class, payload, fault: None }
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().map(|names| names.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

fn length(schema: &Value) -> Option<usize> {
    schema["maxLength"].as_u64().map(|max| usize::try_from(max).expect("a length"))
}

/// OCPP-J 4.1.5: a list stays a list, even with one item.
fn item_in_place_of_list(item: &Value) -> Value {
    item.clone()
}
