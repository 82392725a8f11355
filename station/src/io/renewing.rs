//! Drives [`Renewal`]: does what it says, durably and in order, and tells it what came of that (A02, A03).

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime},
};

use ocpp_transport::Peer;
use ocpp_types::Version;
use station_store::{
    Certificate, CertificateSigningUse, OwnCertificate, PendingCsr, PendingId, PendingState, RootUse,
    SendNote, SignedOutcome, Store,
};
use tokio::{
    sync::{Notify, broadcast},
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    device_model::{DeviceModel, Secc},
    following::Happened,
    inventory::timestamp,
    io::{
        EnrolmentError,
        csms::{self, AskError, SignRequest},
        enrolment::Wanted,
        handlers::{Shared, lock, on_blocking_thread},
    },
    renewal::{
        Action, End, Note, Record, Renewal, Schedule, SignAnswer, SignedVerdict, Stage, Subject, Validity,
    },
};

/// The renewal of the station's certificates, and the connection over which it asks for them.
#[derive(Debug)]
pub(crate) struct Renewing {
    state: Mutex<State>,
    /// Wakes the driver: something has happened.
    wake: Notify,
    /// Tells what happens to who has asked for it.
    happened: broadcast::Sender<Happened<PendingId>>,
}

#[derive(Debug)]
struct State {
    core: Renewal<PendingId>,
    /// The connection whose CSMS takes requests.
    peer: Option<Peer>,
    /// Its number: an answer that was asked for on another one says nothing.
    connection: u64,
}

/// A request that was promised to the CSMS. It is made when this is dropped: after the answer has left, or could not leave
/// (F06.FR.04). It is durable already, so a crash before that loses nothing.
#[derive(Debug)]
pub(crate) struct Promise {
    shared: Arc<Shared>,
    subject: Subject,
    pending: PendingId,
}

/// Why no certificate is asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RenewError {
    /// The station has no such certificate: the configuration has no section `iso15118`, or does not allow one certificate for
    /// both connection and vehicles.
    #[error("this station has no certificates for this use; see [iso15118] in the configuration")]
    NotServed,
    /// No controller of ISO 15118 is meant, or `V2GCertificateInstallationEnabled` is off for it.
    #[error("no SECC is meant by this, or V2GCertificateInstallationEnabled is off for it")]
    NoSecc,
    /// It could not be written down that a key is to be made.
    #[error("the request could not be written down")]
    Announce(#[from] EnrolmentError),
    /// The thread that was to do it failed.
    #[error("the thread that was to write the request down failed")]
    Thread(#[from] tokio::task::JoinError),
}

impl Renewing {
    /// Goes on where the station was when it stopped.
    pub(crate) fn restore(store: &Store, model: &DeviceModel, now: SystemTime) -> Self {
        let records = store.pending().into_iter().map(|pending| Record {
            pending: pending.id,
            subject: subject_of(&pending),
            csr: match pending.state {
                PendingState::KeyAnnounced => None,
                _ => Some(pending.sent.map(|SendNote { accepted, due, .. }| Note { accepted, due })),
            },
        });
        let core = Renewal::restore(schedule(model), now, records);
        Self {
            state: Mutex::new(State { core, peer: None, connection: 0 }),
            wake: Notify::new(),
            happened: broadcast::Sender::new(MOST_NEWS),
        }
    }

    /// The CSMS on this connection takes requests.
    pub(crate) fn handle_connected(&self, peer: &Peer) {
        let mut state = self.state();
        state.peer = Some(peer.clone());
        match peer.version() {
            Version::V16 => state.core.handle_connected_without_waits(SystemTime::now()),
            _ => state.core.handle_connected(),
        }
        drop(state);
        self.wake.notify_one();
    }

    /// The connection is gone.
    pub(crate) fn handle_disconnected(&self) {
        let mut state = self.state();
        state.peer = None;
        state.connection += 1;
        state.core.handle_disconnected(SystemTime::now());
    }

    /// Something that renewal depends on may have changed: settings, certificates.
    pub(crate) fn handle_change(&self) {
        self.wake.notify_one();
    }

    /// What became of the certificate in CertificateSigned, which was for the key `pending`, or for one that is unknown.
    pub(crate) fn handle_certificate<R>(
        &self,
        outcome: &SignedOutcome<R>,
        pending: Option<PendingId>,
        use_: Option<CertificateSigningUse>,
    ) {
        let now = SystemTime::now();
        let mut state = self.state();
        match (pending, &outcome.installed, &outcome.refused) {
            (Some(pending), Some(_), _) => {
                state.core.handle_certificate(now, pending, SignedVerdict::Accepted);
            }
            (Some(pending), None, Some(_)) => {
                state.core.handle_certificate(now, pending, SignedVerdict::Invalid);
            }
            // A02.FR.20: a certificate for a foreign key answers the request that waits, where only one can be meant.
            (None, None, Some(_)) => {
                state.core.handle_invalid_for(now, |subject| use_.is_none_or(|use_| use_ == use_of(subject)))
            }
            _ => {}
        }
        drop(state);
        self.wake.notify_one();
    }

    /// What happens from now on.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Happened<PendingId>> {
        self.happened.subscribe()
    }

    /// How each certificate stands.
    pub(crate) fn overview(&self) -> Vec<(Subject, Option<Stage>, Option<SystemTime>)> {
        self.state().core.overview()
    }

    fn tell(&self, happened: Happened<PendingId>) {
        // Mostly nobody has asked for it.
        drop(self.happened.send(happened));
    }

    fn handle_announced(&self, subject: Subject, pending: PendingId) {
        self.state().core.handle_announced(subject, pending);
        self.wake.notify_one();
    }

    fn handle_answer(&self, connection: u64, pending: PendingId, answer: SignAnswer) {
        let mut state = self.state();
        if state.connection == connection {
            state.core.handle_answer(SystemTime::now(), pending, answer);
        }
        drop(state);
        self.wake.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Promise {
    /// Which certificate will be asked for.
    pub(crate) fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Under which name its key is made.
    pub(crate) fn pending(&self) -> PendingId {
        self.pending
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.shared.renewing.handle_announced(self.subject.clone(), self.pending);
    }
}

impl Shared {
    /// Asks for a new certificate without being told to: `evse` as in TriggerMessage.
    ///
    /// # Errors
    /// [`RenewError`]; nothing is asked for then.
    ///
    /// # Cancel safety
    /// It may be asked for all the same.
    pub(crate) async fn renew(
        self: &Arc<Self>,
        use_: CertificateSigningUse,
        evse: Option<i64>,
    ) -> Result<(), RenewError> {
        self.promise(use_, evse).await.map(drop)
    }

    /// Writes down that certificates for `use_` will be asked for; they are when the promises are dropped. `evse` is the one
    /// that TriggerMessage names.
    ///
    /// # Errors
    /// [`RenewError`]; nothing is asked for then.
    pub(crate) async fn promise(
        self: &Arc<Self>,
        use_: CertificateSigningUse,
        evse: Option<i64>,
    ) -> Result<Vec<Promise>, RenewError> {
        let model = self.model.current();
        let served = match use_ {
            CertificateSigningUse::ChargingStation => true,
            // TC_F_27
            CertificateSigningUse::Combined => model.combined_certificates(),
            _ => model.has_iso15118(),
        };
        if !served {
            return Err(RenewError::NotServed);
        }
        let subjects: Vec<Subject> = match use_ {
            CertificateSigningUse::ChargingStation => vec![Subject::Station],
            CertificateSigningUse::Combined => vec![Subject::Combined],
            _ => {
                let seccs = model.seccs_of(evse).into_iter().filter(|secc| secc.certificate_installation);
                seccs.map(|secc| vehicle(use_, secc.id)).collect()
            }
        };
        if subjects.is_empty() {
            return Err(RenewError::NoSecc);
        }
        let shared = Arc::clone(self);
        on_blocking_thread(move || {
            let mut announced = Vec::new();
            for subject in subjects {
                match shared.announce(&model, &subject) {
                    Ok(pending) => announced.push((subject, pending)),
                    // All or nothing: what the CSMS is told is Rejected.
                    Err(error) => {
                        for (_, pending) in announced {
                            shared.give_up(pending);
                        }
                        return Err(error.into());
                    }
                }
            }
            let promise = |(subject, pending)| Promise { shared: Arc::clone(&shared), subject, pending };
            Ok(announced.into_iter().map(promise).collect())
        })
        .await?
    }

    /// Drives the renewal for as long as the station lives.
    ///
    /// # Cancel safety
    /// What is under way goes on after a restart.
    pub(crate) async fn drive_renewal(self: Arc<Self>) {
        let mut work = JoinSet::new();
        let mut clock = (SystemTime::now(), Instant::now());
        loop {
            clock = self.look(clock);
            while let Some(action) = self.next_action() {
                self.perform(action, &mut work).await;
            }
            let due = self.renewing.state().core.poll_timeout();
            let wait =
                due.map_or(LOOK_AGAIN, |due| due.duration_since(SystemTime::now()).unwrap_or_default());
            tokio::select! {
                () = self.renewing.wake.notified() => {}
                // Looked at again: certificates come and go, and the clock may be set.
                () = sleep(wait.min(LOOK_AGAIN)) => {}
                Some(ended) = work.join_next(), if !work.is_empty() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "a step of a renewal failed");
                    }
                }
            }
        }
    }

    /// Tells the core what has changed without an event: settings, certificates, the clock. Returns the clocks as they are.
    fn look(&self, (before, then): (SystemTime, Instant)) -> (SystemTime, Instant) {
        let (now, instant) = (SystemTime::now(), Instant::now());
        let model = self.model.current();
        let held = self.held(&model, now);
        let expected = before + (instant - then);
        let off = now.duration_since(expected).unwrap_or_else(|ahead| ahead.duration());
        let mut state = self.renewing.state();
        if off > TICK {
            tracing::info!(
                seconds = off.as_secs(),
                "the clock was set; no wait becomes longer or shorter by that"
            );
            state.core.handle_clock_set(expected, now);
        }
        state.core.set_schedule(schedule(&model));
        state.core.set_held(held);
        (now, instant)
    }

    /// The certificates that are to be kept renewed (A03.FR.02).
    fn held(&self, model: &DeviceModel, now: SystemTime) -> Vec<(Subject, Validity)> {
        // The newest decides: one that is due and about to be replaced by it is not asked for again.
        let newest = self.store.own_certificates().into_iter().next();
        let connection = newest.and_then(|own| {
            let combined = own.use_ == CertificateSigningUse::Combined && model.combined_certificates();
            let subject = if combined { Subject::Combined } else { Subject::Station };
            Some((subject, validity(&own)?))
        });
        let mut held = Vec::from_iter(connection);
        let seccs: Vec<Secc> =
            model.seccs().into_iter().filter(|secc| secc.certificate_installation).collect();
        for own in self.store.vehicle_certificates(now) {
            let Some(name) = common_name(&own) else { continue };
            // One for the connection as well is renewed as such; one of an SECC that is no more is not.
            if own.use_ == CertificateSigningUse::Combined || !seccs.iter().any(|secc| secc.id == name) {
                continue;
            }
            let subject = vehicle(own.use_, name);
            // The one to prefer comes first.
            if !held.iter().any(|(known, _)| *known == subject) {
                held.extend(validity(&own).map(|validity| (subject, validity)));
            }
        }
        held
    }

    fn next_action(&self) -> Option<Action<PendingId>> {
        self.renewing.state().core.poll_action(SystemTime::now())
    }

    /// Does one step. What the token or the CSMS takes its time for is done beside the others.
    async fn perform(self: &Arc<Self>, action: Action<PendingId>, work: &mut JoinSet<()>) {
        match action {
            Action::Announce { subject } => {
                let (shared, model, wanted) = (Arc::clone(self), self.model.current(), subject.clone());
                let announced = on_blocking_thread(move || shared.announce(&model, &wanted)).await;
                match flat(announced) {
                    Ok(pending) => self.renewing.handle_announced(subject, pending),
                    Err(error) => {
                        let error: &dyn std::error::Error = &error;
                        tracing::error!(error, ?subject, "a renewal is due and could not be begun");
                        self.renewing.state().core.handle_not_announced(SystemTime::now(), subject);
                    }
                }
            }
            Action::MakeKey { subject, pending } => {
                self.renewing.tell(Happened::Begun { subject: subject.clone(), pending });
                work.spawn(Arc::clone(self).make_key(subject, pending));
            }
            Action::Send { pending, note, .. } => {
                self.renewing.tell(Happened::Sent { pending });
                let (peer, connection) = {
                    let state = self.renewing.state();
                    (state.peer.clone(), state.connection)
                };
                work.spawn(Arc::clone(self).send(peer, connection, pending, note));
            }
            Action::Note { pending, note } => {
                if let Some(again) = note.due {
                    self.renewing.tell(Happened::Accepted { pending, again: timestamp(again) });
                }
                if let Err(error) = self.note(pending, note).await {
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(error, request = %pending, "how far a request has come is not written down");
                }
            }
            Action::Drop { pending } => {
                let shared = Arc::clone(self);
                if let Err(error) = on_blocking_thread(move || shared.give_up(pending)).await {
                    tracing::error!(%error, request = %pending, "a request that is over is kept");
                }
            }
            Action::Ended { subject, end } => {
                self.handle_end(&subject, end);
                self.renewing.tell(Happened::Ended { subject, end });
            }
        }
    }

    async fn make_key(self: Arc<Self>, subject: Subject, pending: PendingId) {
        let shared = Arc::clone(&self);
        let made = flat(on_blocking_thread(move || shared.keyring.make(pending)).await);
        if let Err(error) = &made {
            let error: &dyn std::error::Error = error;
            tracing::error!(error, ?subject, request = %pending, "no certificate request was made");
        }
        if made.is_ok() {
            self.renewing.tell(Happened::KeyMade { pending });
        }
        self.renewing.state().core.handle_key(SystemTime::now(), pending, made);
        self.renewing.wake.notify_one();
    }

    async fn send(self: Arc<Self>, peer: Option<Peer>, connection: u64, pending: PendingId, note: Note) {
        let answer = match peer {
            Some(peer) => self.sign(&peer, pending, note).await,
            None => SignAnswer::None,
        };
        if answer == SignAnswer::None {
            self.renewing.tell(Happened::NotAnswered { pending });
        }
        self.renewing.handle_answer(connection, pending, answer);
    }

    /// Sends SignCertificate, after it is durable that it was sent.
    async fn sign(self: &Arc<Self>, peer: &Peer, pending: PendingId, note: Note) -> SignAnswer {
        if let Err(error) = self.note(pending, note).await {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, request = %pending, "a certificate request is not sent now");
            return SignAnswer::None;
        }
        let Some(request) = self.keyring.pending(pending) else { return SignAnswer::None };
        let PendingState::CsrReady { csr_pem, .. } = request.state else { return SignAnswer::None };
        let for_vehicles = request.use_.is_for_vehicles() && !request.use_.connects();
        // A02.FR.27: the root that was installed last, which the CSMS wants to move to.
        let roots = if for_vehicles { self.store.installed(&[RootUse::V2g]) } else { Vec::new() };
        let request = SignRequest {
            csr: csr_pem,
            use_: request.use_,
            request_id: request.request_id,
            root: roots.into_iter().next_back().map(|(_, hash)| hash),
        };
        match csms::sign_certificate(peer, &request).await {
            Ok(csms::SignAnswer::Accepted) => {
                tracing::info!(request = %pending, "the CSMS accepted the certificate request; the certificate will follow");
                SignAnswer::Accepted
            }
            Ok(csms::SignAnswer::Rejected { reason }) => {
                tracing::warn!(request = %pending, reason, "the CSMS rejected the certificate request");
                SignAnswer::Rejected
            }
            // To say the same again would bring the same. 1.6 has no certificates for vehicles, 2.0.1 none for ISO 15118-20.
            Err(error)
                if error.is_answer()
                    || matches!(error, AskError::TooLong(_) | AskError::NoSuchMessage { .. }) =>
            {
                tracing::warn!(request = %pending, %error, "the CSMS cannot take the certificate request");
                SignAnswer::Rejected
            }
            Err(error) => {
                tracing::warn!(request = %pending, %error, "no answer to the certificate request; it is sent again");
                SignAnswer::None
            }
        }
    }

    /// Writes down how far a request has come.
    async fn note(self: &Arc<Self>, pending: PendingId, note: Note) -> Result<(), RenewError> {
        let shared = Arc::clone(self);
        let Note { accepted, due } = note;
        let noted =
            on_blocking_thread(move || Ok(shared.store.note_send(pending, SendNote { accepted, due })?));
        flat(noted.await)
    }

    fn handle_end(&self, subject: &Subject, end: End) {
        match end {
            End::Certificate => tracing::info!(?subject, "a certificate has come"),
            End::Rejected => {
                tracing::warn!(?subject, "the CSMS signs no certificate; a trigger begins anew");
                // A02.FR.21
                if let Subject::Vehicle { secc_id } = subject {
                    self.model.suspend_pnc(secc_id);
                    tracing::warn!(secc_id, "PnCEnabled is off until the next start (A02.FR.21)");
                }
            }
            End::Invalid => tracing::warn!(?subject, "an invalid certificate came; a trigger begins anew"),
            End::Exhausted => {
                tracing::warn!(
                    ?subject,
                    "no certificate came for a request that was accepted; a trigger begins anew"
                );
            }
            End::NoKey => tracing::error!(?subject, "no certificate can be asked for now"),
            End::Replaced => tracing::info!(?subject, "a newer request takes the place of the one before"),
        }
    }

    /// Writes down that a key is to be made for `subject`. Blocks.
    fn announce(&self, model: &DeviceModel, subject: &Subject) -> Result<PendingId, EnrolmentError> {
        let station = self.keyring.subject();
        let secc = subject.secc_id().and_then(|id| model.seccs().into_iter().find(|secc| secc.id == id));
        self.keyring.announce(&Wanted {
            use_: use_of(subject),
            common_name: subject.secc_id().unwrap_or(&station.common_name).to_owned(),
            organization: match &secc {
                Some(secc) if !secc.organization.is_empty() => secc.organization.clone(),
                _ => station.organization.clone(),
            },
            country: secc.and_then(|secc| secc.country),
        })
    }

    /// Forgets a request, whose key is then destroyed. Blocks.
    fn give_up(&self, pending: PendingId) {
        if let Err(error) = self.store.drop_pending(pending) {
            let error: &dyn std::error::Error = &error;
            tracing::error!(error, request = %pending, "a request that is over is kept");
        }
        self.disposal.notify_one();
    }
}

/// The pending key whose certificate leads `chain`, PEM as CertificateSigned brings it.
pub(crate) fn answered(store: &Store, chain: &str) -> Option<PendingId> {
    let leaf = Certificate::chain_from_pem(chain, MOST_CERTIFICATES).ok()?.into_iter().next()?;
    let is_answered = |pending: &PendingCsr| match &pending.state {
        PendingState::CsrReady { spki_der, .. } => spki_der == leaf.spki(),
        _ => false,
    };
    store.pending().iter().find(|pending| is_answered(pending)).map(|pending| pending.id)
}

fn flat<T>(outcome: Result<Result<T, EnrolmentError>, tokio::task::JoinError>) -> Result<T, RenewError> {
    Ok(outcome??)
}

fn schedule(model: &DeviceModel) -> Schedule {
    let (wait_minimum, repeat_times) = model.certificate_wait();
    Schedule::new(wait_minimum, repeat_times)
}

fn subject_of(pending: &PendingCsr) -> Subject {
    let secc_id = pending.common_name.clone().unwrap_or_default();
    match pending.use_ {
        CertificateSigningUse::ChargingStation => Subject::Station,
        CertificateSigningUse::Combined => Subject::Combined,
        use_ => vehicle(use_, secc_id),
    }
}

fn vehicle(use_: CertificateSigningUse, secc_id: String) -> Subject {
    match use_ {
        CertificateSigningUse::V2g20 => Subject::Vehicle20 { secc_id },
        _ => Subject::Vehicle { secc_id },
    }
}

fn use_of(subject: &Subject) -> CertificateSigningUse {
    match subject {
        Subject::Station => CertificateSigningUse::ChargingStation,
        Subject::Combined => CertificateSigningUse::Combined,
        Subject::Vehicle { .. } => CertificateSigningUse::V2g,
        Subject::Vehicle20 { .. } => CertificateSigningUse::V2g20,
    }
}

fn leaf(own: &OwnCertificate) -> Option<Certificate> {
    Certificate::from_der(own.chain.first()?.as_ref()).ok()
}

fn validity(own: &OwnCertificate) -> Option<Validity> {
    let leaf = leaf(own)?;
    Some(Validity { not_before: leaf.not_before(), not_after: leaf.not_after() })
}

fn common_name(own: &OwnCertificate) -> Option<String> {
    Some(ocpp_transport::name_rule::Subject::of(own.chain.first()?).ok()?.common_name)
}

/// Steps that are kept for who follows slowly: a dozen requests from their keys to their ends.
const MOST_NEWS: usize = 64;

/// At least so often the driver looks whether something has changed of which nobody tells, such as the clock.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// What the system's clock and the monotonic one may be apart between two looks without one of them having been set.
const TICK: Duration = Duration::from_secs(2);

/// Certificates that are read of a chain; the store takes fewer.
const MOST_CERTIFICATES: usize = 16;
