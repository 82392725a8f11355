//! The renewal core with a simulated clock: one rule per test.

mod clock;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{
    Action, End, Note, Record, Renewal, Schedule, SignAnswer, SignedVerdict, Stage, Target, Validity,
};

const W: Duration = Duration::from_secs(30);
const DAY: Duration = Duration::from_secs(86_400);

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000_000_000 + seconds)
}

/// A core, and a shell that carries out every action at once.
struct Station {
    core: Renewal<u32>,
    now: SystemTime,
    next: u32,
    sends: Vec<(u32, SystemTime)>,
    dropped: Vec<u32>,
    ended: Vec<(Target, End)>,
    notes: Vec<(u32, Note)>,
}

impl Station {
    fn new(repeat_times: u32) -> Self {
        let mut core = Renewal::new(Schedule::new(W, repeat_times));
        core.handle_connected();
        Self::with(core)
    }

    fn with(core: Renewal<u32>) -> Self {
        let (sends, dropped, ended, notes) = Default::default();
        Self { core, now: at(0), next: 1, sends, dropped, ended, notes }
    }

    /// A trigger whose key can be announced; returns the key.
    fn trigger(&mut self, subject: Target) -> u32 {
        let key = self.next;
        self.next += 1;
        self.core.handle_announced(subject, key);
        key
    }

    /// Carries out the actions that are due now; a CSR gets the answer `answer`.
    fn work(&mut self, answer: SignAnswer) {
        while let Some(action) = self.core.poll_action(self.now) {
            match action {
                Action::Announce { subject } => {
                    self.trigger(subject);
                }
                Action::MakeKey { pending, .. } => self.core.handle_key(self.now, pending, Ok::<(), ()>(())),
                Action::Send { pending, note, .. } => {
                    self.notes.push((pending, note));
                    self.sends.push((pending, self.now));
                    self.core.handle_answer(self.now, pending, answer);
                }
                Action::Note { pending, note } => self.notes.push((pending, note)),
                Action::Drop { pending } => self.dropped.push(pending),
                Action::Ended { subject, end } => self.ended.push((subject, end)),
            }
        }
    }

    /// Advances the time to `end`, with a stop at each timeout of the core.
    fn run_until(&mut self, end: SystemTime, answer: SignAnswer) {
        self.work(answer);
        while let Some(next) = self.core.poll_timeout().filter(|next| *next <= end) {
            assert!(next > self.now, "the core is asked again and again without end");
            self.now = next;
            self.work(answer);
        }
        self.now = end;
    }

    fn seconds(&self) -> Vec<u64> {
        self.sends
            .iter()
            .map(|(_, when)| when.duration_since(at(0)).expect("after the start").as_secs())
            .collect()
    }

    fn ends(&self) -> Vec<End> {
        self.ended.iter().map(|(_, end)| *end).collect()
    }
}

/// One doubling: two sends after the first, after W and after 2 W more, never early; the same CSR
/// each time. Seen elsewhere: a floor of 250 s, and milliseconds instead of seconds (EVerest #1982,
/// libocpp #969).
#[test]
fn tc_a_23_a02_fr_17_to_19_resends_double_and_end() {
    for (repeat_times, expected) in [(0, &[0, 30][..]), (1, &[0, 30, 90]), (3, &[0, 30, 90, 210, 450])] {
        let mut station = Station::new(repeat_times);
        let key = station.trigger(Target::Station);
        station.run_until(at(100_000), SignAnswer::Accepted);
        assert_eq!(station.seconds(), expected);
        assert!(station.sends.iter().all(|(sent, _)| *sent == key));
        assert_eq!(station.ends(), [End::Exhausted]);
        assert_eq!(station.core.stage(&Target::Station), Some(&Stage::Stopped));
        assert!(station.dropped.is_empty(), "a late certificate is still accepted");
        // A02.FR.19: nothing is sent until a trigger.
        let next = station.trigger(Target::Station);
        station.work(SignAnswer::Accepted);
        assert_eq!(station.sends.last().map(|(sent, _)| *sent), Some(next));
    }
}

/// TC_A_23 with its errata: a certificate for each accepted send; the first ends the series.
#[test]
fn tc_a_23_late_certificates() {
    let mut station = Station::new(1);
    let first = station.trigger(Target::Station);
    station.work(SignAnswer::Accepted);
    let second = station.trigger(Target::Station);
    station.work(SignAnswer::Accepted);
    assert_eq!(station.ends(), [End::Replaced]);
    assert!(station.dropped.is_empty(), "the first may still be answered");
    station.core.handle_certificate(station.now, first, SignedVerdict::Accepted);
    station.work(SignAnswer::Accepted);
    assert_eq!(station.dropped, [second]);
    assert_eq!(station.ends(), [End::Replaced, End::Certificate]);
    assert_eq!(station.core.stage(&Target::Station), None);
    station.core.handle_certificate(station.now, first, SignedVerdict::Accepted);
    station.run_until(at(10_000), SignAnswer::Accepted);
    assert_eq!(station.sends.len(), 2, "nothing is sent any more");
}

/// A CSR that was never sent is not kept; of those that were sent, only a few are.
#[test]
fn a02_fr_02_keys_of_replaced_series_are_bounded() {
    let mut station = Station::new(1);
    station.core.handle_disconnected(station.now);
    let unseen = station.trigger(Target::Station);
    station.work(SignAnswer::Accepted);
    station.core.handle_connected();
    let seen: Vec<_> = (0..5)
        .map(|_| {
            let key = station.trigger(Target::Station);
            station.work(SignAnswer::Accepted);
            key
        })
        .collect();
    assert_eq!(station.dropped, [unseen, seen[0]]);
}

#[test]
fn tc_a_15_a02_fr_12_rejected_request_ends_the_series() {
    let mut station = Station::new(5);
    let key = station.trigger(Target::Station);
    station.run_until(at(80_000), SignAnswer::Rejected);
    assert_eq!((station.seconds(), station.ends()), (vec![0], vec![End::Rejected]));
    assert_eq!(station.dropped, [key]);
    station.trigger(Target::Station);
    station.work(SignAnswer::Accepted);
    assert_eq!(station.sends.len(), 2, "a trigger begins anew");
}

#[test]
fn tc_a_14_a02_fr_20_invalid_certificate_stops_the_resends() {
    let mut station = Station::new(5);
    let key = station.trigger(Target::Station);
    station.work(SignAnswer::Accepted);
    station.core.handle_certificate(station.now, key, SignedVerdict::Invalid);
    station.run_until(at(100_000), SignAnswer::Accepted);
    assert_eq!((station.sends.len(), station.ends()), (1, vec![End::Invalid]));
    assert_eq!(station.notes.last(), Some(&(key, Note::STOPPED)), "over a restart as well");
    // The CSMS may still send a valid certificate.
    station.core.handle_certificate(station.now, key, SignedVerdict::Accepted);
    station.work(SignAnswer::Accepted);
    assert_eq!(station.ends(), [End::Invalid, End::Certificate]);
}

/// A missing answer is no acceptance: the CSR is sent again when the connection is back, or after
/// the shortest wait, and the send does not count.
#[test]
fn a02_fr_17_what_was_not_answered_is_sent_again() {
    let mut station = Station::new(0);
    station.trigger(Target::Station);
    station.run_until(at(70), SignAnswer::None);
    assert_eq!(station.seconds(), [0, 30, 60]);
    station.core.handle_disconnected(station.now);
    station.run_until(at(500), SignAnswer::None);
    assert_eq!(station.core.poll_timeout(), None, "nothing to do without a connection");
    station.core.handle_connected();
    station.run_until(at(10_000), SignAnswer::Accepted);
    assert_eq!(station.seconds(), [0, 30, 60, 500, 530], "two accepted ones, as many as there are");
}

/// There is no answer, and then the connection ends: the CSR is sent again on the next connection.
#[test]
fn a02_fr_17_an_unreadable_answer_is_made_up_for_on_the_next_connection() {
    let mut station = Station::new(0);
    station.trigger(Target::Station);
    station.work(SignAnswer::None);
    station.core.handle_disconnected(at(1));
    station.core.handle_connected();
    station.now = at(2);
    station.work(SignAnswer::Accepted);
    assert_eq!(station.seconds(), [0, 2]);
}

/// Seen elsewhere: clocks set backwards cause waits of years, and clocks set forwards a flood of
/// requests.
#[test]
fn a02_fr_18_a_clock_that_is_set_changes_no_wait() {
    for jump in [-86_400_i64, 86_400] {
        let mut station = Station::new(1);
        station.trigger(Target::Station);
        station.work(SignAnswer::Accepted);
        let moved = |seconds: u64| match u64::try_from(jump) {
            Ok(jump) => at(seconds) + Duration::from_secs(jump),
            Err(_) => at(seconds) - Duration::from_secs(jump.unsigned_abs()),
        };
        station.core.handle_clock_set(at(10), moved(10));
        assert_eq!(station.core.poll_timeout(), Some(moved(30)), "{jump}");
    }
}

/// `CertSigningWaitMinimum` and `CertSigningRepeatTimes` are read again for every wait.
#[test]
fn a02_fr_17_changed_settings_hold_from_then_on() {
    let mut station = Station::new(0);
    station.trigger(Target::Station);
    station.work(SignAnswer::Accepted);
    station.core.set_schedule(Schedule::new(W * 2, 3));
    station.run_until(at(300), SignAnswer::Accepted);
    // The wait that was running, then the second and the third wait of the new settings.
    assert_eq!(station.seconds(), [0, 30, 150]);
}

/// A02.FR.20 for a certificate whose key the station never had.
#[test]
fn a02_fr_20_an_invalid_certificate_for_a_foreign_key_answers_the_one_request_that_waits() {
    let secc = Target::Vehicle { secc_id: "A".to_owned() };
    let mut station = Station::new(5);
    station.trigger(Target::Station);
    station.trigger(secc.clone());
    station.work(SignAnswer::Accepted);
    station.core.handle_invalid_for(station.now, |_| true);
    station.work(SignAnswer::Accepted);
    assert!(station.ended.is_empty(), "two wait, and nobody knows which is meant");
    station.core.handle_invalid_for(station.now, |subject| *subject == secc);
    station.run_until(at(40), SignAnswer::Accepted);
    assert_eq!(station.ended, [(secc.clone(), End::Invalid)]);
    assert_eq!(station.sends.len(), 3, "the station's own goes on");
}

/// A deleted certificate, or one of an SECC that no longer exists, is not renewed automatically.
#[test]
fn a03_fr_02_what_is_not_held_any_more_is_not_renewed() {
    let mut station = Station::new(0);
    let validity = Validity { not_before: at(0), not_after: at(90) };
    station.core.set_held(at(0), [(Target::Station, validity)]);
    assert_eq!(station.core.poll_timeout(), Some(at(60)));
    station.core.set_held(at(0), []);
    station.run_until(at(1000), SignAnswer::Accepted);
    assert!(station.sends.is_empty());
}

/// The send is in flight when the connection ends.
#[test]
fn a02_fr_17_sent_again_on_the_next_connection() {
    let mut station = Station::new(0);
    let key = station.trigger(Target::Station);
    assert!(matches!(station.core.poll_action(station.now), Some(Action::MakeKey { .. })));
    station.core.handle_key(station.now, key, Ok::<(), ()>(()));
    assert!(matches!(station.core.poll_action(station.now), Some(Action::Send { .. })));
    station.core.handle_disconnected(at(1));
    // The answer to the lost send has no effect.
    station.core.handle_answer(at(1), key, SignAnswer::Accepted);
    station.core.handle_connected();
    station.now = at(2);
    station.work(SignAnswer::Accepted);
    assert_eq!(station.seconds(), [2]);
}

/// A03.FR.02: within a month before the end; a short-lived certificate in the last third of its
/// life. Seen elsewhere (libocpp #1032): thirty days, and short-lived certificates in a loop.
#[test]
fn a03_fr_02_renewed_before_it_expires() {
    for (life, due) in [(365 * DAY, 334 * DAY), (30 * DAY, 20 * DAY), (3 * DAY, 2 * DAY)] {
        let mut station = Station::new(0);
        let validity = Validity { not_before: at(0), not_after: at(0) + life };
        station.core.handle_held(Target::Station, validity);
        station.run_until(at(0) + due - Duration::from_secs(1), SignAnswer::Accepted);
        assert!(station.sends.is_empty());
        station.run_until(at(0) + due, SignAnswer::Accepted);
        assert_eq!(station.sends.len(), 1);
        // The next certificate has a validity of the same length.
        let key = station.sends[0].0;
        station.core.handle_certificate(station.now, key, SignedVerdict::Accepted);
        let next = Validity { not_before: station.now, not_after: station.now + life };
        station.core.handle_held(Target::Station, next);
        station.run_until(at(0) + due + due, SignAnswer::Accepted);
        assert_eq!(station.sends.len(), 2);
    }
}

/// A certificate that is already due on arrival is not renewed again at once.
#[test]
fn a03_fr_02_certificates_that_expire_at_once_make_no_loop() {
    let mut station = Station::new(0);
    let hour = 3600;
    for round in 0..5 {
        let validity = Validity { not_before: at(0), not_after: at(round * hour + 1) };
        station.core.handle_held(Target::Station, validity);
        station.run_until(at((round + 1) * hour - 1), SignAnswer::Accepted);
        if let Some((key, _)) = station.sends.last().copied() {
            station.core.handle_certificate(station.now, key, SignedVerdict::Accepted);
            station.work(SignAnswer::Accepted);
        }
    }
    let keys: std::collections::BTreeSet<_> = station.sends.iter().map(|(key, _)| *key).collect();
    assert!(keys.len() <= 5, "{keys:?}");
}

/// After a rejection the station asks by itself once a day, and more often for a short-lived
/// certificate.
#[test]
fn a03_fr_02_rejected_renewal_is_tried_again_the_next_day() {
    let mut station = Station::new(0);
    station.core.handle_held(Target::Station, Validity { not_before: at(0), not_after: at(9) });
    station.run_until(at(0) + 3 * DAY, SignAnswer::Rejected);
    assert_eq!(station.seconds(), [6, 16, 16 + 86_400, 16 + 2 * 86_400]);
    let mut station = Station::new(0);
    station.core.handle_held(Target::Station, Validity { not_before: at(0), not_after: at(240) });
    station.run_until(at(240), SignAnswer::Rejected);
    assert_eq!(station.seconds(), [160, 180, 200, 220, 240]);
}

/// F06.FR.10, and seen elsewhere (EVerest #2479): a trigger that was accepted leads to a CSR, even
/// across a crash.
#[test]
fn f06_fr_10_announced_key_survives_a_restart() {
    let record = Record { pending: 7, subject: Target::Station, csr: None };
    let mut station = Station::with(Renewal::restore(Schedule::new(W, 1), at(0), [record]));
    station.core.handle_connected();
    station.work(SignAnswer::Accepted);
    assert_eq!(station.sends, [(7, at(0))]);
}

/// The generation of a key is retried after the wait, and then the series ends with a report. A
/// renewal that is due is retried later.
#[test]
fn f06_fr_10_token_failure_is_a_stated_end() {
    let mut station = Station::new(1);
    station.core.handle_held(Target::Station, Validity { not_before: at(0), not_after: at(0) });
    let key = station.trigger(Target::Station);
    for seconds in [0, 30, 60] {
        assert_eq!(station.core.poll_timeout().unwrap_or(at(0)), at(seconds));
        station.now = at(seconds);
        let action = station.core.poll_action(station.now);
        assert!(matches!(action, Some(Action::MakeKey { pending, .. }) if pending == key), "{action:?}");
        station.core.handle_key(station.now, key, Err("the token was pulled"));
    }
    station.work(SignAnswer::Accepted);
    assert_eq!((station.ends(), station.dropped.as_slice()), (vec![End::NoKey], &[key][..]));
    assert!(station.sends.is_empty());
    station.run_until(at(3660), SignAnswer::Accepted);
    assert_eq!(station.seconds(), [3660]);
    // A token without such keys is not asked again.
    let mut station = Station::new(1);
    let key = station.trigger(Target::Station);
    assert!(matches!(station.core.poll_action(station.now), Some(Action::MakeKey { .. })));
    station.core.handle_no_such_key(station.now, key);
    station.work(SignAnswer::Accepted);
    assert_eq!((station.ends(), station.dropped.as_slice()), (vec![End::NoSuchKey], &[key][..]));
    // A disk that takes no announcement.
    let mut station = Station::new(1);
    station.core.handle_held(Target::Station, Validity { not_before: at(0), not_after: at(0) });
    let announce = Action::Announce { subject: Target::Station };
    assert_eq!(station.core.poll_action(station.now), Some(announce.clone()));
    assert_eq!(station.core.poll_action(station.now), None, "asked once");
    station.core.handle_not_announced(station.now, Target::Station);
    assert!(matches!(station.core.poll_action(station.now), Some(Action::Ended { end: End::NoKey, .. })));
    assert_eq!(station.core.poll_timeout(), Some(at(3600)));
    assert_eq!(station.core.poll_action(at(3600)), Some(announce));
}

/// If the token recovers in time, the promise is kept.
#[test]
fn f06_fr_10_a_token_that_was_away_for_a_moment() {
    let mut station = Station::new(1);
    let key = station.trigger(Target::Station);
    assert!(matches!(station.core.poll_action(at(0)), Some(Action::MakeKey { .. })));
    station.core.handle_key(at(0), key, Err("the token was pulled"));
    station.run_until(at(30), SignAnswer::Accepted);
    assert_eq!(station.sends, [(key, at(30))]);
}

/// After a restart a wait continues: it neither ends early nor begins again.
#[test]
fn a02_fr_18_waits_survive_a_restart() {
    let mut station = Station::new(2);
    station.trigger(Target::Station);
    station.run_until(at(40), SignAnswer::Accepted);
    let (pending, note) = *station.notes.last().expect("written down before the send");
    assert_eq!(note, Note { accepted: 2, due: Some(at(90)) });
    let restart = |now| {
        let record = Record { pending, subject: Target::Station, csr: Some(Some(note)) };
        let mut station = Station::with(Renewal::restore(Schedule::new(W, 2), now, [record]));
        (station.now, station.next) = (now, 100);
        station.core.handle_connected();
        station
    };
    let mut again = restart(at(50));
    again.run_until(at(10_000), SignAnswer::Accepted);
    assert_eq!(again.seconds(), [90, 210]);
    // The time is already over: the CSR is sent as soon as there is a connection.
    let mut again = restart(at(1000));
    again.run_until(at(1000), SignAnswer::Accepted);
    assert_eq!(again.seconds(), [1000]);
    // A clock that was set back by one year causes no wait of one year.
    let back = at(90) - 365 * DAY;
    let mut again = restart(back);
    assert_eq!(again.core.poll_timeout(), Some(back + 2 * W));
    again.now = back + 2 * W;
    again.work(SignAnswer::Accepted);
    assert_eq!(again.sends.len(), 1);
}

/// Found by the model checker: an answer that arrives long after the send delays the next send,
/// also across a restart.
#[test]
fn a02_fr_17_slow_answers_do_not_hasten_the_next_send() {
    let mut station = Station::new(2);
    let key = station.trigger(Target::Station);
    assert!(matches!(station.core.poll_action(at(0)), Some(Action::MakeKey { .. })));
    station.core.handle_key(at(0), key, Ok::<(), ()>(()));
    assert!(matches!(station.core.poll_action(at(0)), Some(Action::Send { .. })));
    station.core.handle_answer(at(25), key, SignAnswer::Accepted);
    let note = Note { accepted: 1, due: Some(at(55)) };
    assert_eq!(station.core.poll_action(at(25)), Some(Action::Note { pending: key, note }));
}

/// Found by the model checker: a late certificate does not replace a CSR that was promised to a
/// trigger.
#[test]
fn f06_fr_10_late_certificate_before_the_promised_request() {
    let mut station = Station::new(1);
    let first = station.trigger(Target::Station);
    station.work(SignAnswer::Accepted);
    let second = station.trigger(Target::Station);
    station.core.handle_certificate(station.now, first, SignedVerdict::Accepted);
    station.work(SignAnswer::Accepted);
    assert_eq!(station.sends.last().map(|(key, _)| *key), Some(second));
    assert!(station.dropped.is_empty(), "{:?}", station.dropped);
}

/// The store has records of several series of one subject: the newest continues, the others wait
/// for late answers.
#[test]
fn restart_with_keys_of_replaced_series() {
    let note = Note { accepted: 1, due: Some(at(30)) };
    let record = |pending, csr| Record { pending, subject: Target::Station, csr };
    let records = [record(1, None), record(2, Some(Some(note))), record(3, Some(None))];
    let mut station = Station::with(Renewal::restore(Schedule::new(W, 2), at(0), records));
    station.core.handle_connected();
    station.work(SignAnswer::Accepted);
    assert_eq!(station.dropped, [1], "nobody knows it");
    assert_eq!(station.sends, [(3, at(0))]);
    assert!(station.ended.is_empty(), "told before the restart");
    station.core.handle_certificate(at(1), 2, SignedVerdict::Accepted);
    station.work(SignAnswer::Accepted);
    assert_eq!((station.dropped.as_slice(), station.ends()), (&[1, 3][..], vec![End::Certificate]));
}

/// Seen elsewhere (EVerest #1655): each SECC has a series of its own for each edition of ISO 15118.
#[test]
fn a02_v2g_series_of_each_secc_are_independent() {
    let secc = |name: &str| Target::Vehicle { secc_id: name.to_owned() };
    let subjects = [
        Target::Station,
        Target::Combined,
        secc("A"),
        secc("B"),
        Target::Vehicle20 { secc_id: "A".to_owned() },
    ];
    let mut station = Station::new(0);
    let keys = subjects.clone().map(|subject| station.trigger(subject));
    station.work(SignAnswer::Accepted);
    assert_eq!(station.sends.len(), 5);
    station.core.handle_certificate(station.now, keys[2], SignedVerdict::Accepted);
    station.core.handle_certificate(station.now, keys[0], SignedVerdict::Invalid);
    station.run_until(at(31), SignAnswer::Accepted);
    let resent: Vec<_> = station.sends[5..].iter().map(|(key, _)| *key).collect();
    assert_eq!(resent.len(), 3);
    assert!([keys[1], keys[3], keys[4]].iter().all(|key| resent.contains(key)), "{resent:?}");
}

#[test]
fn enormous_settings_do_not_overflow() {
    let mut station = Station::new(u32::MAX);
    station.core = Renewal::new(Schedule::new(Duration::MAX, u32::MAX));
    station.core.handle_connected();
    station.trigger(Target::Station);
    for _ in 0..70 {
        station.work(SignAnswer::Accepted);
        station.now = station.core.poll_timeout().expect("sent again");
    }
    assert_eq!(station.sends.len(), 70);
}

#[test]
fn lesson_34_ocpp_1_6_has_no_waits_but_a_csr_is_sent_again_on_each_new_connection() {
    let mut station = Station::with(Renewal::new(Schedule::new(W, 1)));
    station.core.handle_connected_without_waits(at(0));
    let key = station.trigger(Target::Station);
    station.run_until(at(86_400), SignAnswer::Accepted);
    assert_eq!(station.sends, [(key, at(0))], "no wait makes it send again");
    // A second call for the same connection changes nothing.
    station.core.handle_connected_without_waits(at(86_400));
    station.run_until(at(86_500), SignAnswer::Accepted);
    assert_eq!(station.sends.len(), 1);
    for second in [90_000, 90_100, 90_200, 90_300] {
        station.core.handle_disconnected(at(second));
        station.now = at(second);
        station.core.handle_connected_without_waits(at(second));
        station.run_until(at(second + 50), SignAnswer::Accepted);
    }
    // As often as with the waits: one doubling, so two sends after the first.
    assert_eq!(station.sends, [(key, at(0)), (key, at(90_000)), (key, at(90_100))]);
    assert_eq!(station.ended, [(Target::Station, End::Exhausted)]);
    // A late certificate is accepted.
    station.core.handle_certificate(at(90_400), key, SignedVerdict::Accepted);
    station.work(SignAnswer::Accepted);
    assert_eq!(station.ended.last(), Some(&(Target::Station, End::Certificate)));
}

#[test]
fn a_wait_that_began_in_ocpp_1_6_goes_on_where_the_csms_speaks_2_0_1_later() {
    let mut station = Station::with(Renewal::new(Schedule::new(W, 1)));
    station.core.handle_connected_without_waits(at(0));
    let key = station.trigger(Target::Station);
    station.work(SignAnswer::Accepted);
    station.core.handle_disconnected(at(5));
    station.core.handle_connected();
    station.run_until(at(60), SignAnswer::Accepted);
    assert_eq!(station.sends, [(key, at(0)), (key, at(0) + W)]);
}

/// A02.FR.19: a CSMS that accepts every CSR and answers none does not block triggers. If the store
/// is full, the oldest key that a newer one has replaced is dropped first, then a key whose CSR is
/// not sent any more.
#[test]
fn a02_fr_19_there_is_room_for_a_trigger_however_many_wait() {
    let mut station = Station::new(0);
    let vehicle = |number: u32| Target::Vehicle { secc_id: format!("SECC-{number}") };
    for _ in 0..4 {
        for number in 0..2 {
            station.trigger(vehicle(number));
            station.work(SignAnswer::Accepted);
        }
    }
    station.run_until(at(1000), SignAnswer::Accepted);
    assert!(station.dropped.is_empty(), "all may be answered");
    // The keys 1, 3, 5, 7 belong to the first subject, 2, 4, 6, 8 to the second; 7 and 8 are the
    // newest.
    let mut given_up = vec![station.core.make_room(&vehicle(1))];
    given_up.extend((0..7).map(|_| station.core.make_room(&Target::Station)));
    assert_eq!(given_up, [2, 1, 3, 4, 5, 6, 7, 8].map(Some));
    assert_eq!(station.core.make_room(&Target::Station), None);
    // A series that is under way stays.
    let key = station.trigger(Target::Station);
    station.work(SignAnswer::Accepted);
    assert_eq!(station.core.make_room(&Target::Station), None);
    assert_eq!(station.sends.last().map(|(sent, _)| *sent), Some(key));
}

/// A02.FR.21 concerns a CSMS that answers Rejected. A CSMS whose version has no such request has
/// not rejected anything.
#[test]
fn a02_fr_21_a_csms_that_cannot_be_asked_has_rejected_nothing() {
    let mut station = Station::new(1);
    let subject = Target::Vehicle { secc_id: "SECC-1".to_owned() };
    let validity = Validity { not_before: at(0) - 365 * DAY, not_after: at(0) + DAY };
    station.core.set_held(station.now, [(subject.clone(), validity)]);
    station.run_until(at(0) + DAY - Duration::from_secs(1), SignAnswer::NotAskable);
    assert_eq!(station.ends(), [End::NotAskable]);
    assert_eq!(station.dropped, [1]);
    // It is retried automatically, and at once after a trigger.
    station.trigger(subject);
    station.work(SignAnswer::Accepted);
    assert_eq!(station.sends.last().map(|(sent, _)| *sent), Some(2));
}
