//! Asks the configuration, the ledger and Argon2 whether a station may connect.

use std::sync::Arc;

use ocpp_transport::{
    Admission, Admitted, CloseReason, Identity, Password, Peer, Refusal, Registration, UpgradeRequest,
    tls::SecurityEvent,
};
use ocpp_types::Version;
use tokio::{
    sync::{Mutex, OnceCell, Semaphore},
    task::spawn_blocking,
};
use x509_cert::{Certificate, der::Decode as _};

use crate::{
    admission::{LOWER_PROFILE, Passwords, Proof, Verdict, judge},
    config::StationSection,
    control::ConnectedStation,
    fleet::Fleet,
    io::{enrolment::Enrolment, password::verify_password},
    ledger::{ChangedPasswords, Ledger, LedgerError, PasswordAnswer},
    live::LiveConfig,
};

/// The doorkeeper.
#[derive(Debug)]
pub(crate) struct Door<L> {
    config: Arc<LiveConfig>,
    enrolment: Arc<Enrolment<L>>,
    fleet: Arc<Fleet>,
    /// Argon2 takes 19 MiB and a core for each password.
    hashing: Arc<Semaphore>,
}

impl<L: Ledger> Door<L> {
    pub(crate) fn new(config: Arc<LiveConfig>, enrolment: Arc<Enrolment<L>>, fleet: Arc<Fleet>) -> Self {
        Self { config, enrolment, fleet, hashing: Arc::new(Semaphore::new(MOST_HASHING)) }
    }

    /// The first of the hashes that a password fits, as its number.
    async fn fitting(&self, spellings: Vec<Password>, hashes: Vec<String>) -> Result<Option<usize>, Refusal> {
        let permit = Arc::clone(&self.hashing).acquire_owned().await.map_err(|_| Refusal::Unavailable)?;
        let verify = move || {
            // The permit goes with the work, which a caller that gives up does not end.
            let _permit = permit;
            let fits =
                |hash: &String| spellings.iter().any(|spelling| verify_password(spelling.expose(), hash));
            hashes.iter().position(fits)
        };
        spawn_blocking(verify).await.map_err(|_| Refusal::Unavailable)
    }

    /// Whether a password is the station's: the one that it has taken, or else the configuration's, or one that it was
    /// offered and has not answered for (A01).
    async fn password_fits(
        &self,
        station: &StationSection,
        changed: ChangedPasswords,
        spellings: Vec<Password>,
    ) -> Result<bool, Refusal> {
        let current = changed.taken.or_else(|| station.password_hash.clone());
        let before = usize::from(current.is_some());
        let fitting = self.fitting(spellings, current.into_iter().chain(changed.offered).collect()).await?;
        if fitting.is_some_and(|number| number >= before) {
            let settled =
                self.enrolment.ledger.settle_password(&station.identity, PasswordAnswer::Taken).await;
            settled.map_err(|error| unavailable(&station.identity, &error))?;
        }
        Ok(fitting.is_some())
    }

    /// Whether the certificate that a station shows was revoked here.
    async fn is_revoked(&self, station: &StationSection, upgrade: &UpgradeRequest) -> Result<bool, Refusal> {
        let leaf = upgrade.client_certificate.as_ref().and_then(|chain| chain.first());
        let Some(serial) = leaf.and_then(|leaf| serial_number(leaf)) else { return Ok(false) };
        let revoked = self.enrolment.ledger.is_revoked(&station.identity, &serial).await;
        revoked.map_err(|error| unavailable(&station.identity, &error))
    }

    /// Admits a station that has proved who it is, and records its profile. What it proved may have taken a while, so
    /// only now is it known whether it has used a higher one.
    async fn admit_proved(
        &self,
        station: &StationSection,
        upgrade: &UpgradeRequest,
    ) -> Result<Admitted, Refusal> {
        let (identity, profile) = (station.identity.as_str(), upgrade.profile.number());
        let highest = self.enrolment.ledger.raise_security_profile(identity, profile).await;
        if highest.map_err(|error| unavailable(identity, &error))? > profile {
            return Err(refuse(upgrade, Refusal::WrongProfile, LOWER_PROFILE));
        }
        if upgrade.certificate_expired {
            tracing::warn!(
                station = identity,
                "its certificate has expired, and will be renewed (A00.FR.429)"
            );
        }
        // B01.FR.08: who was never accepted has to boot first. One that was only connects again.
        let registered = self.enrolment.ledger.registered(identity).await;
        let registration = match registered.map_err(|error| unavailable(identity, &error))? {
            // A00.FR.429
            true if upgrade.certificate_expired => Registration::Pending,
            true => Registration::Accepted,
            false => Registration::NotBooted,
        };
        let terms = Terms {
            certificate_expired: upgrade.certificate_expired,
            longest_chain: OnceCell::new(),
            password_pending: Mutex::new(false),
        };
        // Everything is kept under the spelling of the configuration.
        let spelling = Identity::try_from(identity).map_err(|_| Refusal::UnknownStation)?;
        Ok(Admitted::new().with_identity(spelling).with_registration(registration).with_context(terms))
    }
}

/// What a station was admitted with, and what its connection has brought to light.
#[derive(Debug)]
pub(crate) struct Terms {
    /// Its certificate is past its last day: it stays Pending and gets a new one.
    pub(crate) certificate_expired: bool,
    /// How long a chain it takes, in characters, once it was asked; `None` where it does not tell.
    pub(crate) longest_chain: OnceCell<Option<usize>>,
    /// Whether it was sent a password, and may have it only from a later connection on. Locked while one is changed.
    pub(crate) password_pending: Mutex<bool>,
}

impl<L: Ledger> Admission for Door<L> {
    async fn admit(&self, upgrade: &UpgradeRequest) -> Result<Admitted, Refusal> {
        let config = self.config.get();
        let station = config.station(upgrade.identity.as_str()).ok_or(Refusal::UnknownStation)?;
        let identity = station.identity.as_str();
        let changed = self.enrolment.ledger.passwords(identity).await;
        let changed = changed.map_err(|error| unavailable(identity, &error))?;
        let reached = self.enrolment.ledger.security_profile(identity).await;
        let reached = reached.map_err(|error| unavailable(identity, &error))?;
        let subject = upgrade.client_subject();
        let proof = match (&upgrade.client_certificate, &upgrade.basic) {
            (Some(_), _) => Proof::Certificate {
                common_name: subject.as_ref().map(|subject| subject.common_name.as_str()),
            },
            (None, Some(credentials)) => Proof::Password { user: credentials.user.as_bytes() },
            (None, None) => Proof::None,
        };
        let passwords = match station.password_hash.is_some() || changed != ChangedPasswords::default() {
            true => Passwords::Some,
            false => Passwords::None,
        };
        match judge(station, reached, passwords, proof) {
            // The lists may be late, or another authority's; the record is not.
            Verdict::Admit if self.is_revoked(station, upgrade).await? => {
                Err(refuse(upgrade, Refusal::BadCredentials, "its certificate is revoked (A00.FR.705)"))
            }
            Verdict::Admit => self.admit_proved(station, upgrade).await,
            Verdict::VerifyPassword => {
                let basic = upgrade.basic.as_ref().ok_or(Refusal::BadCredentials)?;
                let spellings = spellings(&basic.password, upgrade.version);
                if self.password_fits(station, changed, spellings).await? {
                    self.admit_proved(station, upgrade).await
                } else {
                    Err(refuse(upgrade, Refusal::BadCredentials, "the password is wrong (A00.FR.207)"))
                }
            }
            Verdict::BadCredentials(reason) => Err(refuse(upgrade, Refusal::BadCredentials, reason)),
            Verdict::WrongProfile(reason) => Err(refuse(upgrade, Refusal::WrongProfile, reason)),
        }
    }

    fn connected(&self, peer: &Peer) {
        let leaf = peer.client_certificate().and_then(|chain| chain.first());
        self.fleet.handle_connected(
            peer.clone(),
            ConnectedStation {
                identity: peer.identity().to_string(),
                subprotocol: peer.version().subprotocol().to_owned(),
                security_profile: peer.profile().number(),
                certificate_serial_number: leaf.and_then(|leaf| serial_number(leaf)),
                booted: false,
            },
        );
    }

    fn disconnected(&self, peer: &Peer, _: &CloseReason) {
        self.fleet.handle_disconnected(peer.identity().as_str());
    }

    fn security_event(&self, event: &SecurityEvent) {
        // A00.FR.408. A CSMS that keeps a security log of its own writes it there; here it is the log.
        tracing::warn!(event = %event.kind, remote = %event.remote, reason = event.reason, "security event");
    }
}

/// The ways to write a password that its hash may have been made from: a key of OCPP 1.6 is sent as bytes or as
/// hexadecimal digits, any other password in one way. Of 1.6 also bytes are a key that happen to be letters.
fn spellings(password: &Password, version: Version) -> Vec<Password> {
    let mut spellings = password.spellings();
    if version == Version::V16 && (16..=20).contains(&password.expose().len()) && spellings.len() == 1 {
        let bytes = password.expose();
        spellings.push(Password::new(hex::encode_upper(bytes)));
        spellings.push(Password::new(hex::encode(bytes)));
    }
    spellings
}

fn refuse(upgrade: &UpgradeRequest, refusal: Refusal, reason: &str) -> Refusal {
    tracing::warn!(station = %upgrade.identity, remote = %upgrade.remote, reason, "refused");
    refusal
}

fn unavailable(station: &str, error: &LedgerError) -> Refusal {
    let error: &dyn std::error::Error = error;
    tracing::error!(station, error, "nobody is admitted without the ledger");
    Refusal::Unavailable
}

/// The serial number of a certificate as the ledger writes it.
pub(crate) fn serial_number(der: &[u8]) -> Option<String> {
    let certificate = Certificate::from_der(der).ok()?;
    let digits = hex::encode(certificate.tbs_certificate().serial_number().as_bytes());
    Some(digits.trim_start_matches('0').to_owned())
}

/// Passwords that are verified at once.
const MOST_HASHING: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_1_6_may_be_letters() {
        let count = |text: &str, version| spellings(&Password::from(text), version).len();
        assert_eq!(count("AAAAAAAAAAAAAAAAAAAA", Version::V16), 3);
        assert_eq!(count("AAAAAAAAAAAAAAAAAAAA", Version::V201), 1);
        assert_eq!(count("correct-horse-battery", Version::V16), 1);
        let found = spellings(&Password::from("ABCDEFGHIJKLMNOP"), Version::V16);
        assert!(found.iter().any(|spelling| spelling.expose() == b"4142434445464748494A4B4C4D4E4F50"));
    }
}
