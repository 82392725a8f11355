//! Something that moves while a token makes a key.

use std::time::Duration;

use anyhow::Result;
use indicatif::ProgressBar;
use signer_pkcs11::{Key, KeyAlgorithm, KeyError, KeyName, Token, TokenError};

/// Generates a key. An RSA key takes seconds, in a TPM minutes; on a terminal a spinner shows that the token is alive.
pub(crate) fn generate(token: &Token, label: &str, algorithm: KeyAlgorithm) -> Result<Key> {
    // Drawn on standard error, and only if that is a terminal.
    let spinner = ProgressBar::new_spinner().with_message(format!("the token makes a key of {algorithm}"));
    spinner.enable_steady_tick(Duration::from_millis(100));
    let key = token.generate_key(&KeyName::random(label)?, algorithm);
    spinner.finish_and_clear();
    key.map_err(|error| match error {
        KeyError::Token(TokenError::NoAnswer { .. }) => anyhow::Error::from(error).context(format!(
            "the token may still make the key \"{label}\": look by `hsm list`, and remove it by `hsm destroy`"
        )),
        error => error.into(),
    })
}
