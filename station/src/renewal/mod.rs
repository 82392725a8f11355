//! The renewal of the station's certificates (A02, A03), as a state machine without clock, socket,
//! disk or token.
//!
//! For each [`Target`] there is at most one series: a key, its CSR, and the sends of it. A trigger
//! of the CSMS (A02.FR.02) or an approaching expiry (A03.FR.02) begins a series. The CSR is sent
//! again after a wait that doubles (A02.FR.17, .18) until the number of doublings is reached (.19).
//! After that only a trigger begins a new series.
//!
//! # Order of calls
//! Call [`Renewal::poll_action`] after each `handle_*` and when [`Renewal::poll_timeout`] has
//! passed. Carry out the action, and pass the result to the `handle_*` that the action names. The
//! data that an action asks to store is durable before the rest of the action is done, so a crash
//! at any point loses nothing that was promised.
//!
//! A trigger is answered `Accepted` only after [`Renewal::handle_announced`]: the record of the key
//! to generate survives a crash between the answer and the CSR (F06.FR.10).
//!
//! ```text
//!  trigger, expiry ─► Announce ─► MakeKey ─► Send ─► (answer) ─► wait ─► Send again ─► … ─► end
//!                        │ durable             │ durable: note    CertificateSigned ─► end
//! ```

mod action;
mod held;
mod schedule;
mod series;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::SystemTime};

pub use action::{Action, End, Record, SignAnswer, SignedVerdict, Target};
pub use schedule::{Schedule, Validity};
pub use series::{Note, Stage};

pub(crate) use series::MAX_EARLIER;

use held::{Held, Pause, shifted};
use series::{Series, Spare};

/// The renewal of all certificates of one station.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Renewal<P> {
    schedule: Schedule,
    series: BTreeMap<Target, Series<P>>,
    /// The newest certificate of each subject, and when it is renewed without a trigger.
    held: BTreeMap<Target, Held>,
    /// Whether the CSMS accepts requests now.
    connected: bool,
    /// When a CSR that was accepted is sent again over this connection.
    resend: Resend,
    /// Actions outside the series, in order.
    actions: Vec<Action<P>>,
}

impl<P: Copy + Eq> Renewal<P> {
    /// The renewal of a station without pending requests.
    #[must_use]
    pub fn new(schedule: Schedule) -> Self {
        Self {
            schedule,
            series: BTreeMap::new(),
            held: BTreeMap::new(),
            connected: false,
            resend: Resend::AfterWait,
            actions: Vec::new(),
        }
    }

    /// The renewal of a station that starts, from the records of its store. Nothing is lost: an
    /// announced key is generated, an unsent CSR is sent, and a sent CSR is sent again after its
    /// wait.
    #[must_use]
    pub fn restore(
        schedule: Schedule,
        now: SystemTime,
        records: impl IntoIterator<Item = Record<P>>,
    ) -> Self {
        let mut renewal = Self::new(schedule);
        for Record { pending, subject, csr } in records {
            let stage = match csr {
                None => Stage::Announced,
                Some(None) => Stage::Ready { accepted: 0, due: now },
                Some(Some(note)) => renewal.schedule.restored(note, now),
            };
            renewal.begin(subject, Series::new(pending, stage));
        }
        // Earlier series were replaced before a restart, and their ends were reported then.
        renewal.actions.retain(|action| !matches!(action, Action::Ended { .. }));
        renewal
    }

    /// The CSMS accepts requests: the station is connected and its boot accepted. May be called
    /// more than once for a connection.
    pub fn handle_connected(&mut self) {
        self.connected = true;
        self.resend = Resend::AfterWait;
    }

    /// Like [`Renewal::handle_connected`], for a central system of OCPP 1.6. 1.6 has no waits after
    /// which a CSR is sent again. Instead, a CSR without a certificate is sent once on each new
    /// connection, as often as with the waits. Otherwise the station would wait for ever if the
    /// central system has lost the CSR.
    pub fn handle_connected_without_waits(&mut self, now: SystemTime) {
        let is_new = !self.connected;
        self.connected = true;
        self.resend = Resend::OnNextConnection;
        for series in self.series.values_mut().filter(|_| is_new) {
            if let Stage::Waiting { accepted, .. } = series.stage {
                series.stage = Stage::Ready { accepted, due: now };
            }
        }
    }

    /// The connection has ended. A request without a readable answer will not be answered any more;
    /// it is sent again on the next connection.
    pub fn handle_disconnected(&mut self, now: SystemTime) {
        self.connected = false;
        for series in self.series.values_mut() {
            if let Stage::InFlight { accepted } | Stage::Ready { accepted, .. } = series.stage {
                series.stage = Stage::Ready { accepted, due: now };
            }
        }
    }

    /// Sets the schedule for the waits that begin from now on.
    pub fn set_schedule(&mut self, schedule: Schedule) {
        self.schedule = schedule;
    }

    /// Sets the certificates to keep renewed: those of the station, the newest of each subject. A
    /// subject that is missing is renewed by a trigger only. A certificate that is not valid yet at
    /// `now` is due at once.
    pub fn set_held(&mut self, now: SystemTime, certificates: impl IntoIterator<Item = (Target, Validity)>) {
        for held in self.held.values_mut() {
            held.validity = None;
        }
        for (subject, validity) in certificates {
            let early =
                validity.not_before.duration_since(now).is_ok_and(|ahead| ahead > self.schedule.skew());
            self.handle_held(subject.clone(), validity);
            self.held.entry(subject).or_default().early = early;
        }
    }

    /// `validity` decides when a certificate of `subject` is due.
    fn handle_held(&mut self, subject: Target, validity: Validity) {
        self.held.entry(subject).or_default().validity = Some(validity);
    }

    /// The clock was set: it shows `now` instead of `expected`. No wait becomes longer or shorter.
    /// A series that ended with an invalid certificate no longer blocks a renewal, because the
    /// wrong clock may have been the cause.
    pub fn handle_clock_set(&mut self, expected: SystemTime, now: SystemTime) {
        let moved = |due: SystemTime| match due.duration_since(expected) {
            Ok(left) => now.checked_add(left).unwrap_or(now),
            Err(_) => now,
        };
        for series in self.series.values_mut() {
            if let Stage::Again { due, .. } | Stage::Ready { due, .. } | Stage::Waiting { due, .. } =
                &mut series.stage
            {
                *due = moved(*due);
            }
        }
        for held in self.held.values_mut() {
            held.ended = held.ended.map(|(at, pause)| (shifted(at, expected, now), pause));
        }
        for series in self.series.values_mut().filter(|series| series.stage == Stage::Stopped) {
            series.by_wrong_clock = true;
        }
    }

    /// A key for `subject` is durably announced: after a trigger, which may now be answered
    /// `Accepted`, or after [`Action::Announce`]. The new series replaces one that is under way
    /// (A02.FR.02: a new key each time).
    pub fn handle_announced(&mut self, subject: Target, pending: P) {
        let held = self.held.entry(subject.clone()).or_default();
        (held.announcing, held.not_announced) = (false, false);
        self.begin(subject, Series::new(pending, Stage::Announced));
    }

    /// Call this if the store has no room for the key of a new series of `subject`. Removes one key
    /// and returns it; the caller drops it before the new key is announced. The first choice is the
    /// oldest key that a newer series has replaced, preferably one of the subject itself. The
    /// second choice is the key of a CSR that is not sent again. `None`: all keys are needed.
    #[must_use]
    pub fn make_room(&mut self, subject: &Target) -> Option<P>
    where
        P: Ord,
    {
        let own = self.series.get(subject).and_then(|series| series.oldest_spare(Spare::Earlier));
        let oldest = |tier| self.series.values().filter_map(|series| series.oldest_spare(tier)).min();
        let spare = own.or_else(|| oldest(Spare::Earlier)).or_else(|| oldest(Spare::Stopped))?;
        for series in self.series.values_mut() {
            series.earlier.retain(|key| *key != spare);
        }
        self.series.retain(|_, series| series.pending != spare);
        self.forget_actions_on(spare);
        Some(spare)
    }

    /// CertificateSigned for a key that no series knows was invalid. If exactly one series of
    /// `is_meant` waits for its certificate, the certificate was meant for it (A02.FR.20).
    pub fn handle_invalid_for(&mut self, now: SystemTime, is_meant: impl Fn(&Target) -> bool) {
        let mut waiting = self
            .series
            .iter()
            .filter(|(subject, series)| is_meant(subject) && series.sent && series.stage != Stage::Stopped)
            .map(|(_, series)| series.pending);
        if let (Some(pending), None) = (waiting.next(), waiting.next()) {
            self.handle_certificate(now, pending, SignedVerdict::Invalid);
        }
    }

    /// The key of [`Action::Announce`] could not be announced.
    pub fn handle_not_announced(&mut self, now: SystemTime, subject: Target) {
        let held = self.held.entry(subject.clone()).or_default();
        (held.announcing, held.not_announced) = (false, true);
        held.ended = Some((now, Pause::Retry));
        self.actions.push(Action::Ended { subject, end: End::NoKey });
    }

    /// The key of [`Action::MakeKey`] and its CSR are stored, or they could not be generated. A
    /// failure is retried a few times.
    pub fn handle_key<E>(&mut self, now: SystemTime, pending: P, made: Result<(), E>) {
        let wait = self.schedule.wait_minimum();
        let Some((subject, series)) = self.current(pending) else { return };
        let Stage::Making { failures } = series.stage else { return };
        if made.is_ok() {
            series.stage = Stage::Ready { accepted: 0, due: now };
        } else if failures < MAX_KEY_RETRIES {
            // F06.FR.10: a short failure of the token does not break a promise.
            series.stage = Stage::Again { failures: failures + 1, due: now + wait };
        } else {
            self.end(now, &subject, End::NoKey);
        }
    }

    /// The token cannot generate a key that is allowed for [`Action::MakeKey`], now or later.
    pub fn handle_no_such_key(&mut self, now: SystemTime, pending: P) {
        let Some((subject, series)) = self.current(pending) else { return };
        if let Stage::Making { .. } = series.stage {
            self.end(now, &subject, End::NoSuchKey);
        }
    }

    /// The key of [`Action::MakeKey`] could not be stored. It is retried until the disk takes the
    /// write (F06.FR.10).
    pub fn handle_key_not_stored(&mut self, now: SystemTime, pending: P) {
        let wait = self.schedule.wait_minimum();
        let Some((_, series)) = self.current(pending) else { return };
        if let Stage::Making { failures } = series.stage {
            series.stage = Stage::Again { failures, due: now + wait };
        }
    }

    /// The disk takes writes again: failed announcements and keys are retried at once.
    pub fn handle_disk_written(&mut self, now: SystemTime) {
        for series in self.series.values_mut() {
            if let Stage::Again { due, .. } = &mut series.stage {
                *due = now;
            }
        }
        for held in self.held.values_mut().filter(|held| held.not_announced) {
            held.ended = None;
        }
    }

    /// The keys that wait for a certificate.
    #[must_use]
    pub fn pending(&self) -> Vec<P> {
        self.series.values().flat_map(Series::keys).collect()
    }

    /// The answer to [`Action::Send`].
    pub fn handle_answer(&mut self, now: SystemTime, pending: P, answer: SignAnswer) {
        let schedule = self.schedule;
        let Some((subject, series)) = self.current(pending) else { return };
        let Stage::InFlight { accepted } = series.stage else { return };
        match answer {
            SignAnswer::Accepted => match schedule.wait_after(accepted + 1) {
                // A02.FR.17, .18: the wait begins with the acceptance, which may come long after
                // the send. With the note from before the send, a restart would send the CSR again
                // too early.
                Some(wait) => {
                    let (accepted, due) = (accepted + 1, now + wait);
                    series.stage = Stage::Waiting { accepted, due };
                    self.actions.push(Action::Note { pending, note: Note { accepted, due: Some(due) } });
                }
                // A02.FR.19
                None => {
                    series.stage = Stage::Stopped;
                    self.actions.push(Action::Ended { subject, end: End::Exhausted });
                }
            },
            SignAnswer::Rejected => self.end(now, &subject, End::Rejected),
            SignAnswer::NotAskable => self.end(now, &subject, End::NotAskable),
            // A send without acceptance does not count. The CSR is sent again on the next occasion.
            SignAnswer::None => series.stage = Stage::Ready { accepted, due: now + schedule.wait_minimum() },
        }
    }

    /// Handles CertificateSigned for the key `pending`, which belongs to the present series or,
    /// late, to an earlier one (TC_A_23).
    pub fn handle_certificate(&mut self, now: SystemTime, pending: P, verdict: SignedVerdict) {
        if verdict == SignedVerdict::Accepted {
            // The store has used this key for its certificate: it takes no more notes, and cannot
            // be dropped.
            self.forget_actions_on(pending);
        }
        let known = self.series.iter_mut().find(|(_, series)| series.knows(pending));
        let Some((subject, series)) = known.map(|(subject, series)| (subject.clone(), series)) else {
            return;
        };
        match verdict {
            // F06.FR.10: a trigger that was accepted still leads to its CSR, even if an earlier one
            // was answered meanwhile.
            SignedVerdict::Accepted if series.pending != pending && !series.sent => {
                series.earlier.retain(|key| *key != pending);
            }
            SignedVerdict::Accepted => {
                // Certificates for the other keys are not needed any more.
                let others: Vec<P> = series.keys().filter(|other| *other != pending).collect();
                self.series.remove(&subject);
                self.held.entry(subject.clone()).or_default().ended = Some((now, Pause::Renewed));
                self.actions.push(Action::Ended { subject, end: End::Certificate });
                self.actions.extend(others.into_iter().map(|pending| Action::Drop { pending }));
            }
            SignedVerdict::Invalid => {
                // A late answer to an earlier series is no evidence about this one.
                if series.pending != pending || series.stage == Stage::Stopped {
                    return;
                }
                // A02.FR.20. The key stays: the CSMS may still send a valid certificate.
                series.stage = Stage::Stopped;
                self.actions.push(Action::Note { pending, note: Note::STOPPED });
                self.actions.push(Action::Ended { subject, end: End::Invalid });
            }
        }
    }

    /// The next action at `now`. `None`: there is none before [`Renewal::poll_timeout`] or before
    /// something happens.
    #[must_use]
    pub fn poll_action(&mut self, now: SystemTime) -> Option<Action<P>> {
        if !self.actions.is_empty() {
            return Some(self.actions.remove(0));
        }
        for (subject, series) in &mut self.series {
            let (subject, pending) = (subject.clone(), series.pending);
            match series.stage {
                Stage::Announced => {
                    series.stage = Stage::Making { failures: 0 };
                    return Some(Action::MakeKey { subject, pending });
                }
                Stage::Again { failures, due } if due <= now => {
                    series.stage = Stage::Making { failures };
                    return Some(Action::MakeKey { subject, pending });
                }
                Stage::Ready { accepted, due } | Stage::Waiting { accepted, due }
                    if self.connected && due <= now && self.resend.permits(&series.stage) =>
                {
                    series.stage = Stage::InFlight { accepted };
                    series.sent = true;
                    // The note counts the send as accepted. After a crash it is unknown whether it
                    // was, and a send that is too late is better than one that is too early.
                    let note = self.schedule.note_of_send(accepted, now);
                    return Some(Action::Send { subject, pending, note });
                }
                _ => {}
            }
        }
        let schedule = self.schedule;
        let is_idle = |subject: &Target| self.series.get(subject).is_none_or(Series::is_idle);
        let due = self.held.iter_mut().find(|(subject, held)| {
            is_idle(subject) && !held.announcing && held.due(&schedule).is_some_and(|due| due <= now)
        });
        due.map(|(subject, held)| {
            held.announcing = true;
            Action::Announce { subject: subject.clone() }
        })
    }

    /// When [`Renewal::poll_action`] returns an action again, if nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<SystemTime> {
        let steps = self.series.values().filter_map(|series| match series.stage {
            Stage::Again { due, .. } => Some(due),
            Stage::Ready { due, .. } | Stage::Waiting { due, .. }
                if self.connected && self.resend.permits(&series.stage) =>
            {
                Some(due)
            }
            _ => None,
        });
        let idle = self.held.iter().filter(|(subject, held)| {
            !held.announcing && self.series.get(*subject).is_none_or(Series::is_idle)
        });
        steps.chain(idle.filter_map(|(_, held)| held.due(&self.schedule))).min()
    }

    /// The state of each certificate: the stage of its series, or the time of its automatic
    /// renewal.
    #[must_use]
    pub fn overview(&self) -> Vec<(Target, Option<Stage>, Option<SystemTime>)> {
        let series =
            self.series.iter().map(|(subject, series)| (subject.clone(), Some(series.stage.clone()), None));
        let idle = self.held.iter().filter(|(subject, _)| !self.series.contains_key(*subject));
        let due =
            idle.filter_map(|(subject, held)| Some((subject.clone(), None, Some(held.due(&self.schedule)?))));
        series.chain(due).collect()
    }

    /// The stage of the series of `subject`. `None` if there is no series.
    #[must_use]
    pub fn stage(&self, subject: &Target) -> Option<&Stage> {
        self.series.get(subject).map(|series| &series.stage)
    }

    fn forget_actions_on(&mut self, pending: P) {
        self.actions.retain(|action| match action {
            Action::Note { pending: on, .. } | Action::Drop { pending: on } => *on != pending,
            _ => true,
        });
    }

    fn current(&mut self, pending: P) -> Option<(Target, &mut Series<P>)> {
        let found = self.series.iter_mut().find(|(_, series)| series.pending == pending);
        found.map(|(subject, series)| (subject.clone(), series))
    }

    fn begin(&mut self, subject: Target, mut series: Series<P>) {
        if let Some(old) = self.series.remove(&subject) {
            if old.stage != Stage::Stopped {
                self.actions.push(Action::Ended { subject: subject.clone(), end: End::Replaced });
            }
            let dropped = series.inherit(old);
            self.actions.extend(dropped.into_iter().map(|pending| Action::Drop { pending }));
        }
        self.series.insert(subject, series);
    }

    /// Ends a series whose key will not be signed.
    fn end(&mut self, now: SystemTime, subject: &Target, end: End) {
        let Some(series) = self.series.remove(subject) else { return };
        // No immediate retry: the CSMS would reject the request again, or the token fail again.
        let pause = match end {
            End::Rejected | End::NotAskable | End::NoSuchKey => Pause::Rejected,
            _ => Pause::Retry,
        };
        self.held.entry(subject.clone()).or_default().ended = Some((now, pause));
        // The end is reported before the keys are dropped. After a crash between the two, the
        // series continues and ends once more.
        self.actions.push(Action::Ended { subject: subject.clone(), end });
        self.actions.extend(series.keys().map(|pending| Action::Drop { pending }));
    }
}

/// When a CSR that was accepted is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Resend {
    /// A02.FR.17
    AfterWait,
    /// OCPP 1.6 has no `CertSigningWaitMinimum`.
    OnNextConnection,
}

impl Resend {
    /// Whether a CSR may be sent on this connection.
    fn permits(self, stage: &Stage) -> bool {
        self == Self::AfterWait || !matches!(stage, Stage::Waiting { .. })
    }
}

/// How often the generation of a key is retried, each time after `CertSigningWaitMinimum`, before
/// its series ends.
const MAX_KEY_RETRIES: u32 = 2;
