//! Requests that are refused, each with its own reason in the response.

use base64ct::{Base64, Encoding};
use ocpp_types::v201::{CertificateSigningUseEnumType, GenericStatusEnumType};
use signer_pkcs11::{Applicant, CaSettings, CommonNameRule, Csr, Refused, Subject, csr};

use crate::{
    issuance::{Stage, request, station},
    openssl::{Openssl, P256},
};

/// Answers a request, and returns the reason code and the additional information of the refusal.
fn refused(stage: &Stage, csr: &str, station: &Applicant) -> (String, Refused) {
    let (response, decision) = stage.authority.answer(&request(csr), station);
    assert_eq!(response.status, GenericStatusEnumType::Rejected, "{csr}");
    let info = response.status_info.unwrap();
    assert_eq!(info.reason_code.as_str(), "InvalidCSR");
    let refusal = decision.unwrap_err();
    let text = info.additional_info.unwrap().to_string();
    assert_eq!(text, refusal.to_string());
    (text, refusal)
}

#[test]
fn a02_fr_12_the_subject_must_be_the_stations() {
    let stage = Stage::new(CaSettings::new("Example"));
    let csr = |name: &str, organization: &str| {
        csr::build(&stage.station_key, &Subject::new(name, organization)).unwrap()
    };
    let check = |csr: &str, expected: &str| assert_eq!(refused(&stage, csr, &station()).0, expected);
    check(
        &csr("SN-0002", "Example"),
        "the subject's CN is \"SN-0002\"; for this station it must be \"SN-0001\"",
    );
    // A name that contains the other is not enough, in either direction, and case matters.
    for name in ["SN-00011", "XSN-0001", "SN-000", "sn-0001", "CS001"] {
        assert!(matches!(refused(&stage, &csr(name, "Example"), &station()).1, Refused::CommonName { .. }));
    }
    check(&csr("SN-0001", "Other"), "the subject's O is \"Other\"; it must be \"Example\"");

    let openssl = Openssl::new();
    openssl.run(&format!("{P256} -out key.pem"));
    openssl.run("req -new -key key.pem -subj /O=Example -out csr.pem");
    check(&openssl.read("csr.pem"), "the subject has no CN; it must be \"SN-0001\"");
    openssl.run("req -new -key key.pem -subj /CN=SN-0001 -out csr.pem");
    check(&openssl.read("csr.pem"), "the subject has no O; it must be \"Example\"");
}

#[test]
fn a00_fr_511_no_station_is_called_like_a_csms() {
    let stage = Stage::new(CaSettings::new("Example").reserved_names(["csms"]));
    let check = |name: &str| {
        let csr = csr::build(&stage.station_key, &Subject::new(name, "Example")).unwrap();
        refused(&stage, &csr, &Applicant { identity: "x".parse().unwrap(), serial_number: name.into() }).1
    };
    assert!(matches!(check("192.0.2.1"), Refused::LooksLikeAddress { .. }));
    assert!(matches!(check("csms.example.com"), Refused::LooksLikeAddress { .. }));
    assert!(matches!(check("https://csms"), Refused::LooksLikeAddress { .. }));
    assert!(matches!(check("CSMS"), Refused::Reserved { .. }));
}

#[test]
fn the_identity_can_be_the_name_instead() {
    let stage = Stage::new(CaSettings::new("Example").common_name(CommonNameRule::Identity));
    let csr = csr::build(&stage.station_key, &Subject::new("CS001", "Example")).unwrap();
    let (response, decision) = stage.authority.answer(&request(&csr), &station());
    assert_eq!(response.status, GenericStatusEnumType::Accepted);
    assert_eq!(decision.unwrap().subject(), &Subject::new("CS001", "Example"));
}

#[test]
fn certificates_for_vehicles_are_not_offered() {
    let stage = Stage::new(CaSettings::new("Example"));
    let csr = csr::build(&stage.station_key, &Subject::new("SN-0001", "Example")).unwrap();
    let mut request = request(&csr);
    request.certificate_type = Some(CertificateSigningUseEnumType::V2GCertificate);
    let (response, decision) = stage.authority.answer(&request, &station());
    assert_eq!(response.status, GenericStatusEnumType::Rejected);
    assert_eq!(response.status_info.unwrap().reason_code.as_str(), "UnsupportedParam");
    assert!(matches!(decision.unwrap_err(), Refused::UseNotOffered(_)));
}

#[test]
fn a_request_that_is_no_proof_is_refused_with_its_reason() {
    let stage = Stage::new(CaSettings::new("Example"));
    let openssl = Openssl::new();
    let check = |csr: &str, expected: &str| assert_eq!(refused(&stage, csr, &station()).0, expected);
    let good = openssl.request(P256, "");
    let mut broken = Csr::parse(&good).unwrap().der().to_vec();
    *broken.last_mut().unwrap() ^= 1;
    check(
        &Base64::encode_string(&broken),
        "the request's signature does not verify: possession of the private key is not proven",
    );
    check(
        &openssl.request("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024", ""),
        "an RSA key of 1024 bits is too weak; at least 2048 are required",
    );
    check(
        &openssl.request(P256, "-sha1"),
        "the request is signed by ECDSA with SHA-1, whose hash is broken; use SHA-256 or better",
    );
    check("hello", "the text is neither PEM of a certificate signing request nor base64");
    check("aGVsbG8=", "the request is not DER of a PKCS #10 request (RFC 2986)");
    check(&stage.root_pem, "line 1: CERTIFICATE REQUEST is expected, and this is PEM of CERTIFICATE");
    let second = good.lines().count() + 1;
    let expected = format!("line {second}: another certificate signing request begins here; the limit is 1");
    check(&format!("{good}{good}"), &expected);
}

#[test]
fn a_station_without_a_usable_name_on_record() {
    let stage = Stage::new(CaSettings::new("Example"));
    let openssl = Openssl::new();
    let csr = openssl.request(P256, "");
    for serial_number in [String::new(), "x".repeat(65), "SN\n1".into()] {
        let station = Applicant { identity: "CS001".parse().unwrap(), serial_number };
        let (response, decision) = stage.authority.answer(&request(&csr), &station);
        assert_eq!(decision.unwrap_err(), Refused::NoNameOnRecord);
        assert_eq!(response.status_info.unwrap().reason_code.as_str(), "InternalError");
    }
}
