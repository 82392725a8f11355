//! Requests and responses of the three versions of OCPP.

use ocpp_types::{BoundedString, v16, v21, v201};
use sha2::{Digest as _, Sha384};
use signer_pkcs11::{
    CaSettings, CertificateUse, IssueError, Issued, Profiles, Refused, SignCertificate, Subject, csr,
};

use crate::{
    issuance::{Stage, station},
    openssl::Openssl,
};

fn stage() -> Stage {
    let profiles =
        Profiles::from_toml("[v2g]\nhierarchy = \"cso\"\ncommon_name = \"serial-number\"").unwrap();
    Stage::new(CaSettings::new("Example").profiles(profiles))
}

fn csr<const N: usize>(stage: &Stage, name: &str) -> BoundedString<N> {
    let pem = csr::build(&stage.station_key, &Subject::new(name, "Example")).unwrap();
    BoundedString::try_from(pem).unwrap()
}

fn issue<R: SignCertificate>(stage: &Stage, request: &R) -> Issued {
    let (_, pending) = stage.authority.answer(request, &station());
    stage.runtime.block_on(stage.authority.issue(pending.unwrap())).unwrap()
}

#[test]
fn ocpp_1_6_knows_one_certificate_and_no_reasons() {
    let stage = stage();
    let request = v16::SignCertificateRequest::new(csr(&stage, "SN-0001"));
    let (response, pending) = stage.authority.answer(&request, &station());
    assert_eq!(response, v16::SignCertificateResponse::new(v16::GenericStatusEnumType::Accepted));
    assert_eq!(pending.unwrap().certificate_type(), Some(CertificateUse::ChargingStation));
    let signed = v16::CertificateSignedRequest::from(&issue(&stage, &request));
    assert!(signed.certificate_chain.starts_with("-----BEGIN CERTIFICATE-----\n"));

    let request = v16::SignCertificateRequest::new(csr(&stage, "SN-0002"));
    let (response, refused) = stage.authority.answer(&request, &station());
    assert_eq!(response, v16::SignCertificateResponse::new(v16::GenericStatusEnumType::Rejected));
    assert!(matches!(refused.unwrap_err(), Refused::CommonName { .. }));
}

#[test]
fn ocpp_2_0_1_repeats_the_type() {
    let stage = stage();
    for certificate_type in [
        Some(v201::CertificateSigningUseEnumType::ChargingStationCertificate),
        Some(v201::CertificateSigningUseEnumType::V2GCertificate),
        None,
    ] {
        let mut request = v201::SignCertificateRequest::new(csr(&stage, "SN-0001"));
        request.certificate_type = certificate_type;
        let signed = v201::CertificateSignedRequest::from(&issue(&stage, &request));
        assert_eq!(signed.certificate_type, certificate_type);
    }
}

#[test]
fn a02_fr_25_ocpp_2_1_repeats_type_and_request_id() {
    let stage = stage();
    let mut request = v21::SignCertificateRequest::new(csr(&stage, "SN-0001"));
    request.certificate_type = Some(v21::CertificateSigningUseEnumType::V2G20Certificate);
    request.request_id = Some(4711);
    let (response, _) = stage.authority.answer(&request, &station());
    assert_eq!(response.status, v21::GenericStatusEnumType::Accepted);
    let first = issue(&stage, &request);
    let signed = v21::CertificateSignedRequest::from(&first);
    assert_eq!(signed.request_id, Some(4711));
    assert_eq!(signed.certificate_type, Some(v21::CertificateSigningUseEnumType::V2G20Certificate));
    // A request with another id is another request.
    request.request_id = Some(4712);
    let second = issue(&stage, &request);
    assert_ne!(first.certificate.serial, second.certificate.serial);
    assert_eq!(v21::CertificateSignedRequest::from(&second).request_id, Some(4712));
}

#[test]
fn a02_fr_27_ocpp_2_1_names_the_root_that_is_wanted() {
    let stage = stage();
    let openssl = Openssl::new();
    openssl.write("root.pem", &stage.root_pem);
    // The values that a station computes, by OpenSSL's OCSP command and by hand.
    let text = openssl.run("ocsp -sha256 -issuer root.pem -cert root.pem -req_text -no_nonce");
    let field = |name: &str| {
        let line = text.lines().find(|line| line.contains(name)).unwrap();
        line.split(':').next_back().unwrap().trim().to_owned()
    };
    let hash = |name: &str, key: &str, serial: &str, algorithm| {
        let (name, key) = (BoundedString::try_from(name).unwrap(), BoundedString::try_from(key).unwrap());
        v21::CertificateHashDataType::new(algorithm, name, key, BoundedString::try_from(serial).unwrap())
    };
    let sha256 = v21::HashAlgorithmEnumType::SHA256;
    let (name, key, serial) = (field("Issuer Name Hash"), field("Issuer Key Hash"), field("Serial Number"));
    let mut request = v21::SignCertificateRequest::new(csr(&stage, "SN-0001"));
    request.hash_root_certificate = Some(hash(&name, &key, &serial, sha256));
    issue(&stage, &request);
    // Case and leading zeros are ignored, the algorithm is not.
    let zeros = format!("000{}", serial.to_lowercase());
    request.hash_root_certificate = Some(hash(&name.to_lowercase(), &key, &zeros, sha256));
    issue(&stage, &request);
    let spki = stage.authority.key().public_key().spki_der();
    let key_384 = hex::encode(Sha384::digest(&spki[spki.len() - 65..]));
    openssl.run("x509 -in root.pem -outform DER -out root.der");
    for (key, algorithm) in [(&key, v21::HashAlgorithmEnumType::SHA384), (&key_384, sha256)] {
        request.hash_root_certificate = Some(hash(&name, key, &serial, algorithm));
        let (response, refused) = stage.authority.answer(&request, &station());
        assert_eq!(refused.unwrap_err(), Refused::UnknownRoot);
        assert_eq!(response.status_info.unwrap().reason_code.as_str(), "UnsupportedParam");
    }
}

#[test]
fn a02_fr_16_no_chain_longer_than_the_station_takes() {
    let stage = stage();
    let request = v201::SignCertificateRequest::new(csr(&stage, "SN-0001"));
    let characters = issue(&stage, &request).certificate.chain_pem.len();
    // Both for a certificate that was issued before and for a new one.
    for request in [request, v201::SignCertificateRequest::new(csr(&stage, "SN-0001"))] {
        let issue = |limit: usize| {
            let (_, pending) = stage.authority.answer(&request, &station());
            stage.runtime.block_on(stage.authority.issue(pending.unwrap().with_max_chain_characters(limit)))
        };
        let error = issue(400).unwrap_err();
        assert!(matches!(error, IssueError::ChainTooLong { limit: 400, .. }), "{error}");
        // A signature may be shorter by a few bytes.
        issue(characters + 8).unwrap();
    }
}
