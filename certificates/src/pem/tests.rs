use proptest::prelude::*;

use super::error::MAX_QUOTED_LABEL;
use super::*;

const B: &str = "-----BEGIN CERTIFICATE-----";
const E: &str = "-----END CERTIFICATE-----";

#[track_caller]
fn check(text: &str, expected: Result<Vec<Vec<u8>>, &str>) {
    let found = certificates(text.as_bytes(), 2).map_err(|error| error.to_string());
    let found = found.map(|found| found.iter().map(|der| der.to_vec()).collect::<Vec<_>>());
    assert_eq!(found, expected.map_err(str::to_owned), "{text:?}");
}

#[test]
fn lenient_outside_strict_inside() {
    check(&format!("{B}\nAQID\n{E}\n"), Ok(vec![vec![1, 2, 3]]));
    check(&format!("subject=CN = x\nissuer=y\n{B}\r\nAQ\r\nID\r\n{E}"), Ok(vec![vec![1, 2, 3]]));
    check(&format!("{B} AQID {E} {B}AQ=={E} bye"), Ok(vec![vec![1, 2, 3], vec![1]]));
    check(
        &format!("\u{feff}{B}\nAQID\n{E}\n \t\u{feff}{B}\nAQ==\n{E}\n\n"),
        Ok(vec![vec![1, 2, 3], vec![1]]),
    );
    check(&format!("{B}\rAQID\r{E}\r"), Ok(vec![vec![1, 2, 3]]));
    check("", Err("there is no PEM certificate in the text"));
    check("AQID", Err("there is no PEM certificate in the text"));
    check(&format!("{B}\nAQID\n"), Err("line 1: the block of CERTIFICATE that begins here is not closed"));
    check(
        "-----BEGIN CERTIFICATE",
        Err("line 1 belongs to no PEM block and looks like a part of one; repair or remove it"),
    );
    for body in ["AQ-_", "AQ=", "AR==", "AQ ID\u{a0}", ""] {
        let text = format!("{B}\n{body}\n{E}");
        certificates(text.as_bytes(), 1).expect_err(&text);
    }
    check(&format!("{B}\nAQID\nA?ID\n{E}"), Err("line 3: the text inside the block is not base64"));
    check(
        "\n-----BEGIN PRIVATE KEY-----\nAQID\n-----END PRIVATE KEY-----",
        Err("line 2: CERTIFICATE is expected, and this is PEM of PRIVATE KEY"),
    );
    check(
        &format!("{B}AQ=={E}\n{B}AQ=={E}\n{B}AQ=={E}"),
        Err("line 3: another certificate begins here; the limit is 2"),
    );
}

/// `cat` joins files without adding a line end.
#[test]
fn blocks_that_are_joined_are_all_read() {
    let text = "-----BEGIN X509 CRL-----\nAQID\n-----END X509 CRL----------BEGIN X509 CRL-----\nAQ==\n-----END X509 CRL-----";
    let found = revocation_lists(text.as_bytes(), 9).unwrap();
    assert_eq!(found.iter().map(|list| list.to_vec()).collect::<Vec<_>>(), [vec![1, 2, 3], vec![1]]);
}

#[test]
fn what_looks_like_a_part_of_a_block_is_not_skipped() {
    let good = format!("{B}\nAQID\n{E}\n");
    let long = "MIIBszCCAVmgAwIBAgIUJ9kQ0VqYVb8nJ0F0b0n2w0eZ0XowCgYIKoZIzj0EAwIw";
    for part in [
        "----BEGIN CERTIFICATE----",
        "-----BEGIN CERTIFICATE----",
        "-----begin certificate-----",
        "——BEGIN CERTIFICATE——",
        "––begin certificate––",
        "- ----END CERTIFICATE-----",
        "-----END CERTIFICATE-----",
        "----END CERTIFICATE",
        "-----",
        long,
        &format!("  {long}\t"),
    ] {
        for (text, line) in [
            (format!("{part}\n{good}"), 1),
            (format!("{good}{part}\n{good}"), 4),
            (format!("{good}{part}"), 4),
        ] {
            assert_eq!(certificates(text.as_bytes(), 9), Err(PemError::Stray { line }), "{text}");
        }
    }
    for comment in [
        "# the root of 2026 - do not delete",
        "SHA256 Fingerprint=AB:CD",
        "END",
        "- list of certificates",
        "=====================",
        "        Serial Number: 4096 (0x1000)",
    ] {
        check(&format!("{comment}\n{good}{comment}"), Ok(vec![vec![1, 2, 3]]));
    }
}

#[test]
fn a_block_that_is_not_closed_takes_no_other_with_it() {
    check(
        &format!("{B}\nAQID\n{B}\nAQ==\n{E}"),
        Err("line 1: the block of CERTIFICATE that begins here is not closed"),
    );
    check(
        &format!("{B}\nAQID\n-----END X509 CRL-----\n{B}\nAQ==\n{E}"),
        Err("line 3: the block of CERTIFICATE is not closed by this line"),
    );
}

#[test]
fn files_that_are_not_pem_are_named() {
    assert_eq!(certificates(&[0x30, 0x82, 1, 0], 1), Err(PemError::Der));
    let utf16: Vec<u8> = "\u{feff}-----BEGIN".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(certificates(&utf16, 1), Err(PemError::Utf16));
    let latin1 = [b"K\xf6ln\n", format!("{B}\nAQID\n{E}\n").as_bytes()].concat();
    assert_eq!(certificates(&latin1, 1).unwrap(), [CertificateDer::from(vec![1, 2, 3])]);
}

#[test]
fn lists_in_der_are_all_read() {
    let list = [&[0x30, 0x81, 0x80][..], &[0; 0x80]].concat();
    assert_eq!(revocation_lists(&list, 9).unwrap().len(), 1);
    assert_eq!(revocation_lists(&list.repeat(3), 9).unwrap().len(), 3);
    assert_eq!(
        revocation_lists(&list.repeat(3), 2),
        Err(PemError::TooMany { line: 1, max: 2, expected: REVOCATION_LIST })
    );
    assert_eq!(revocation_lists(&[&list[..], b"\n"].concat(), 9), Err(PemError::BrokenDer));
    assert_eq!(revocation_lists(&list[..9], 9), Err(PemError::BrokenDer));
}

#[test]
fn private_keys() {
    let block = |label: &str| encode(label, &[1, 2, 3]);
    let parameters = block("EC PARAMETERS");
    assert!(matches!(private_key(block("PRIVATE KEY").as_bytes()), Ok(PrivateKeyDer::Pkcs8(_))));
    assert!(matches!(private_key(block("RSA PRIVATE KEY").as_bytes()), Ok(PrivateKeyDer::Pkcs1(_))));
    let sec1 = parameters.clone() + &block("EC PRIVATE KEY");
    assert!(matches!(private_key(sec1.as_bytes()), Ok(PrivateKeyDer::Sec1(_))));
    for (text, expected) in [
        (parameters, "there is no PEM private key in the text"),
        (
            block("ENCRYPTED PRIVATE KEY"),
            "line 1: PRIVATE KEY is expected, and this is PEM of ENCRYPTED PRIVATE KEY",
        ),
        (block("PRIVATE KEY").repeat(2), "line 4: another private key begins here; the limit is 1"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAQID\n-----END RSA PRIVATE KEY-----"
                .to_owned(),
            "line 2: the block has headers, so it is encrypted or not PEM of X.509; decrypt it first",
        ),
    ] {
        assert_eq!(private_key(text.as_bytes()).unwrap_err().to_string(), expected);
    }
}

#[test]
fn requests_with_either_label_and_without_blocks() {
    for text in [
        encode(REQUEST, &[1, 2, 3]),
        encode("NEW CERTIFICATE REQUEST", &[1, 2, 3]),
        "\u{feff} AQ\r\nID ".to_owned(),
    ] {
        assert_eq!(request(&text), Ok(vec![1, 2, 3]), "{text:?}");
    }
    let nothing = Err(PemError::NeitherPemNorBase64 { expected: REQUEST });
    for text in ["", " ", "hello!", "AQ-"] {
        assert_eq!(request(text), nothing, "{text:?}");
    }
    assert_eq!(
        request(&encode(REQUEST, &[1]).repeat(2)),
        Err(PemError::TooMany { line: 4, max: 1, expected: REQUEST })
    );
}

#[test]
fn a_foreign_label_is_shortened_and_has_no_control_characters() {
    let text = format!("-----BEGIN {}\u{1b}[31m-----", "X".repeat(99));
    let Err(PemError::Label { label, .. }) = certificates(text.as_bytes(), 1) else { panic!("{text}") };
    assert_eq!(label.to_string(), "X".repeat(MAX_QUOTED_LABEL));
}

proptest! {
    #[test]
    fn encoding_decodes_to_the_same_bytes(der in prop::collection::vec(any::<u8>(), 1..300)) {
        let text = encode(CERTIFICATE, &der);
        prop_assert_eq!(certificates(text.as_bytes(), 1).unwrap(), [CertificateDer::from(der)]);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(-{1,6}|BEGIN |END |CERTIFICATE|\n|[A-Za-z= ]){0,30}") {
        if let Ok(found) = certificates(text.as_bytes(), 100) {
            prop_assert_eq!(found.len(), text.matches("BEGIN CERTIFICATE-----").count());
        }
    }
}
