//! A progress indicator for key generation.

use std::time::Duration;

use anyhow::Result;
use indicatif::ProgressBar;
use signer_pkcs11::{Key, KeyAlgorithm, KeyError, KeyName, Token, TokenError};

/// Generates a key. An RSA key takes seconds, in a TPM minutes. On a terminal a spinner shows that
/// the token is working.
pub(crate) fn generate(token: &Token, label: &str, algorithm: KeyAlgorithm) -> Result<Key> {
    // Written to standard error, and only if that is a terminal.
    let spinner =
        ProgressBar::new_spinner().with_message(format!("the token generates a key of {algorithm}"));
    spinner.enable_steady_tick(Duration::from_millis(100));
    let key = token.generate_key(&KeyName::random(label)?, algorithm);
    spinner.finish_and_clear();
    key.map_err(|error| match error {
        KeyError::Token(TokenError::NoAnswer { .. }) => anyhow::Error::from(error).context(format!(
            "the token may still generate the key \"{label}\": check with `hsm list`, and remove it with `hsm destroy`"
        )),
        error => error.into(),
    })
}
