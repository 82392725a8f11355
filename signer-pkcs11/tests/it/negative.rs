//! Every kind of refused request, each with its own reason in the response to the station.

use std::{collections::BTreeSet, fs};

use base64ct::{Base64, Encoding};
use ocpp_types::v201::GenericStatusEnumType;
use signer_pkcs11::{Applicant, BlockedKeys, CaSettings, Csr, KeyRules};

use crate::{
    issuance::{Stage, request},
    openssl::{Openssl, P256},
    python,
};

const RSA: &str = "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048";

/// A title, the request, and a part of the reason in the response.
type Case = (String, String, &'static str);

fn curve(name: &str) -> String {
    format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:{name}")
}

/// Faults of the text or the DER.
fn form(openssl: &Openssl, cases: &mut Vec<Case>) {
    let good = openssl.request(P256, "");
    let der = Csr::parse(&good).unwrap().der().to_vec();
    openssl.run("req -x509 -key key.pem -subj /CN=x -out cert.pem");
    let body = good.lines().filter(|line| !line.starts_with('-')).collect::<String>();
    let mut version = der.clone();
    let at = version.windows(3).position(|window| window == [2, 1, 0]).unwrap();
    version[at + 2] = 1;
    let mut broken = der.clone();
    *broken.last_mut().unwrap() ^= 1;
    let trailing = [&der[..], &[0; 3]].concat();
    let mut add =
        |title: &str, text: String, reason: &'static str| cases.push((title.to_owned(), text, reason));
    add("too long", "A".repeat(5500), "not DER");
    add("no text", "hello!".into(), "neither PEM of a certificate signing request nor base64");
    add("a certificate", openssl.read("cert.pem"), "this is PEM of CERTIFICATE");
    add("no end line", good.replace("-----END CERTIFICATE REQUEST-----", ""), "is not closed");
    add("two requests", format!("{good}{good}"), "another certificate signing request begins");
    add("trailing bytes", Base64::encode_string(&trailing), "3 bytes follow");
    add("cut short", Base64::encode_string(&der[..der.len() - 1]), "not DER");
    add("version 1", Base64::encode_string(&version), "not of version 0");
    add("a flipped bit", Base64::encode_string(&broken), "possession of the private key is not proven");
    add("no armour, cut line", body[..body.len() - 1].to_owned(), "nor base64");
}

/// Faults of the key.
fn keys(openssl: &Openssl, cases: &mut Vec<Case>) {
    let mut add = |key: &str, reason: &'static str| {
        cases.push((key.to_owned(), openssl.request(key, ""), reason));
    };
    add("genpkey -algorithm ED448", "key algorithm 1.3.101.113");
    add("genpkey -algorithm ED25519", "a key of kind ed25519 is not allowed");
    add(&curve("secp256k1"), "curve 1.3.132.0.10");
    add(&curve("brainpoolP256r1"), "curve 1.3.36.3.3.2.8.1.1.7");
    add(&curve("P-521"), "a key of kind ecdsa-p521 is not allowed");
    add(&curve("P-192"), "curve 1.2.840.10045.3.1.1");
    add("ecparam -name prime256v1 -genkey -noout -param_enc explicit", "explicit parameters");
    add("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024", "1024 bits is too weak");
    openssl.run(&format!("{} -out long.pem", curve("P-256")));
    add("ec -in long.pem -conv_form compressed", "not an uncompressed point");

    let mut script = python::script("weak_requests.py");
    python::run({
        script.arg(openssl.path(""));
        script
    });
    let weak = |title: &str| Base64::encode_string(&fs::read(openssl.path(&format!("{title}.der"))).unwrap());
    // The script's output is valid without the weakness.
    Csr::parse(&weak("sound")).unwrap();
    for (title, reason) in [
        ("exponent-3", "exponent is not 65537"),
        ("even", "divisible by 2"),
        ("small-factor", "divisible by 743"),
        ("close-factors", "factors are so close"),
        ("roca", "CVE-2017-15361"),
        ("odd-length", "a key of kind rsa-2056 is not allowed"),
        ("too-long", "9000 bits is too long"),
    ] {
        cases.push((title.to_owned(), weak(title), reason));
    }
}

/// Faults of the signature.
fn signatures(openssl: &Openssl, cases: &mut Vec<Case>) {
    for (key, options, reason) in [
        (P256, "-sha1", "ECDSA with SHA-1"),
        (RSA, "-sha1", "RSA with SHA-1"),
        (RSA, "-md5", "RSA with MD5"),
        (P256, "-sha224", "algorithm 1.2.840.10045.4.3.1"),
        (P256, "-sha3-256", "algorithm 2.16.840.1.101.3.4.3.10"),
        (RSA, "-sigopt rsa_padding_mode:pss -sigopt rsa_mgf1_md:sha1", "algorithm 1.2.840.113549.1.1.10"),
    ] {
        cases.push((format!("{key} {options}"), openssl.request(key, options), reason));
    }
}

/// Faults of the subject.
fn subjects(openssl: &Openssl, cases: &mut Vec<Case>) {
    openssl.run(&format!("{P256} -out key.pem"));
    for (subject, reason) in [
        ("/O=Example/CN=CS-0001/CN=CS-0002", "more than one CN"),
        ("/O=Example/O=Other/CN=CS-0001", "more than one O"),
        ("/O=Example", "no CN"),
        ("/CN=CS-0001", "no O"),
        ("/O=Example/CN=CS-0002", "CN is \"CS-0002\""),
        ("/O=Other/CN=CS-0001", "O is \"Other\""),
    ] {
        openssl.run(&format!("req -new -key key.pem -subj {subject} -out csr.pem"));
        cases.push((subject.to_owned(), openssl.read("csr.pem"), reason));
    }
    openssl.write(
        "types.cnf",
        "[req]\nprompt=no\nutf8=yes\nstring_mask=MASK:0x4\ndistinguished_name=dn\n[dn]\nO=Example\nCN=Säule\n",
    );
    openssl.run("req -new -key key.pem -config types.cnf -out csr.pem");
    cases.push(("T.61".to_owned(), openssl.read("csr.pem"), "CN in the subject is not readable"));
}

#[test]
fn a02_fr_12_every_kind_of_request_that_is_refused_has_its_own_reason() {
    let openssl = Openssl::new();
    let blocked = openssl.request(P256, "");
    let hash = Csr::parse(&blocked).unwrap().public_key().hash().to_string();
    let keys_of_ours = KeyRules::new().blocked(BlockedKeys::parse(&hash).unwrap());
    let stage = Stage::new(CaSettings::new("Example").reserved_names(["csms"]).keys(keys_of_ours));

    let mut cases: Vec<Case> = vec![("blocked".into(), blocked, "list of blocked keys")];
    form(&openssl, &mut cases);
    keys(&openssl, &mut cases);
    signatures(&openssl, &mut cases);
    subjects(&openssl, &mut cases);

    let mut reasons = BTreeSet::new();
    let mut refuse = |title: &str, csr: &str, serial_number: &str, expected: &str| {
        let station = Applicant { identity: "CS001".parse().unwrap(), serial_number: serial_number.into() };
        let (response, decision) = stage.authority.answer(&request(csr), &station);
        assert_eq!(response.status, GenericStatusEnumType::Rejected, "{title}");
        let info = response.status_info.unwrap();
        assert_eq!(info.reason_code.as_str(), "InvalidCSR", "{title}");
        let reason = info.additional_info.unwrap().to_string();
        assert!(reason.contains(expected), "{title}: {reason}");
        assert_eq!(reason, decision.unwrap_err().to_string());
        reasons.insert(reason);
    };
    for (title, csr, expected) in &cases {
        refuse(title, csr, "CS-0001", expected);
    }
    let mut names = 0;
    for (name, expected) in [
        ("192.0.2.1", "looks like a URL, a host name or an IP address"),
        ("csms.example.com", "looks like a URL, a host name or an IP address"),
        ("csms", "is a name of the CSMS"),
    ] {
        openssl.run(&format!("req -new -key key.pem -subj /O=Example/CN={name} -out csr.pem"));
        refuse(name, &openssl.read("csr.pem"), name, expected);
        names += 1;
    }
    // Two requests of invalid form share a reason, and so do two names that are not text.
    assert_eq!(reasons.len(), cases.len() + names - 2, "{reasons:#?}");
    println!("{} kinds of request are refused, for {} reasons", cases.len() + names, reasons.len());
    assert!(reasons.len() >= 35, "{} reasons", reasons.len());
}
