//! Verifies the passwords of stations that connect.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use metrics::{counter, describe_counter, describe_gauge, gauge};
use ocpp_transport::Password;
use zeroize::Zeroizing;

use crate::{
    service::control::{LoginStatus, OverloadStatus},
    stations::{
        io::login::{
            gate::{Gate, Pass, QueueFull},
            hashing::{Ended, Hashing},
            password::{HashPasswordError, hash_within},
        },
        login::{Fingerprints, Guess, GuessLimits, Overload, Standing, StoredHash, Throttle, UnusableHash},
    },
};

/// Logins by their outcome.
pub(crate) const LOGINS: &str = "csms_logins_total";
/// Logins that wait for a worker.
pub(crate) const LOGINS_WAITING: &str = "csms_logins_waiting";
/// Whether there is an overload.
pub(crate) const OVERLOADED: &str = "csms_overloaded";

/// Verifies passwords, within all limits.
#[derive(Debug)]
pub(crate) struct Logins {
    gate: Gate,
    hashing: Hashing,
    throttle: Mutex<Throttle>,
    fingerprints: Mutex<Fingerprints>,
}

/// Why a password was not verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotVerified {
    #[error("too many logins wait")]
    Overloaded { retry_after: Duration },
    #[error("too many passwords from its address were wrong")]
    Throttled { retry_after: Duration },
    #[error("its password hash cannot be used")]
    Hash(#[source] UnusableHash),
    #[error("its password cannot be verified")]
    Ended(#[source] Ended),
}

/// A login whose turn it is. Dropping it lets the next one have its turn.
#[derive(Debug)]
pub(crate) struct Login<'a> {
    logins: &'a Logins,
    guess: &'a Guess,
    judging: Option<Judging<'a>>,
    /// The hash against which this password was verified recently.
    known: Option<String>,
    _pass: Pass<'a>,
}

/// A guess in progress. If it is dropped before the password is verified, the guess is given back.
#[derive(Debug)]
struct Judging<'a> {
    throttle: &'a Mutex<Throttle>,
    guess: &'a Guess,
    judged: bool,
}

impl Logins {
    /// Starts the workers.
    ///
    /// # Errors
    /// If the operating system cannot create a thread or provides no random numbers.
    pub(crate) fn start(limits: GuessLimits) -> std::io::Result<Self> {
        describe_counter!(LOGINS, "Logins with a password, by outcome");
        describe_gauge!(LOGINS_WAITING, "Logins that wait for their password to be verified");
        describe_gauge!(OVERLOADED, "1 while logins wait too long or are refused");
        gauge!(LOGINS_WAITING).set(0);
        gauge!(OVERLOADED).set(0);
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(key.as_mut()).map_err(std::io::Error::other)?;
        let hashing = Hashing::start()?;
        Ok(Self {
            gate: Gate::new(hashing.workers() + MAX_BESIDE_WORKERS),
            hashing,
            throttle: Mutex::new(Throttle::new(limits)),
            fingerprints: Mutex::new(Fingerprints::new(key)),
        })
    }

    /// Waits for the turn of a login. Until then, nothing is done for it, except that its password
    /// is compared with `random`, the hash of a random password: such a login does not wait behind
    /// those that a worker has to verify. The first of the spellings is the password as it was
    /// sent.
    ///
    /// # Errors
    /// [`NotVerified::Throttled`] and [`NotVerified::Overloaded`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves the queue. The guess is given back.
    pub(crate) async fn begin<'a>(
        &'a self,
        guess: &'a Guess,
        spellings: &[Password],
        random: Option<&str>,
    ) -> Result<Login<'a>, NotVerified> {
        let sent = spellings.first();
        let known = sent.and_then(|sent| lock(&self.fingerprints).find(Instant::now(), &guess.station, sent));
        let (standing, judging, known) = match known {
            Some(known) => (Standing::Known, None, Some(known)),
            None => {
                let (standing, judging) = self.guess(guess)?;
                match random.filter(|hash| is_of_random(hash, spellings)) {
                    Some(hash) => (Standing::Known, Some(judging), Some(hash.to_owned())),
                    None => (standing, Some(judging), None),
                }
            }
        };
        let pass = self.gate.pass(standing).await.map_err(|QueueFull { retry_after }| {
            count("overloaded");
            NotVerified::Overloaded { retry_after }
        })?;
        Ok(Login { logins: self, guess, judging, known, _pass: pass })
    }

    fn guess<'a>(&'a self, guess: &'a Guess) -> Result<(Standing, Judging<'a>), NotVerified> {
        let standing = lock(&self.throttle).begin(Instant::now(), guess).map_err(|retry_after| {
            count("throttled");
            NotVerified::Throttled { retry_after }
        })?;
        Ok((standing, Judging { throttle: &self.throttle, guess, judged: false }))
    }

    /// The hash of a new password. This does not wait behind stations that connect.
    ///
    /// # Errors
    /// [`HashPasswordError`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves the queue.
    pub(crate) async fn hash(&self, password: Zeroizing<String>) -> Result<String, HashPasswordError> {
        let failed = |error: &dyn std::fmt::Display| HashPasswordError::Hash(error.to_string());
        let pass = self.gate.pass(Standing::Operator).await;
        let _pass = pass.map_err(|_| failed(&"too many operators change passwords"))?;
        let hashed = self.hashing.run(move |memory| hash_within(&password, memory));
        hashed.await.map_err(|error| failed(&error))?
    }

    /// The status that an operator is shown.
    pub(crate) fn status(&self) -> LoginStatus {
        let (waiting, overload) = self.gate.state();
        LoginStatus { waiting, overload: overload.map(shown) }
    }

    /// Updates the log and the metrics.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(crate) async fn watch(&self) {
        let observe = |waiting: usize, overload: Option<Overload>| {
            gauge!(LOGINS_WAITING).set(u32::try_from(waiting).unwrap_or(u32::MAX));
            gauge!(OVERLOADED).set(u8::from(overload.is_some()));
        };
        self.gate.watch(observe).await;
    }
}

impl Login<'_> {
    /// The index of the first hash that a password matches in one of its spellings. The first
    /// spelling is the password as it was sent.
    ///
    /// # Errors
    /// [`NotVerified`].
    ///
    /// # Cancel safety
    /// Dropping the future drops the result.
    pub(crate) async fn fitting(
        &mut self,
        spellings: Vec<Password>,
        hashes: &[String],
    ) -> Result<Option<usize>, NotVerified> {
        let Some(sent) = spellings.first().cloned() else { return Ok(None) };
        if let Some(known) = &self.known
            && let Some(number) = hashes.iter().position(|hash| hash == known)
        {
            match self.judging.take() {
                Some(mut judging) => {
                    judging.judged = true;
                    self.handle_right(&sent, known);
                }
                None => count("known"),
            }
            return Ok(Some(number));
        }
        let parsed = hashes.iter().map(|hash| StoredHash::parse(hash)).collect::<Result<Vec<_>, _>>();
        let parsed = parsed.map_err(NotVerified::Hash)?;
        // A recognised password needs a guess if it has been replaced since.
        let mut judging = match self.judging.take() {
            Some(judging) => judging,
            None => self.logins.guess(self.guess)?.1,
        };
        // The hash of a random password is compared here; only Argon2 needs a worker.
        let mut slow = Vec::new();
        let mut fitting = None;
        for (number, hash) in parsed.into_iter().enumerate() {
            match hash {
                StoredHash::Random(hash) => {
                    let fits = spellings.iter().any(|spelling| hash.is_of(spelling.expose()));
                    fitting = fitting.or(fits.then_some(number));
                }
                StoredHash::Argon2id(hash) => slow.push((number, hash)),
            }
        }
        if fitting.is_none() && !slow.is_empty() {
            let verified = self.logins.hashing.run(move |memory| {
                let found = slow.iter().find(|(_, hash)| {
                    let blocks = memory.blocks(hash.blocks());
                    spellings.iter().any(|spelling| hash.is_of(spelling.expose(), blocks))
                });
                found.map(|(number, _)| *number)
            });
            fitting = verified.await.map_err(NotVerified::Ended)?;
        }
        judging.judged = true;
        match fitting.and_then(|number| hashes.get(number)) {
            Some(hash) => self.handle_right(&sent, hash),
            None => {
                count("wrong");
                if lock(&self.logins.throttle).handle_wrong(Instant::now(), self.guess) {
                    tracing::warn!(
                        station = %self.guess.station, network = %self.guess.network,
                        "too many wrong passwords; further ones from there are refused for a while"
                    );
                }
            }
        }
        Ok(fitting)
    }

    fn handle_right(&self, sent: &Password, hash: &str) {
        count("right");
        lock(&self.logins.throttle).handle_right(self.guess);
        lock(&self.logins.fingerprints).insert(Instant::now(), &self.guess.station, sent, hash);
    }
}

/// Whether a hash is that of a random password, and one of the spellings is this password.
fn is_of_random(hash: &str, spellings: &[Password]) -> bool {
    match StoredHash::parse(hash) {
        Ok(StoredHash::Random(hash)) => spellings.iter().any(|spelling| hash.is_of(spelling.expose())),
        Ok(StoredHash::Argon2id(_)) | Err(_) => false,
    }
}

impl Drop for Judging<'_> {
    fn drop(&mut self) {
        if !self.judged {
            lock(self.throttle).handle_unjudged(self.guess);
        }
    }
}

fn shown(overload: Overload) -> OverloadStatus {
    OverloadStatus {
        seconds: overload.began.map_or(0, |began| began.elapsed().as_secs()),
        served: overload.served,
        refused: overload.refused,
        gone: overload.gone,
    }
}

fn count(outcome: &'static str) {
    counter!(LOGINS, "outcome" => outcome).increment(1);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No holder of one of them can leave it half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Logins in addition to those that a worker verifies, so that the workers are not idle while the
/// ledger is read and written.
const MAX_BESIDE_WORKERS: usize = 2;
