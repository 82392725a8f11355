//! Text of a station never acts as a terminal control sequence, and never forges a line of the log
//! (CWE-117, CWE-150).

use std::{
    io::{Read as _, Write as _},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    puppet::{Ocpp, Puppet},
    stage::Stage,
};

/// Control sequences: clear the screen with ESC and with C1, ring the bell, forge a line, change
/// the direction of writing.
const HOSTILE: &str = "\u{1b}[2J\u{7}\r\nX\u{9b}2J\u{202e}";

#[test]
fn what_a_station_sends_reaches_neither_terminal_nor_log_as_it_is() {
    let mut stage = Stage::prepare();
    for format in ["human", "json"] {
        stage.launch_with_log_format(format);
        let shown = attack(&stage);
        for text in shown {
            assert_is_safe(&text);
            assert!(text.contains(r"\u{1b}[2J\u{7}\r\nX\u{9b}2J\u{202e}"), "{text}");
        }
        stage.kill();
        let log = stage.log();
        assert_is_safe(&log);
        assert!(!log.lines().any(|line| line.starts_with("FORGED-ID")), "{log}");
        std::fs::remove_file(stage.path("log")).expect("removed");
        if format == "json" {
            for line in log.lines() {
                serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            }
        }
        let (escape, bell) = match format {
            "json" => (r"\u009b2J\u202e", r"\u0007"),
            _ => (r"\u{9b}2J\u{202e}", r"\u{7}"),
        };
        assert!(log.contains(escape) && log.contains(bell), "{log}");
    }
}

/// Sends all texts that a station can send, and returns what operators were shown.
fn attack(stage: &Stage) -> Vec<String> {
    raw_upgrade(stage, &format!("GET /ocpp/CS001{} HTTP/1.1", "%1B%5B2J%C2%9B"), "ocpp2.0.1");
    raw_upgrade(stage, "GET /ocpp/CS001 HTTP/1.1", "x\u{9b}2J\u{202e}");
    let mut station = Puppet::new(stage, "CS001");
    station.connect(Ocpp::V201);
    station.call_raw(
        "BootNotification",
        json!({
            "reason": "PowerUp",
            "chargingStation": { "vendorName": HOSTILE, "model": HOSTILE, "serialNumber": HOSTILE },
        }),
    );
    station.boot(Ocpp::V201, "SN-0001");
    let event = json!({
        "type": format!("Hostile event{HOSTILE}"), "timestamp": "2026-11-30T12:00:00Z", "techInfo": HOSTILE,
    });
    station.call_raw("SecurityEventNotification", event);
    station.call_raw(&format!("NoSuchAction{HOSTILE}"), json!({}));
    station.call_raw("Heartbeat", json!({ HOSTILE: 1 }));
    let heartbeat = json!({ "do": "call", "action": "Heartbeat", "payload": {}, "suffix": HOSTILE });
    station.command(heartbeat);
    station.call_raw("SignCertificate", json!({ "csr": HOSTILE, "certificateType": HOSTILE }));
    // An id with a line break is not valid. The answer cannot repeat it.
    let forged = json!({ "do": "call", "action": "Nope", "payload": {}, "suffix": "\nFORGED-ID" });
    let answer = station.command(forged);
    assert_eq!((&answer[0], &answer[1], &answer[2]), (&json!(4), &json!("-1"), &json!("RpcFrameworkError")));

    let mut shown = Vec::new();
    let reason = json!({ "status": "Rejected", "statusInfo": { "reasonCode": HOSTILE } });
    station.answer("TriggerMessage", reason);
    let output = stage.plain_command(&["trigger", "CS001", "Heartbeat"]).output().expect("starts");
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    shown.push(String::from_utf8(output.stdout).expect("UTF-8"));
    station.answer("TriggerMessage", json!({ "error": HOSTILE }));
    let output = stage.plain_command(&["trigger", "CS001", "Heartbeat"]).output().expect("starts");
    assert_eq!(output.status.code(), Some(3));
    shown.push(String::from_utf8(output.stderr).expect("UTF-8"));
    // In JSON the text is the station's own.
    let reason = json!({ "status": "Rejected", "statusInfo": { "reasonCode": HOSTILE } });
    station.answer("TriggerMessage", reason);
    let output = stage.command(&["trigger", "CS001", "Heartbeat"]).output().expect("starts");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_is_safe(&text);
    let read: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(read["statusInfo"]["reasonCode"], HOSTILE);
    shown
}

/// Sends with OpenSSL an upgrade that no library would send. The service answers and closes.
fn raw_upgrade(stage: &Stage, request: &str, subprotocol: &str) {
    let address = stage.url().trim_start_matches("wss://").split('/').next().expect("an address");
    let mut client = Command::new("openssl")
        .args(["s_client", "-quiet", "-no_ign_eof", "-connect", address])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("OpenSSL starts");
    let head = format!(
        "{request}\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: {subprotocol}\r\n\r\n"
    );
    let mut commands = client.stdin.take().expect("piped");
    commands.write_all(head.as_bytes()).expect("OpenSSL reads");
    commands.flush().expect("OpenSSL reads");
    let mut answer = [0; 12];
    client.stdout.take().expect("piped").read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer[..9], b"HTTP/1.1 ", "{answer:?}");
    drop(commands);
    client.kill().expect("killed");
    client.wait().expect("ended");
}

/// The text contains no character with an effect on a terminal, except its line ends.
#[track_caller]
fn assert_is_safe(text: &str) {
    let obeyed = |letter: char| (letter.is_control() && letter != '\n') || letter == '\u{202e}';
    let found = text.find(obeyed);
    let around = found.map(|at| text[at..].chars().take(80).collect::<String>());
    assert_eq!(around.map(|text| text.escape_debug().to_string()), None);
}
