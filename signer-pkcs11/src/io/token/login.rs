//! Logging in: a wrong PIN is sent once only.
//!
//! Tokens lock after few wrong PINs (a TPM after three), and a service that reconnects in a loop
//! would use them up within a second. A PIN that a token has refused is remembered, and this
//! process never sends it again.

use std::{
    collections::{HashMap, HashSet},
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
};

use cryptoki::{
    error::RvError,
    session::{Session, SessionState, UserType},
    slot::Slot,
    types::AuthPin,
};
use pkcs11_info::TokenInfo;
use sha2::{Digest, Sha256};

use crate::{
    io::token::{errors::TokenError, fault, module::Module},
    metrics,
    token::pin::Pin,
};

/// What a login needs besides the session.
pub(crate) struct Credentials {
    /// The label, for messages.
    pub(crate) token: String,
    pub(crate) serial: String,
    pub(crate) pin: Option<Pin>,
}

/// What this process knows about PINs. Salted per process, so that a memory dump does not help to
/// guess short PINs.
static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(|| {
    let mut salt = [0; 32];
    // Without random bytes the salt is constant, and the memory still works.
    let _ = getrandom::fill(&mut salt);
    Mutex::new(Known { salt, refused: HashSet::new(), accepted: HashMap::new() })
});

struct Known {
    salt: [u8; 32],
    /// Hashes over token and PIN, for PINs that a token has refused.
    refused: HashSet<Hash>,
    /// By hash over the token: the hash over token and PIN with which this process is logged in.
    accepted: HashMap<Hash, Hash>,
}

type Hash = [u8; 32];

impl Known {
    fn hash(&self, module: &Module, credentials: &Credentials, pin: &str) -> Hash {
        let mut hash = Sha256::new();
        hash.update(self.salt);
        let module = module.path().as_os_str().as_encoded_bytes();
        for part in [module, credentials.serial.as_bytes(), credentials.token.as_bytes(), pin.as_bytes()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

fn known() -> MutexGuard<'static, Known> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Logs the user in through this session, unless the process is logged in already.
///
/// A login is valid for all sessions of the process with this token.
pub(crate) fn log_in(
    module: &Module,
    slot: Slot,
    session: &Session,
    credentials: &Credentials,
) -> Result<(), TokenError> {
    let token = || credentials.token.clone();
    // Two threads must not send the same wrong PIN at the same time. The flags are read under the
    // lock too, because an attempt by another thread changes them.
    let _guard = module.login();
    let info = module.token_info(slot).map_err(|error| failed(credentials, &error))?;
    let (token_hash, pin_hash) = {
        let known = known();
        let pin_hash = credentials.pin.as_ref().map(|pin| known.hash(module, credentials, pin.expose()));
        if pin_hash.is_some_and(|hash| known.refused.contains(&hash)) {
            return Err(TokenError::PinRefusedBefore { token: token() });
        }
        (known.hash(module, credentials, ""), pin_hash)
    };
    if !info.needs_login {
        return Ok(());
    }
    if credentials.pin.is_none() && !info.asks_at_the_device {
        return Err(TokenError::PinMissing { token: token() });
    }
    let state = session.get_session_info().map_err(|error| failed(credentials, &error))?.session_state();
    if matches!(state, SessionState::RoUser | SessionState::RwUser) {
        // An earlier call of this process has logged in. Another PIN than that one must not be
        // accepted.
        let accepted = known().accepted.get(&token_hash).copied();
        return match (accepted, pin_hash) {
            (Some(accepted), Some(pin)) if accepted != pin => Err(TokenError::PinDiffers { token: token() }),
            _ => Ok(()),
        };
    }
    if info.is_locked {
        return Err(TokenError::PinLocked { token: token() });
    }
    if !info.has_user_pin {
        return Err(TokenError::PinNotSet { token: token() });
    }
    if info.is_at_final_try {
        return Err(TokenError::FinalTry { token: token() });
    }
    // A token may count a PIN of a wrong length as a wrong one.
    if let (Some(pin), Some((min, max))) = (&credentials.pin, info.pin_bytes)
        && !(min..=max).contains(&pin.expose().len())
    {
        return Err(TokenError::PinLength { min, max });
    }
    let pin = credentials.pin.as_ref().map(|pin| AuthPin::from(pin.expose().to_owned()));
    let error = match session.login(UserType::User, pin.as_ref()) {
        Ok(()) => {
            metrics::login(&credentials.token, "ok");
            known().accepted.extend(pin_hash.map(|hash| (token_hash, hash)));
            return Ok(());
        }
        Err(error) => error,
    };
    match fault::code(&error) {
        Some(RvError::UserAlreadyLoggedIn) => return Ok(()),
        Some(
            RvError::PinIncorrect
            | RvError::PinInvalid
            | RvError::PinLenRange
            | RvError::PinExpired
            | RvError::PinLocked,
        ) => {
            metrics::login(&credentials.token, "refused");
            known().refused.extend(pin_hash);
        }
        _ => metrics::login(&credentials.token, "failed"),
    }
    Err(match fault::code(&error) {
        Some(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange) => {
            TokenError::PinIncorrect { token: token() }
        }
        Some(RvError::PinLocked) => TokenError::PinLocked { token: token() },
        Some(RvError::PinExpired) => TokenError::PinExpired { token: token() },
        Some(RvError::UserPinNotInitialized) => TokenError::PinNotSet { token: token() },
        _ => failed(credentials, &error),
    })
}

fn failed(credentials: &Credentials, error: &cryptoki::error::Error) -> TokenError {
    TokenError::Token { token: credentials.token.clone(), source: fault::fault(error) }
}

impl Credentials {
    pub(crate) fn new(info: &TokenInfo, pin: Option<Pin>) -> Self {
        Self { token: info.label.clone(), serial: info.serial.clone(), pin }
    }
}
