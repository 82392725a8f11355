//! Asks the configuration, the ledger and Argon2 whether a station may connect.

use std::sync::Arc;

use ocpp_transport::{Admission, Admitted, CloseReason, Peer, Refusal, UpgradeRequest};
use tokio::{sync::Semaphore, task::spawn_blocking};
use x509_cert::{Certificate, der::Decode as _};

use crate::{
    admission::{LOWER_PROFILE, Proof, Verdict, judge},
    config::Config,
    control::ConnectedStation,
    fleet::Fleet,
    io::{enrolment::Enrolment, password::verify_password},
    ledger::{Ledger, LedgerError},
};

/// The doorkeeper.
#[derive(Debug)]
pub(crate) struct Door<L> {
    config: Arc<Config>,
    enrolment: Arc<Enrolment<L>>,
    fleet: Arc<Fleet>,
    /// Argon2 takes 19 MiB and a core for each password.
    hashing: Arc<Semaphore>,
}

impl<L: Ledger> Door<L> {
    pub(crate) fn new(config: Arc<Config>, enrolment: Arc<Enrolment<L>>, fleet: Arc<Fleet>) -> Self {
        Self { config, enrolment, fleet, hashing: Arc::new(Semaphore::new(MOST_HASHING)) }
    }

    async fn password_fits(&self, password: Vec<u8>, hash: String) -> Result<bool, Refusal> {
        let permit = Arc::clone(&self.hashing).acquire_owned().await.map_err(|_| Refusal::Unavailable)?;
        let verify = move || {
            // The permit goes with the work, which a caller that gives up does not end.
            let _permit = permit;
            verify_password(&password, &hash)
        };
        spawn_blocking(verify).await.map_err(|_| Refusal::Unavailable)
    }

    /// Admits a station that has proved who it is, and records its profile. What it proved may have taken a while, so
    /// only now is it known whether it has used a higher one.
    async fn admit_proved(&self, upgrade: &UpgradeRequest) -> Result<Admitted, Refusal> {
        let (identity, profile) = (upgrade.identity.as_str(), upgrade.profile.number());
        let highest = self.enrolment.ledger.raise_security_profile(identity, profile).await;
        if highest.map_err(|error| unavailable(identity, &error))? > profile {
            return Err(refuse(upgrade, Refusal::WrongProfile, LOWER_PROFILE));
        }
        Ok(Admitted::new())
    }
}

impl<L: Ledger> Admission for Door<L> {
    async fn admit(&self, upgrade: &UpgradeRequest) -> Result<Admitted, Refusal> {
        let identity = upgrade.identity.as_str();
        let station = self.config.station(identity).ok_or(Refusal::UnknownStation)?;
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
        match judge(station, reached, proof) {
            Verdict::Admit => self.admit_proved(upgrade).await,
            Verdict::VerifyPassword => {
                let password =
                    upgrade.basic.as_ref().map(|basic| basic.password.expose().to_vec()).unwrap_or_default();
                let hash = station.password_hash.clone().unwrap_or_default();
                if self.password_fits(password, hash).await? {
                    self.admit_proved(upgrade).await
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
                security_profile: peer.profile().number(),
                certificate_serial_number: leaf.and_then(|leaf| serial_number(leaf)),
                booted: false,
            },
        );
    }

    fn disconnected(&self, peer: &Peer, _: &CloseReason) {
        self.fleet.handle_disconnected(peer.identity().as_str());
    }
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
fn serial_number(der: &[u8]) -> Option<String> {
    let certificate = Certificate::from_der(der).ok()?;
    let digits = hex::encode(certificate.tbs_certificate().serial_number().as_bytes());
    Some(digits.trim_start_matches('0').to_owned())
}

/// Passwords that are verified at once.
const MOST_HASHING: usize = 4;
