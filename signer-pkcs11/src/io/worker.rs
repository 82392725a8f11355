//! A signing thread's work: its session, the signature in it, and the ladder by which a fault is climbed out of.

use std::{
    collections::HashMap,
    sync::{Arc, MutexGuard, PoisonError, mpsc},
    time::{Duration, Instant},
};

use cryptoki::{
    error::RvError,
    object::{Attribute, ObjectClass, ObjectHandle},
};

use crate::{
    algorithm::SignatureAlgorithm,
    breaker::{Admission, Breaker},
    encoding::ecdsa_signature_to_der,
    io::{
        fault::{self, Class, chain},
        gate::Hung,
        key::KeyName,
        pool::{Job, Reply},
        session::OwnSession,
        template::signing_mechanism,
        token::{Access, SessionKind, TokenError},
    },
    sign::{SignError, TokenFault},
};

/// By what a signature was made: the key, how, and the length of what came back.
pub(crate) type Proven = (Arc<KeyName>, SignatureAlgorithm, usize);

/// A thread's state: its session, and the key handles found in it.
pub(crate) struct Worker {
    access: Arc<Access>,
    session: Option<OwnSession>,
    /// Finding an object is linear in their number on many tokens.
    handles: HashMap<Arc<KeyName>, ObjectHandle>,
    /// The life of the module in which the last attempt was made.
    epoch: u64,
    /// By what it has signed last.
    last: Option<Proven>,
    /// Whether it has signed since it was last told to prove its session.
    has_signed: bool,
    /// Whether it may open a session, which logs in.
    may_open: bool,
    sign_timeout: Duration,
}

/// What is done in a session.
enum Task<'a> {
    Sign(&'a Job),
    /// Whether it is alive and logged in.
    Look,
}

/// Why one attempt failed.
enum Attempt {
    Module(cryptoki::error::Error),
    Token(TokenError),
    /// The session died in an earlier life of the module, or somebody logged the process out, which hides private keys.
    SessionGone,
    /// The token has other private keys.
    KeyGone,
    /// The token shows no private key at all: it may be another one now, or none.
    TokenEmpty,
}

impl Worker {
    pub(crate) fn new(access: &Arc<Access>, session: Option<OwnSession>, sign_timeout: Duration) -> Self {
        Self {
            access: Arc::clone(access),
            session,
            handles: HashMap::new(),
            epoch: 0,
            last: None,
            has_signed: false,
            may_open: true,
            sign_timeout,
        }
    }

    pub(crate) fn serve(&mut self, job: Job) {
        if job.is_abandoned() {
            job.reply.send(Err(SignError::Timeout { after: job.timeout }));
            return;
        }
        let result = self.sign(&job);
        match &result {
            Ok(_) => self.note(&job),
            Err(error) => tracing::warn!(key = job.key.label(), error = %chain(error), "signing failed"),
        }
        job.reply.send(result);
    }

    fn note(&mut self, job: &Job) {
        self.has_signed = true;
        let is_same =
            |(key, algorithm, _): &Proven| Arc::ptr_eq(key, &job.key) && *algorithm == job.algorithm;
        let mut proven = self.access.proven();
        // There is none where the key that another thread signed by is gone.
        if proven.is_none() || !self.last.as_ref().is_some_and(is_same) {
            self.last = Some((Arc::clone(&job.key), job.algorithm, job.raw_bytes));
            proven.clone_from(&self.last);
        }
    }

    /// Finds out whether the session still signs, and heals it if not, unless that is known or the token is left alone.
    pub(crate) fn prove(&mut self) {
        if std::mem::take(&mut self.has_signed) {
            return;
        }
        // A PIN is asked for at the device only where somebody wants a signature: whoever refuses it is not asked again at every
        // turn. Looked at before the breaker, which lets one attempt through and waits for its outcome.
        let asks_a_person = self.access.asks_a_person();
        if asks_a_person && !self.is_logged_in() {
            return;
        }
        if let Admission::Refuse { .. } = self.access.breaker().admit(Instant::now()) {
            return;
        }
        self.may_open = !asks_a_person;
        self.prove_session();
        self.may_open = true;
    }

    fn is_logged_in(&self) -> bool {
        let seen =
            self.session.as_ref().map(|own| own.run(|session| self.access.sees_private_objects(session)));
        matches!(seen, Some(Ok(Some(true))))
    }

    fn prove_session(&mut self) {
        // Another thread's key will do. Only where none has signed yet the session is looked at: it may be alive on a token
        // that does not sign.
        let proven = self.access.proven().clone();
        let Some((key, algorithm, raw_bytes)) = proven else {
            if let Err(attempt) = self.climb(&Task::Look) {
                tracing::warn!(token = self.access.label(), error = %chain(&attempt.told("")), "an idle session does not work");
            }
            return;
        };
        let (reply, _) = mpsc::sync_channel(1);
        let result = self.sign(&Job {
            key: Arc::clone(&key),
            algorithm,
            input: algorithm.token_input(KEEP_ALIVE_MESSAGE),
            raw_bytes,
            asked: Instant::now(),
            timeout: self.sign_timeout,
            reply: Reply::Thread(reply),
        });
        match result {
            Ok(_) => {}
            // Another key may come; until then the session is looked at.
            Err(SignError::KeyGone { .. }) => {
                self.last = None;
                self.access.forget(&key);
            }
            Err(error) => {
                tracing::warn!(key = key.label(), error = %chain(&error), "an idle session does not sign");
            }
        }
    }

    fn sign(&mut self, job: &Job) -> Result<Vec<u8>, SignError> {
        let outcome = self.climb(&Task::Sign(job));
        let raw = outcome.map_err(|attempt| attempt.told(&job.key.to_string()))?;
        if raw.len() != job.raw_bytes {
            return Err(SignError::Garbage { bytes: raw.len() });
        }
        match job.algorithm {
            SignatureAlgorithm::EcdsaSha256
            | SignatureAlgorithm::EcdsaSha384
            | SignatureAlgorithm::EcdsaSha512 => {
                ecdsa_signature_to_der(&raw, job.raw_bytes / 2).ok_or(SignError::Garbage { bytes: raw.len() })
            }
            _ => Ok(raw),
        }
    }

    /// The ladder: the session at hand, a new session, the module restarted. Each rung is climbed once, and a signature may
    /// be made twice without harm.
    fn climb(&mut self, task: &Task<'_>) -> Result<Vec<u8>, Attempt> {
        let mut outcome = self.counted(task);
        if outcome.as_ref().is_err_and(Attempt::is_of_the_session) && self.may_open && !task.is_abandoned() {
            tracing::info!("session lost, opening a new one");
            outcome = self.counted(task);
        }
        if outcome.as_ref().is_err_and(Attempt::is_of_the_module)
            && self.may_open
            && !task.is_abandoned()
            && self.access.module.restart(self.epoch)
        {
            outcome = self.counted(task);
        }
        match &outcome {
            Ok(_) => self.access.works(),
            Err(attempt) if attempt.is_of_the_token() => self.access.fails(),
            // The token answers.
            Err(_) => self.access.succeeded(),
        }
        outcome
    }

    fn counted(&mut self, task: &Task<'_>) -> Result<Vec<u8>, Attempt> {
        let outcome = self.attempt(task);
        if let Err(attempt) = &outcome {
            self.access.metrics.fault(attempt.code());
        }
        outcome
    }

    fn attempt(&mut self, task: &Task<'_>) -> Result<Vec<u8>, Attempt> {
        let result = self.attempt_in_session(task);
        if result.is_err() {
            // A failed C_Sign may leave its operation active for ever, and handles die with the login. Nobody holds a
            // pass of the gate here: closing takes one.
            self.handles.clear();
            self.session = None;
        }
        result
    }

    fn attempt_in_session(&mut self, task: &Task<'_>) -> Result<Vec<u8>, Attempt> {
        let hung = |Hung| Attempt::Token(TokenError::Hung);
        if self.session.is_none() {
            self.epoch = self.access.module.gate().enter().map_err(hung)?.epoch;
            self.session = Some(self.access.open(SessionKind::ReadOnly).map_err(Attempt::Token)?);
        }
        let own = self.session.as_ref().ok_or(Attempt::SessionGone)?;
        self.epoch = own.epoch();
        let pass = self.access.module.gate().enter().map_err(hung)?;
        let session = own.alive(&pass).ok_or(Attempt::SessionGone)?;
        let Task::Sign(job) = task else {
            let is_alive = self.access.sees_private_objects(session);
            return if is_alive { Ok(Vec::new()) } else { Err(Attempt::SessionGone) };
        };
        let handle = match self.handles.get(&job.key) {
            Some(handle) => *handle,
            None => {
                let found = session.find_objects(&job.key.private_template()).map_err(Attempt::Module)?;
                let Some(&handle) = found.first() else {
                    if !self.access.sees_private_objects(session) {
                        return Err(Attempt::SessionGone);
                    }
                    let any = session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)]);
                    let is_empty = any.map_err(Attempt::Module)?.is_empty();
                    return Err(if is_empty { Attempt::TokenEmpty } else { Attempt::KeyGone });
                };
                self.handles.insert(Arc::clone(&job.key), handle);
                handle
            }
        };
        session.sign(&signing_mechanism(job.algorithm), handle, &job.input).map_err(Attempt::Module)
    }
}

impl Task<'_> {
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Sign(job) => job.is_abandoned(),
            Self::Look => false,
        }
    }
}

impl Attempt {
    /// The return value, for counting: few, whatever vendors think of.
    fn code(&self) -> String {
        match self {
            Self::Module(error) => match fault::code(error) {
                None | Some(RvError::VendorDefined(_)) => "other".to_owned(),
                Some(code) => format!("{code:?}"),
            },
            Self::Token(_) => "no_session".to_owned(),
            Self::SessionGone => "session_gone".to_owned(),
            Self::KeyGone | Self::TokenEmpty => "key_gone".to_owned(),
        }
    }

    /// What the caller is told; `key` names the key.
    fn told(self, key: &str) -> SignError {
        match self {
            Self::Module(error) => SignError::Token(fault::fault(&error)),
            Self::Token(TokenError::Token { source, .. }) => SignError::Token(source),
            Self::Token(error) => SignError::Token(TokenFault::new("opening a session", error.to_string())),
            Self::SessionGone => SignError::Token(TokenFault::new("C_FindObjects", "no login")),
            Self::KeyGone | Self::TokenEmpty => SignError::KeyGone { key: key.to_owned() },
        }
    }

    fn is_of_the_session(&self) -> bool {
        match self {
            Self::Module(error) => fault::class(error) == Class::Session,
            Self::SessionGone => true,
            _ => false,
        }
    }

    /// Whether a restart of the module may help.
    fn is_of_the_module(&self) -> bool {
        match self {
            // A session fault in a new session is no longer the session's.
            Self::Module(error) => matches!(fault::class(error), Class::Session | Class::Module),
            Self::Token(error) => error.is_the_modules(),
            Self::SessionGone | Self::TokenEmpty => true,
            Self::KeyGone => false,
        }
    }

    /// Whether it counts against the token.
    fn is_of_the_token(&self) -> bool {
        match self {
            Self::Module(error) => fault::class(error) != Class::Request,
            Self::Token(_) | Self::SessionGone => true,
            Self::KeyGone | Self::TokenEmpty => false,
        }
    }
}

impl Access {
    pub(crate) fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// By what a signature was made last.
    fn proven(&self) -> MutexGuard<'_, Option<Proven>> {
        self.proven.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A key is gone: idle sessions are not proved by it.
    pub(crate) fn forget(&self, gone: &KeyName) {
        self.proven().take_if(|(key, _, _)| **key == *gone);
    }

    fn works(&self) {
        self.succeeded();
        self.module.works();
    }

    fn succeeded(&self) {
        if self.breaker().succeeded() {
            self.metrics.works_again();
        }
    }

    fn fails(&self) {
        self.metrics.fails();
        if let Some(wait) = self.breaker().failed(Instant::now(), jitter()) {
            tracing::error!(token = self.label(), ?wait, "the token does not work and is left alone");
        }
    }

    pub(crate) fn left_alone(&self) {
        self.metrics.fails();
        let wait = self.breaker().open(Instant::now(), jitter());
        tracing::error!(
            token = self.label(),
            ?wait,
            "every signing thread hangs in the token: it is left alone"
        );
    }
}

/// Without randomness the waits are not spread, and no worse.
fn jitter() -> u8 {
    let mut byte = [0];
    let _ = getrandom::fill(&mut byte);
    byte[0]
}

impl KeyName {
    fn private_template(&self) -> [Attribute; 3] {
        [
            Attribute::Class(ObjectClass::PRIVATE_KEY),
            Attribute::Id(self.id().into()),
            Attribute::Label(self.label().into()),
        ]
    }
}

/// What an idle session signs to show that it can. It is no certificate, request or list, nor anything of TLS.
const KEEP_ALIVE_MESSAGE: &[u8] = b"signer-pkcs11 keep-alive signature";
