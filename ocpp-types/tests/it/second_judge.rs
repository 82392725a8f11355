//! The payloads of the differential test, checked by a second validator: Python's jsonschema.

use std::{
    env,
    io::{BufWriter, Write},
    path::Path,
    process::{Command, Stdio},
};

use ocpp_types::Version;
use serde_json::{Value, json};

use crate::{
    messages::{Message, messages},
    payloads::{Case, Payloads},
};

#[test]
fn v16_before_a_second_judge() {
    ask(Version::V16);
}

#[test]
fn v201_before_a_second_judge() {
    ask(Version::V201);
}

#[test]
fn v21_before_a_second_judge() {
    ask(Version::V21);
}

/// Sends every payload with our result to the validator, and prints its output.
fn ask(version: Version) {
    let python =
        env::var_os("OCPP_PYTHON").expect("OCPP_PYTHON is not set; run the tests with `cargo xtask test`");
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut judge = Command::new(python)
        .arg(package.join("tests/second_judge.py"))
        .arg(package.join("../schemas"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("Python starts; OCPP_PYTHON names its program");
    let mut lines = BufWriter::new(judge.stdin.take().expect("it is piped"));
    for message in messages().into_iter().filter(|message| message.version == version) {
        let schema = message.schema();
        for case in Payloads::new(&schema).cases() {
            // The validator may have stopped already. Its last output is more useful than the error
            // of a broken pipe.
            if writeln!(lines, "{}", line(&message, &case)).is_err() {
                break;
            }
        }
    }
    drop(lines);
    let output = judge.wait_with_output().expect("the judge ends");
    println!("{version}\n{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "the judge does not agree");
}

/// The message's schema below `schemas/`.
fn file(message: &Message) -> String {
    match message.version {
        Version::V16 => format!("v16/{}.json", message.name.strip_suffix("Request").unwrap_or(&message.name)),
        Version::V201 => format!("v201/{}.json", message.name),
        Version::V21 => format!("v21/{}.json", message.name),
        other => panic!("{other} has no schemas"),
    }
}

fn line(message: &Message, case: &Case) -> Value {
    let result = message.round_trip(&case.payload.to_string());
    let mut line = json!({
        "message": message.name,
        "file": file(message),
        "class": case.class,
        "payload": case.payload,
        "accepted": result.is_ok(),
    });
    if let Ok(encoded) = result {
        line["encoded"] = serde_json::from_str(&encoded).expect("what is encoded is JSON");
    }
    line
}
