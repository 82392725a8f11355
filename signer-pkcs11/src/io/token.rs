//! Tokens: found by URI, logged in to once, with threads that sign.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use cryptoki::{
    error::RvError,
    session::{Session, SessionState},
    slot::{Slot, TokenInfo},
};

pub use crate::io::login::FinalTry;
use crate::{
    io::{
        fault,
        login::{self, Credentials},
        module::{Module, trimmed},
        pool::Pool,
    },
    pin::Pin,
    sign::TokenFault,
    uri::{PinSource, Uri},
};

/// A token that is open and logged in to. Clones share it.
///
/// When the last clone (and the last [`Key`](crate::Key) of it) is dropped, it is closed in order: the queue, the
/// signing threads, the sessions. A process that ends while a thread still signs may crash in the module's own
/// destructors, so drop it, or call [`Token::shutdown`], before `main` ends.
#[derive(Clone)]
pub struct Token(pub(crate) Arc<Inner>);

/// What an open token consists of.
pub(crate) struct Inner {
    pub(crate) access: Arc<Access>,
    pub(crate) pool: Pool,
    /// Serves everything but signing. Being open it also keeps the login alive, which ends with the last session.
    control: Mutex<Control>,
    uri: Uri,
    sign_timeout: Duration,
}

/// The control session.
enum Control {
    Open(Session),
    /// To be opened again at the next use.
    Lost,
    ShutDown,
}

/// How a token is opened: module, PIN, threads and bounds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TokenOptions {
    /// The module for URIs without `module-path`. Default: none.
    pub module: Option<PathBuf>,
    /// The PIN for URIs without `pin-source`. Default: none.
    pub pin: Option<Pin>,
    /// Threads that sign, each with a session of its own. Default 4, at least 1, at most 8; fewer where the token has
    /// not as many sessions. A TPM executes one command at a time and gains nothing from more than 1.
    pub workers: usize,
    /// Signatures that may wait. Default 64: at the speed of a slow token (100 signatures per second) the last one
    /// still gets its turn well within the deadline.
    pub queue: usize,
    /// Longest wait for one signature, including the time in the queue. Default 10 s.
    pub sign_timeout: Duration,
    /// What to do when one more wrong PIN would lock the token. Default: refuse.
    pub final_try: FinalTry,
}

/// Why a token cannot be opened, initialised or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Neither URI nor options name a module.
    #[error(
        "no PKCS #11 module is named: add ?module-path=/path/to/module.so to the URI, or set PKCS11_MODULE"
    )]
    NoModule,
    /// The shared library is not there or cannot be loaded.
    #[error("cannot load the PKCS #11 module {}: check the path, and that the package which brings it is installed (SoftHSM: apt install softhsm2, dnf install softhsm, brew install softhsm)", path.display())]
    ModuleNotFound {
        /// As given.
        path: PathBuf,
        /// What the loader said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// C_Initialize failed.
    #[error("the PKCS #11 module {} does not start: check its configuration (SoftHSM: SOFTHSM2_CONF must name a readable file, whose token folder must exist and be writable)", path.display())]
    ModuleInitialize {
        /// As given.
        path: PathBuf,
        /// Its answer.
        #[source]
        source: TokenFault,
    },
    /// The module does not answer a call that concerns no token.
    #[error("the PKCS #11 module {} does not list its slots", path.display())]
    Module {
        /// As loaded.
        path: PathBuf,
        /// Its answer.
        #[source]
        source: TokenFault,
    },
    /// No token fits the URI.
    #[error(
        "no token fits {wanted}; {}: correct the URI, or initialise a token with `hsm init`",
        PresentTokens(present)
    )]
    TokenNotFound {
        /// The URI.
        wanted: Box<Uri>,
        /// Labels of the tokens that exist.
        present: Vec<String>,
    },
    /// Several tokens fit the URI.
    #[error("several tokens fit {wanted}; {}: name one by token= or serial=", PresentTokens(present))]
    Ambiguous {
        /// The URI.
        wanted: Box<Uri>,
        /// Labels of the tokens that exist.
        present: Vec<String>,
    },
    /// No PIN was given.
    #[error(
        "token \"{token}\" asks for a PIN: add ?pin-source=file:/path or ?pin-source=env:NAME to the URI"
    )]
    PinMissing {
        /// The token's label.
        token: String,
    },
    /// The source of the PIN cannot be read.
    #[error("cannot read the PIN from {pin_source}: create it, readable for this user only")]
    PinUnreadable {
        /// As in the URI.
        pin_source: PinSource,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The token has refused the PIN, just now.
    #[error(
        "token \"{token}\" refused the PIN. It was tried once and is not tried again, because tokens lock after few wrong PINs: correct the PIN, then restart"
    )]
    PinIncorrect {
        /// The token's label.
        token: String,
    },
    /// The token has refused this PIN earlier in this process; it was not asked again.
    #[error(
        "token \"{token}\" refused this PIN before, so it was not tried again: correct the PIN, then restart"
    )]
    PinRefusedBefore {
        /// The token's label.
        token: String,
    },
    /// The process is logged in by another PIN; the token was not asked.
    #[error(
        "this process is logged in to token \"{token}\" by another PIN than the one given now: give the same PIN, or restart"
    )]
    PinDiffers {
        /// The token's label.
        token: String,
    },
    /// One more wrong PIN locks the token.
    #[error(
        "one more wrong PIN locks token \"{token}\": make sure that the PIN is right, log in once by the vendor's tool, then restart"
    )]
    FinalTry {
        /// The token's label.
        token: String,
    },
    /// The user PIN is locked.
    #[error("the user PIN of token \"{token}\" is locked: its security officer must set a new one")]
    PinLocked {
        /// The token's label.
        token: String,
    },
    /// The user PIN must be changed first.
    #[error("the user PIN of token \"{token}\" has expired: change it by the vendor's tool")]
    PinExpired {
        /// The token's label.
        token: String,
    },
    /// No user PIN is set.
    #[error("token \"{token}\" has no user PIN yet: its security officer must set one")]
    PinNotSet {
        /// The token's label.
        token: String,
    },
    /// The token failed.
    #[error("token \"{token}\" failed")]
    Token {
        /// The token's label.
        token: String,
        /// Its answer.
        #[source]
        source: TokenFault,
    },
    /// A label that PKCS #11 cannot hold.
    #[error("token label \"{label}\" has {} bytes; 1 to 32 are allowed", label.len())]
    Label {
        /// As given.
        label: String,
    },
    /// A token of this label exists.
    #[error("a token \"{label}\" exists already: choose another label, or use that token")]
    TokenExists {
        /// As given.
        label: String,
    },
    /// Every slot holds an initialised token.
    #[error("the PKCS #11 module {} has no slot with a token that is not initialised yet", path.display())]
    NoFreeSlot {
        /// As loaded.
        path: PathBuf,
    },
    /// A PIN of a length that the token does not take.
    #[error("the token takes PINs of {min} to {max} bytes")]
    PinLength {
        /// Shortest.
        min: usize,
        /// Longest.
        max: usize,
    },
    /// The operating system gave no thread.
    #[error("cannot start a signing thread")]
    Thread(#[source] io::Error),
    /// The token has been shut down by [`Token::shutdown`].
    #[error("the token has been shut down")]
    ShutDown,
}

/// What is needed to open further sessions with the same token.
pub(crate) struct Access {
    pub(crate) module: Arc<Module>,
    pub(crate) slot: Slot,
    credentials: Credentials,
    login_required: bool,
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
    /// [`TokenError`]
    pub fn open(uri: &Uri, options: &TokenOptions) -> Result<Self, TokenError> {
        let path = uri.module_path().or(options.module.as_deref()).ok_or(TokenError::NoModule)?;
        let module = Module::load(path)?;
        let (slot, info) = find(&module, uri)?;
        let pin = match uri.pin_source() {
            Some(source) => Some(read_pin(source)?),
            None => options.pin.clone(),
        };
        let credentials = Credentials::new(&info, pin, options.final_try);
        let label = credentials.token.clone();
        let access = Arc::new(Access { module, slot, credentials, login_required: info.login_required() });
        let control = access.open(SessionKind::ReadWrite)?;
        let pool = Pool::start(&access, worker_count(options, &info), options.queue.max(1))?;
        let uri = key_base(uri, &label);
        let sign_timeout = options.sign_timeout;
        Ok(Self(Arc::new(Inner {
            access,
            pool,
            control: Mutex::new(Control::Open(control)),
            uri,
            sign_timeout,
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

    /// Closes the token for all clones and keys: takes no more signatures, lets those that wait be made, joins the
    /// threads and closes the sessions. Blocks, at most for [`TokenOptions::sign_timeout`].
    pub fn shutdown(self) {
        self.0.close();
    }

    /// Runs something in the control session; in a new one if that was lost, or logged out by somebody else.
    pub(crate) fn with_session<T>(
        &self,
        mut run: impl FnMut(&Session) -> cryptoki::error::Result<T>,
    ) -> Result<T, TokenError> {
        let access = &self.0.access;
        let mut control = self.0.control();
        match &*control {
            Control::ShutDown => return Err(TokenError::ShutDown),
            // Without the check, a token that was logged out would simply show no private keys.
            Control::Open(session) if access.sees_private_objects(session) => match run(session) {
                Ok(value) => return Ok(value),
                Err(error) if fault::is_session_fault(&error) => {}
                Err(error) => return Err(access.failed(&error)),
            },
            Control::Open(_) | Control::Lost => {}
        }
        tracing::warn!(token = self.label(), "session lost or logged out, opening a new one");
        // Handles are reused: the old session must be gone before the new one exists.
        *control = Control::Lost;
        let session = access.open(SessionKind::ReadWrite)?;
        let result = run(&session).map_err(|error| access.failed(&error));
        *control = Control::Open(session);
        result
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.0.uri)
    }
}

impl Inner {
    fn control(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.pool.close(self.sign_timeout);
        // Last, because the login ends with the last session.
        *self.control() = Control::ShutDown;
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

impl Access {
    /// Opens a session and logs in through it if the token is not logged in to.
    pub(crate) fn open(&self, kind: SessionKind) -> Result<Session, TokenError> {
        let _guard = self.module.slots();
        let context = self.module.context();
        let session = match kind {
            SessionKind::ReadOnly => context.open_ro_session(self.slot),
            SessionKind::ReadWrite => match context.open_rw_session(self.slot) {
                // A token that cannot be changed can still sign.
                Err(error) if fault::code(&error) == Some(RvError::TokenWriteProtected) => {
                    context.open_ro_session(self.slot)
                }
                other => other,
            },
        };
        let session = session.map_err(|error| self.failed(&error))?;
        let info = context.get_token_info(self.slot).map_err(|error| self.failed(&error))?;
        login::log_in(&self.module, &session, &info, &self.credentials)?;
        Ok(session)
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

    pub(crate) fn failed(&self, error: &cryptoki::error::Error) -> TokenError {
        TokenError::Token { token: self.credentials.token.clone(), source: fault::fault(error) }
    }
}

impl Default for TokenOptions {
    fn default() -> Self {
        Self {
            module: None,
            pin: None,
            workers: 4,
            queue: 64,
            sign_timeout: Duration::from_secs(10),
            final_try: FinalTry::Refuse,
        }
    }
}

impl TokenOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the module for URIs without `module-path`.
    pub fn module(mut self, path: impl Into<PathBuf>) -> Self {
        self.module = Some(path.into());
        self
    }

    /// Sets the PIN for URIs without `pin-source`.
    pub fn pin(mut self, pin: Pin) -> Self {
        self.pin = Some(pin);
        self
    }

    /// Sets the number of signing threads.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Sets how many signatures may wait.
    pub fn queue(mut self, queue: usize) -> Self {
        self.queue = queue;
        self
    }

    /// Sets the longest wait for one signature.
    pub fn sign_timeout(mut self, timeout: Duration) -> Self {
        self.sign_timeout = timeout;
        self
    }

    /// Sets what to do when one more wrong PIN would lock the token.
    pub fn final_try(mut self, final_try: FinalTry) -> Self {
        self.final_try = final_try;
        self
    }
}

/// Reads a PIN from its source.
///
/// # Errors
/// [`TokenError::PinUnreadable`]
pub fn read_pin(source: &PinSource) -> Result<Pin, TokenError> {
    let unreadable = |error| TokenError::PinUnreadable { pin_source: source.clone(), source: error };
    match source {
        PinSource::File(path) => std::fs::read_to_string(path).map(Pin::from_file_text).map_err(unreadable),
        PinSource::Environment(name) => {
            std::env::var(name).map(Pin::new).map_err(|error| unreadable(io::Error::other(error)))
        }
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

struct PresentTokens<'a>(&'a [String]);

impl fmt::Display for PresentTokens<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Enough to find a typing error, few enough to be read.
        const SHOWN: usize = 20;
        match self.0 {
            [] => f.write_str("there is no initialised token"),
            labels => {
                let shown: Vec<_> = labels.iter().take(SHOWN).map(|label| format!("\"{label}\"")).collect();
                write!(f, "present are {}", shown.join(", "))?;
                if labels.len() > SHOWN { write!(f, " and {} more", labels.len() - SHOWN) } else { Ok(()) }
            }
        }
    }
}

/// The module that the environment names, for binaries and tests.
pub fn module_from_environment() -> Option<PathBuf> {
    std::env::var_os("PKCS11_MODULE").filter(|path| !path.is_empty()).map(|path| Path::new(&path).to_owned())
}
