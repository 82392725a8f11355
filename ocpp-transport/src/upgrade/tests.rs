//! The handshake between the two sides, and what either side refuses.

use std::time::Duration;

use certificates::StationIdentity;
use ocpp_types::Version;

use crate::deflate::{Deflate, NegotiationError};
use crate::upgrade::request::Upgrade;
use crate::upgrade::{
    Authorization, ResponseError, accept, check_response, parse_request, refuse, request, status_of,
};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

fn station(path: &str, protocols: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: csms\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Protocol: {protocols}\r\n{more}\r\n"
    )
}

#[track_caller]
fn check_request(request: &str, expected: Result<&str, u16>) {
    let result = parse_request(
        request.as_bytes(),
        "/ocpp/",
        &[Version::V16, Version::V201],
        Some(&Deflate::default()),
    );
    let found = match &result {
        Ok(Upgrade { version: Err(refusal), .. })
        | Ok(Upgrade { authorization: Authorization::Unusable(refusal), .. }) => Err(refusal.status),
        Ok(upgrade) => Ok(upgrade.identity.as_str()),
        Err(refusal) => Err(refusal.status),
    };
    assert_eq!(found, expected, "{request}");
}

#[test]
fn the_two_sides_understand_each_other() {
    use Version::{V16, V21, V201};
    let identity = StationIdentity::try_from("RDAM 123").unwrap();
    let authorization = crate::upgrade::basic::header(&identity, &"0123456789abcdef".into());
    let deflate = Deflate::default();
    let text =
        request("csms:443", "/ocpp/RDAM%20123", KEY, &[V21, V201, V16], Some(&deflate), Some(&authorization));
    assert!(text.capacity() >= text.len());
    let upgrade = parse_request(text.as_bytes(), "/ocpp", &[V16, V201], Some(&deflate)).unwrap();
    assert_eq!(upgrade.identity, identity);
    let Authorization::Basic(credentials) = &upgrade.authorization else { panic!("Basic") };
    assert_eq!(credentials.user, "RDAM 123");
    // The station's order decides.
    assert_eq!(upgrade.version, Ok(V201));
    let response = accept(&upgrade, V201);
    let check = |offered: &[Version], deflate| check_response(response.as_bytes(), KEY, offered, deflate);
    let opened = check(&[V21, V201, V16], Some(&deflate)).unwrap();
    assert_eq!(opened.version, V201);
    assert_eq!(opened.deflate, upgrade.deflate());
    assert!(opened.deflate.is_some());
    assert_eq!(check(&[V21], Some(&deflate)), Err(ResponseError::Subprotocol));
    let not_offered = ResponseError::Extension(NegotiationError::NotOffered);
    assert_eq!(check(&[V201], None), Err(not_offered));
}

#[test]
fn the_identity_is_the_last_segment_under_the_base_path() {
    check_request(&station("/ocpp/CS1", "ocpp2.0.1", ""), Ok("CS1"));
    check_request(&station("/ocpp/RDAM%7C123?x=y", "ocpp2.0.1", ""), Ok("RDAM|123"));
    for path in ["/", "/CS1", "/ocpp/", "/ocpp", "/ocppCS1", "/ocpp/x/CS1", "/ocpp/a%3Ab", "/ocpp/a%zz"] {
        check_request(&station(path, "ocpp2.0.1", ""), Err(404));
    }
}

#[test]
fn tc_b_58_a_common_subprotocol_is_needed() {
    check_request(&station("/ocpp/CS1", "ocpp0.1", ""), Err(400));
    check_request(&station("/ocpp/CS1", "ocpp2.0", ""), Err(400));
    check_request(&station("/ocpp/CS1", "ocpp2.1", ""), Err(400));
    check_request(&station("/ocpp/CS1", "ocpp1.6", ""), Ok("CS1"));
    check_request(&station("/ocpp/CS1", "ocpp0.1,ocpp2.0.1", ""), Ok("CS1"));
    check_request(&station("/ocpp/CS1", "ocpp0.1", "Sec-WebSocket-Protocol: ocpp2.0.1\r\n"), Ok("CS1"));
}

#[test]
fn requests_that_are_no_upgrade() {
    check_request("", Err(400));
    check_request("GET /ocpp/CS1 HTTP/1.1\r\nHost: csms\r\n\r\n", Err(400));
    check_request("POST /ocpp/CS1 HTTP/1.1\r\n\r\n", Err(400));
    check_request(&station("/ocpp/CS1", "ocpp2.0.1", "Authorization: Bearer x\r\n"), Err(401));
    check_request(&station("/ocpp/CS1", "ocpp2.0.1", "Sec-WebSocket-Extensions: a b\r\n"), Err(400));
    let twice = "Authorization: Basic QTpi\r\nAuthorization: Basic QTpi\r\n";
    check_request(&station("/ocpp/CS1", "ocpp2.0.1", twice), Err(400));
}

#[test]
fn rfc_9110_5_3_a_list_may_stand_in_several_lines() {
    let request = station("/ocpp/CS1", "ocpp2.0.1", "");
    for (from, to) in [
        ("Connection: keep-alive, Upgrade\r\n", "Connection: keep-alive\r\nConnection: Upgrade\r\n"),
        ("Connection: keep-alive, Upgrade\r\n", "Connection: UPGRADE ,\r\n"),
        ("Upgrade: websocket\r\n", "Upgrade: h2c, websocket\r\n"),
        ("Upgrade: websocket\r\n", "Upgrade: h2c\r\nUpgrade: WebSocket\r\n"),
    ] {
        check_request(&request.replace(from, to), Ok("CS1"));
    }
    for (from, to) in [
        ("keep-alive, Upgrade", "keep-alive"),
        ("keep-alive, Upgrade", "upgrades"),
        ("Upgrade: websocket", "Upgrade: h2c"),
        ("Upgrade: websocket", "Upgrade: web,socket"),
        (KEY, "dGhlIHNhbXBsZSBub25j"),
        (KEY, "not base64 at all!!!!!!!"),
        (KEY, ""),
    ] {
        check_request(&request.replace(from, to), Err(400));
    }
}

#[test]
fn rfc_6455_4_2_2_the_refusal_of_another_version_names_the_supported_one() {
    for version in ["8", "7", "14", "013", "13, 8", ""] {
        let request = station("/ocpp/CS1", "ocpp2.0.1", "");
        check_request(&request.replace("Version: 13", &format!("Version: {version}")), Err(426));
    }
    let response = refuse(426, None);
    assert!(response.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{response}");
    assert!(response.contains("\r\nSec-WebSocket-Version: 13\r\n"), "{response}");
    assert!(response.contains("\r\nUpgrade: websocket\r\n"), "{response}");
}

#[test]
fn a_refusal_names_what_was_asked_for() {
    let refused = |path: &str, protocols: &str| {
        let request = station(path, protocols, "");
        let upgrade = parse_request(request.as_bytes(), "/ocpp", &[Version::V201], None);
        upgrade.and_then(|upgrade| upgrade.version.map(drop)).unwrap_err().to_string()
    };
    assert_eq!(
        refused("/other/CS1", "ocpp2.0.1"),
        "refused with HTTP 404: the path names no station (path /other/CS1, offering the subprotocols ocpp2.0.1)"
    );
    assert_eq!(
        refused("/ocpp/CS1", "ocpp0.1, mqtt"),
        "refused with HTTP 400: no common subprotocol (path /ocpp/CS1, offering the subprotocols ocpp0.1, mqtt)"
    );
    assert!(refused(&format!("/{}", "x".repeat(5_000)), "ocpp2.0.1").len() < 400);
    let none = station("/ocpp/CS1", "", "").replace("Sec-WebSocket-Protocol: \r\n", "");
    let upgrade = parse_request(none.as_bytes(), "/ocpp", &[Version::V201], None).unwrap();
    assert!(upgrade.version.unwrap_err().to_string().ends_with("offering no subprotocol)"));
}

#[test]
fn the_status_of_a_response_that_broke_off() {
    for (text, expected) in [
        ("HTTP/1.1 401", Some(401)),
        ("HTTP/1.1 401\r", Some(401)),
        ("HTTP/1.1 401 Unauthorized\r\nWWW-", Some(401)),
        ("HTTP/1.0 502 Bad Gateway\r\n\r\n", Some(502)),
        ("HTTP/1.1 40", None),
        ("HTTP/1.1 4011", None),
        ("HTTP/1.1 +01", None),
        ("HTTP/1.1 099", None),
        ("HTTP/2 401", None),
        ("HTTP/1.", None),
        ("", None),
    ] {
        assert_eq!(status_of(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn requests_that_two_readers_could_understand_differently() {
    for more in [
        "Host: other\r\n",
        "Host: csms\r\n",
        "Content-Length: 0\r\nContent-Length: 0\r\n",
        "Content-Length: 0\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\n",
        "Content-Length: 0, 0\r\n",
        "Content-Length: -1\r\n",
        "Content-Length:\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        "Sec-WebSocket-Version: 13\r\n",
        "Sec-WebSocket-Version: 8\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    ] {
        check_request(&station("/ocpp/CS1", "ocpp2.0.1", more), Err(400));
    }
    check_request(&station("/ocpp/CS1", "ocpp2.0.1", "Content-Length: 0\r\n"), Ok("CS1"));
    let without_host = station("/ocpp/CS1", "ocpp2.0.1", "").replace("Host: csms\r\n", "");
    check_request(&without_host, Err(400));
}

#[test]
fn a_refusal_contains_when_to_retry() {
    let seconds = Duration::from_millis(1_500);
    assert!(refuse(503, Some(seconds)).contains("\r\nRetry-After: 2\r\n"));
    assert!(
        refuse(429, Some(Duration::from_secs(60)))
            .starts_with("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 60\r\n")
    );
    assert!(!refuse(503, None).contains("Retry-After"));
}

#[test]
fn responses_that_open_nothing() {
    let check = |text: &str, expected: ResponseError| {
        assert_eq!(check_response(text.as_bytes(), KEY, &[Version::V201], None), Err(expected), "{text}");
    };
    check(&refuse(401, None), ResponseError::Status { status: 401 });
    let text = station("/ocpp/CS1", "ocpp2.0.1", "");
    let upgrade = parse_request(text.as_bytes(), "/ocpp", &[Version::V201], None).unwrap();
    let good = accept(&upgrade, Version::V201);
    check(&good.replace("ocpp2.0.1", "ocpp1.6"), ResponseError::Subprotocol);
    check(&good.replace("Sec-WebSocket-Protocol: ocpp2.0.1\r\n", ""), ResponseError::Subprotocol);
    check(
        &good.replace("Upgrade: websocket", "Upgrade: h2c"),
        ResponseError::Invalid("the response does not upgrade to WebSocket"),
    );
    let other = good.replace("Accept: ", "Accept: A");
    check(&other, ResponseError::Invalid("the response belongs to another request"));
    check("HTTP/1.0 502 Bad Gateway\r\n\r\n", ResponseError::Status { status: 502 });
    check("SSH-2.0-OpenSSH\r\n\r\n", ResponseError::Invalid("the response is not HTTP/1.1"));
}
