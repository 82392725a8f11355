//! Decides when a station connects, to which of its network profiles, and with which of its
//! certificates, without a clock or a socket (2.0.1 Part 2, B10 and A02; Part 4, 5.3).

use std::collections::VecDeque;
use std::time::Instant;

use crate::station::backoff::{BackOff, BackOffSettings};

/// How a station uses its network profiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReconnectSettings {
    /// The waits between attempts.
    pub back_off: BackOffSettings,
    /// `NetworkProfileConnectionAttempts`, for each entry of `NetworkConfigurationPriority`
    /// (B10.FR.03). Default 3; 0 counts as 1.
    pub attempts_per_profile: u32,
    /// What follows when every profile has failed. Default: all of them again.
    pub exhausted: Exhausted,
}

impl ReconnectSettings {
    /// Sets the waits between attempts.
    #[must_use]
    pub fn with_back_off(self, back_off: BackOffSettings) -> Self {
        Self { back_off, ..self }
    }

    /// Sets how many attempts each profile gets.
    #[must_use]
    pub fn with_attempts_per_profile(self, attempts_per_profile: u32) -> Self {
        Self { attempts_per_profile, ..self }
    }

    /// Sets what follows when every profile has failed.
    #[must_use]
    pub fn with_exhausted(self, exhausted: Exhausted) -> Self {
        Self { exhausted, ..self }
    }
}

impl Default for ReconnectSettings {
    fn default() -> Self {
        Self {
            back_off: BackOffSettings::default(),
            attempts_per_profile: 3,
            exhausted: Exhausted::StartOver,
        }
    }
}

/// What follows when every profile has failed. A station never gives up (B10.FR.09).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Exhausted {
    /// Try all profiles again (B10.FR.08).
    StartOver,
    /// Use the last profile that worked from then on (B10.FR.07), or all profiles if none has
    /// worked.
    LastThatWorked,
    /// Try all profiles again. If the CSMS has removed the last profile that worked from
    /// `NetworkConfigurationPriority`, try it, too (B10.FR.07 and B10.FR.08). It is tried after all
    /// others: a station that was moved to an unreachable CSMS is not lost, and moves there as soon
    /// as it can.
    StartOverWithLastThatWorked,
}

/// Which credential proves the station's identity, if it has a new certificate and the one before
/// it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Credential {
    /// The newest one.
    Newest,
    /// The one of the last connection, so that a renewed certificate cannot cut the station off for
    /// good (A02.FR.28).
    LastThatWorked,
}

/// One attempt to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// The configuration slot of the network profile.
    pub slot: u32,
    /// The credential that proves the station's identity.
    pub credential: Credential,
}

/// Why an attempt failed, as far as it determines the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttemptFailure {
    /// The CSMS was reached and may have refused the credential.
    Refused,
    /// Anything else. It shows nothing about the credential. Connecting with the other credential
    /// discards this one (A02.FR.10), so a temporary failure is no reason for it.
    Unreachable,
}

/// The connections of a station, as a state machine.
///
/// Call [`Reconnect::poll_attempt`] for an attempt at the time of [`Reconnect::poll_timeout`].
/// Report its result with [`Reconnect::handle_connected`] or [`Reconnect::handle_failed`], and the
/// end of a connection with [`Reconnect::handle_lost`] or [`Reconnect::handle_renewed`].
#[derive(Debug, Clone)]
pub struct Reconnect {
    settings: ReconnectSettings,
    back_off: BackOff,
    priority: Vec<u32>,
    last_that_worked: Option<u32>,
    /// The remaining entries of this round, the current one first. Empty only if there is no
    /// profile.
    round: VecDeque<u32>,
    attempts: u32,
    /// Whether the credential may have caused a failure of this round.
    refused: bool,
    credential: Credential,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting { until: Instant },
    Connecting,
    Connected,
}

impl Reconnect {
    /// A station that has just started: the first entry of `priority` is due at once (B10.FR.04).
    #[must_use]
    pub fn new(settings: ReconnectSettings, priority: Vec<u32>, now: Instant) -> Self {
        let mut reconnect = Self {
            settings,
            back_off: BackOff::new(settings.back_off),
            priority,
            last_that_worked: None,
            round: VecDeque::new(),
            attempts: 0,
            refused: false,
            credential: Credential::Newest,
            state: State::Waiting { until: now },
        };
        reconnect.begin_round(None);
        reconnect
    }

    /// Sets the profile that worked before a restart, for [`Exhausted::LastThatWorked`] and
    /// [`Exhausted::StartOverWithLastThatWorked`]. To be called before the first attempt.
    pub fn restore_last_that_worked(&mut self, slot: u32) {
        self.last_that_worked = Some(slot);
        self.begin_round(None);
    }

    /// Replaces the settings. Earlier waits still count.
    pub fn set_settings(&mut self, settings: ReconnectSettings) {
        self.settings = settings;
        self.back_off.set_settings(settings.back_off);
    }

    /// Replaces `NetworkConfigurationPriority`. It applies from the next round on, because a change
    /// of the profile requires a restart or the loss of the connection (B10.FR.03).
    pub fn set_priority(&mut self, priority: Vec<u32>) {
        self.priority = priority;
        if self.round.is_empty() {
            self.begin_round(None);
        }
    }

    /// The current attempt has succeeded.
    pub fn handle_connected(&mut self) {
        self.back_off.handle_success();
        self.last_that_worked = self.round.front().copied();
        self.state = State::Connected;
    }

    /// The current attempt has failed; `random` is uniform over all its values.
    pub fn handle_failed(&mut self, now: Instant, failure: AttemptFailure, random: u32) {
        self.refused |= failure == AttemptFailure::Refused;
        self.attempts += 1;
        // B10.FR.03
        if self.attempts >= self.settings.attempts_per_profile {
            self.attempts = 0;
            self.round.pop_front();
            if self.round.is_empty() {
                self.end_round();
            }
        }
        self.wait(now, random);
    }

    /// The connection was lost, and this side did not close it. The profile that worked comes
    /// first, then the others in their order (B10.FR.03 does not define this; B10.FR.04 applies to
    /// a restart).
    pub fn handle_lost(&mut self, now: Instant, random: u32) {
        self.begin_episode(self.last_that_worked);
        self.wait(now, random);
    }

    /// This side has closed the connection to connect again with a new certificate or password. The
    /// next attempt is due at once, to the same CSMS (A02.FR.08, A01).
    pub fn handle_renewed(&mut self, now: Instant) {
        self.begin_episode(self.last_that_worked);
        self.state = State::Waiting { until: now };
    }

    /// The station has been reset: the first entry is due at once (B10.FR.04, A05.FR.05).
    pub fn handle_restart(&mut self, now: Instant) {
        self.begin_episode(None);
        self.state = State::Waiting { until: now };
    }

    /// The attempt that is due. Its result must be reported before the next one.
    #[must_use]
    pub fn poll_attempt(&mut self, now: Instant) -> Option<Attempt> {
        let State::Waiting { until } = self.state else { return None };
        let slot = *self.round.front()?;
        if until > now {
            return None;
        }
        self.state = State::Connecting;
        Some(Attempt { slot, credential: self.credential })
    }

    /// When the next attempt is due; `None` during an attempt or a connection, or if there is no
    /// profile.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { until } if !self.round.is_empty() => Some(until),
            _ => None,
        }
    }

    fn wait(&mut self, now: Instant, random: u32) {
        self.state = State::Waiting { until: now + self.back_off.next_wait(random) };
    }

    fn begin_episode(&mut self, first: Option<u32>) {
        self.credential = Credential::Newest;
        self.begin_round(first);
    }

    fn begin_round(&mut self, first: Option<u32>) {
        let first = first.filter(|slot| self.priority.contains(slot));
        let others = self.priority.iter().copied().filter(|slot| Some(*slot) != first);
        self.round = first.into_iter().chain(others).collect();
        if self.settings.exhausted == Exhausted::StartOverWithLastThatWorked {
            // B10.FR.07
            let last = self.last_that_worked.filter(|slot| !self.priority.contains(slot));
            self.round.extend(last);
        }
        self.attempts = 0;
        self.refused = false;
    }

    /// A02.FR.28: the credentials alternate if one may have caused a failure of the round.
    fn end_round(&mut self) {
        if self.refused {
            self.credential = match self.credential {
                Credential::Newest => Credential::LastThatWorked,
                Credential::LastThatWorked => Credential::Newest,
            };
        }
        self.begin_round(None);
        if let (Exhausted::LastThatWorked, Some(slot)) = (self.settings.exhausted, self.last_that_worked) {
            // B10.FR.07
            self.round = VecDeque::from([slot]);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn settings(attempts: u32) -> ReconnectSettings {
        let back_off = BackOffSettings::new(SECOND, Duration::ZERO, 2);
        ReconnectSettings::default().with_back_off(back_off).with_attempts_per_profile(attempts)
    }

    /// A station in virtual time, whose attempts fail.
    struct Pair {
        now: Instant,
        reconnect: Reconnect,
    }

    impl Pair {
        fn new(settings: ReconnectSettings, priority: &[u32]) -> Self {
            let now = Instant::now();
            Self { now, reconnect: Reconnect::new(settings, priority.to_vec(), now) }
        }

        /// The next attempt, and the wait before it in seconds.
        fn next(&mut self) -> (u64, Attempt) {
            let due = self.reconnect.poll_timeout().expect("an attempt will be due");
            let waited = due - self.now;
            if !waited.is_zero() {
                let early = due - Duration::from_nanos(1);
                assert_eq!(self.reconnect.poll_attempt(early), None, "never early");
            }
            self.now = due;
            let attempt = self.reconnect.poll_attempt(due).expect("is due");
            assert_eq!(self.reconnect.poll_attempt(due), None, "one at a time");
            assert_eq!(self.reconnect.poll_timeout(), None);
            (waited.as_secs(), attempt)
        }

        /// The slots and credentials of failing attempts.
        fn fail(&mut self, count: usize, failure: AttemptFailure) -> Vec<(u32, Credential)> {
            let mut attempts = Vec::new();
            for _ in 0..count {
                let (_, attempt) = self.next();
                attempts.push((attempt.slot, attempt.credential));
                self.reconnect.handle_failed(self.now, failure, 0);
            }
            attempts
        }

        fn slots(&mut self, count: usize) -> Vec<u32> {
            self.fail(count, AttemptFailure::Unreachable).into_iter().map(|(slot, _)| slot).collect()
        }

        fn connect(&mut self) -> Attempt {
            let (_, attempt) = self.next();
            self.reconnect.handle_connected();
            assert_eq!(self.reconnect.poll_timeout(), None);
            attempt
        }
    }

    #[test]
    fn tc_b_57_cs_reconnect_back_off() {
        // RepeatTimes 2, RandomRange 0. The back-off continues across profiles.
        let mut station = Pair::new(settings(2), &[0, 1]);
        assert_eq!(station.next().0, 0);
        station.reconnect.handle_connected();
        station.reconnect.handle_lost(station.now, 0);
        let mut waits = Vec::new();
        for _ in 0..5 {
            waits.push(station.next().0);
            station.reconnect.handle_failed(station.now, AttemptFailure::Unreachable, 0);
        }
        assert_eq!(waits, [1, 2, 4, 4, 4]);
        // Errata 2025-04: it starts over after a success.
        station.connect();
        station.reconnect.handle_lost(station.now, 0);
        assert_eq!(station.next().0, 1);
    }

    #[test]
    fn b10_fr_03_each_entry_gets_its_attempts_in_order() {
        let mut station = Pair::new(settings(2), &[5, 3, 9]);
        assert_eq!(station.slots(8), [5, 5, 3, 3, 9, 9, 5, 5]);
        let mut station = Pair::new(settings(0), &[5, 3]);
        assert_eq!(station.slots(3), [5, 3, 5], "at least one");
    }

    #[test]
    fn b10_fr_04_after_a_restart_the_first_entry_comes_first() {
        let mut station = Pair::new(settings(1), &[0, 1, 2]);
        station.slots(1);
        assert_eq!(station.connect().slot, 1);
        station.reconnect.handle_restart(station.now);
        assert_eq!(station.next(), (0, Attempt { slot: 0, credential: Credential::Newest }));
    }

    #[test]
    fn a_lost_connection_is_first_sought_where_it_was() {
        let mut station = Pair::new(settings(1), &[0, 1, 2]);
        station.slots(1);
        assert_eq!(station.connect().slot, 1);
        station.reconnect.handle_lost(station.now, 0);
        assert_eq!(station.slots(5), [1, 0, 2, 0, 1]);
    }

    #[test]
    fn b10_fr_07_the_last_profile_that_worked_is_fallen_back_to() {
        let settings = settings(1).with_exhausted(Exhausted::LastThatWorked);
        let mut station = Pair::new(settings, &[0, 1]);
        station.slots(1);
        assert_eq!(station.connect().slot, 1);
        // The CSMS moves the station to slot 2, which does not answer.
        station.reconnect.set_priority(vec![2]);
        station.reconnect.handle_restart(station.now);
        assert_eq!(station.slots(4), [2, 1, 1, 1]);
        // B10.FR.09: a station that was never connected does not give up either.
        assert_eq!(Pair::new(settings, &[0, 1]).slots(5), [0, 1, 0, 1, 0]);
    }

    #[test]
    fn b10_fr_07_b10_fr_08_the_last_profile_that_worked_is_among_those_that_are_started_over_with() {
        let settings = settings(2).with_exhausted(Exhausted::StartOverWithLastThatWorked);
        let mut station = Pair::new(settings, &[1, 2]);
        assert_eq!(station.connect().slot, 1);
        station.reconnect.handle_lost(station.now, 0);
        assert_eq!(station.slots(4), [1, 1, 2, 2], "it is one of the list");
        station.connect();
        // The CSMS moves the station to slot 3, which does not answer.
        station.reconnect.set_priority(vec![3]);
        station.reconnect.handle_restart(station.now);
        assert_eq!(station.slots(7), [3, 3, 1, 1, 3, 3, 1]);
        // The same after a restart of the program.
        let mut station = Pair::new(settings, &[3]);
        station.reconnect.restore_last_that_worked(1);
        assert_eq!(station.slots(4), [3, 3, 1, 1]);
        station.connect();
        assert_eq!(station.reconnect.last_that_worked, Some(3));
        // The old and the new certificate alternate after whole rounds, which include the last
        // profile that worked.
        station.reconnect.set_priority(vec![4]);
        station.reconnect.handle_restart(station.now);
        let credentials: Vec<_> =
            station.fail(5, AttemptFailure::Refused).into_iter().map(|(_, credential)| credential).collect();
        assert_eq!(credentials[..4], [Credential::Newest; 4]);
        assert_eq!(credentials[4], Credential::LastThatWorked);
    }

    #[test]
    fn b10_fr_08_all_entries_are_started_over_with() {
        assert_eq!(Pair::new(settings(1), &[0, 1]).slots(5), [0, 1, 0, 1, 0]);
    }

    #[test]
    fn a02_fr_28_old_and_new_certificate_alternate_after_whole_rounds() {
        use Credential::{LastThatWorked as Old, Newest as New};
        let mut station = Pair::new(settings(2), &[0, 1]);
        station.connect();
        station.reconnect.handle_renewed(station.now);
        let attempts = station.fail(10, AttemptFailure::Refused);
        let (round_new, round_old) =
            ([(0, New), (0, New), (1, New), (1, New)], [(0, Old), (0, Old), (1, Old), (1, Old)]);
        assert_eq!(attempts, [&round_new[..], &round_old, &round_new[..2]].concat());
        // The next connection begins with the newest certificate.
        station.connect();
        station.reconnect.handle_lost(station.now, 0);
        assert_eq!(station.connect().credential, New);
    }

    #[test]
    fn a02_fr_28_with_b10_fr_07_the_old_certificate_goes_to_the_last_profile_that_worked() {
        use Credential::{LastThatWorked as Old, Newest as New};
        let settings = settings(1).with_exhausted(Exhausted::LastThatWorked);
        let mut station = Pair::new(settings, &[0, 1]);
        station.connect();
        station.reconnect.handle_renewed(station.now);
        let attempts = station.fail(4, AttemptFailure::Refused);
        // After that they alternate, because the CSMS may change which one it accepts.
        assert_eq!(attempts, [(0, New), (1, New), (0, Old), (0, New)]);
    }

    #[test]
    fn a02_fr_28_a_csms_that_is_away_is_no_reason_for_the_old_certificate() {
        let mut station = Pair::new(settings(1), &[0, 1]);
        station.connect();
        station.reconnect.handle_renewed(station.now);
        let attempts = station.fail(9, AttemptFailure::Unreachable);
        assert!(attempts.iter().all(|(_, credential)| *credential == Credential::Newest));
        // One refusal in the round is a reason.
        station.fail(1, AttemptFailure::Refused);
        assert_eq!(station.next().1.credential, Credential::LastThatWorked);
    }

    #[test]
    fn a02_fr_08_a_renewed_certificate_is_used_at_once() {
        let mut station = Pair::new(settings(1), &[0, 1]);
        station.slots(1);
        station.connect();
        station.reconnect.handle_renewed(station.now);
        assert_eq!(station.next(), (0, Attempt { slot: 1, credential: Credential::Newest }));
    }

    #[test]
    fn without_profiles_it_waits_for_one() {
        let mut station = Pair::new(settings(1), &[]);
        assert_eq!(station.reconnect.poll_timeout(), None);
        assert_eq!(station.reconnect.poll_attempt(station.now), None);
        station.reconnect.set_priority(vec![7]);
        assert_eq!(station.next().1.slot, 7);
    }
}
