//! The examples of signer-pkcs11 and station-store, verified with OpenSSL.

use std::{fs, path::Path, process::Command};

use signer_pkcs11::{Pin, init_token, module_from_environment};

use crate::{openssl, run};

/// A new SoftHSM token; its URI with the PIN.
pub(crate) fn new_token(folder: &Path) -> String {
    let module = module_from_environment();
    let module = module.expect("PKCS11_MODULE is not set; run the tests with `cargo xtask test`");
    // All tests that run at the same time see the labels, so each label is different.
    let label = folder.file_name().expect("a name").to_string_lossy().into_owned();
    init_token(&module, &label, &Pin::new("so-test-pin"), &Pin::new("test-pin")).expect("a token");
    let pin = folder.join("pin");
    fs::write(&pin, "test-pin").expect("writes");
    format!("pkcs11:token={label}?pin-source=file:{}", pin.display())
}

#[test]
fn a_request_from_one_token_is_signed_by_the_authority_in_another() {
    let (folder, csms) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let folder = folder.path();
    let request = Command::new(env!("CARGO_BIN_EXE_request_a_certificate")).arg(new_token(folder)).output();
    let request = String::from_utf8(request.expect("starts").stdout).expect("text");
    fs::write(folder.join("request.pem"), &request).expect("writes");
    openssl(folder, "req -verify -noout -in request.pem");

    let mut sign = Command::new(env!("CARGO_BIN_EXE_sign_a_request"));
    let chain = run(sign.arg(new_token(csms.path())).arg(folder.join("root.pem")), &request);
    fs::write(folder.join("chain.pem"), &chain).expect("writes");
    let verified = openssl(folder, "verify -x509_strict -purpose sslclient -CAfile root.pem chain.pem");
    assert_eq!(verified, "chain.pem: OK\n");
    let subject = openssl(folder, "x509 -noout -subject -nameopt RFC2253 -in chain.pem");
    assert_eq!(subject, "subject=CN=SN-0001,O=Example CSO\n");
}

#[test]
fn keep_an_inventory_lists_the_hash_data_that_openssl_computes() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    openssl(
        folder,
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out root.pem -days 2 \
         -subj /O=Example/CN=Root -addext keyUsage=critical,keyCertSign,cRLSign",
    );
    let root = fs::read_to_string(folder.join("root.pem")).expect("reads");
    let mut keep = Command::new(env!("CARGO_BIN_EXE_keep_an_inventory"));
    let listed = run(keep.arg(folder.join("store.redb")), &root);
    let judged = openssl(folder, "ocsp -sha256 -issuer root.pem -cert root.pem -req_text -no_nonce");
    let judged = judged.replace("\\\n", "");
    for name in ["Issuer Name Hash:", "Issuer Key Hash:", "Serial Number:"] {
        let value =
            judged.lines().find_map(|line| line.trim().strip_prefix(name)).expect("OpenSSL prints it");
        let value = value.replace(' ', "").to_lowercase();
        assert!(listed.contains(value.trim_start_matches('0')), "{name} {value} in {listed}");
    }
    // The root was deleted again, so a second run can install it.
    assert_eq!(run(&mut keep, &root), listed);
}
