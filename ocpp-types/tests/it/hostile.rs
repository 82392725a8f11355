//! Bytes that no honest peer sends: every message refuses or accepts them, and none panics.

use ocpp_types::{Version, Violation, decode, v201 as types};
use proptest::prelude::*;

use crate::messages::messages;

#[test]
fn deep_nesting_is_refused_without_a_stack_overflow() {
    for opening in ["[", r#"{"a":"#] {
        let deep = opening.repeat(1_000_000);
        for payload in [
            deep.clone(),
            format!(r#"{{"csr":{deep}"#),
            format!(r#"{{"csr":"","customData":{{"vendorId":"v","x":{deep}"#),
        ] {
            let error = decode::<types::SignCertificateRequest>(&payload).unwrap_err();
            assert_eq!(error.violation(), Violation::NotJson, "{error}");
        }
    }
}

#[test]
fn many_members_take_linear_time() {
    let members: String = (0..200_000).map(|index| format!(r#","m{index}":0"#)).collect();
    let valid = format!(r#"{{"csr":"","customData":{{"vendorId":"v"{members}}}}}"#);
    assert!(decode::<types::SignCertificateRequest>(&valid).is_ok());
    let twice = format!(r#"{{"csr":"","customData":{{"vendorId":"v"{members},"m77":0}}}}"#);
    let error = decode::<types::SignCertificateRequest>(&twice).unwrap_err();
    assert_eq!((error.violation(), error.pointer()), (Violation::DuplicateMember, "/customData/m77"));
}

#[test]
fn the_first_member_twice_is_refused_in_every_message() {
    // OCPP 1.6 has no member that every message has.
    for message in messages().into_iter().filter(|message| message.version != Version::V16) {
        let payload = r#"{"customData":{"vendorId":"v"},"customData":{"vendorId":"v"}}"#;
        let error = message.round_trip(payload).expect_err(&message.name);
        assert_eq!(
            (error.violation(), error.pointer()),
            (Violation::DuplicateMember, "/customData"),
            "{}",
            message.name
        );
    }
}

#[test]
fn odd_texts_are_no_payload() {
    for message in messages() {
        for payload in [
            "",
            " ",
            "\0",
            "{",
            "}",
            "{]",
            "{}{}",
            "{},",
            "{}\0",
            "\u{feff}{}",
            "{'a':1}",
            "{a:1}",
            "{\"a\":1,}",
            "NaN",
            "{\"a\":NaN}",
            "{\"a\":1e999}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":\"\u{1}\"}",
            "{\"a\":01}",
            "// {}",
            "{\"\\u0000\":0}",
        ] {
            assert!(message.round_trip(payload).is_err(), "{} took {payload:?}", message.name);
        }
    }
}

#[test]
fn a_payload_of_many_megabytes_is_counted_and_refused() {
    let payload = format!(r#"{{"csr":"{}"}}"#, "漢".repeat(8 << 20));
    let error = decode::<types::SignCertificateRequest>(&payload).unwrap_err();
    assert_eq!(error.to_string(), "/csr: 8388608 characters, at most 5500 are allowed");
}

proptest! {
    #[test]
    fn no_text_panics(text in r#"[\{\}\[\],:"0-9eE+\-. a-z\\u]{0,80}"#) {
        for message in messages() {
            let _ = message.round_trip(&text);
        }
    }

    #[test]
    fn no_broken_payload_panics(cut in 0_usize..150, letter in any::<char>()) {
        let payload = r#"{"certificateHashData":{"hashAlgorithm":"SHA256","issuerNameHash":"aa","issuerKeyHash":"bb","serialNumber":"01","customData":{"vendorId":"v","é":[1,2.5,null]}}}"#;
        let mut text = payload.to_owned();
        let at = (0..=cut).rev().find(|at| payload.is_char_boundary(*at)).expect("0 is one");
        text.insert(at, letter);
        let _ = decode::<types::DeleteCertificateRequest>(&text);
        text.truncate(at);
        prop_assert!(decode::<types::DeleteCertificateRequest>(&text).is_err());
    }
}
