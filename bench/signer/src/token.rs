//! A new token in the module of PKCS11_MODULE.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use signer_pkcs11::{
    Key, KeyAlgorithm, KeyName, Pin, Token, TokenOptions, init_token, module_from_environment,
};

pub(crate) const PIN: &str = "123456";
const SO_PIN: &str = "12345678";

pub(crate) fn module() -> Result<PathBuf> {
    module_from_environment().context("PKCS11_MODULE names the module: run `cargo xtask bench signer`")
}

/// Options with this many threads.
pub(crate) fn options(workers: usize) -> Result<TokenOptions> {
    Ok(TokenOptions::new().module(module()?).pin(Pin::new(PIN)).workers(workers))
}

/// A new token, open.
pub(crate) fn new(workers: usize) -> Result<Token> {
    let mut random = [0; 4];
    getrandom::fill(&mut random).ok().context("no randomness")?;
    let label = format!("bench-{:08x}", u32::from_be_bytes(random));
    let uri = init_token(&module()?, &label, &Pin::new(SO_PIN), &Pin::new(PIN))?;
    Ok(Token::open(&uri, &options(workers)?)?)
}

/// A new key on P-256.
pub(crate) fn key(token: &Token, label: &str) -> Result<Key> {
    Ok(token.generate_key(&KeyName::random(label)?, KeyAlgorithm::EcdsaP256)?)
}
