//! Drives [`Renewal`](crate::renewal::Renewal): carries out its actions, durably and in order, and
//! passes the results to it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use ocpp_transport::Peer;
use program::causes;
use station_store::{PendingId, PendingState, RootUse, SendNote};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    following::Happened,
    inventory::timestamp,
    io::{
        EnrolmentError,
        blocking::on_blocking_thread,
        certificates::statuses::StatusKeeper,
        csms::{self, AskError, SignRequest},
        disk::{faults::DiskFaults, store::StationStore},
        renewal::{
            requests::Renewals,
            state::RenewalState,
            subjects::{held, schedule},
        },
    },
    renewal::{Action, End, Note, SignAnswer, Target},
};

/// The task that drives the renewals.
#[derive(Debug)]
pub(crate) struct RenewalDriver {
    renewals: Arc<Renewals>,
    faults: Arc<DiskFaults>,
    statuses: Arc<StatusKeeper>,
    /// The permitted difference between the clocks of station and CSMS.
    skew: Duration,
}

impl RenewalDriver {
    /// `skew`: the permitted difference between the clocks of station and CSMS.
    pub(crate) fn new(
        renewals: Arc<Renewals>,
        faults: Arc<DiskFaults>,
        statuses: Arc<StatusKeeper>,
        skew: Duration,
    ) -> Self {
        Self { renewals, faults, statuses, skew }
    }

    /// Drives the renewal for as long as the station lives.
    ///
    /// # Cancel safety
    /// Work that is under way continues after a restart.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut work = JoinSet::new();
        let mut clock = (SystemTime::now(), Instant::now());
        let mut written = self.faults.ended();
        loop {
            clock = self.look(clock);
            while let Some(action) = self.next_action() {
                self.perform(action, &mut work).await;
            }
            let due = self.state().with(|core| core.poll_timeout());
            let wait =
                due.map_or(LOOK_AGAIN, |due| due.duration_since(SystemTime::now()).unwrap_or_default());
            tokio::select! {
                () = self.state().woken() => {}
                // The sender lives as long as `self`.
                _ = written.changed() => self.handle_disk_written(),
                // The core is updated regularly: certificates change, and the clock may be set.
                () = sleep(wait.min(LOOK_AGAIN)) => {}
                Some(ended) = work.join_next(), if !work.is_empty() => {
                    if let Err(error) = ended {
                        tracing::error!(error = %causes(&error), "a step of a renewal failed");
                    }
                }
            }
        }
    }

    /// Retries the work for which the disk took no writes.
    fn handle_disk_written(&self) {
        self.state().handle_disk_written(&self.store().pending());
        self.renewals.disposal.handle_condemned();
        self.statuses.handle_due();
    }

    /// Passes changes without an event to the core: settings, certificates, the clock. Returns the
    /// present readings of the clocks.
    fn look(&self, (before, then): (SystemTime, Instant)) -> (SystemTime, Instant) {
        let (now, instant) = (SystemTime::now(), Instant::now());
        let model = self.renewals.model.current();
        let held = held(self.store(), &model, now);
        let expected = before + (instant - then);
        let off = now.duration_since(expected).unwrap_or_else(|ahead| ahead.duration());
        if off > TICK {
            let seconds = i64::try_from(off.as_secs()).unwrap_or(i64::MAX);
            tracing::warn!(
                seconds = if now < expected { -seconds } else { seconds },
                "the system's clock was moved, or the machine was suspended: certificates are checked again, and no wait \
                 becomes longer or shorter by that"
            );
        }
        self.state().with(|core| {
            if off > TICK {
                core.handle_clock_set(expected, now);
            }
            core.set_schedule(schedule(&model).with_skew(self.skew));
            core.set_held(now, held);
        });
        (now, instant)
    }

    fn next_action(&self) -> Option<Action<PendingId>> {
        self.state().with(|core| core.poll_action(SystemTime::now()))
    }

    /// Carries out one action. The work of the token and of the CSMS runs concurrently.
    async fn perform(self: &Arc<Self>, action: Action<PendingId>, work: &mut JoinSet<()>) {
        match action {
            Action::Announce { subject } => {
                let (renewals, wanted) = (Arc::clone(&self.renewals), subject.clone());
                let model = renewals.model.current();
                let announced = on_blocking_thread(move || renewals.announce(&model, &wanted)).await;
                match flat(announced) {
                    Ok(pending) => self.state().handle_announced(subject, pending),
                    Err(error) => {
                        tracing::error!(error = %causes(&error), ?subject, "a renewal is due and could not be begun");
                        self.state().with(|core| core.handle_not_announced(SystemTime::now(), subject));
                    }
                }
            }
            Action::MakeKey { subject, pending } => {
                self.state().report(Happened::Begun { subject: subject.clone(), pending });
                work.spawn(Arc::clone(self).make_key(subject, pending));
            }
            Action::Send { pending, note, .. } => {
                self.state().report(Happened::Sent { pending });
                let (peer, connection) = self.state().connection();
                work.spawn(Arc::clone(self).send(peer, connection, pending, note));
            }
            Action::Note { pending, note } => {
                if let Some(again) = note.due {
                    self.state().report(Happened::Accepted { pending, again: timestamp(again) });
                }
                match self.note(pending, note).await {
                    // The certificate arrived before this note was stored: there is nothing left to
                    // remember.
                    Err(error) if error.is_over() => {
                        tracing::debug!(request = %pending, "a request ended before its state was recorded");
                    }
                    Err(error) => {
                        tracing::error!(error = %causes(&error), request = %pending, "the state of a request is not recorded")
                    }
                    Ok(()) => {}
                }
            }
            Action::Drop { pending } => {
                let renewals = Arc::clone(&self.renewals);
                if let Err(error) = on_blocking_thread(move || renewals.give_up(pending)).await {
                    tracing::error!(error = %causes(&error), request = %pending, "a request that is over is kept");
                }
            }
            Action::Ended { subject, end } => {
                self.handle_end(&subject, end);
                self.state().report(Happened::Ended { subject, end });
            }
        }
    }

    async fn make_key(self: Arc<Self>, subject: Target, pending: PendingId) {
        let keyring = Arc::clone(&self.renewals.keyring);
        let made = flat(on_blocking_thread(move || keyring.make(pending)).await);
        match &made {
            Ok(()) => self.state().report(Happened::KeyMade { pending }),
            Err(error) if error.is_over() => {
                tracing::debug!(?subject, request = %pending, "a request ended before its key was made");
            }
            Err(error) => {
                tracing::error!(error = %causes(error), ?subject, request = %pending, "no certificate request was made");
                self.state().report(Happened::KeyNotMade { pending, reason: causes(error).to_string() });
            }
        }
        let now = SystemTime::now();
        match made {
            Err(StepError::Step(error)) if error.is_storage() => {
                self.state().with(|core| core.handle_key_not_stored(now, pending));
            }
            Err(StepError::Step(error)) if error.is_permanent() => {
                self.state().with(|core| core.handle_no_such_key(now, pending));
            }
            made => self.state().with(|core| core.handle_key(now, pending, made)),
        }
        self.state().handle_change();
    }

    async fn send(self: Arc<Self>, peer: Option<Peer>, connection: u64, pending: PendingId, note: Note) {
        let answer = match peer {
            Some(peer) => self.sign(&peer, pending, note).await,
            None => SignAnswer::None,
        };
        if answer == SignAnswer::None {
            self.state().report(Happened::NotAnswered { pending });
        }
        self.state().handle_answer(connection, pending, answer);
    }

    /// Sends SignCertificate, after it is durable that it was sent.
    async fn sign(&self, peer: &Peer, pending: PendingId, note: Note) -> SignAnswer {
        if let Err(error) = self.note(pending, note).await {
            if error.is_over() {
                tracing::debug!(request = %pending, "a request ended before it was sent");
                return SignAnswer::None;
            }
            tracing::warn!(error = %causes(&error), request = %pending, "a certificate request is not sent now");
            return SignAnswer::None;
        }
        let Some(request) = self.renewals.keyring.pending(pending) else { return SignAnswer::None };
        let PendingState::CsrReady { csr_pem, .. } = request.state else { return SignAnswer::None };
        let for_vehicles = request.use_.is_for_vehicles() && !request.use_.connects();
        // A02.FR.27: the root that was installed last; the CSMS wants to migrate to it.
        let roots = if for_vehicles { self.store().installed(&[RootUse::V2g]) } else { Vec::new() };
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
            // A02.FR.21: the CSMS has rejected nothing. 1.6 has no certificates for vehicles; 2.0.1
            // has none for ISO 15118-20.
            Err(error @ (AskError::TooLong(_) | AskError::NoSuchMessage { .. })) => {
                tracing::warn!(request = %pending, error = %causes(&error), "this CSMS cannot be asked for the certificate");
                SignAnswer::NotAskable
            }
            // The request has arrived. Whether a certificate follows is unknown, and the waits of
            // A02.FR.17 to FR.19 limit how often it is sent again.
            Err(error) if error.has_arrived() => {
                tracing::warn!(request = %pending, error = %causes(&error), "the CSMS answered the certificate request in a way that cannot be read; the certificate may follow");
                SignAnswer::Accepted
            }
            // The same request would get the same answer.
            Err(error) if error.is_answer() => {
                tracing::warn!(request = %pending, error = %causes(&error), "the CSMS cannot take the certificate request");
                SignAnswer::Rejected
            }
            Err(error) => {
                tracing::warn!(request = %pending, error = %causes(&error), "no answer to the certificate request; it is sent again");
                SignAnswer::None
            }
        }
    }

    /// Stores the state of a request.
    async fn note(&self, pending: PendingId, note: Note) -> Result<(), StepError> {
        let store = Arc::clone(&self.renewals.store);
        let Note { accepted, due } = note;
        let noted = on_blocking_thread(move || {
            Ok(store.writable().note_send(pending, SendNote { accepted, due })?)
        });
        flat(noted.await)
    }

    fn state(&self) -> &RenewalState {
        self.renewals.state()
    }

    fn store(&self) -> &StationStore {
        &self.renewals.store
    }

    fn handle_end(&self, subject: &Target, end: End) {
        match end {
            End::Certificate => tracing::info!(?subject, "a certificate has come"),
            End::Rejected => {
                tracing::warn!(?subject, "the CSMS signs no certificate; a trigger starts another request");
                // A02.FR.21
                if let Target::Vehicle { secc_id } = subject {
                    self.renewals.model.suspend_pnc(secc_id);
                    tracing::warn!(secc_id, "PnCEnabled is off until the next start (A02.FR.21)");
                }
            }
            End::NotAskable => tracing::warn!(
                ?subject,
                "the CSMS cannot be asked for this certificate in the version of the connection; it is tried again in a day"
            ),
            End::Invalid => tracing::warn!(
                ?subject,
                "an invalid certificate was received; a trigger starts another request"
            ),
            End::Exhausted => {
                tracing::warn!(
                    ?subject,
                    "no certificate came for a request that was accepted; a trigger starts another request"
                );
            }
            End::NoSuchKey => {
                tracing::error!(
                    ?subject,
                    "the token has no key of a kind that is allowed; it is tried again in a day"
                );
            }
            End::NoKey => tracing::error!(?subject, "no certificate can be asked for now"),
            End::Replaced => tracing::info!(?subject, "a newer request replaces this one"),
        }
    }
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error(transparent)]
    Step(#[from] EnrolmentError),
    #[error("the thread of this step failed")]
    Thread(#[from] tokio::task::JoinError),
}

impl StepError {
    fn is_over(&self) -> bool {
        matches!(self, Self::Step(error) if error.is_over())
    }
}

fn flat<T>(outcome: Result<Result<T, EnrolmentError>, tokio::task::JoinError>) -> Result<T, StepError> {
    Ok(outcome??)
}

/// The longest time between two checks for changes that have no event, such as those of the clock.
/// It is short enough for a certificate with a validity of one minute.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// The largest difference between the progress of the system's clock and of the monotonic clock
/// that does not count as a change of the clock.
const TICK: Duration = Duration::from_secs(2);
