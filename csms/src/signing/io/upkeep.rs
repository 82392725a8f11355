//! Renews lists of revoked certificates and the service's own certificate.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{
        Arc, Mutex as SyncMutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use certificates::SerialNumber;
use metrics::gauge;
use ocpp_transport::tls::ServerTls;
use program::causes;
use signer_pkcs11::{CertificateAuthority, Token};
use tokio::{sync::Mutex, task::spawn_blocking};

use crate::{
    config::Config,
    fleet::io::ahead::IssuedAhead,
    ledger::Ledger,
    service::{
        control::SignedList,
        io::{
            clock::ServiceClock,
            metrics as names,
            server_error::ServerError,
            tls::{TlsFiles, server_tls},
        },
    },
    signing::{
        io::{
            authority::Authority,
            lists::ListFile,
            own_certificate::{self, Served},
        },
        serving::When,
    },
};

/// Lists of revoked certificates, and the CSMS's own certificate.
#[derive(Debug)]
pub(crate) struct Upkeep {
    authority: Arc<Authority>,
    ledger: Ledger,
    token: Option<Token>,
    clock: ServiceClock,
    lists: Vec<ListFile>,
    /// Held during a renewal, so that a list or a certificate is never replaced by an older one.
    turn: Mutex<()>,
    /// A file may be newer than what is served. The flag is set before a file is written, and
    /// cleared before all files are read. It stays set after an error, or if a command is dropped
    /// between the two.
    unserved: AtomicBool,
    /// The certificates that were issued while the clock was ahead.
    pub(crate) ahead: IssuedAhead,
    /// The state with which TLS was set up last.
    serving: SyncMutex<Option<Serving>>,
    /// Why the last renewals failed.
    failing: SyncMutex<BTreeMap<Renewal, String>>,
}

/// The state with which TLS is set up, as far as it depends on the clock.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Serving {
    own: Served,
    /// The distance of the other time in seconds; `None` if the clock is not in doubt.
    other_time: Option<i64>,
    /// The serial numbers of certificates that were issued while the clock was ahead.
    early: BTreeSet<SerialNumber>,
}

/// A renewal that the service makes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Renewal {
    OwnCertificate,
    RevocationLists,
}

impl Renewal {
    fn label(self) -> &'static str {
        match self {
            Self::OwnCertificate => "own_certificate",
            Self::RevocationLists => "revocation_lists",
        }
    }

    fn failure(self) -> &'static str {
        match self {
            Self::OwnCertificate => "the CSMS's own certificate was not renewed",
            Self::RevocationLists => "a list of revoked certificates was not renewed",
        }
    }
}

impl Upkeep {
    pub(crate) fn new(
        authority: Arc<Authority>,
        ledger: Ledger,
        token: Option<Token>,
        clock: ServiceClock,
        config: &Config,
    ) -> Self {
        let lists = match &*authority {
            Authority::Own(authority) => ListFile::of(authority, config),
            Authority::Forwarding(_) => Vec::new(),
        };
        Self {
            authority,
            ledger,
            token,
            clock,
            lists,
            turn: Mutex::default(),
            unserved: AtomicBool::default(),
            ahead: IssuedAhead::default(),
            serving: SyncMutex::default(),
            failing: SyncMutex::default(),
        }
    }

    pub(crate) fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    pub(crate) fn clock(&self) -> &ServiceClock {
        &self.clock
    }

    /// The problems that an operator has to look at, in sentences.
    pub(crate) fn problems(&self) -> Vec<String> {
        let own = self.serving().as_ref().map(|serving| serving.own.invalid.clone());
        let mut problems = own.unwrap_or_default();
        problems.extend(self.ahead.problem());
        problems.extend(self.ledger.problem());
        let failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        problems.extend(failing.iter().map(|(renewal, reason)| format!("{}: {reason}", renewal.failure())));
        problems
    }

    /// Reads all files for TLS. Blocks.
    pub(crate) fn tls(&self, config: &Config) -> Result<ServerTls, ServerError> {
        let serving = self.to_be_served(config)?;
        let files = TlsFiles {
            own: &serving.own.files,
            lists: &self.list_files(),
            other_time: serving.other_time,
            latest: self.clock.times().present.latest,
            early: &serving.early,
        };
        let tls = server_tls(config, self.token(), &files)?;
        for reason in &serving.own.invalid {
            tracing::error!("{reason}");
        }
        gauge!(names::OWN_CERTIFICATE_VALID).set(if serving.own.invalid.is_empty() { 1 } else { 0 });
        *self.serving() = Some(serving);
        Ok(tls)
    }

    /// The ledger that lists are made from.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Notes that a file may be newer than what is served.
    pub(crate) fn note_unserved(&self) {
        self.unserved.store(true, Ordering::Release);
    }

    /// Whether a file may be newer than what is served. Clears the flag: the caller reads the files
    /// afterwards.
    pub(crate) fn take_unserved(&self) -> bool {
        self.unserved.swap(false, Ordering::AcqRel)
    }

    fn to_be_served(&self, config: &Config) -> Result<Serving, ServerError> {
        let own = own_certificate::to_be_served(config, self.token(), self.clock.times())?;
        let (other_time, early) = (self.clock.other_time(), self.ahead.serial_numbers());
        Ok(Serving { own, other_time, early })
    }

    fn serving(&self) -> MutexGuard<'_, Option<Serving>> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The files of the lists; some may not exist yet.
    fn list_files(&self) -> Vec<PathBuf> {
        self.lists.iter().map(|list| list.path().to_path_buf()).collect()
    }

    /// Signs the lists of all issuers. A list that cannot be signed does not prevent the others.
    /// Returns the first error.
    pub(crate) async fn sign_lists(
        &self,
        config: &Config,
        when: When,
    ) -> Result<Vec<SignedList>, ServerError> {
        let Some(authority) = self.own() else { return Ok(Vec::new()) };
        let _turn = self.turn.lock().await;
        let index = self.ledger.revocations().await?;
        let (mut signed, mut failed) = (Vec::new(), None);
        for list in &self.lists {
            match list.sign(authority, &index, config, when, self.clock.times(), &self.unserved).await {
                Ok(list) => signed.extend(list),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(signed), Err)
    }

    /// Issues the CSMS's own certificates, and returns the written files.
    pub(crate) async fn issue_own(&self, config: &Config, when: When) -> Result<Vec<PathBuf>, ServerError> {
        match self.own() {
            Some(authority) if config.tls.names.is_some() => {
                let _turn = self.turn.lock().await;
                own_certificate::issue(authority, config, self.token(), when, &self.clock, &self.unserved)
                    .await
            }
            _ if when == When::Now => Err(ServerError::NoOwnCertificate),
            _ => Ok(Vec::new()),
        }
    }

    /// Notes how a renewal ended. A renewal that is not due succeeds.
    pub(crate) fn note_renewal(&self, renewal: Renewal, error: Option<&ServerError>) {
        gauge!(names::RENEWAL_FAILING, "of" => renewal.label()).set(if error.is_some() { 1 } else { 0 });
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        match error {
            Some(error) => {
                tracing::error!(error = %causes(error), "{}", renewal.failure());
                failing.insert(renewal, causes(error).to_string());
            }
            None => _ = failing.remove(&renewal),
        }
    }

    /// Whether the served certificates have to be replaced, because time has passed or the clock
    /// was moved.
    pub(crate) async fn is_outdated(self: &Arc<Self>, config: &Arc<Config>) -> bool {
        let (upkeep, config) = (Arc::clone(self), Arc::clone(config));
        let outdated = spawn_blocking(move || {
            let serving = upkeep.to_be_served(&config)?;
            Ok::<_, ServerError>(upkeep.serving().as_ref().is_none_or(|served| !served.is_like(&serving)))
        });
        // If the token is not available, the present certificates are still served.
        matches!(outdated.await, Ok(Ok(true)))
    }

    /// The times until something has to be signed or served.
    pub(crate) async fn due(&self, config: &Config) -> Vec<Duration> {
        let mut due = Vec::new();
        if self.unserved.load(Ordering::Acquire) {
            due.push(Duration::ZERO);
        }
        if !self.ahead.is_empty() {
            due.push(LOOK_AHEAD);
        }
        if self.own().is_none() {
            return due;
        }
        let times = self.clock.times();
        if let Ok(index) = self.ledger.revocations().await {
            for list in &self.lists {
                due.push(list.due_in(&index, times, config.ca.crl_validity).await);
            }
        }
        let (config, token, authority) = (config.clone(), self.token.clone(), Arc::clone(&self.authority));
        let own = spawn_blocking(move || match &*authority {
            Authority::Own(authority) => own_certificate::next_due(authority, &config, token.as_ref(), times),
            Authority::Forwarding(_) => None,
        });
        due.extend(own.await.ok().flatten());
        due
    }

    fn own(&self) -> Option<&CertificateAuthority> {
        match &*self.authority {
            Authority::Own(authority) => Some(authority),
            Authority::Forwarding(_) => None,
        }
    }
}

impl Serving {
    /// Whether TLS need not be set up again for this other state.
    fn is_like(&self, other: &Self) -> bool {
        // The distance changes by a second from time to time while a time service slews the clock.
        let apart = match (self.other_time, other.other_time) {
            (Some(one), Some(other)) => one.abs_diff(other),
            (None, None) => 0,
            _ => u64::MAX,
        };
        self.own == other.own && self.early == other.early && apart <= MAX_SLEW_SECONDS
    }
}

/// The interval of the checks whether a station is connected that has to renew its certificate
/// because the clock was ahead.
const LOOK_AHEAD: Duration = Duration::from_secs(5);

/// The distance of the two times may change by this much before TLS is set up again.
const MAX_SLEW_SECONDS: u64 = 5;
