//! A fresh token for each test. The module is process-wide, the tokens are not.

use std::{path::PathBuf, sync::RwLock};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    slot::Slot,
};
use signer_pkcs11::{Pin, Token, TokenOptions, Uri, init_token, module_from_environment};

pub(crate) const PIN: &str = "1234";
pub(crate) const SO_PIN: &str = "12345678";

/// Code outside the crate does not use the crate's lock around SoftHSM's list of slots, so the
/// tests have a lock too.
static SLOTS: RwLock<()> = RwLock::new(());

/// SoftHSM's shared library.
pub(crate) fn module() -> PathBuf {
    module_from_environment().expect(
        "PKCS11_MODULE is not set, so there is no token to test on: run `cargo xtask test`, or \
         eval \"$(cargo xtask softhsm --env)\" before cargo test",
    )
}

/// Options that open every token created here.
pub(crate) fn options() -> TokenOptions {
    TokenOptions::new().module(module()).pin(Pin::new(PIN))
}

/// The URI of a new token. Its label begins with `name` and is unique.
pub(crate) fn new_token(name: &str) -> Uri {
    let mut random = [0; 6];
    getrandom::fill(&mut random).unwrap();
    let _guard = SLOTS.write().unwrap();
    let label = format!("{name}-{}", hex::encode(random));
    init_token(&module(), &label, &Pin::new(SO_PIN), &Pin::new(PIN)).unwrap()
}

/// A new token, open.
pub(crate) fn token(name: &str) -> Token {
    Token::open(&new_token(name), &options()).unwrap()
}

/// The same module through another object, as other code in the same process uses it.
pub(crate) fn stranger() -> Pkcs11 {
    // The crate under test has initialized the module before, so the second call gets
    // CryptokiAlreadyInitialized.
    let context = Pkcs11::new(module()).unwrap();
    let _ = context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK));
    context
}

/// The slot of a token.
pub(crate) fn slot(context: &Pkcs11, label: &str) -> Slot {
    let _guard = SLOTS.read().unwrap();
    let slots = context.get_slots_with_token().unwrap();
    let fits = |slot: &Slot| context.get_token_info(*slot).is_ok_and(|info| info.label() == label);
    slots.into_iter().find(fits).unwrap()
}
