//! One suite over five tokens: SoftHSM, a TPM (tpm2-pkcs11 on swtpm), SoftHSM in another process
//! (p11-kit), opencryptoki, and NSS (softokn through p11-kit).
//!
//! Each test names the features that its token does not have, and prints them.

use std::path::Path;

use signer_pkcs11::{
    Csr, Key, KeyAlgorithm, KeyError, KeyFamily, KeyName, RsaPadding, SignatureAlgorithm, Subject, Token,
    Uri, csr,
};

use crate::{
    child::{is_child, run, told},
    nss, opencryptoki,
    openssl::Openssl,
    remote::{client, server},
    softhsm::{PIN, module, new_token},
    tpm::{Tpm, new_tpm_token, open, tpm_module},
};

/// All operations of a token, for every kind of key that it supports. Returns the unsupported
/// kinds.
fn suite(module: &Path, uri: &Uri) -> Vec<KeyAlgorithm> {
    let mut absent = Vec::new();
    for algorithm in KeyAlgorithm::ALL.iter().copied() {
        // Opened again for each kind: a TPM without a resource manager holds few keys at a time.
        let token = open(module, uri, PIN).unwrap();
        let name = KeyName::random(format!("{algorithm}")).unwrap();
        match token.generate_key(&name, algorithm) {
            Ok(key) => check(&token, &key),
            // `PublicKey`: the generated key cannot be used, and was destroyed again.
            Err(KeyError::Unsupported { .. } | KeyError::Generate { .. } | KeyError::PublicKey { .. }) => {
                println!("absent in {}: {algorithm}", token.label());
                absent.push(algorithm);
            }
            Err(other) => panic!("{algorithm}: {other:?}"),
        }
        assert!(token.keys().unwrap().is_empty(), "{algorithm}: nothing is left behind");
        token.shutdown();
    }
    absent
}

fn check(token: &Token, key: &Key) {
    let algorithm = key.algorithm();
    let [info] = <[_; 1]>::try_from(token.keys().unwrap()).unwrap();
    assert_eq!((info.sensitive, info.extractable), (Some(true), Some(false)), "{algorithm}");
    assert_eq!(token.find_key(key.uri()).unwrap().public_key(), key.public_key());
    let error = token.generate_key(key.name(), algorithm).unwrap_err();
    assert!(matches!(error, KeyError::Exists { .. }), "{error}");

    // The algorithms that TLS 1.2 and 1.3 request.
    let rsa = [
        SignatureAlgorithm::RsaPssSha256,
        SignatureAlgorithm::RsaPssSha384,
        SignatureAlgorithm::RsaPkcs1Sha256,
        SignatureAlgorithm::RsaPkcs1Sha512,
    ];
    let own = [key.signature_algorithm()];
    let signatures = if algorithm.family() == KeyFamily::Rsa { &rsa[..] } else { &own };
    for signature_algorithm in signatures {
        for message in [&b""[..], &[7; 3000]] {
            let signature = key
                .sign_blocking_by(*signature_algorithm, message)
                .unwrap_or_else(|error| panic!("{algorithm} {signature_algorithm:?}: {error:?}"));
            key.public_key().verify_with(*signature_algorithm, message, &signature).unwrap();
        }
    }
    let openssl = Openssl::new();
    for padding in [RsaPadding::Pkcs1, RsaPadding::Pss] {
        let pem =
            csr::build(&key.clone().with_rsa_padding(padding), &Subject::new("SN-0001", "Example")).unwrap();
        openssl.write("csr.pem", &pem);
        openssl.run("req -in csr.pem -verify -noout");
        assert_eq!(Csr::parse(&pem).unwrap().public_key(), key.public_key());
    }
    token.destroy_key(key.uri()).unwrap();
    assert!(matches!(token.find_key(key.uri()).unwrap_err(), KeyError::NotFound { .. }));
}

#[test]
fn on_softhsm() {
    assert_eq!(suite(&module(), &new_token("suite")), []);
}

#[test]
fn on_a_tpm() {
    if !is_child() {
        return Tpm::start().run("suite::on_a_tpm");
    }
    let absent = suite(&tpm_module(), &new_tpm_token());
    assert_eq!(absent, [KeyAlgorithm::EcdsaP521, KeyAlgorithm::Rsa4096, KeyAlgorithm::Ed25519]);
}

#[test]
fn on_softhsm_in_another_process() {
    if !is_child() {
        return run("suite::on_softhsm_in_another_process", &server().environment());
    }
    // p11-kit 0.24 forwards only the mechanisms that it knows.
    assert_eq!(suite(&client(), &told("TOKEN").parse().unwrap()), [KeyAlgorithm::Ed25519]);
}

#[test]
fn on_opencryptoki() {
    if !is_child() {
        return opencryptoki::run("suite::on_opencryptoki");
    }
    let absent = suite(&opencryptoki::module(), &opencryptoki::new_token());
    let is_elliptic = |algorithm: &&KeyAlgorithm| algorithm.family() != KeyFamily::Rsa;
    assert_eq!(absent, KeyAlgorithm::ALL.iter().filter(is_elliptic).copied().collect::<Vec<_>>());
}

#[test]
fn on_nss() {
    if !is_child() {
        return nss::run("suite::on_nss");
    }
    assert_eq!(suite(&nss::module(), &nss::token()), [KeyAlgorithm::Ed25519]);
}
