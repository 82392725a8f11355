//! How sessions of a token are opened.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use cryptoki::{
    error::RvError,
    session::{Session, SessionState},
    slot::Slot,
};
use pkcs11_info::TokenInfo;
use program::causes;

use crate::{
    io::token::{
        errors::TokenError,
        fault, hints,
        login::{self, Credentials},
        module::{Module, restart_lock::Hung, session::OwnSession},
    },
    token::{
        slot::{LibraryDescription, TokenSlot},
        uri::Uri,
    },
};

/// What is needed to open sessions of a token.
pub(crate) struct Access {
    pub(crate) module: Arc<Module>,
    /// The slot, and the epoch of the module in which it was found: slot numbers change with each
    /// epoch.
    slot: Mutex<(u64, Slot)>,
    /// What was found, for the URIs of keys.
    described: TokenSlot,
    library: LibraryDescription,
    credentials: Credentials,
    login_required: bool,
}

/// Whether a session may change objects.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionKind {
    ReadOnly,
    ReadWrite,
}

impl Access {
    /// A token that was found in this epoch of the module.
    pub(crate) fn new(module: &Arc<Module>, epoch: u64, found: Found, credentials: Credentials) -> Self {
        Self {
            module: Arc::clone(module),
            slot: Mutex::new((epoch, found.slot)),
            described: found.described,
            library: found.library,
            credentials,
            login_required: found.info.needs_login,
        }
    }

    /// Whether the attributes of a URI for tokens, slots and libraries name this token.
    pub(crate) fn is_named_by(&self, uri: &Uri) -> bool {
        self.described.fits(uri, &self.library)
    }

    /// Opens a session and logs in through it if the token is not logged in to.
    pub(crate) fn open(&self, kind: SessionKind) -> Result<OwnSession, TokenError> {
        let permit = self.module.restart_lock().enter().map_err(|Hung| TokenError::Hung)?;
        let slot = self.slot(permit.epoch)?;
        let _guard = self.module.slots();
        let context = self.module.context();
        let session = match kind {
            SessionKind::ReadOnly => context.open_ro_session_no_drop(slot),
            SessionKind::ReadWrite => match context.open_rw_session_no_drop(slot) {
                // A write-protected token can still sign.
                Err(error) if fault::code(&error) == Some(RvError::TokenWriteProtected) => {
                    context.open_ro_session_no_drop(slot)
                }
                other => other,
            },
        };
        let session = session.map_err(|error| self.failed(&error))?;
        let session = OwnSession::new(session, &self.module, permit.epoch);
        // Always succeeds: the module is not restarted while a permit is held.
        let alive = session.alive(&permit).ok_or(TokenError::Hung)?;
        login::log_in(&self.module, slot, alive, &self.credentials)?;
        Ok(session)
    }

    /// Opens a session. If the module is at fault, restarts it and tries once more.
    pub(crate) fn open_healing(&self, kind: SessionKind) -> Result<OwnSession, TokenError> {
        let epoch = self.module.restart_lock().enter().map_err(|Hung| TokenError::Hung)?.epoch;
        match self.open(kind) {
            Err(error) if error.is_module_fault() && self.module.restart(epoch) => self.open(kind),
            other => other,
        }
    }

    /// The token's label.
    pub(crate) fn label(&self) -> &str {
        &self.credentials.token
    }

    /// The token's serial number.
    pub(crate) fn serial(&self) -> &str {
        &self.credentials.serial
    }

    /// The slot in this epoch of the module.
    fn slot(&self, epoch: u64) -> Result<Slot, TokenError> {
        let mut known = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0 != epoch {
            let mut uri = Uri::new().with_token(&self.credentials.token);
            if !self.credentials.serial.is_empty() {
                uri = uri.with_serial(&self.credentials.serial);
            }
            *known = (epoch, find(&self.module, &uri)?.slot);
        }
        Ok(known.1)
    }

    /// Whether the session is alive and, if the token requires it, logged in.
    pub(crate) fn sees_private_objects(&self, session: &Session) -> bool {
        let state = session.get_session_info().map(|info| info.session_state());
        match state {
            Ok(SessionState::RoUser | SessionState::RwUser) => true,
            Ok(_) => !self.login_required,
            Err(_) => false,
        }
    }

    /// Whether the token itself answers.
    pub(crate) fn look(&self, session: &Session) -> cryptoki::error::Result<()> {
        let slot = session.get_session_info()?.slot_id();
        self.module.token_info(slot).map(drop)
    }

    /// Whether logging in requires a person at the device.
    pub(crate) fn asks_a_person(&self) -> bool {
        self.login_required && self.credentials.pin.is_none()
    }

    pub(crate) fn failed(&self, error: &cryptoki::error::Error) -> TokenError {
        TokenError::Token { token: self.credentials.token.clone(), source: fault::fault(error) }
    }
}

/// A token that a URI names.
pub(crate) struct Found {
    pub(crate) slot: Slot,
    pub(crate) info: TokenInfo,
    pub(crate) described: TokenSlot,
    pub(crate) library: LibraryDescription,
}

/// Finds the token, and the epoch of the module in which it was found.
///
/// The caller must hold no permit.
pub(crate) fn find_again(module: &Module, uri: &Uri) -> Result<(u64, Found), TokenError> {
    try_again(module, || {
        let permit = module.restart_lock().enter().map_err(|Hung| TokenError::Hung)?;
        Ok((permit.epoch, find(module, uri)?))
    })
}

/// Tries a few times, because the module may not see the current state of the token: while another
/// process logs in to a token of SoftHSM, which writes into its files, this process may miss the
/// token, its flags or the login. The module is initialized again between the attempts, if this
/// process has no sessions.
///
/// The caller must hold no permit.
pub(crate) fn try_again<T>(
    module: &Module,
    attempt: impl Fn() -> Result<T, TokenError>,
) -> Result<T, TokenError> {
    let mut waits = WAITS.iter();
    let mut may_log_in = true;
    loop {
        let epoch = module.restart_lock().enter().map_err(|Hung| TokenError::Hung)?.epoch;
        match (attempt(), waits.next()) {
            // A PIN that was not accepted is sent at most once more: a token that reports another
            // fault may count it as wrong.
            (Err(error), Some(wait)) if error.is_module_fault() && (may_log_in || !error.is_of_login()) => {
                may_log_in = may_log_in && !error.is_of_login();
                tracing::debug!(error = %causes(&error), "the module is asked again");
                thread::sleep(*wait);
                module.look_again(epoch);
            }
            (outcome, _) => return outcome,
        }
    }
}

pub(crate) fn find(module: &Module, uri: &Uri) -> Result<Found, TokenError> {
    let _guard = module.slots();
    let listed = module.tokens()?;
    let library = module.library();
    let mut fitting = listed.iter().filter(|listed| listed.described.fits(uri, &library));
    let (first, second) = (fitting.next(), fitting.next());
    let wanted = Box::new(uri.token_only());
    match (first, second) {
        (Some(listed), None) => match &listed.info {
            Some(info) => {
                let (info, described) = (info.clone(), listed.described.clone());
                Ok(Found { slot: listed.slot, info, described, library })
            }
            // Not reachable: a token that fits the URI has been read.
            None => Err(TokenError::Hung),
        },
        (None, _) => {
            let slots: Vec<_> = listed.into_iter().map(|listed| listed.described).collect();
            // Given only if no token is shown: it reads files and connects to a daemon.
            let is_shown = slots.iter().all(|slot| slot.initialized().is_none());
            let hint = if is_shown { hints::why_missing(module.path()) } else { String::new() };
            Err(TokenError::TokenNotFound { wanted, slots, hint })
        }
        (Some(_), Some(_)) => {
            let fits = |listed: &TokenSlot| listed.fits(uri, &library);
            let slots = listed.into_iter().map(|listed| listed.described).filter(fits).collect();
            Err(TokenError::Ambiguous { wanted, slots })
        }
    }
}

/// The waits between attempts. A token that is being written to can be read again within
/// milliseconds, on a slow disk within tenths of a second.
const WAITS: [Duration; 3] =
    [Duration::from_millis(50), Duration::from_millis(150), Duration::from_millis(400)];
