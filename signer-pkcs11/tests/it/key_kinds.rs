//! Every kind of key: generated, read back and found again. OpenSSL verifies its requests and
//! certificates.

use std::time::SystemTime;

use signer_pkcs11::{
    CaSettings, CertificateAuthority, Csr, KeyAlgorithm, KeyFamily, KeyName, RsaPadding, SignError,
    SignatureAlgorithm, Subject, Token, csr,
};

use crate::{
    issuance::{YEAR, request, station},
    openssl::Openssl,
    softhsm::{options, token},
};

/// The name of a key's signature algorithm in the output of `openssl … -text`.
fn openssl_name(algorithm: SignatureAlgorithm) -> &'static str {
    match algorithm {
        SignatureAlgorithm::EcdsaSha256 => "Signature Algorithm: ecdsa-with-SHA256",
        SignatureAlgorithm::EcdsaSha384 => "Signature Algorithm: ecdsa-with-SHA384",
        SignatureAlgorithm::EcdsaSha512 => "Signature Algorithm: ecdsa-with-SHA512",
        SignatureAlgorithm::RsaPkcs1Sha256 => "Signature Algorithm: sha256WithRSAEncryption",
        SignatureAlgorithm::RsaPssSha256 => "Signature Algorithm: rsassaPss",
        SignatureAlgorithm::Ed25519 => "Signature Algorithm: ED25519",
        other => panic!("{other:?} is not used in certificates"),
    }
}

fn check(algorithm: KeyAlgorithm) {
    let token = token("kind");
    let made = token.generate_key(&KeyName::random("k").unwrap(), algorithm).unwrap();
    let [info] = <[_; 1]>::try_from(token.keys().unwrap()).unwrap();
    assert_eq!((info.algorithm, info.kind), (Some(algorithm), algorithm.to_string()));
    assert_eq!((info.sensitive, info.extractable), (Some(true), Some(false)));
    assert_eq!(made.public_key().kind().to_string(), algorithm.to_string());
    assert_eq!(made.public_key().kind().family(), algorithm.family());

    let reopened = Token::open(made.uri(), &options()).unwrap();
    let found = reopened.find_key(made.uri()).unwrap();
    assert_eq!((found.public_key(), found.algorithm()), (made.public_key(), algorithm));

    let paddings: &[RsaPadding] = match algorithm.family() {
        KeyFamily::Rsa => &[RsaPadding::Pkcs1, RsaPadding::Pss],
        _ => &[RsaPadding::Pkcs1],
    };
    for padding in paddings {
        let key = found.clone().with_rsa_padding(*padding);
        judge_request_and_certificates(&key);
    }
    let foreign = match algorithm.family() {
        KeyFamily::Rsa => SignatureAlgorithm::EcdsaSha256,
        _ => SignatureAlgorithm::RsaPssSha256,
    };
    let error = found.sign_blocking_by(foreign, b"x").unwrap_err();
    assert!(matches!(error, SignError::Algorithm { .. }), "{error}");
    made.token().destroy_key(made.uri()).unwrap();
    assert!(token.keys().unwrap().is_empty());
}

fn judge_request_and_certificates(key: &signer_pkcs11::Key) {
    let openssl = Openssl::new();
    let pem = csr::build(key, &Subject::new("SN-0001", "Example")).unwrap();
    openssl.write("csr.pem", &pem);
    let text = openssl.run("req -in csr.pem -verify -noout -text");
    assert!(text.contains("verify OK"), "{text}");
    assert!(text.contains(openssl_name(key.signature_algorithm())), "{text}");
    assert_eq!(Csr::parse(&pem).unwrap().public_key(), key.public_key());

    // The key as an authority.
    let root = Subject::new("Root", "Example");
    let root = CertificateAuthority::create_root(key, &root, YEAR, SystemTime::now()).unwrap();
    let authority = CertificateAuthority::new(key.clone(), &root, CaSettings::new("Example")).unwrap();
    let station_key =
        token("st").generate_key(&KeyName::random("k").unwrap(), KeyAlgorithm::EcdsaP256).unwrap();
    let pem = csr::build(&station_key, &Subject::new("SN-0001", "Example")).unwrap();
    let (_, pending) = authority.answer(&request(&pem), &station());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let issued = runtime.block_on(authority.issue(pending.unwrap())).unwrap();
    openssl.write("root.pem", &root);
    openssl.write("leaf.pem", &issued.certificate.chain_pem);
    openssl.run("verify -x509_strict -check_ss_sig -CAfile root.pem root.pem");
    openssl.run("verify -x509_strict -purpose sslclient -CAfile root.pem leaf.pem");
    let text = openssl.run("x509 -in leaf.pem -noout -text");
    assert!(text.contains(openssl_name(key.signature_algorithm())), "{text}");
}

#[test]
fn a00_fr_503_ecdsa_p256() {
    check(KeyAlgorithm::EcdsaP256);
}

#[test]
fn a00_fr_503_ecdsa_p384() {
    check(KeyAlgorithm::EcdsaP384);
}

#[test]
fn iso_15118_20_ecdsa_p521() {
    check(KeyAlgorithm::EcdsaP521);
}

#[test]
fn a00_fr_502_rsa_2048() {
    check(KeyAlgorithm::Rsa2048);
}

#[test]
fn a00_fr_502_rsa_3072() {
    check(KeyAlgorithm::Rsa3072);
}

#[test]
fn a00_fr_502_rsa_4096() {
    check(KeyAlgorithm::Rsa4096);
}

#[test]
fn ed25519() {
    check(KeyAlgorithm::Ed25519);
}
