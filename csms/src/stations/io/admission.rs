//! Decides with the configuration, the ledger and Argon2 whether a station may connect.

use std::sync::Arc;

use certificates::SerialNumber;
use ocpp_transport::{
    Admission, Admitted, CloseReason, Network, Password, Peer, Refusal, Registration, StationIdentity,
    UpgradeRequest, tls::SecurityEvent,
};
use program::causes;
use tokio::sync::{Mutex, OnceCell, Semaphore};

use crate::{
    config::OcppVersion,
    fleet::Fleet,
    ledger::{ChangedPasswords, Ledger, LedgerError, PasswordAnswer},
    service::{control::ConnectedStation, io::clock::unix_now},
    stations::{
        admission::{LOWER_PROFILE, Passwords, Proof, Verdict, judge},
        connection::{Terms, presented_serial_number, serial_number},
        io::{
            login::logins::{Login, Logins, NotVerified},
            lookup::StationLookup,
        },
        login::Guess,
        password_text::spellings,
        registry::Station,
    },
};

/// Decides which stations may connect.
#[derive(Debug)]
pub(crate) struct AdmissionControl {
    stations: StationLookup,
    ledger: Ledger,
    fleet: Arc<Fleet>,
    logins: Arc<Logins>,
    /// Admissions with a certificate that use the ledger at the same time. They wait here and not
    /// for a connection of the ledger, because that wait has a short deadline and connected
    /// stations need the connections too.
    ledger_turns: Semaphore,
    /// Look-ups of stations that are not in the file, which any peer can cause. They cannot take
    /// more of the ledger than this.
    lookup_turns: Semaphore,
}

impl AdmissionControl {
    pub(crate) fn new(
        stations: StationLookup,
        ledger: Ledger,
        fleet: Arc<Fleet>,
        logins: Arc<Logins>,
    ) -> Self {
        Self {
            stations,
            ledger,
            fleet,
            logins,
            ledger_turns: Semaphore::new(MAX_LEDGER_TURNS),
            lookup_turns: Semaphore::new(MAX_LOOKUPS),
        }
    }

    /// The station of the file or the ledger that wants to connect.
    async fn station(&self, upgrade: &UpgradeRequest) -> Result<Station, Refusal> {
        let identity = &upgrade.identity;
        if let Some(station) = self.stations.in_file(identity) {
            return Ok(station);
        }
        let _turn = self.lookup_turns.acquire().await.map_err(|_| Refusal::Unavailable)?;
        let found = self.stations.in_ledger(identity).await;
        found.map_err(|error| unavailable(identity, &error))?.ok_or(Refusal::UnknownStation)
    }

    /// Whether a password is the station's. A password that the station has accepted counts instead
    /// of the one in the configuration. A password that was sent to the station and that it has not
    /// answered counts too (A01).
    async fn password_fits(
        &self,
        station: &Station,
        changed: ChangedPasswords,
        login: &mut Login<'_>,
        spellings: Vec<Password>,
    ) -> Result<bool, Refusal> {
        let current =
            changed.taken.or_else(|| station.password_hash.as_ref().map(|hash| hash.as_str().to_owned()));
        let before = usize::from(current.is_some());
        let hashes = current.into_iter().chain(changed.offered).collect::<Vec<_>>();
        let verified = login.fitting(spellings, &hashes).await;
        let fitting = verified.map_err(|error| not_verified(&station.identity, error))?;
        if fitting.is_some_and(|number| number >= before) {
            let settled = self.ledger.settle_password(&station.identity, PasswordAnswer::Taken).await;
            settled.map_err(|error| unavailable(&station.identity, &error))?;
        }
        Ok(fitting.is_some())
    }

    /// Whether this service revoked the certificate that a station presents.
    async fn is_revoked(&self, station: &Station, upgrade: &UpgradeRequest) -> Result<bool, Refusal> {
        let leaf = upgrade.client_certificate.as_ref().and_then(|chain| chain.first());
        let Some(serial) = leaf.and_then(|leaf| serial_number(leaf)) else { return Ok(false) };
        let revoked = self.ledger.is_revoked(&station.identity, serial).await;
        revoked.map_err(|error| unavailable(&station.identity, &error))
    }

    /// Decides about a station whose turn it is.
    async fn decide(
        &self,
        station: &Station,
        upgrade: &UpgradeRequest,
        login: Option<&mut Login<'_>>,
    ) -> Result<Admitted, Refusal> {
        let identity = &station.identity;
        let changed = self.ledger.passwords(identity).await;
        let changed = changed.map_err(|error| unavailable(identity, &error))?;
        let reached = self.ledger.security_profile(identity).await;
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
            // The lists may be late, or of another authority. The record is current.
            Verdict::Admit if self.is_revoked(station, upgrade).await? => {
                Err(refuse(upgrade, Refusal::BadCredentials, "its certificate is revoked (A00.FR.705)"))
            }
            Verdict::Admit => self.admit_proved(station, upgrade).await,
            Verdict::VerifyPassword => {
                let (Some(login), Some(basic)) = (login, &upgrade.basic) else {
                    return Err(Refusal::BadCredentials);
                };
                let version = OcppVersion::try_from(upgrade.version).map_err(|_| Refusal::Unavailable)?;
                let spellings = spellings(&basic.password, version);
                if self.password_fits(station, changed, login, spellings).await? {
                    self.admit_proved(station, upgrade).await
                } else {
                    Err(refuse(upgrade, Refusal::BadCredentials, "the password is wrong (A00.FR.207)"))
                }
            }
            Verdict::BadCredentials(reason) => Err(refuse(upgrade, Refusal::BadCredentials, reason)),
            Verdict::WrongProfile(reason) => Err(refuse(upgrade, Refusal::WrongProfile, reason)),
        }
    }

    /// Admits a station that has authenticated, and records its profile. Authentication may have
    /// taken a while, so only now is it known whether the station has used a higher profile.
    async fn admit_proved(&self, station: &Station, upgrade: &UpgradeRequest) -> Result<Admitted, Refusal> {
        let (identity, profile) = (&station.identity, upgrade.profile.number());
        let highest = self.ledger.raise_security_profile(identity, profile).await;
        if highest.map_err(|error| unavailable(identity, &error))? > profile {
            return Err(refuse(upgrade, Refusal::WrongProfile, LOWER_PROFILE));
        }
        if upgrade.certificate_expired {
            tracing::warn!(
                station = %identity,
                "its certificate has expired, and will be renewed (A00.FR.429)"
            );
        }
        let leaf = upgrade.client_certificate.as_ref().and_then(|chain| chain.first());
        if let Some(serial_number) = leaf.and_then(|leaf| serial_number(leaf)) {
            self.note_delivery(identity, serial_number).await;
        }
        // B01.FR.08: a station that was never accepted has to boot first. An accepted station may
        // reconnect without BootNotification.
        let registered = self.ledger.registered(identity).await;
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
        // All data is stored under the spelling of the configuration.
        let spelling = identity.clone();
        Ok(Admitted::new().with_identity(spelling).with_registration(registration).with_context(terms))
    }

    /// Records that a station has the certificate with which it connects, whatever it has answered
    /// (A02.FR.08, A02.FR.10). A station is also admitted if this cannot be recorded.
    async fn note_delivery(&self, station: &StationIdentity, serial_number: SerialNumber) {
        match self.ledger.proved(station, serial_number, unix_now()).await {
            Ok(true) => tracing::info!(
                %station, %serial_number,
                "the station has connected with a certificate whose delivery it had not confirmed"
            ),
            Ok(false) => {}
            Err(error) => tracing::error!(
                %station, %serial_number, error = %causes(&error),
                "cannot record that the station has its certificate"
            ),
        }
    }
}

impl Admission for AdmissionControl {
    async fn admit(&self, upgrade: &UpgradeRequest) -> Result<Admitted, Refusal> {
        let station = &self.station(upgrade).await?;
        let identity = &station.identity;
        let Some(credentials) = upgrade.basic.as_ref().filter(|_| upgrade.client_certificate.is_none())
        else {
            let _turn = self.ledger_turns.acquire().await.map_err(|_| Refusal::Unavailable)?;
            return self.decide(station, upgrade, None).await;
        };
        let guess = Guess { network: Network::of(upgrade.remote.ip()), station: identity.clone() };
        let version = OcppVersion::try_from(upgrade.version).map_err(|_| Refusal::Unavailable)?;
        let spellings = spellings(&credentials.password, version);
        let hash = station.password_hash.as_ref().map(|hash| hash.as_str());
        let login = self.logins.begin(&guess, &spellings, hash).await;
        let mut login = login.map_err(|error| not_verified(identity, error))?;
        self.decide(station, upgrade, Some(&mut login)).await
    }

    fn connected(&self, peer: &Peer) {
        self.fleet.handle_connected(
            peer.clone(),
            ConnectedStation {
                identity: peer.identity().clone(),
                subprotocol: peer.version().subprotocol().to_owned(),
                security_profile: peer.profile().number(),
                certificate_serial_number: presented_serial_number(peer),
                booted: false,
            },
        );
    }

    fn disconnected(&self, peer: &Peer, _: &CloseReason) {
        self.fleet.handle_disconnected(peer.identity());
    }

    fn security_event(&self, event: &SecurityEvent) {
        // A00.FR.408. A CSMS with its own security log writes the event to it; this service writes
        // it to the program log.
        let certificate = event.certificate.as_ref().map(tracing::field::display);
        tracing::warn!(
            event = %event.kind, remote = %event.remote, reason = event.reason, certificate, "security event"
        );
    }
}

fn refuse(upgrade: &UpgradeRequest, refusal: Refusal, reason: &str) -> Refusal {
    tracing::warn!(station = %upgrade.identity, remote = %upgrade.remote, reason, "refused");
    refusal
}

/// Overload and throttled guesses are logged once when they begin, not for each connection.
fn not_verified(station: &StationIdentity, error: NotVerified) -> Refusal {
    match error {
        NotVerified::Overloaded { retry_after } => Refusal::Overloaded { retry_after },
        NotVerified::Throttled { retry_after } => Refusal::Throttled { retry_after },
        NotVerified::Hash(_) | NotVerified::Ended(_) => {
            tracing::error!(%station, error = %causes(&error), "the station cannot connect with a password");
            Refusal::Unavailable
        }
    }
}

fn unavailable(station: &StationIdentity, error: &LedgerError) -> Refusal {
    tracing::error!(%station, error = %causes(error), "no station is admitted without the ledger");
    Refusal::Unavailable
}

/// Half of the ledger's connections.
const MAX_LEDGER_TURNS: usize = 2;

/// A look-up takes one read by a key.
const MAX_LOOKUPS: usize = 1;
