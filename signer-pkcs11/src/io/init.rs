//! Initialising a token.

use std::{path::Path, sync::Arc, time::Duration};

use cryptoki::{session::UserType, types::AuthPin};

use crate::{
    io::{
        fault,
        gate::Hung,
        module::{Library, Module, trimmed},
        options::CALL_TIMEOUT,
        token::TokenError,
    },
    pin::Pin,
    uri::Uri,
};

/// Initialises the first free slot's token: label, security officer's PIN, user PIN. Blocks.
///
/// A token that is initialised already is never touched, save that one of this label without a user PIN gets it: what an
/// earlier call that failed has left. Network HSMs are initialised by their vendor's tools; this is
/// for soft tokens and TPMs.
///
/// # Errors
/// [`TokenError`], at the latest after 30 s.
pub fn init_token(module: &Path, label: &str, so_pin: &Pin, pin: &Pin) -> Result<Uri, TokenError> {
    init_token_within(CALL_TIMEOUT, module, label, so_pin, pin)
}

/// The same with another deadline. After [`TokenError::NoAnswer`] the token may be initialised all the same, or half.
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
    let _pass = module.gate().enter().map_err(|Hung| TokenError::Hung)?;
    let _guard = module.changing_slots();
    let tokens = module.tokens()?;
    let named = tokens.iter().find(|(_, info)| info.token_initialized() && trimmed(info.label()) == label);
    if named.is_some_and(|(_, info)| info.user_pin_initialized()) {
        return Err(TokenError::TokenExists { label: label.to_owned() });
    }
    let half_made = named.cloned();
    let free = || tokens.into_iter().find(|(_, info)| !info.token_initialized());
    let is_new = half_made.is_none();
    let found = half_made.or_else(free);
    let (slot, info) = found.ok_or_else(|| TokenError::NoFreeSlot { path: module.path().to_owned() })?;
    let lengths = info.min_pin_length()..=info.max_pin_length();
    // Some tokens say 0 to 0 and mean that they do not say.
    let fits = |pin: &Pin| *lengths.end() == 0 || lengths.contains(&pin.expose().len());
    if !fits(so_pin) || !fits(pin) {
        return Err(TokenError::PinLength { min: *lengths.start(), max: *lengths.end() });
    }

    let failed = |error| TokenError::Token { token: label.to_owned(), source: fault::fault(&error) };
    let so_pin = AuthPin::from(so_pin.expose().to_owned());
    if is_new {
        module.context().init_token(slot, &so_pin, label).map_err(failed)?;
    }
    let half_made = |error| TokenError::HalfMade { token: label.to_owned(), source: fault::fault(&error) };
    let session = module.context().open_rw_session(slot).map_err(half_made)?;
    session.login(UserType::So, Some(&so_pin)).map_err(half_made)?;
    let set = session.init_pin(&AuthPin::from(pin.expose().to_owned()));
    // Whether or not it was set: nobody else shall be the security officer.
    let _ = session.logout();
    set.map_err(half_made)?;
    // SoftHSM adds the next free slot when slots are listed, so it is made to do that while nobody else does.
    module.tokens()?;
    // A token without a serial number cannot be named by it.
    let info = module.context().get_token_info(slot).map_err(failed)?;
    let serial = trimmed(info.serial_number());
    let uri = Uri::new().with_token(label);
    Ok(if serial.is_empty() { uri } else { uri.with_serial(serial) })
}
