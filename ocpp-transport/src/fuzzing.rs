//! Access of the fuzz targets to private parts. No other build contains it.

use ocpp_types::Version;

use crate::deflate::Deflate;
use crate::upgrade;
use crate::upgrade::path_segment;

const VERSIONS: [Version; 3] = [Version::V21, Version::V201, Version::V16];
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// Reads the head of a request as a CSMS does, and answers it.
///
/// # Panics
/// If the request that was read and its response do not match.
pub fn request(head: &[u8]) {
    let deflate = Deflate::default();
    let Ok(upgrade) = upgrade::parse_request(head, "/ocpp", &VERSIONS, Some(&deflate)) else { return };
    let Ok(version) = upgrade.version else { return };
    // An accepted identity is the same in a request that this crate writes.
    let path = format!("/ocpp/{}", path_segment::write(&upgrade.identity));
    let again = upgrade::request("csms", &path, KEY, &[version], Some(&deflate), None);
    let again =
        upgrade::parse_request(again.as_bytes(), "/ocpp", &VERSIONS, Some(&deflate)).expect("is ours");
    assert_eq!((&again.identity, &again.version), (&upgrade.identity, &Ok(version)));
    assert!(again.deflate().is_some());
    // A station accepts the response.
    let response = upgrade::accept(&again, version);
    let opened = upgrade::check_response(response.as_bytes(), KEY, &VERSIONS, Some(&deflate)).expect("opens");
    assert_eq!((opened.version, opened.deflate), (version, again.deflate()));
    // The response to any request is one head and nothing after it.
    let response = upgrade::accept(&upgrade, version);
    assert!(response.ends_with("\r\n\r\n"));
    assert_eq!(response.matches("\r\n\r\n").count(), 1, "{response}");
}

/// Reads the head of a response as a station does.
///
/// # Panics
/// If a version is accepted that was not offered.
pub fn response(head: &[u8]) {
    for offered in [&VERSIONS[..], &VERSIONS[1..2]] {
        for deflate in [Some(Deflate::default()), None] {
            let Ok(opened) = upgrade::check_response(head, KEY, offered, deflate.as_ref()) else { continue };
            assert!(offered.contains(&opened.version));
            assert!(deflate.is_some() || opened.deflate.is_none());
        }
    }
}

/// Reads a segment of a path as an identity.
///
/// # Panics
/// If the identity changes when it is written and read again.
pub fn identity(segment: &str) {
    if let Ok(identity) = path_segment::read(segment) {
        let again = path_segment::read(&path_segment::write(&identity));
        assert_eq!(again.as_ref(), Ok(&identity));
    }
}
