//! Passes any bytes as a line to the example `check_payloads`. A line can reach every version and
//! message.
//!
//! No input may cause a panic, and every answer is one line of JSON. An accepted payload is
//! accepted again after it was encoded, and is then encoded to the same text.

#![no_main]

#[path = "../../examples/check_payloads/answer.rs"]
mod answer;
#[path = "../../examples/check_payloads/messages.rs"]
mod messages;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|line: &[u8]| {
    let text = answer::answer(line);
    assert!(!text.contains('\n'), "an answer of two lines: {text}");
    let answer: Value = serde_json::from_str(&text).expect("an answer is JSON");
    if answer["ok"] != true {
        assert!(answer["code"].is_string() && answer["pointer"].is_string(), "{text}");
        return;
    }
    let Some(payload) = text.strip_prefix(r#"{"ok":true,"payload":"#).and_then(|text| text.strip_suffix('}'))
    else {
        panic!("an answer of another form: {text}");
    };
    let line: Value = serde_json::from_slice(line).expect("it was accepted");
    let (version, message) = (line["version"].as_str(), line["message"].as_str());
    let (Some(version), Some(message)) = (version, message) else { panic!("accepted without names: {line}") };
    let again = messages::round_trip(version, message, payload).expect("what was encoded is valid");
    assert_eq!(again, payload);
});

// Used here because not every target uses it: the answer to a line that was not read.
const _: fn() -> String = answer::too_long;
