//! Asks the configuration, the ledger and Argon2 whether a station may connect.

use std::sync::Arc;

use ocpp_transport::{Admission, Admitted, CloseReason, Peer, Refusal, UpgradeRequest};
use tokio::{sync::Semaphore, task::spawn_blocking};
use x509_cert::{Certificate, der::Decode as _};

use crate::{
    admission::{Proof, Verdict, judge},
    config::Config,
    control::ConnectedStation,
    fleet::Fleet,
    io::{enrolment::Enrolment, password::verify_password},
    ledger::Ledger,
};

/// The doorkeeper.
#[derive(Debug)]
pub(crate) struct Door<L> {
    config: Arc<Config>,
    enrolment: Arc<Enrolment<L>>,
    fleet: Arc<Fleet>,
    /// Argon2 takes 19 MiB and a core for each password.
    hashing: Semaphore,
}

impl<L: Ledger> Door<L> {
    pub(crate) fn new(config: Arc<Config>, enrolment: Arc<Enrolment<L>>, fleet: Arc<Fleet>) -> Self {
        Self { config, enrolment, fleet, hashing: Semaphore::new(MOST_HASHING) }
    }

    async fn password_fits(&self, password: Vec<u8>, hash: String) -> Result<bool, Refusal> {
        let _permit = self.hashing.acquire().await.map_err(|_| Refusal::Unavailable)?;
        spawn_blocking(move || verify_password(&password, &hash)).await.map_err(|_| Refusal::Unavailable)
    }
}

impl<L: Ledger> Admission for Door<L> {
    async fn admit(&self, upgrade: &UpgradeRequest) -> Result<Admitted, Refusal> {
        let identity = upgrade.identity.as_str();
        let station = self.config.station(identity).ok_or(Refusal::UnknownStation)?;
        let reached = self.enrolment.ledger.security_profile(identity).await.map_err(|error| {
            tracing::error!(
                station = identity,
                error = &error as &dyn std::error::Error,
                "nobody is admitted without the ledger"
            );
            Refusal::Unavailable
        })?;
        let subject = upgrade.client_subject();
        let proof = match (&upgrade.client_certificate, &upgrade.basic) {
            (Some(_), _) => Proof::Certificate {
                common_name: subject.as_ref().map(|subject| subject.common_name.as_str()),
            },
            (None, Some(credentials)) => Proof::Password { user: credentials.user.as_bytes() },
            (None, None) => Proof::None,
        };
        let refusal = match judge(station, reached, proof) {
            Verdict::Admit => return Ok(Admitted::new()),
            Verdict::VerifyPassword => {
                let password =
                    upgrade.basic.as_ref().map(|basic| basic.password.expose().to_vec()).unwrap_or_default();
                let hash = station.password_hash.clone().unwrap_or_default();
                if self.password_fits(password, hash).await? {
                    return Ok(Admitted::new());
                }
                tracing::warn!(station = identity, remote = %upgrade.remote, "refused: the password is wrong (A00.FR.207)");
                return Err(Refusal::BadCredentials);
            }
            Verdict::BadCredentials(reason) => (Refusal::BadCredentials, reason),
            Verdict::WrongProfile(reason) => (Refusal::WrongProfile, reason),
        };
        tracing::warn!(station = identity, remote = %upgrade.remote, reason = refusal.1, "refused");
        Err(refusal.0)
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
        tracing::info!(station = %peer.identity(), profile = %peer.profile(), "connected");
    }

    fn disconnected(&self, peer: &Peer, reason: &CloseReason) {
        self.fleet.handle_disconnected(peer.identity().as_str());
        tracing::info!(station = %peer.identity(), %reason, "disconnected");
    }
}

/// The serial number of a certificate as the ledger writes it.
fn serial_number(der: &[u8]) -> Option<String> {
    let certificate = Certificate::from_der(der).ok()?;
    let digits = hex::encode(certificate.tbs_certificate().serial_number().as_bytes());
    Some(digits.trim_start_matches('0').to_owned())
}

/// Passwords that are verified at once.
const MOST_HASHING: usize = 4;
