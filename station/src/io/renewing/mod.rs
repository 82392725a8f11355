//! The renewal of the station's certificates beside clock, disk, token and connection (A02, A03): what the CSMS and the owner
//! ask of it. What follows is done by the [`driver`].

mod driver;
mod subjects;

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::SystemTime,
};

use ocpp_transport::Peer;
use ocpp_types::Version;
use station_store::{
    Certificate, CertificateSigningUse, MAX_PENDING_OF_SUBJECT, PendingCsr, PendingError, PendingId,
    PendingState, SendNote, SignedOutcome, Store,
};
use tokio::sync::{Notify, broadcast};

pub(crate) use crate::io::renewing::subjects::validity;
use crate::{
    device_model::DeviceModel,
    following::Happened,
    io::{
        EnrolmentError,
        enrolment::Wanted,
        handlers::{Shared, on_blocking_thread},
        locking::lock,
        renewing::subjects::{schedule, subject_of, use_of, vehicle},
    },
    renewal::{MOST_EARLIER, Note, Record, Renewal, SignAnswer, SignedVerdict, Stage, Subject},
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

    /// The CSMS on this connection takes requests. A connection that has ended is left out: what was triggered on it may come
    /// after [`Renewing::handle_disconnected`].
    pub(crate) fn handle_connected(&self, peer: &Peer) {
        let mut state = self.state();
        if !peer.is_open() {
            return;
        }
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

    /// The disk takes writes again. `waiting` are the requests that the store knows: one that it
    /// does not know any more has its certificate, which was answered Rejected because it was not
    /// known to be durable.
    pub(crate) fn handle_disk_written(&self, waiting: &[PendingCsr]) {
        let now = SystemTime::now();
        let mut state = self.state();
        state.core.handle_disk_written(now);
        let gone = |pending: &PendingId| waiting.iter().all(|known| known.id != *pending);
        for pending in state.core.pending().into_iter().filter(gone) {
            state.core.handle_certificate(now, pending, SignedVerdict::Accepted);
        }
        drop(state);
        self.wake.notify_one();
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

    /// Writes down that a key is to be made for `subject`. Blocks.
    fn announce(&self, model: &DeviceModel, subject: &Subject) -> Result<PendingId, EnrolmentError> {
        let station = self.keyring.subject();
        let secc = subject.secc_id().and_then(|id| model.seccs().into_iter().find(|secc| secc.id == id));
        let wanted = Wanted {
            use_: use_of(subject),
            common_name: subject.secc_id().unwrap_or(&station.common_name).to_owned(),
            organization: match &secc {
                Some(secc) if !secc.organization.is_empty() => secc.organization.clone(),
                _ => station.organization.clone(),
            },
            country: secc.and_then(|secc| secc.country),
        };
        loop {
            match self.keyring.announce(&wanted) {
                // A02.FR.19: a trigger is the only way on for a station whose CSRs are never answered, so there is always room.
                Err(error @ EnrolmentError::Pending(PendingError::TooManyPending)) => {
                    let Some(spare) = self.renewing.state().core.make_room(subject) else {
                        return Err(error);
                    };
                    tracing::warn!(request = %spare, "an older request is given up: too many wait for their certificates");
                    if let Err(error) = self.store.writable().drop_pending(spare) {
                        // Nobody knows it any more but the store.
                        self.store.give_up(spare);
                        return Err(error.into());
                    }
                    self.disposal.notify_one();
                }
                announced => return announced,
            }
        }
    }

    /// Forgets a request, whose key is then destroyed. Blocks.
    fn give_up(&self, pending: PendingId) {
        self.store.give_up(pending);
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

/// The store has room for as many keys as each series keeps.
const _: () = assert!(MOST_EARLIER < MAX_PENDING_OF_SUBJECT);

/// Steps that are kept for who follows slowly: a dozen requests from their keys to their ends.
const MOST_NEWS: usize = 64;

/// Certificates that are read of a chain; the store takes fewer.
const MOST_CERTIFICATES: usize = 16;
