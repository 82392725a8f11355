//! The work of a signing thread: its session, the signature, and the recovery from a fault.

use std::{
    collections::HashMap,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use cryptoki::{
    error::RvError,
    object::{Attribute, ObjectClass, ObjectHandle},
};
use program::causes;

use crate::{
    io::{
        key::{inventory, name::KeyName, template::signing_mechanism},
        signing::{
            health::{LastSignature, TokenHealth},
            job::{Job, Reply},
        },
        token::{
            access::{Access, SessionKind},
            errors::TokenError,
            fault::{self, Class},
            module::{restart_lock::Hung, session::OwnSession},
        },
    },
    key::{algorithm::SignatureAlgorithm, encoding::ecdsa_signature_to_der, signer::SignError},
    token::{breaker::Admission, fault::TokenFault},
};

/// The state of a thread: its session and the key handles in it.
pub(crate) struct Worker {
    access: Arc<Access>,
    health: Arc<TokenHealth>,
    session: Option<OwnSession>,
    /// Many tokens search objects in linear time.
    handles: HashMap<Arc<KeyName>, ObjectHandle>,
    /// The epoch of the module in which the last attempt was made.
    epoch: u64,
    /// Its last signature.
    last: Option<LastSignature>,
    /// Whether it has signed since its session was last tested.
    has_signed: bool,
    /// Whether it may open a session, which logs in.
    may_open: bool,
    sign_timeout: Duration,
}

/// A task in a session.
enum Task<'a> {
    Sign(&'a Job),
    /// Checks whether it is alive and logged in.
    Check,
}

/// Why one attempt failed.
enum Attempt {
    Module(cryptoki::error::Error),
    Token(TokenError),
    /// The session died in an earlier epoch of the module, or other code logged the process out,
    /// which hides private keys.
    SessionGone,
    /// The token has other private keys, but not this one.
    KeyGone,
    /// The token shows no private key at all: it may be another token now, or none.
    TokenEmpty,
}

impl Worker {
    pub(crate) fn new(
        access: &Arc<Access>,
        health: &Arc<TokenHealth>,
        session: Option<OwnSession>,
        sign_timeout: Duration,
    ) -> Self {
        Self {
            access: Arc::clone(access),
            health: Arc::clone(health),
            session,
            handles: HashMap::new(),
            epoch: 0,
            last: None,
            has_signed: false,
            may_open: true,
            sign_timeout,
        }
    }

    /// Signs, and returns the result and where the caller waits.
    pub(crate) fn serve(&mut self, job: Job) -> (Reply, Result<Vec<u8>, SignError>) {
        if job.is_abandoned() {
            return (job.reply, Err(SignError::Timeout { after: job.timeout }));
        }
        let result = self.sign(&job);
        match &result {
            Ok(_) => self.remember(&job),
            Err(error) => {
                tracing::warn!(key = job.key.label(), error = %causes(error), "signing failed");
            }
        }
        (job.reply, result)
    }

    fn remember(&mut self, job: &Job) {
        self.has_signed = true;
        let mut last = self.health.last();
        // There is none if another thread has found that its key is gone.
        if last.is_none() || !self.last.as_ref().is_some_and(|mine| mine.is_like(job)) {
            self.last = Some(LastSignature::of(job));
            last.clone_from(&self.last);
        }
    }

    /// Tests whether the session still signs, and heals it if not. Does nothing if the thread has
    /// signed recently or the breaker is open.
    pub(crate) fn test_session(&mut self) {
        if std::mem::take(&mut self.has_signed) {
            return;
        }
        // A person is asked for a PIN at the device only if a signature was requested. Otherwise a
        // person who refuses it would be asked again at each test. Checked before the breaker,
        // which lets one attempt through and waits for its outcome.
        let asks_a_person = self.access.asks_a_person();
        if asks_a_person && !self.is_logged_in() {
            return;
        }
        if let Admission::Refuse { .. } = self.health.admit() {
            return;
        }
        self.may_open = !asks_a_person;
        self.test_with_last_signature();
        self.may_open = true;
    }

    fn is_logged_in(&self) -> bool {
        let seen =
            self.session.as_ref().map(|own| own.run(|session| self.access.sees_private_objects(session)));
        matches!(seen, Some(Ok(Some(true))))
    }

    fn test_with_last_signature(&mut self) {
        // A key that another thread has used is good enough. If no key has been used yet, only the
        // session is checked: it may be alive on a token that does not sign.
        let last = self.health.last().clone();
        let Some(LastSignature { key, algorithm, raw_bytes }) = last else {
            if let Err(attempt) = self.recover(&Task::Check) {
                tracing::warn!(token = self.access.label(), error = %causes(&attempt.into_sign_error("")), "an idle session does not work");
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
            // Another key may follow. Until then only the session is checked.
            Err(SignError::KeyGone { .. }) => {
                self.last = None;
                self.health.forget(&key);
            }
            Err(error) => {
                tracing::warn!(key = key.label(), error = %causes(&error), "an idle session does not sign");
            }
        }
    }

    fn sign(&mut self, job: &Job) -> Result<Vec<u8>, SignError> {
        let outcome = self.recover(&Task::Sign(job));
        let raw = outcome.map_err(|attempt| attempt.into_sign_error(&job.key.to_string()))?;
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

    /// Recovery: the open session, a new session, the restarted module. Each step is tried once.
    /// Signing twice does no harm.
    fn recover(&mut self, task: &Task<'_>) -> Result<Vec<u8>, Attempt> {
        let mut outcome = self.counted(task);
        if outcome.as_ref().is_err_and(Attempt::is_session_fault) && self.may_open && !task.is_abandoned() {
            tracing::info!("session lost, opening a new one");
            outcome = self.counted(task);
        }
        if outcome.as_ref().is_err_and(Attempt::is_module_fault)
            && self.may_open
            && !task.is_abandoned()
            && self.access.module.restart(self.epoch)
        {
            outcome = self.counted(task);
        }
        match &outcome {
            Ok(_) => self.health.works(),
            Err(attempt) if attempt.is_token_fault() => self.health.fails(),
            // The token answers.
            Err(_) => self.health.answers(),
        }
        outcome
    }

    fn counted(&mut self, task: &Task<'_>) -> Result<Vec<u8>, Attempt> {
        let outcome = self.attempt(task);
        if let Err(attempt) = &outcome {
            self.health.fault(attempt.code());
        }
        outcome
    }

    fn attempt(&mut self, task: &Task<'_>) -> Result<Vec<u8>, Attempt> {
        let result = self.attempt_in_session(task);
        if result.is_err() {
            // A failed C_Sign may leave its operation active for ever, and handles die with the
            // login. This thread must hold no permit here, because closing takes one.
            self.handles.clear();
            self.session = None;
        }
        result
    }

    fn attempt_in_session(&mut self, task: &Task<'_>) -> Result<Vec<u8>, Attempt> {
        let hung = |Hung| Attempt::Token(TokenError::Hung);
        if self.session.is_none() {
            self.epoch = self.access.module.restart_lock().enter().map_err(hung)?.epoch;
            self.session = Some(self.access.open(SessionKind::ReadOnly).map_err(Attempt::Token)?);
        }
        let own = self.session.as_ref().ok_or(Attempt::SessionGone)?;
        self.epoch = own.epoch();
        let permit = self.access.module.restart_lock().enter().map_err(hung)?;
        let session = own.alive(&permit).ok_or(Attempt::SessionGone)?;
        let Task::Sign(job) = task else {
            let is_alive = self.access.sees_private_objects(session);
            return if is_alive { Ok(Vec::new()) } else { Err(Attempt::SessionGone) };
        };
        let handle = match self.handles.get(&job.key) {
            Some(handle) => *handle,
            None => {
                let found = inventory::objects(session, ObjectClass::PRIVATE_KEY, &job.key);
                let found = found.map_err(Attempt::Module)?;
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
            Self::Check => false,
        }
    }
}

impl Attempt {
    /// The label for the metric: few values, whatever codes vendors define.
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

    /// The error for the caller; `key` names the key.
    fn into_sign_error(self, key: &str) -> SignError {
        match self {
            Self::Module(error) => SignError::Token(fault::fault(&error)),
            Self::Token(TokenError::Token { source, .. }) => SignError::Token(source),
            Self::Token(error) => SignError::Token(TokenFault::new("opening a session", error.to_string())),
            Self::SessionGone => SignError::Token(TokenFault::new("C_FindObjects", "no login")),
            Self::KeyGone | Self::TokenEmpty => SignError::KeyGone { key: key.to_owned() },
        }
    }

    fn is_session_fault(&self) -> bool {
        match self {
            Self::Module(error) => fault::class(error) == Class::Session,
            Self::SessionGone => true,
            _ => false,
        }
    }

    /// Whether a restart of the module may help.
    fn is_module_fault(&self) -> bool {
        match self {
            // A session fault in a new session is not the session's fault.
            Self::Module(error) => matches!(fault::class(error), Class::Session | Class::Module),
            Self::Token(error) => error.is_module_fault(),
            Self::SessionGone | Self::TokenEmpty => true,
            Self::KeyGone => false,
        }
    }

    /// Whether it counts as a failure of the token.
    fn is_token_fault(&self) -> bool {
        match self {
            Self::Module(error) => fault::class(error) != Class::Request,
            Self::Token(_) | Self::SessionGone => true,
            Self::KeyGone | Self::TokenEmpty => false,
        }
    }
}

/// The text that an idle session signs as a test. It is not a certificate, request, list or TLS
/// message.
const KEEP_ALIVE_MESSAGE: &[u8] = b"signer-pkcs11 keep-alive signature";
