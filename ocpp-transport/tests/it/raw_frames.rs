//! Raw WebSocket frames, as a table with the answer that RFC 6455 requires for each. The numbers
//! are those of Autobahn's cases for framing (1 to 7), adapted to OCPP-J: a text that is not a
//! message is answered by a CALLERROR, and binary is refused.

use ocpp_transport::LinkSettings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::lab::{Lab, heartbeats, within};

/// The answer. The connection stays open unless it is closed.
#[derive(Debug, PartialEq, Eq)]
enum Back {
    /// A CALLERROR for a text that is not a message.
    Answer,
    Pong(Vec<u8>),
    /// Close with this code, and the end of the connection.
    Close(u16),
    /// Close without a code, and the end of the connection.
    CloseWithoutCode,
}
use Back::{Answer, Close, CloseWithoutCode, Pong};

const FIN: u8 = 0x80;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A masked frame with this first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ ..126 => frame.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

fn text(payload: &[u8]) -> Vec<u8> {
    frame(FIN | TEXT, payload)
}

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(FIN | CLOSE, &[&code.to_be_bytes()[..], reason].concat())
}

/// Text in these fragments.
fn fragments(parts: &[&[u8]]) -> Vec<u8> {
    let last = parts.len() - 1;
    let begin = |number: usize| if number == 0 { TEXT } else { 0 } | if number == last { FIN } else { 0 };
    parts.iter().enumerate().flat_map(|(number, part)| frame(begin(number), part)).collect()
}

/// The texts that are sent, one `Vec` after the other, and the answers.
fn table() -> Vec<(String, Vec<Vec<u8>>, Vec<Back>)> {
    let mut table = Vec::new();
    let mut add = |name: &str, sent: Vec<Vec<u8>>, back: Vec<Back>| table.push((name.to_owned(), sent, back));
    // 1: texts and binaries of all sizes.
    for size in [0, 1, 125, 126, 127, 128, 2_000, 2_001, 65_535, 65_536, 128 * 1024] {
        add(&format!("1.1 text of {size}"), vec![text(&vec![b'*'; size])], vec![Answer]);
    }
    add("1.1 text over the limit", vec![text(&vec![b'*'; 128 * 1024 + 1])], vec![Close(1009)]);
    for size in [0, 125, 126, 65_536] {
        add(
            &format!("1.2 binary of {size}"),
            vec![frame(FIN | BINARY, &vec![0xfe; size])],
            vec![Close(1003)],
        );
    }
    let chopped = |bytes: Vec<u8>| bytes.into_iter().map(|byte| vec![byte]).collect::<Vec<_>>();
    add("1.1 text byte by byte", chopped(text(b"Hello")), vec![Answer]);
    // 2: pings and pongs.
    for payload in [&b""[..], b"Hello", &[0, 0xff, 0xfe, 0xfd], &[b'x'; 125]] {
        add("2.1 to 2.4 ping", vec![frame(FIN | PING, payload)], vec![Pong(payload.to_vec())]);
    }
    add("2.5 ping of 126", vec![frame(FIN | PING, &[b'x'; 126])], vec![Close(1002)]);
    add("2.6 ping byte by byte", chopped(frame(FIN | PING, &[7; 125])), vec![Pong(vec![7; 125])]);
    add("2.7 unsolicited pong", vec![frame(FIN | PONG, b"")], vec![]);
    add("2.8 pong with a payload", vec![frame(FIN | PONG, b"unasked"), text(b"Hello")], vec![Answer]);
    let pings = (0..10u8).map(|number| frame(FIN | PING, &[number])).collect::<Vec<_>>();
    add("2.10 ten pings", pings, (0..10u8).map(|number| Pong(vec![number])).collect());
    // 3: reserved bits, without an extension that uses them.
    for reserved in 1..8u8 {
        for (name, opcode) in [("text", TEXT), ("ping", PING), ("close", CLOSE)] {
            let sent = vec![frame(FIN | reserved << 4 | opcode, b"")];
            add(&format!("3 {name} with reserved bits {reserved}"), sent, vec![Close(1002)]);
        }
    }
    // 4: reserved opcodes.
    for opcode in (3..8).chain(11..16) {
        for payload in [&b""[..], b"reserved"] {
            let sent = vec![text(b"Hello"), frame(FIN | opcode, payload)];
            add(&format!("4 opcode {opcode}"), sent, vec![Answer, Close(1002)]);
        }
    }
    // 5: fragments.
    add("5.1 ping in fragments", vec![frame(PING, b"a"), frame(FIN, b"b")], vec![Close(1002)]);
    add("5.2 pong in fragments", vec![frame(PONG, b"a"), frame(FIN, b"b")], vec![Close(1002)]);
    add("5.3 text in fragments", vec![fragments(&[b"frag", b"ment"])], vec![Answer]);
    add("5.5 in fragments byte by byte", chopped(fragments(&[b"frag", b"ment"])), vec![Answer]);
    let between = vec![frame(TEXT, b"a"), frame(FIN | PING, b"p"), frame(0, b"b"), frame(FIN, b"")];
    add("5.6 ping between fragments", between, vec![Pong(b"p".to_vec()), Answer]);
    add("5.9 continuation of nothing", vec![frame(FIN, b"x"), text(b"Hello")], vec![Close(1002)]);
    add("5.11 continuation of nothing, not last", vec![frame(0, b"x"), text(b"Hello")], vec![Close(1002)]);
    add(
        "5.15 continuation after the end",
        vec![fragments(&[b"a", b"b"]), frame(FIN, b"c")],
        vec![Answer, Close(1002)],
    );
    add("5.18 a message within another", vec![frame(TEXT, b"a"), frame(FIN | TEXT, b"b")], vec![Close(1002)]);
    let endless = (0..70).map(|number| frame(if number == 0 { TEXT } else { 0 }, &[b'x'; 2_000])).collect();
    add("5 fragments over the limit", endless, vec![Close(1009)]);
    // 6: UTF-8.
    let greek = "κόσμε".as_bytes();
    add("6.2 UTF-8", vec![text(greek)], vec![Answer]);
    add(
        "6.2.3 UTF-8 divided within its letters",
        vec![fragments(&greek.chunks(1).collect::<Vec<_>>())],
        vec![Answer],
    );
    for (name, bytes) in [
        ("6.3 a surrogate", &b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited"[..]),
        ("6.6 breaks off", b"\xce\xba\xe1\xbd"),
        ("6.10 beyond Unicode", b"\xf4\x90\x80\x80"),
        ("6.12 a continuation first", b"\x80"),
        ("6.14 five bytes", b"\xf8\x88\x80\x80\x80"),
        ("6.18 overlong", b"\xc0\xaf"),
        ("6.21 never in UTF-8", b"\xfe\xff"),
    ] {
        add(name, vec![text(bytes)], vec![Close(1007)]);
        add(&format!("{name}, in fragments"), vec![fragments(&[b"ok", bytes])], vec![Close(1007)]);
    }
    for letter in ["\u{fffe}", "\u{10ffff}", "\u{0}", "\u{d7ff}", "\u{e000}"] {
        add("6.22 valid UTF-8", vec![text(letter.as_bytes())], vec![Answer]);
    }
    // 7: close.
    add("7.1.1 close after a text", vec![text(b"Hello"), close(1000, b"")], vec![Answer, Close(1000)]);
    add("7.1.2 close twice", vec![close(1000, b""), close(1000, b"")], vec![Close(1000)]);
    add("7.1.3 ping after close", vec![close(1000, b""), frame(FIN | PING, b"")], vec![Close(1000)]);
    add("7.1.4 text after close", vec![close(1000, b""), text(b"Hello")], vec![Close(1000)]);
    add(
        "7.1.5 close between fragments",
        vec![frame(TEXT, b"a"), close(1000, b""), frame(FIN, b"b")],
        vec![Close(1000)],
    );
    add("7.3.1 close without code", vec![frame(FIN | CLOSE, b"")], vec![CloseWithoutCode]);
    add("7.3.2 half a code", vec![frame(FIN | CLOSE, b"\x03")], vec![Close(1002)]);
    add("7.3.4 code and reason", vec![close(1000, b"Hello World!")], vec![Close(1000)]);
    add("7.3.5 the longest reason", vec![close(1000, &[b'*'; 123])], vec![Close(1000)]);
    add("7.3.6 a longer reason", vec![close(1000, &[b'*'; 124])], vec![Close(1002)]);
    add("7.5.1 a reason that is not UTF-8", vec![close(1000, b"\xce\xba\xed\xa0\x80")], vec![Close(1007)]);
    for code in (1000..=1003).chain(1007..=1014).chain([3000, 3999, 4000, 4999]) {
        add(&format!("7.7 code {code}"), vec![close(code, b"")], vec![Close(code)]);
        add(&format!("7.7 code {code} byte by byte"), chopped(close(code, b"why")), vec![Close(code)]);
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        add(&format!("7.9 code {code}"), vec![close(code, b"")], vec![Close(1002)]);
    }
    // RFC 6455, 5.1 and 5.2, which Autobahn does not test.
    add("5.1 not masked", vec![vec![FIN | TEXT, 5, b'H', b'e', b'l', b'l', b'o']], vec![Close(1002)]);
    let endless = [&[FIN | TEXT, 0x80 | 127][..], &u64::MAX.to_be_bytes(), &MASK].concat();
    add("5.2 a length beyond all limits", vec![endless], vec![Close(1009)]);
    table
}

/// Opens a WebSocket without any extension.
async fn open(lab: &Lab) -> TcpStream {
    let mut tcp = TcpStream::connect(lab.address).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    let request = "GET /ocpp/CS001 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                   Sec-WebSocket-Protocol: ocpp2.0.1\r\n\
                   Authorization: Basic Q1MwMDE6Y29ycmVjdCBob3JzZSBiYXR0ZXJ5\r\n\r\n";
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within(tcp.read_u8()).await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    tcp
}

/// The next frame of the server: its opcode and payload.
async fn receive(tcp: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let first = within(tcp.read_u8()).await.ok()?;
    let length = match tcp.read_u8().await.ok()? {
        126 => usize::from(tcp.read_u16().await.ok()?),
        length => usize::from(length),
    };
    assert_eq!(first & 0xf0, FIN, "whole, and without reserved bits");
    let mut payload = vec![0; length];
    tcp.read_exact(&mut payload).await.ok()?;
    Some((first & 0x0f, payload))
}

async fn back(tcp: &mut TcpStream) -> Option<Back> {
    let (opcode, payload) = receive(tcp).await?;
    Some(match (opcode, payload.as_slice()) {
        (TEXT, text) => {
            let text = std::str::from_utf8(text).unwrap();
            assert!(text.starts_with(r#"[4,"-1","RpcFrameworkError""#), "{text}");
            Answer
        }
        (PONG, payload) => Pong(payload.to_vec()),
        (CLOSE, []) => CloseWithoutCode,
        (CLOSE, [high, low, ..]) => Close(u16::from_be_bytes([*high, *low])),
        other => panic!("{other:?}"),
    })
}

#[tokio::test]
async fn rfc_6455_each_raw_frame_has_its_answer() {
    let mut lab = Lab::plain(heartbeats(), LinkSettings::default()).await;
    let mut wrong = Vec::new();
    let table = table();
    let cases = table.len();
    for (name, sent, expected) in table {
        let mut tcp = open(&lab).await;
        // The callbacks of the admission do not matter here, and their queue is bounded.
        while lab.log.try_recv().is_ok() {}
        for bytes in sent {
            // The server may have closed already.
            if tcp.write_all(&bytes).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        let mut found = Vec::new();
        for _ in &expected {
            found.extend(back(&mut tcp).await);
        }
        if found != expected {
            wrong.push(format!("{name}: {found:?}, expected {expected:?}"));
            continue;
        }
        let closed = matches!(expected.last(), Some(Close(_) | CloseWithoutCode));
        if closed {
            if let Some(more) = receive(&mut tcp).await {
                wrong.push(format!("{name}: {more:?} after Close"));
            }
            continue;
        }
        // The connection still works.
        tcp.write_all(&text(br#"[2,"next","Heartbeat",{}]"#)).await.unwrap();
        let answer = receive(&mut tcp).await;
        let next = br#"[3,"next",{"currentTime":"2026-01-01T00:00:00Z"}]"#.to_vec();
        if answer != Some((TEXT, next)) {
            wrong.push(format!("{name}: {answer:?} to the next call"));
        }
    }
    assert!(wrong.is_empty(), "{} of {cases}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(cases > 150, "{cases}");
}
