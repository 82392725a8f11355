//! Stations and their CSMS on links that delay, reorder, duplicate, cut and flood, with a virtual
//! clock.
//!
//! Only session cores run here, so a schedule takes microseconds, and 100,000 of them take a few
//! seconds.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ocpp_transport::session::{
    Answer, CallKey, CallOutcome, Event, Outgoing, Registration, Retry, Role, Session, SessionSettings,
    TransmitKind,
};
use ocpp_types::{RpcErrorCode, Version};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use serde_json::value::RawValue;

/// Small bounds, so that a short schedule reaches them.
const MAX_QUEUED: usize = 3;
const MAX_WAITING: usize = 2;
/// Stations in one schedule. Frames on the links of different stations overtake each other freely.
const LINES: usize = 2;

fn settings() -> SessionSettings {
    let mut settings = SessionSettings::default().with_max_queued_calls(MAX_QUEUED);
    settings.max_waiting_calls = MAX_WAITING;
    settings
}

/// A call that has not ended.
struct Open {
    key: CallKey,
    payload: String,
    retry: Option<(u32, Duration)>,
    sent: u32,
    /// The CALL must not be sent again earlier.
    not_before: Option<Instant>,
}

/// One end of one connection, with an application that remembers its calls.
struct Side {
    session: Session,
    /// Frames on their way to the other end.
    wire: VecDeque<String>,
    open: Vec<Open>,
    made: usize,
    ended: usize,
    in_flight: Option<CallKey>,
    /// The CALL that the application must answer.
    to_answer: Option<(ocpp_transport::MessageId, String)>,
    /// CALLs of the peer that were accepted and are not answered yet.
    unanswered: usize,
    sent_sends: usize,
}

impl Side {
    fn new(role: Role, version: Version, registration: Registration, seed: u64) -> Self {
        // Ids contain 60 bits of the first half of a seed.
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&(seed << 4).to_be_bytes());
        let session = Session::new(role, version, settings(), bytes).with_registration(registration);
        Self {
            session,
            wire: VecDeque::new(),
            open: Vec::new(),
            made: 0,
            ended: 0,
            in_flight: None,
            to_answer: None,
            unanswered: 0,
            sent_sends: 0,
        }
    }

    /// Takes all outputs of the session and checks them.
    fn poll(&mut self, now: Instant) {
        let mut polled = 0;
        while let Some(event) = self.session.poll_event() {
            polled += 1;
            match event {
                Event::Call(call) => {
                    assert!(self.to_answer.is_none(), "one CALL at a time is handed out");
                    self.to_answer = Some((call.id().clone(), call.payload().to_owned()));
                }
                Event::AnswerOverdue { .. } => self.to_answer = None,
                Event::CallRetried { key, attempts } => {
                    assert_eq!(self.in_flight.take(), Some(key), "only a CALL that was sent is retried");
                    let call = self.find(key);
                    let (_, interval) = call.retry.expect("only a CALL with a policy is retried");
                    assert_eq!(attempts, call.sent);
                    call.not_before = Some(now + interval * attempts);
                }
                Event::CallEnded { key, outcome } => self.end(key, &outcome),
                _ => {}
            }
        }
        while let Some(transmit) = self.session.poll_transmit() {
            polled += 1;
            match transmit.kind {
                TransmitKind::Call { key, .. } => {
                    // OCPP-J 4.1.1
                    assert_eq!(self.in_flight.replace(key), None, "at most one CALL is in flight");
                    let call = self.find(key);
                    call.sent += 1;
                    assert!(call.sent <= call.retry.map_or(1, |(attempts, _)| attempts), "sent too often");
                    assert!(call.not_before.is_none_or(|time| time <= now), "sent again too early");
                }
                TransmitKind::Answer(_) => self.unanswered = self.unanswered.saturating_sub(1),
                // A CALLERROR of the session answers a CALL or a text that is not a frame.
                TransmitKind::Refusal if !transmit.text.contains(r#""-1""#) => {
                    self.unanswered = self.unanswered.saturating_sub(1);
                }
                TransmitKind::Send(_) => self.sent_sends += 1,
                _ => {}
            }
            self.wire.push_back(transmit.text);
        }
        assert!(polled <= 2 * SessionSettings::MAX_TRANSMITS, "one step leads to a bounded number of others");
        assert!(self.open.len() <= MAX_QUEUED + 1, "the queue of CALLs is bounded");
        assert!(self.unanswered <= MAX_WAITING + 1, "the queue of the peer's CALLs is bounded");
    }

    fn find(&mut self, key: CallKey) -> &mut Open {
        self.open.iter_mut().find(|open| open.key == key).expect("it has not ended")
    }

    fn end(&mut self, key: CallKey, outcome: &CallOutcome) {
        let index = self.open.iter().position(|open| open.key == key);
        let Open { payload, .. } = self.open.swap_remove(index.expect("a call ends once"));
        self.ended += 1;
        let sent = !matches!(outcome, CallOutcome::NotAccepted | CallOutcome::Disconnected);
        if sent {
            assert_eq!(self.in_flight.take(), Some(key), "only a CALL that was sent has an outcome");
        }
        if let CallOutcome::Result(result) = outcome {
            assert_eq!(result.payload(), payload, "the answer belongs to the call");
        }
    }

    fn call(&mut self, now: Instant, action: &'static str, number: &mut u64, retry: Option<(u32, Duration)>) {
        *number += 1;
        let payload = match action {
            "BootNotification" => format!(r#"{{"status":"Accepted","n":{number}}}"#),
            "TriggerMessage" => format!(r#"{{"requestedMessage":"Heartbeat","n":{number}}}"#),
            _ => format!(r#"{{"n":{number}}}"#),
        };
        let mut call = Outgoing::new(action, &raw(&payload));
        if let Some((attempts, interval)) = retry {
            call = call.with_retry(Retry::new(attempts, interval));
        }
        if let Ok(key) = self.session.call(now, call) {
            self.made += 1;
            self.open.push(Open { key, payload, retry, sent: 0, not_before: None });
        }
    }

    fn take_in(&mut self, now: Instant, text: &str) {
        let before = self.session.counters();
        self.session.handle_text(now, text);
        let after = self.session.counters();
        let repeated = before.repeated_calls != after.repeated_calls;
        let dropped = before.dropped_refusals != after.dropped_refusals;
        self.unanswered += usize::from(text.starts_with("[2,") && !repeated && !dropped);
    }

    fn answer(&mut self, now: Instant, how: u16) {
        let Some((id, payload)) = self.to_answer.take() else { return };
        let answer = match how % 8 {
            0 => Answer::Error { code: RpcErrorCode::GenericError, description: String::new() },
            _ => Answer::Result(raw(&payload)),
        };
        // It may be too late; the session also reports that as an event.
        let _ = self.session.answer(now, &id, answer);
    }

    fn cut(&mut self, now: Instant) {
        self.session.disconnect();
        self.in_flight = None;
        self.to_answer = None;
        self.wire.clear();
        self.poll(now);
        assert!(self.open.is_empty() && self.made == self.ended, "every call ends exactly once");
        assert!(self.wire.is_empty(), "nothing is sent after the end");
        assert_eq!(self.session.poll_timeout(), None);
    }
}

/// A station and the CSMS's end of its connection.
struct Line {
    station: Side,
    csms: Side,
    /// Frames that earlier connections of this station carried.
    stale: VecDeque<String>,
}

impl Line {
    fn new(version: Version, registration: Registration, seed: u64) -> Self {
        Self {
            station: Side::new(Role::ChargingStation, version, registration, 2 * seed),
            csms: Side::new(Role::Csms, version, registration, 2 * seed + 1),
            stale: VecDeque::new(),
        }
    }
}

struct World {
    now: Instant,
    version: Version,
    lines: Vec<Line>,
    seed: u64,
    number: u64,
}

impl World {
    fn new(first: u16) -> Self {
        let versions = Version::ALL;
        let version = versions[usize::from(first) % versions.len()];
        let registration = match first / 8 % 4 {
            0 => Registration::NotBooted,
            _ => Registration::Accepted,
        };
        let lines = (0..LINES).map(|line| Line::new(version, registration, line as u64)).collect();
        Self { now: Instant::now(), version, lines, seed: LINES as u64, number: 0 }
    }

    /// One step of a schedule: what happens, on which line, in which direction, and how.
    fn step(&mut self, step: u16) {
        let (now, number) = (self.now, &mut self.number);
        let (what, how) = (step & 0x1f, step >> 8);
        let up = step & 0x20 == 0;
        let line = &mut self.lines[usize::from(step >> 6) % LINES];
        let (from, to) =
            if up { (&mut line.station, &mut line.csms) } else { (&mut line.csms, &mut line.station) };
        match what {
            // A frame arrives.
            0..=9 => {
                if let Some(text) = from.wire.pop_front() {
                    to.take_in(now, &text);
                    line.stale.push_back(text);
                    line.stale.truncate(8);
                }
            }
            10..=15 => from.answer(now, how),
            16 | 17 => from.call(now, "A", number, None),
            18 => from.call(now, "Heartbeat", number, Some((3, Duration::from_secs(5)))),
            19 => from.call(now, "TransactionEvent", number, Some((2, Duration::from_secs(40)))),
            20 if up => from.call(now, "BootNotification", number, None),
            20 => from.call(now, "TriggerMessage", number, None),
            21 => {
                let _ = from.session.send(Outgoing::new("NotifyPeriodicEventStream", &raw("{}")));
            }
            // A frame is lost.
            22 => {
                from.wire.pop_front();
            }
            // A frame arrives twice.
            23 => {
                if let Some(text) = from.wire.front().cloned() {
                    to.take_in(now, &text);
                }
            }
            // A frame arrives from an earlier connection, or a second time much later.
            24 => {
                if let Some(text) = line.stale.pop_front() {
                    to.take_in(now, &text);
                }
            }
            // A peer that does not wait for answers.
            25 => {
                for flood in 0..how % 16 {
                    to.take_in(now, &format!(r#"[2,"flood {flood}","A",{{"n":0}}]"#));
                    to.poll(now);
                }
            }
            // Answers without a CALL, and texts that are not frames.
            26 => {
                let texts = [
                    r#"[3,"unknown",{}]"#,
                    r#"[4,"-1","GenericError","",{}]"#,
                    r#"[5,"x","GenericError","",{}]"#,
                    "[6,\"x\",\"NotifyPeriodicEventStream\",{}]",
                    "not JSON",
                    r#"[3]"#,
                    r#"[9,"x"]"#,
                    "",
                ];
                to.take_in(now, texts[usize::from(how) % texts.len()]);
            }
            // An unreadable answer to the CALL that waits for one.
            27 => {
                if let Some(id) = from.wire.front().and_then(|text| text.split('"').nth(1)) {
                    let text = format!(r#"[3,"{id}",{{}},7]"#);
                    from.take_in(now, &text);
                }
            }
            28 => self.pass(Duration::from_millis(u64::from(how) * 20)),
            29 => self.pass(Duration::from_secs(u64::from(how % 64))),
            30 => self.pass(Duration::from_secs(30)),
            _ => {
                line.station.cut(now);
                line.csms.cut(now);
                let stale = std::mem::take(&mut line.stale);
                *line = Line::new(self.version, Registration::Accepted, self.seed);
                line.stale = stale;
                self.seed += 1;
            }
        }
        for line in &mut self.lines {
            line.station.poll(self.now);
            line.csms.poll(self.now);
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        for line in &mut self.lines {
            for side in [&mut line.station, &mut line.csms] {
                side.session.handle_timeout(self.now);
                let next = side.session.poll_timeout();
                assert!(next.is_none_or(|next| next > self.now), "what is due has happened");
            }
        }
    }

    fn end(mut self) {
        for line in &mut self.lines {
            for side in [&mut line.station, &mut line.csms] {
                assert!(self.version == Version::V21 || side.sent_sends == 0, "only 2.1 has SEND");
                side.cut(self.now);
            }
        }
    }
}

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

fn run(schedule: &[u16]) {
    let (first, steps) = schedule.split_first().unwrap();
    let mut world = World::new(*first);
    for step in steps {
        world.step(*step);
    }
    world.end();
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 100_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/it/simulation.seeds"))),
        ..ProptestConfig::default()
    })]

    /// Whatever the links do, at most one CALL per direction is in flight, every call ends exactly
    /// once, with its own answer or without one, and the queues stay bounded.
    #[test]
    fn fr_01_whatever_the_links_do(schedule in prop::collection::vec(any::<u16>(), 1..64)) {
        run(&schedule);
    }
}
