//! The answers of the example `check_payloads`.

#[path = "../../examples/check_payloads/answer.rs"]
mod answer;
#[path = "../../examples/check_payloads/lines.rs"]
mod lines;
#[path = "../../examples/check_payloads/messages.rs"]
mod messages;

use std::io::BufReader;

use proptest::prelude::*;
use serde_json::{Value, json};

use self::lines::{LINE_BYTES, Line};

fn check(line: &str, expected: &str) {
    assert_eq!(answer::answer(line.as_bytes()), expected, "{line}");
}

#[test]
fn a_line_is_answered_with_its_payload() {
    check(
        r#"{"version":"2.0.1","message":"DeleteCertificateResponse","payload":{"status":"NotFound"}}"#,
        r#"{"ok":true,"payload":{"status":"NotFound"}}"#,
    );
    // The members of the line may be in any order, with other members beside them.
    check(
        r#" {"payload" : { "percent" : 7.0 } , "at": "noon", "message":"HeartbeatRequest","version":"2.0.1"} "#,
        r#"{"ok":false,"code":"FormatViolation","pointer":"/percent","error":"/percent: no such member; known are customData"}"#,
    );
    check(r#"{"version":"1.6","message":"HeartbeatRequest","payload":{}}"#, r#"{"ok":true,"payload":{}}"#);
    check(r#"{"version":"1.6","message":"Heartbeat","payload":{}}"#, r#"{"ok":true,"payload":{}}"#);
    check(
        r#"{"version":"2.1","message":"NotifyPeriodicEventStream","payload":{"id":1,"pending":0,"basetime":"2024-05-06T12:00:00Z","data":[{"t":0.5,"v":"a"}]}}"#,
        r#"{"ok":true,"payload":{"data":[{"t":0.5,"v":"a"}],"id":1,"pending":0,"basetime":"2024-05-06T12:00:00Z"}}"#,
    );
}

#[test]
fn refused_payloads_are_explained_in_the_spelling_of_their_version() {
    check(
        r#"{"version":"2.0.1","message":"DeleteCertificateRequest","payload":{}}"#,
        r#"{"ok":false,"code":"OccurrenceConstraintViolation","pointer":"/certificateHashData","error":"/certificateHashData: required, but absent"}"#,
    );
    check(
        r#"{"version":"1.6","message":"AuthorizeRequest","payload":{}}"#,
        r#"{"ok":false,"code":"OccurenceConstraintViolation","pointer":"/idTag","error":"/idTag: required, but absent"}"#,
    );
}

#[test]
fn the_payload_is_read_from_its_own_text() {
    // A tree in between would have used the second member and rounded the number.
    check(
        r#"{"version":"2.0.1","message":"ClearCacheRequest","payload":{"customData":{"vendorId":"v","vendorId":"w"}}}"#,
        r#"{"ok":false,"code":"FormatViolation","pointer":"/customData/vendorId","error":"/customData/vendorId: the same member twice"}"#,
    );
    check(
        r#"{"version":"2.0.1","message":"ClearCacheRequest","payload":{"customData":{"vendorId":"v","z":18446744073709551615,"a":1}}}"#,
        r#"{"ok":true,"payload":{"customData":{"vendorId":"v","z":18446744073709551615,"a":1}}}"#,
    );
}

#[test]
fn names_that_do_not_exist() {
    for version in ["2.0", "ocpp2.0.1", "", "2.0.1 "] {
        check(
            &json!({ "version": version, "message": "HeartbeatRequest", "payload": {} }).to_string(),
            &format!(
                r#"{{"ok":false,"code":"UnknownVersion","pointer":"","error":"no version \"{version}\"; known are 1.6, 2.0.1, 2.1"}}"#
            ),
        );
    }
    for message in ["Heartbeat", "heartbeatRequest", "", "Request", "HeartbeatRequestRequest"] {
        check(
            &json!({ "version": "2.0.1", "message": message, "payload": {} }).to_string(),
            &format!(
                r#"{{"ok":false,"code":"UnknownMessage","pointer":"","error":"2.0.1 has no message \"{message}\""}}"#
            ),
        );
    }
}

#[test]
fn lines_that_are_none() {
    for (line, code) in [
        ("", "FormatViolation"),
        ("not JSON", "FormatViolation"),
        (r#"{"version":"2.0.1","message":"HeartbeatRequest","payload":{"#, "FormatViolation"),
        (r#"{"version":"2.0.1","message":"HeartbeatRequest","payload":{}} x"#, "FormatViolation"),
        (r#"{"version":"2.0.1","message":"HeartbeatRequest"}"#, "InvalidLine"),
        (r#"{"version":2,"message":"HeartbeatRequest","payload":{}}"#, "InvalidLine"),
        (r#"{"version":"2.0.1","message":"HeartbeatRequest","payload":{},"payload":[]}"#, "InvalidLine"),
        ("17", "InvalidLine"),
        ("null", "InvalidLine"),
    ] {
        let answer: Value = serde_json::from_str(&answer::answer(line.as_bytes())).unwrap();
        assert_eq!((&answer["ok"], &answer["code"]), (&json!(false), &json!(code)), "{line}: {answer}");
    }
    let answer: Value = serde_json::from_str(&answer::answer(b"\"\xff\"")).unwrap();
    assert_eq!(answer["error"], "the line is not UTF-8 from byte 1");
    let long = json!({ "version": "v".repeat(1_000_000), "message": "", "payload": {} }).to_string();
    assert!(answer::answer(long.as_bytes()).len() < 1_000);
}

#[test]
fn lines_of_the_input() {
    fn check(input: &[u8], expected: &[&str]) {
        // The smallest buffer, so that every line arrives in pieces.
        let mut input = BufReader::with_capacity(1, input);
        let mut found = Vec::new();
        while let Some(line) = lines::next(&mut input).unwrap() {
            found.push(match line {
                Line::Whole(bytes) => String::from_utf8(bytes).unwrap(),
                Line::TooLong => answer::too_long(),
            });
        }
        assert_eq!(found, expected);
    }
    check(b"", &[]);
    check(b"\n", &[""]);
    check(b"a\n\nb", &["a", "", "b"]);
    check(b"a\r\nb\n", &["a\r", "b"]);
    let greatest = usize::try_from(LINE_BYTES).unwrap();
    let fits = "x".repeat(greatest);
    check(format!("{fits}\na\n").as_bytes(), &[&fits, "a"]);
    let answer = r#"{"ok":false,"code":"LineTooLong","pointer":"","error":"the line has more than 4 MiB"}"#;
    check(format!("{fits}x\na\n{fits}{fits}").as_bytes(), &[answer, "a", answer]);
}

proptest! {
    #[test]
    fn every_line_gets_one_line_of_json(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let answer = answer::answer(&bytes);
        prop_assert!(!answer.contains('\n'));
        let answer: Value = serde_json::from_str(&answer).unwrap();
        prop_assert_eq!(&answer["ok"], &json!(false));
    }
}
