//! Tokens: found by URI, logged in to once, with signing threads.

pub(crate) mod access;
pub(crate) mod control;
pub(crate) mod data;
pub(crate) mod errors;
pub(crate) mod fault;
pub(crate) mod hints;
pub(crate) mod init;
pub(crate) mod login;
pub(crate) mod module;
pub(crate) mod options;
pub(crate) mod pin_source;
pub(crate) mod slots;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use cryptoki::session::Session;
use pkcs11_info::TokenInfo;

use crate::{
    io::{
        signing::{keep_alive::KeepAlive, pool::Pool},
        token::{
            access::{Access, SessionKind},
            control::Control,
            errors::TokenError,
            login::Credentials,
            module::{Library, calls::Caller},
            options::TokenOptions,
            pin_source::read_pin,
        },
    },
    token::{breaker::Health, uri::Uri},
};

/// An open token with a login. Clones share it.
///
/// When the last clone (and the last [`Key`](crate::Key) of it) is dropped, the token is closed in
/// order: queue, signing threads, sessions. That blocks until running signatures are finished. A
/// process that ends while a thread signs may crash in the module's destructors. So drop the token,
/// or call [`Token::shutdown`], before `main` ends.
#[derive(Clone)]
pub struct Token(pub(crate) Arc<Inner>);

/// The parts of an open token.
pub(crate) struct Inner {
    pub(crate) access: Arc<Access>,
    pub(crate) pool: Arc<Pool>,
    /// Stopped before anything is closed.
    keep_alive: Mutex<Option<KeepAlive>>,
    pub(crate) control: Control,
    uri: Uri,
    sign_timeout: Duration,
    pub(crate) call_timeout: Duration,
    pub(crate) generate_timeout: Duration,
}

impl Token {
    /// Opens the token that the URI names: loads the module, finds the token by label or serial
    /// number, logs in once and starts the signing threads.
    ///
    /// The module is the URI's `module-path`, otherwise [`TokenOptions::module`]. The PIN is read
    /// from the URI's `pin-source`, otherwise it is [`TokenOptions::pin`]. This process never sends
    /// a PIN again that the token has refused.
    ///
    /// Blocks: call it in `spawn_blocking` inside a runtime.
    ///
    /// # Errors
    /// [`TokenError`]; [`TokenError::NoAnswer`] at the latest after twice
    /// [`TokenOptions::call_timeout`].
    pub fn open(uri: &Uri, options: &TokenOptions) -> Result<Self, TokenError> {
        let path = uri.module_path().or(options.module.as_deref()).ok_or(TokenError::NoModule)?;
        let (after, wanted) = (options.call_timeout, uri.clone());
        let found = Library::find(path)?.run(after, move |module, _| {
            let (epoch, found) = access::find_again(module, &wanted)?;
            Ok((Arc::clone(module), epoch, found))
        });
        let (module, epoch, found) = found?;
        // Outside the deadline: a person may have to type it.
        let pin = match uri.pin_source() {
            Some(source) => Some(read_pin(source)?),
            None => options.pin.clone(),
        };
        let credentials = Credentials::new(&found.info, pin);
        let uri = key_base(uri, &credentials.token);
        let (workers, queue, sign_timeout) =
            (worker_count(options, &found.info), options.queue.max(1), options.sign_timeout);
        let access = Arc::new(Access::new(&module, epoch, found, credentials));
        let opening = Arc::clone(&access);
        let opened = module.calls().run(after, move |_| {
            access::try_again(&opening.module, || {
                let control = opening.open(SessionKind::ReadWrite)?;
                Ok((control, Pool::start(&opening, workers, queue, sign_timeout)?))
            })
        });
        let (control, pool) = opened?;
        let pool = Arc::new(pool);
        let keep = |interval| KeepAlive::start(&pool, interval, sign_timeout);
        let keep_alive = options.keep_alive.map(keep).transpose()?;
        Ok(Self(Arc::new(Inner {
            access,
            pool,
            keep_alive: Mutex::new(keep_alive),
            control: Control::new(control),
            uri,
            sign_timeout,
            call_timeout: options.call_timeout,
            generate_timeout: options.generate_timeout,
        })))
    }

    /// The token's label.
    #[must_use]
    pub fn label(&self) -> &str {
        self.0.access.label()
    }

    /// The token's serial number.
    #[must_use]
    pub fn serial(&self) -> &str {
        self.0.access.serial()
    }

    /// The URI of the token, without module and PIN: the part before `object=` in the URIs of its
    /// keys.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.0.uri
    }

    /// Maximum wait for one signature.
    #[must_use]
    pub fn sign_timeout(&self) -> Duration {
        self.0.sign_timeout
    }

    /// The health of the token, judged by its last signatures and by tests of idle sessions
    /// ([`TokenOptions::keep_alive`]). Does not call the token.
    #[must_use]
    pub fn health(&self) -> Health {
        self.0.pool.health().health()
    }

    /// Closes the token for all clones and keys: accepts no more signatures, finishes the queued
    /// ones, joins the threads and closes the sessions. Blocks, at most for
    /// [`TokenOptions::sign_timeout`], or for 5 s if that is shorter.
    pub fn shutdown(self) {
        self.0.close();
    }

    /// Runs a closure in the control session. Uses a new session if it was lost or logged out by
    /// other code, and restarts the module if that is necessary.
    pub(crate) fn with_session<T: Send + 'static>(
        &self,
        mut run: impl FnMut(&Session) -> cryptoki::error::Result<T> + Send + 'static,
    ) -> Result<T, TokenError> {
        self.with_session_within(self.0.call_timeout, move |session, _| run(session))
    }

    /// Runs a closure with another deadline. The closure can ask whether its caller still waits.
    pub(crate) fn with_session_within<T: Send + 'static>(
        &self,
        after: Duration,
        run: impl FnMut(&Session, &Caller) -> cryptoki::error::Result<T> + Send + 'static,
    ) -> Result<T, TokenError> {
        let result = self.0.control.run(&self.0.access, after, run);
        match &result {
            Ok(_) => self.0.pool.health().returns(),
            Err(TokenError::NoAnswer { .. } | TokenError::Hung) => self.0.pool.health().hangs(),
            Err(_) => {}
        }
        result
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.0.uri)
    }
}

impl Inner {
    fn close(&self) {
        drop(self.keep_alive.lock().unwrap_or_else(PoisonError::into_inner).take());
        // Also if no caller waits for a signature: a process that ends while a thread is in the
        // module may crash.
        let patience = self.sign_timeout.max(LEAST_CLOSE_PATIENCE);
        let answers = self.pool.close(patience);
        // Last, because the login ends with the last session.
        match self.control.shut_down(patience) {
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

/// How long calls of the module may go on while a token is closed, if
/// [`TokenOptions::sign_timeout`] is shorter.
const LEAST_CLOSE_PATIENCE: Duration = Duration::from_secs(5);

/// The token's part of its keys' URIs: the serial number or label in the given URI, otherwise the
/// label. Never the slot, whose number changes.
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

/// One session is the control session; one is left for other tools.
fn worker_count(options: &TokenOptions, info: &TokenInfo) -> usize {
    let left = info
        .max_sessions
        .map_or(usize::MAX, |sessions| usize::try_from(sessions).unwrap_or(usize::MAX).saturating_sub(2));
    options.workers.min(left).clamp(1, MAX_WORKERS)
}

/// No tested token was faster with more.
const MAX_WORKERS: usize = 8;

/// The module that the environment variable PKCS11_MODULE names, for programs and tests.
#[must_use]
pub fn module_from_environment() -> Option<PathBuf> {
    std::env::var_os("PKCS11_MODULE").filter(|path| !path.is_empty()).map(|path| Path::new(&path).to_owned())
}
