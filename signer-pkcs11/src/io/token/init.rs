//! Initializing a token.

use std::{path::Path, sync::Arc, time::Duration};

use cryptoki::{error::RvError, session::UserType, types::AuthPin};

use crate::{
    io::token::{
        errors::TokenError,
        fault,
        module::{Library, Listed, Module, restart_lock::Hung},
        options::CALL_TIMEOUT,
    },
    token::{pin::Pin, uri::Uri},
};

/// Initializes the token of the first free slot: label, security officer's PIN, user PIN. Blocks.
///
/// An initialized token is never changed, with one exception: a token with this label and without a
/// user PIN, which an earlier failed call has left, gets its user PIN. Network HSMs are initialized
/// with their vendor's tools; this function is for soft tokens and TPMs.
///
/// # Errors
/// [`TokenError`], at the latest after 30 s.
pub fn init_token(module: &Path, label: &str, so_pin: &Pin, pin: &Pin) -> Result<Uri, TokenError> {
    init_token_within(CALL_TIMEOUT, module, label, so_pin, pin)
}

/// Initializes a token with another deadline. After [`TokenError::NoAnswer`] the token may be
/// initialized completely or partly.
///
/// # Errors
/// [`TokenError`]
pub fn init_token_within(
    after: Duration,
    module: &Path,
    label: &str,
    so_pin: &Pin,
    pin: &Pin,
) -> Result<Uri, TokenError> {
    if !(1..=32).contains(&label.len()) || label.trim() != label || label.chars().any(char::is_control) {
        return Err(TokenError::Label { label: label.to_owned() });
    }
    let (label, so_pin, pin) = (label.to_owned(), so_pin.clone(), pin.clone());
    Library::find(module)?.run(after, move |module, _| init(module, &label, &so_pin, &pin))
}

fn init(module: &Arc<Module>, label: &str, so_pin: &Pin, pin: &Pin) -> Result<Uri, TokenError> {
    // Two threads must not take the same free slot.
    let _permit = module.restart_lock().enter().map_err(|Hung| TokenError::Hung)?;
    let _guard = module.changing_slots();
    let readable = |listed: Listed| Some((listed.slot, listed.info?));
    let tokens: Vec<_> = module.tokens()?.into_iter().filter_map(readable).collect();
    let named = tokens.iter().find(|(_, info)| info.is_initialized && info.label == label);
    if named.is_some_and(|(_, info)| info.has_user_pin) {
        return Err(TokenError::TokenExists { label: label.to_owned() });
    }
    let half_made = named.cloned();
    let free = || tokens.into_iter().find(|(_, info)| !info.is_initialized);
    let is_new = half_made.is_none();
    let found = half_made.or_else(free);
    let (slot, info) = found.ok_or_else(|| TokenError::NoFreeSlot { path: module.path().to_owned() })?;
    if let Some((min, max)) = info.pin_bytes {
        let fits = |pin: &Pin| (min..=max).contains(&pin.expose().len());
        if !fits(so_pin) || !fits(pin) {
            return Err(TokenError::PinLength { min, max });
        }
    }

    let failed = |error| TokenError::Token { token: label.to_owned(), source: fault::fault(&error) };
    let so_pin = AuthPin::from(so_pin.expose().to_owned());
    if is_new {
        module.context().init_token(slot, &so_pin, label).map_err(failed)?;
    }
    let half_made = |error| TokenError::HalfMade { token: label.to_owned(), source: fault::fault(&error) };
    let session = module.context().open_rw_session(slot).map_err(half_made)?;
    session.login(UserType::So, Some(&so_pin)).map_err(|error| match fault::code(&error) {
        // Repeated, it could lock the token.
        Some(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange | RvError::PinLocked) => {
            TokenError::SoPin { token: label.to_owned(), source: fault::fault(&error) }
        }
        _ => half_made(error),
    })?;
    let set = session.init_pin(&AuthPin::from(pin.expose().to_owned()));
    // Whether or not the PIN was set: no other code may act as the security officer.
    let _ = session.logout();
    set.map_err(half_made)?;
    // SoftHSM adds the next free slot when slots are listed, so they are listed here while no other
    // thread lists them.
    module.tokens()?;
    // A token without a serial number cannot be named by it.
    let info = module.token_info(slot).map_err(failed)?;
    let uri = Uri::new().with_token(label);
    Ok(if info.serial.is_empty() { uri } else { uri.with_serial(info.serial) })
}
