//! A process that ends after it has signed does not crash in the module's destructors.

use std::{env, process::Command, thread};

use signer_pkcs11::{KeyAlgorithm, KeyName, Token};

use crate::softhsm::{new_token, options};

const CHILD: &str = "SIGNER_PKCS11_TEST_CHILD";

/// Runs itself as a child. The child signs in four threads when its token is shut down, and then
/// ends.
#[test]
fn ordered_shutdown_while_signing() {
    if let Ok(uri) = env::var(CHILD) {
        return child(&uri);
    }
    let uri = new_token("exit").to_string();
    let test = format!("{}::ordered_shutdown_while_signing", module_path!().split_once("::").unwrap().1);
    for run in 0..50 {
        let output = Command::new(env::current_exe().unwrap())
            .args(["--exact", &test, "--nocapture"])
            .env(CHILD, &uri)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "run {run}: {}\n{text}", output.status);
        assert!(text.contains("1 passed"), "run {run}: {text}");
    }
}

fn child(uri: &str) {
    let token = Token::open(&uri.parse().unwrap(), &options()).unwrap();
    let key = token.generate_key(&KeyName::random("exit").unwrap(), KeyAlgorithm::EcdsaP256);
    // Each run adds a key with the same label, so from the second run on the first key is used.
    let key = key.or_else(|_| token.find_key(&signer_pkcs11::Uri::new().with_object("exit"))).unwrap();
    let signing: Vec<_> = (0..4)
        .map(|_| {
            let key = key.clone();
            thread::spawn(move || while key.sign_blocking(b"until the end").is_ok() {})
        })
        .collect();
    key.sign_blocking(b"under way").unwrap();
    token.shutdown();
    // The process ends while these threads may still run, but no longer inside the module.
    drop(signing);
}
