//! Tokens: found by URI, logged in to once, with threads that sign.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use cryptoki::{
    error::RvError,
    session::{Session, SessionState},
    slot::{Slot, TokenInfo},
};

pub use crate::io::{login::FinalTry, options::TokenOptions, token_error::TokenError};
use crate::{
    breaker::{Breaker, Health},
    io::{
        control::{self, Control},
        fault,
        gate::Hung,
        keeper::Keeper,
        login::{self, Credentials},
        module::{Library, Module, trimmed},
        pin_source::read_pin,
        pool::Pool,
        session::OwnSession,
        worker::Proven,
    },
    metrics::TokenMetrics,
    uri::Uri,
};

/// A token that is open and logged in to. Clones share it.
///
/// When the last clone (and the last [`Key`](crate::Key) of it) is dropped, it is closed in order: the queue, the
/// signing threads, the sessions. That blocks while signatures under way are finished. A process that ends while a
/// thread still signs may crash in the module's own destructors, so drop it, or call [`Token::shutdown`], before
/// `main` ends.
#[derive(Clone)]
pub struct Token(pub(crate) Arc<Inner>);

/// What an open token consists of.
pub(crate) struct Inner {
    pub(crate) access: Arc<Access>,
    pub(crate) pool: Arc<Pool>,
    /// Stopped before anything is closed.
    keeper: Mutex<Option<Keeper>>,
    pub(crate) control: Control,
    uri: Uri,
    sign_timeout: Duration,
    pub(crate) call_timeout: Duration,
    pub(crate) generate_timeout: Duration,
}

/// What is needed to open further sessions with the same token.
pub(crate) struct Access {
    pub(crate) module: Arc<Module>,
    /// The slot, and the epoch of the module in which it was found: numbers of slots change with each.
    slot: Mutex<(u64, Slot)>,
    credentials: Credentials,
    login_required: bool,
    pub(crate) breaker: Mutex<Breaker>,
    pub(crate) proven: Mutex<Option<Proven>>,
    pub(crate) metrics: TokenMetrics,
}

/// Whether a session may change objects.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionKind {
    ReadOnly,
    ReadWrite,
}

impl Token {
    /// Opens the token that the URI names: loads the module, finds the token by label or serial number, logs in once
    /// and starts the signing threads.
    ///
    /// The module is the URI's `module-path`, else [`TokenOptions::module`]; the PIN is read from the URI's
    /// `pin-source`, else [`TokenOptions::pin`]. A PIN that the token has refused is never sent again by this process.
    ///
    /// Blocks: call it in `spawn_blocking` where a runtime is running.
    ///
    /// # Errors
    /// [`TokenError`]; [`TokenError::NoAnswer`] at the latest after twice [`TokenOptions::call_timeout`].
    pub fn open(uri: &Uri, options: &TokenOptions) -> Result<Self, TokenError> {
        let path = uri.module_path().or(options.module.as_deref()).ok_or(TokenError::NoModule)?;
        let (after, wanted) = (options.call_timeout, uri.clone());
        let found = Library::find(path)?.run(after, move |module, _| {
            let pass = module.gate().enter().map_err(|Hung| TokenError::Hung)?;
            let (slot, info) = find(module, &wanted)?;
            Ok((Arc::clone(module), pass.epoch, slot, info))
        });
        let (module, epoch, slot, info) = found?;
        // Not under the deadline: a person may be asked for it.
        let pin = match uri.pin_source() {
            Some(source) => Some(read_pin(source)?),
            None => options.pin.clone(),
        };
        let credentials = Credentials::new(&info, pin, options.final_try);
        let uri = key_base(uri, &credentials.token);
        let access = Arc::new(Access {
            metrics: TokenMetrics::new(&credentials.token),
            module: Arc::clone(&module),
            slot: Mutex::new((epoch, slot)),
            credentials,
            login_required: info.login_required(),
            breaker: Mutex::new(Breaker::new()),
            proven: Mutex::default(),
        });
        let (workers, queue, sign_timeout) =
            (worker_count(options, &info), options.queue.max(1), options.sign_timeout);
        let opening = Arc::clone(&access);
        let opened = module.errands().run(after, move |_| {
            let control = opening.open(SessionKind::ReadWrite)?;
            Ok((control, Pool::start(&opening, workers, queue, sign_timeout)?))
        });
        let (control, pool) = opened?;
        let pool = Arc::new(pool);
        let keep = |interval| Keeper::start(&access, &pool, interval, sign_timeout);
        let keeper = options.keep_alive.map(keep).transpose()?;
        Ok(Self(Arc::new(Inner {
            access,
            pool,
            keeper: Mutex::new(keeper),
            control: Control::new(control),
            uri,
            sign_timeout,
            call_timeout: options.call_timeout,
            generate_timeout: options.generate_timeout,
        })))
    }

    /// The token's label.
    pub fn label(&self) -> &str {
        &self.0.access.credentials.token
    }

    /// The token's serial number.
    pub fn serial(&self) -> &str {
        &self.0.access.credentials.serial
    }

    /// Names the token, without module and PIN: the part before `object=` in the URIs of its keys.
    pub fn uri(&self) -> &Uri {
        &self.0.uri
    }

    /// Longest wait for one signature.
    pub fn sign_timeout(&self) -> Duration {
        self.0.sign_timeout
    }

    /// How the token does, as its last signatures have it, those of idle sessions included
    /// ([`TokenOptions::keep_alive`]). Asks nothing of the token.
    pub fn health(&self) -> Health {
        self.0.access.breaker().health(Instant::now())
    }

    /// Closes the token for all clones and keys: takes no more signatures, lets those that wait be made, joins the
    /// threads and closes the sessions. Blocks, at most for [`TokenOptions::sign_timeout`].
    pub fn shutdown(self) {
        self.0.close();
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.0.uri)
    }
}

impl Inner {
    fn close(&self) {
        drop(self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take());
        let answers = self.pool.close(self.sign_timeout);
        // Last, because the login ends with the last session.
        match self.control.shut_down(self.sign_timeout) {
            Some(session) if answers => control::close(&self.access, session, self.call_timeout),
            Some(session) => session.abandon(),
            None => {}
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

impl Access {
    /// Opens a session and logs in through it if the token is not logged in to.
    pub(crate) fn open(&self, kind: SessionKind) -> Result<OwnSession, TokenError> {
        let pass = self.module.gate().enter().map_err(|Hung| TokenError::Hung)?;
        let slot = self.slot(pass.epoch)?;
        let _guard = self.module.slots();
        let context = self.module.context();
        let session = match kind {
            SessionKind::ReadOnly => context.open_ro_session_no_drop(slot),
            SessionKind::ReadWrite => match context.open_rw_session_no_drop(slot) {
                // A token that cannot be changed can still sign.
                Err(error) if fault::code(&error) == Some(RvError::TokenWriteProtected) => {
                    context.open_ro_session_no_drop(slot)
                }
                other => other,
            },
        };
        let session = session.map_err(|error| self.failed(&error))?;
        let session = OwnSession::new(session, &self.module, pass.epoch);
        // Always there: nobody restarts the module while somebody is inside.
        let alive = session.alive(&pass).ok_or(TokenError::Hung)?;
        login::log_in(&self.module, slot, alive, &self.credentials)?;
        Ok(session)
    }

    /// The same; if the module is at fault, once more after it was restarted.
    pub(crate) fn open_healing(&self, kind: SessionKind) -> Result<OwnSession, TokenError> {
        let epoch = self.module.gate().enter().map_err(|Hung| TokenError::Hung)?.epoch;
        match self.open(kind) {
            Err(error) if error.is_the_modules() && self.module.restart(epoch) => self.open(kind),
            other => other,
        }
    }

    /// The token's label.
    pub(crate) fn label(&self) -> &str {
        &self.credentials.token
    }

    /// The slot in this life of the module.
    fn slot(&self, epoch: u64) -> Result<Slot, TokenError> {
        let mut known = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0 != epoch {
            let mut uri = Uri::new().with_token(&self.credentials.token);
            if !self.credentials.serial.is_empty() {
                uri = uri.with_serial(&self.credentials.serial);
            }
            *known = (epoch, find(&self.module, &uri)?.0);
        }
        Ok(known.1)
    }

    /// Whether the session is alive and logged in, as far as the token wants that.
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
        self.module.context().get_token_info(slot).map(drop)
    }

    /// Whether logging in takes a person at the device.
    pub(crate) fn asks_a_person(&self) -> bool {
        self.login_required && self.credentials.pin.is_none()
    }

    pub(crate) fn failed(&self, error: &cryptoki::error::Error) -> TokenError {
        TokenError::Token { token: self.credentials.token.clone(), source: fault::fault(error) }
    }
}

/// Whether a token is the one that the URI names.
pub(crate) fn fits(uri: &Uri, slot: Slot, info: &TokenInfo) -> bool {
    let same = |wanted: Option<&str>, is: &str| wanted.is_none_or(|wanted| wanted == trimmed(is));
    same(uri.token(), info.label())
        && same(uri.serial(), info.serial_number())
        && same(uri.manufacturer(), info.manufacturer_id())
        && same(uri.model(), info.model())
        && uri.slot_id().is_none_or(|id| id == slot.id())
}

fn find(module: &Module, uri: &Uri) -> Result<(Slot, TokenInfo), TokenError> {
    let _guard = module.slots();
    let tokens =
        module.tokens()?.into_iter().filter(|(_, info)| info.token_initialized()).collect::<Vec<_>>();
    let present = || {
        let mut labels: Vec<_> = tokens.iter().map(|(_, info)| trimmed(info.label()).to_owned()).collect();
        labels.sort();
        labels
    };
    let mut fitting = tokens.iter().filter(|(slot, info)| fits(uri, *slot, info));
    match (fitting.next(), fitting.next()) {
        (Some((slot, info)), None) => Ok((*slot, info.clone())),
        (None, _) => {
            Err(TokenError::TokenNotFound { wanted: Box::new(uri.token_only()), present: present() })
        }
        (Some(_), Some(_)) => {
            Err(TokenError::Ambiguous { wanted: Box::new(uri.token_only()), present: present() })
        }
    }
}

/// The token's part of its keys' URIs: what the person chose to name it by, else its label. Never the slot, whose
/// number changes.
fn key_base(opened: &Uri, label: &str) -> Uri {
    let mut base = Uri::new();
    if let Some(serial) = opened.serial() {
        base = base.with_serial(serial);
    }
    match opened.token() {
        Some(token) => base.with_token(token),
        None if opened.serial().is_some() => base,
        None => base.with_token(label),
    }
}

/// One session is the control session's; one stays free for a person with a tool.
fn worker_count(options: &TokenOptions, info: &TokenInfo) -> usize {
    let sessions: Option<u64> = info.max_session_count().into();
    let left = sessions
        .map_or(usize::MAX, |sessions| usize::try_from(sessions).unwrap_or(usize::MAX).saturating_sub(2));
    options.workers.min(left).clamp(1, MAX_WORKERS)
}

/// No token tried gained from more.
const MAX_WORKERS: usize = 8;

/// The module that the environment names, for binaries and tests.
pub fn module_from_environment() -> Option<PathBuf> {
    std::env::var_os("PKCS11_MODULE").filter(|path| !path.is_empty()).map(|path| Path::new(&path).to_owned())
}
