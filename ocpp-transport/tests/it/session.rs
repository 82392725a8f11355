//! Two sessions on a simulated link with a virtual clock.

use std::time::{Duration, Instant};

use ocpp_transport::MessageId;
use ocpp_transport::frame::{Fault, Limits};
use ocpp_transport::session::{
    Answer, AnswerRefused, CallKey, CallOutcome, CallRefused, Event, Outgoing, Registration, Retry, Role,
    Session, SessionSettings, Transmit,
};
use ocpp_types::{RpcErrorCode, Version};
use serde_json::value::RawValue;

/// Two sessions, a link that can lose frames, and a virtual clock.
struct Pair {
    now: Instant,
    station: Session,
    csms: Session,
}

impl Pair {
    fn new() -> Self {
        Self::with(SessionSettings::default())
    }

    fn with(settings: SessionSettings) -> Self {
        Self {
            now: Instant::now(),
            station: Session::new(Role::ChargingStation, Version::V201, settings.clone(), [1; 16]),
            csms: Session::new(Role::Csms, Version::V201, settings, [2; 16]),
        }
    }

    fn advance(&mut self, duration: Duration) {
        self.now += duration;
        self.station.handle_timeout(self.now);
        self.csms.handle_timeout(self.now);
    }

    /// Delivers all frames until there are no more.
    fn carry(&mut self) {
        loop {
            let up: Vec<Transmit> = std::iter::from_fn(|| self.station.poll_transmit()).collect();
            let down: Vec<Transmit> = std::iter::from_fn(|| self.csms.poll_transmit()).collect();
            if up.is_empty() && down.is_empty() {
                return;
            }
            up.iter().for_each(|transmit| self.csms.handle_text(self.now, transmit.text.as_str()));
            down.iter().for_each(|transmit| self.station.handle_text(self.now, transmit.text.as_str()));
        }
    }

    fn call(&mut self, action: &'static str) -> CallKey {
        self.station.call(self.now, Outgoing::new(action, &raw("{}"))).unwrap()
    }

    /// The CALL that the CSMS must answer.
    #[track_caller]
    fn incoming(&mut self) -> (MessageId, String) {
        match self.csms.poll_event() {
            Some(Event::Call(call)) => (call.id().clone(), call.action().to_owned()),
            other => panic!("{other:?}"),
        }
    }

    /// The event of the station.
    #[track_caller]
    fn ended(&mut self) -> (CallKey, CallOutcome) {
        match self.station.poll_event() {
            Some(Event::CallEnded { key, outcome }) => (key, outcome),
            other => panic!("{other:?}"),
        }
    }

    fn answer(&mut self, id: &MessageId, payload: &str) {
        self.csms.answer(self.now, id, Answer::Result(raw(payload))).unwrap();
    }
}

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

fn texts(session: &mut Session) -> Vec<String> {
    std::iter::from_fn(|| session.poll_transmit()).map(|transmit| transmit.text).collect()
}

#[test]
fn a_call_finds_its_answer() {
    let mut pair = Pair::new();
    let key = pair.call("Heartbeat");
    pair.carry();
    let (id, action) = pair.incoming();
    assert_eq!(action, "Heartbeat");
    pair.answer(&id, r#"{"currentTime":"2026-01-01T00:00:00Z"}"#);
    pair.carry();
    let (ended, outcome) = pair.ended();
    assert_eq!(ended, key);
    assert!(matches!(outcome, CallOutcome::Result(result) if result.payload().contains("currentTime")));
    assert_eq!(pair.station.poll_timeout(), None);
    assert_eq!(pair.csms.poll_timeout(), None);
}

#[test]
fn fr_01_only_one_call_is_in_flight_per_direction() {
    let mut pair = Pair::new();
    let keys = [pair.call("A"), pair.call("B")];
    let down = pair.csms.call(pair.now, Outgoing::new("C", &raw("{}"))).unwrap();
    assert_eq!(texts(&mut pair.csms).len(), 1);
    let first = texts(&mut pair.station);
    assert_eq!(first.len(), 1);
    pair.csms.handle_text(pair.now, first[0].as_str());
    assert!(texts(&mut pair.station).is_empty());
    let (id, _) = pair.incoming();
    pair.answer(&id, "{}");
    pair.carry();
    assert_eq!(pair.ended().0, keys[0]);
    assert_eq!(pair.incoming().1, "B");
    assert_ne!(down, keys[1]);
}

#[test]
fn fr_01_a_timeout_ends_the_call_and_lets_the_next_one_go() {
    let mut pair = Pair::new();
    let (lost, next) = (pair.call("A"), pair.call("B"));
    assert_eq!(texts(&mut pair.station).len(), 1);
    pair.advance(Duration::from_millis(29_999));
    assert!(pair.station.poll_event().is_none());
    assert_eq!(pair.station.poll_timeout(), Some(pair.now + Duration::from_millis(1)));
    pair.advance(Duration::from_millis(1));
    assert!(matches!(pair.ended(), (key, CallOutcome::Timeout) if key == lost));
    pair.carry();
    let (id, action) = pair.incoming();
    assert_eq!(action, "B");
    pair.answer(&id, "{}");
    pair.carry();
    assert_eq!(pair.ended().0, next);
    assert_eq!(pair.station.counters().timeouts, 1);
}

/// Seen elsewhere (EVerest #2230): an answer with another id was accepted for the CALL in flight.
#[test]
fn late_and_unknown_answers_are_ignored_and_counted() {
    let mut pair = Pair::new();
    pair.call("A");
    let text = texts(&mut pair.station).remove(0);
    pair.csms.handle_text(pair.now, text);
    let (id, _) = pair.incoming();
    pair.answer(&id, "{}");
    pair.advance(Duration::from_secs(30));
    assert!(matches!(pair.ended(), (_, CallOutcome::Timeout)));
    pair.carry();
    pair.station.handle_text(pair.now, r#"[4,"-1","RpcFrameworkError","",{}]"#);
    for _ in 0..2 {
        assert!(matches!(pair.station.poll_event(), Some(Event::UnmatchedAnswer { .. })));
    }
    assert!(pair.station.poll_event().is_none());
    assert!(texts(&mut pair.station).is_empty());
    assert_eq!(pair.station.counters().unmatched_answers, 2);
}

#[test]
fn a_call_error_ends_the_call_with_its_code() {
    let mut pair = Pair::new();
    pair.call("A");
    pair.carry();
    let (id, _) = pair.incoming();
    let error = Answer::Error { code: RpcErrorCode::SecurityError, description: "not yet".into() };
    pair.csms.answer(pair.now, &id, error).unwrap();
    pair.carry();
    let (_, outcome) = pair.ended();
    assert!(matches!(
        outcome,
        CallOutcome::Error { code: RpcErrorCode::SecurityError, description, .. } if description == "not yet"
    ));
}

#[test]
fn an_answer_overdue_is_answered_with_internal_error_and_the_next_call_works() {
    let mut pair = Pair::new();
    pair.call("A");
    pair.carry();
    let (slow, _) = pair.incoming();
    assert_eq!(pair.csms.poll_timeout(), Some(pair.now + Duration::from_secs(25)));
    pair.advance(Duration::from_secs(25));
    assert!(matches!(pair.csms.poll_event(), Some(Event::AnswerOverdue { id }) if id == slow));
    pair.carry();
    assert!(matches!(pair.ended(), (_, CallOutcome::Error { code: RpcErrorCode::InternalError, .. })));
    assert_eq!(pair.csms.answer(pair.now, &slow, Answer::Result(raw("{}"))), Err(AnswerRefused::Overdue));
    assert!(texts(&mut pair.csms).is_empty());
    let next = pair.call("B");
    pair.carry();
    let (id, _) = pair.incoming();
    pair.answer(&id, "{}");
    pair.carry();
    assert_eq!(pair.ended().0, next);
}

#[test]
fn the_queue_of_calls_is_bounded() {
    let mut pair = Pair::with(SessionSettings::default().with_max_queued_calls(2));
    for action in ["in flight", "1", "2"] {
        pair.call(action);
    }
    let refused = pair.station.call(pair.now, Outgoing::new("3", &raw("{}")));
    assert_eq!(refused, Err(CallRefused::QueueFull { max: 2 }));
}

#[test]
fn frames_over_the_limit_are_not_sent() {
    let limits = Limits::default().with_max_bytes(200);
    let mut pair = Pair::with(SessionSettings::default().with_limits(limits));
    let long = raw(&format!("{{\"x\":\"{}\"}}", "x".repeat(200)));
    assert!(matches!(
        pair.station.call(pair.now, Outgoing::new("A", &long)),
        Err(CallRefused::TooLarge { max: 200, .. })
    ));
    pair.call("A");
    pair.carry();
    let (id, _) = pair.incoming();
    let answer = pair.csms.answer(pair.now, &id, Answer::Result(long));
    assert!(matches!(answer, Err(AnswerRefused::TooLarge { max: 200, .. })));
    pair.carry();
    assert!(matches!(pair.ended(), (_, CallOutcome::Error { code: RpcErrorCode::InternalError, .. })));
}

/// Seen elsewhere (CitrineOS #178): the second CALL of a station was refused, again and again.
#[test]
fn a_peer_that_does_not_wait_is_served_in_order_up_to_a_bound() {
    let mut pair = Pair::new();
    for number in 0..7 {
        pair.csms.handle_text(pair.now, format!(r#"[2,"{number}","A",{{}}]"#));
    }
    // One is being answered, four wait, two are refused.
    let refused = texts(&mut pair.csms);
    assert_eq!(refused.len(), 2);
    assert!(refused[0].starts_with(r#"[4,"5","GenericError""#), "{}", refused[0]);
    assert_eq!(pair.csms.counters().refused_calls, 2);
    for number in 0..5 {
        let (id, _) = pair.incoming();
        assert_eq!(id.as_str(), number.to_string());
        assert!(pair.csms.poll_event().is_none());
        pair.answer(&id, "{}");
        assert_eq!(texts(&mut pair.csms), [format!(r#"[3,"{number}",{{}}]"#)]);
    }
    assert!(!pair.csms.is_answering());
}

#[test]
fn the_same_call_twice_is_answered_once() {
    let mut pair = Pair::new();
    for _ in 0..3 {
        pair.csms.handle_text(pair.now, r#"[2,"x","A",{}]"#);
    }
    let (id, _) = pair.incoming();
    pair.answer(&id, "{}");
    assert_eq!(texts(&mut pair.csms).len(), 1);
    assert!(pair.csms.poll_event().is_none());
    assert_eq!(pair.csms.counters().repeated_calls, 2);
}

#[test]
fn what_is_no_frame_harms_nothing_else() {
    let mut pair = Pair::new();
    let key = pair.call("A");
    pair.carry();
    let (id, _) = pair.incoming();
    pair.csms.handle_text(pair.now, "not JSON");
    assert_eq!(texts(&mut pair.csms), [r#"[4,"-1","RpcFrameworkError","the frame is not a JSON array",{}]"#]);
    assert!(
        matches!(pair.csms.poll_event(), Some(Event::Refused(error)) if error.fault == Fault::NotAnArray)
    );
    pair.answer(&id, "{}");
    pair.carry();
    assert_eq!(pair.ended().0, key);
}

/// Seen elsewhere (libocpp #560): calls waited for their answers on a closed connection.
#[test]
fn a_disconnect_ends_every_call_once() {
    let mut pair = Pair::new();
    let keys = [pair.call("A"), pair.call("B"), pair.call("C")];
    pair.station.handle_text(pair.now, r#"[2,"x","A",{}]"#);
    assert!(matches!(pair.station.poll_event(), Some(Event::Call(_))));
    pair.station.disconnect();
    pair.station.disconnect();
    for key in keys {
        assert!(matches!(pair.ended(), (ended, CallOutcome::Disconnected) if ended == key));
    }
    assert!(pair.station.poll_event().is_none());
    assert!(texts(&mut pair.station).is_empty());
    assert_eq!(pair.station.call(pair.now, Outgoing::new("D", &raw("{}"))), Err(CallRefused::Disconnected));
    pair.station.handle_text(pair.now, r#"[2,"y","A",{}]"#);
    assert!(pair.station.poll_event().is_none());
    assert_eq!(pair.station.poll_timeout(), None);
}

/// A session of the CSMS in 2.1, without a peer.
fn csms_21(registration: Registration) -> (Session, Instant) {
    let session = Session::new(Role::Csms, Version::V21, SessionSettings::default(), [3; 16]);
    (session.with_registration(registration), Instant::now())
}

#[test]
fn message_attempt_interval_is_waited_for_as_often_as_the_message_was_sent() {
    let mut pair = Pair::new();
    let retry = Retry::new(3, Duration::from_secs(60));
    let call = Outgoing::new("TransactionEvent", &raw("{}")).with_retry(retry);
    let key = pair.station.call(pair.now, call).unwrap();
    let first = texts(&mut pair.station);
    assert_eq!(first.len(), 1);
    for (attempts, wait) in [(1, 60), (2, 120)] {
        pair.advance(Duration::from_secs(30));
        assert!(matches!(
            pair.station.poll_event(),
            Some(Event::CallRetried { key: retried, attempts: sent }) if retried == key && sent == attempts
        ));
        assert_eq!(pair.station.poll_timeout(), Some(pair.now + Duration::from_secs(wait)));
        pair.advance(Duration::from_secs(wait - 1));
        assert!(texts(&mut pair.station).is_empty());
        pair.advance(Duration::from_secs(1));
        // 2.0.1 errata 2024-09: a retried message may keep its id, so that its receiver recognizes
        // it.
        assert_eq!(texts(&mut pair.station), first);
    }
    pair.advance(Duration::from_secs(30));
    assert!(matches!(pair.ended(), (ended, CallOutcome::Timeout) if ended == key));
    assert_eq!(pair.station.poll_timeout(), None);
    assert_eq!(pair.station.counters().retries, 2);
}

#[test]
fn message_attempts_goes_on_counting_on_the_next_connection() {
    let mut pair = Pair::new();
    let retry = Retry::new(3, Duration::from_secs(60)).after(2);
    let id = MessageId::try_from("from before").unwrap();
    let call = Outgoing::new("TransactionEvent", &raw("{}")).with_retry(retry).with_id(id);
    let key = pair.station.call(pair.now, call).unwrap();
    assert_eq!(texts(&mut pair.station), [r#"[2,"from before","TransactionEvent",{}]"#]);
    pair.station.handle_text(pair.now, r#"[4,"from before","InternalError","",{}]"#);
    assert!(matches!(pair.ended(), (ended, CallOutcome::Error { .. }) if ended == key));
}

#[test]
fn retried_calls_stay_in_order_and_let_others_pass() {
    let mut pair = Pair::new();
    let retry = Retry::new(2, Duration::from_secs(60));
    let actions = |session: &mut Session| -> Vec<String> {
        texts(session).iter().map(|text| text.split('"').nth(3).unwrap().to_owned()).collect()
    };
    for action in ["first", "second"] {
        pair.station.call(pair.now, Outgoing::new(action, &raw("{}")).with_retry(retry)).unwrap();
    }
    assert_eq!(actions(&mut pair.station), ["first"]);
    pair.advance(Duration::from_secs(30));
    assert!(matches!(pair.station.poll_event(), Some(Event::CallRetried { .. })));
    assert!(texts(&mut pair.station).is_empty(), "the second waits for the first");
    pair.call("other");
    assert_eq!(actions(&mut pair.station), ["other"]);
    pair.advance(Duration::from_secs(60));
    // The other has timed out by now, and the first is due.
    assert!(matches!(pair.ended(), (_, CallOutcome::Timeout)));
    assert_eq!(actions(&mut pair.station), ["first"]);
}

#[test]
fn a_late_answer_to_the_first_attempt_ends_a_call_that_was_sent_again() {
    let mut pair = Pair::new();
    let retry = Retry::new(2, Duration::ZERO);
    let call = Outgoing::new("TransactionEvent", &raw("{}")).with_retry(retry);
    let key = pair.station.call(pair.now, call).unwrap();
    pair.carry();
    let (id, _) = pair.incoming();
    pair.answer(&id, "{}");
    pair.advance(Duration::from_secs(30));
    assert!(matches!(pair.station.poll_event(), Some(Event::CallRetried { .. })));
    let answers = texts(&mut pair.csms);
    assert_eq!(texts(&mut pair.station).len(), 1);
    pair.station.handle_text(pair.now, answers[0].as_str());
    assert!(matches!(pair.ended(), (ended, CallOutcome::Result(_)) if ended == key));
}

#[test]
fn a_send_does_not_count_for_the_one_call_in_flight() {
    let (mut session, now) = csms_21(Registration::Accepted);
    session.call(now, Outgoing::new("A", &raw("{}"))).unwrap();
    session.send(Outgoing::new("S", &raw("{}"))).unwrap();
    session.send(Outgoing::new("S", &raw("{}"))).unwrap();
    let sent = texts(&mut session);
    assert_eq!(sent.len(), 3);
    assert!(sent[1].starts_with("[6,") && sent[1].ends_with(r#","S",{}]"#), "{}", sent[1]);
    assert_ne!(sent[1], sent[2], "2.1 Part 4, 4.1.4: SENDs have ids of their own too");
    session.handle_text(now, r#"[6,"x","S",{}]"#);
    session.handle_text(now, r#"[2,"y","A",{}]"#);
    assert!(matches!(session.poll_event(), Some(Event::Send(send)) if send.id().as_str() == "x"));
    assert!(matches!(session.poll_event(), Some(Event::Call(call)) if call.id().as_str() == "y"));
}

#[test]
fn only_2_1_has_send_and_its_queue_is_bounded() {
    let mut pair = Pair::new();
    assert_eq!(pair.station.send(Outgoing::new("S", &raw("{}"))), Err(CallRefused::NoSend));
    let (mut session, _) = csms_21(Registration::Accepted);
    for _ in 0..SessionSettings::MAX_TRANSMITS {
        session.send(Outgoing::new("S", &raw("{}"))).unwrap();
    }
    let full = CallRefused::QueueFull { max: SessionSettings::MAX_TRANSMITS };
    assert_eq!(session.send(Outgoing::new("S", &raw("{}"))), Err(full));
}

#[test]
fn a_flood_of_what_is_no_frame_is_dropped_beyond_a_bound() {
    let mut pair = Pair::new();
    for _ in 0..1000 {
        pair.csms.handle_text(pair.now, "flood");
        let _ = pair.csms.poll_event();
    }
    assert_eq!(texts(&mut pair.csms).len(), SessionSettings::MAX_TRANSMITS);
    let counters = pair.csms.counters();
    assert_eq!(counters.dropped_refusals, 1000 - SessionSettings::MAX_TRANSMITS as u64);
    assert_eq!(counters.invalid_frames, 1000);
}

#[test]
fn b02_fr_02_a_send_before_boot_notification_is_accepted_is_dropped() {
    let (mut session, now) = csms_21(Registration::NotBooted);
    session.handle_text(now, r#"[6,"x","S",{}]"#);
    assert!(matches!(session.poll_event(), Some(Event::NotAccepted { action, .. }) if action == "S"));
    assert!(texts(&mut session).is_empty());
    assert_eq!(session.counters().not_accepted, 1);
    let station = Session::new(Role::ChargingStation, Version::V21, SessionSettings::default(), [4; 16]);
    let mut station = station.with_registration(Registration::Pending);
    assert_eq!(station.send(Outgoing::new("S", &raw("{}"))), Err(CallRefused::NotAccepted));
}

#[test]
fn b01_fr_08_a_call_behind_boot_notification_waits_for_its_answer() {
    for (status, goes) in [("Accepted", true), ("Pending", false), ("Rejected", false)] {
        let mut pair = Pair::new();
        pair.station = pair.station.with_registration(Registration::NotBooted);
        pair.csms = pair.csms.with_registration(Registration::NotBooted);
        let (boot, next) = (pair.call("BootNotification"), pair.call("Heartbeat"));
        pair.carry();
        let (id, _) = pair.incoming();
        pair.answer(
            &id,
            &format!(r#"{{"currentTime":"2026-01-01T00:00:00Z","interval":1,"status":"{status}"}}"#),
        );
        pair.carry();
        assert_eq!(pair.ended().0, boot);
        if goes {
            assert_eq!(pair.incoming().1, "Heartbeat");
        } else {
            assert!(matches!(pair.ended(), (ended, CallOutcome::NotAccepted) if ended == next));
            assert!(pair.csms.poll_event().is_none());
        }
        assert_eq!(pair.csms.registration(), pair.station.registration());
    }
}

#[test]
fn b02_fr_02_what_the_csms_triggers_while_pending_passes_on_both_sides() {
    let mut pair = Pair::new();
    pair.station = pair.station.with_registration(Registration::Pending);
    pair.csms = pair.csms.with_registration(Registration::Pending);
    let trigger = raw(r#"{"requestedMessage":"SignChargingStationCertificate"}"#);
    pair.csms.call(pair.now, Outgoing::new("TriggerMessage", &trigger)).unwrap();
    pair.carry();
    let Some(Event::Call(call)) = pair.station.poll_event() else { panic!() };
    pair.station.answer(pair.now, call.id(), Answer::Result(raw(r#"{"status":"Accepted"}"#))).unwrap();
    pair.carry();
    assert!(matches!(pair.csms.poll_event(), Some(Event::CallEnded { .. })));
    pair.call("SignCertificate");
    pair.carry();
    let (id, action) = pair.incoming();
    assert_eq!(action, "SignCertificate");
    pair.answer(&id, "{}");
    pair.carry();
    assert!(matches!(pair.ended(), (_, CallOutcome::Result(_))));
    pair.call("Heartbeat");
    assert!(matches!(pair.ended(), (_, CallOutcome::NotAccepted)));
}

/// A handler that blocks may return after its deadline.
#[test]
fn an_answer_after_its_deadline_is_internal_error() {
    let mut pair = Pair::new();
    pair.call("A");
    pair.carry();
    let (id, _) = pair.incoming();
    let late = pair.now + Duration::from_secs(25);
    assert_eq!(pair.csms.answer(late, &id, Answer::Result(raw("{}"))), Err(AnswerRefused::Overdue));
    assert!(matches!(pair.csms.poll_event(), Some(Event::AnswerOverdue { .. })));
    assert!(texts(&mut pair.csms)[0].contains("InternalError"));
    assert!(!pair.csms.is_answering());
}

/// Seen elsewhere (libocpp #1140, EVerest #2246): an unreadable answer ended a thread.
#[test]
fn a_malformed_answer_ends_its_call_and_nothing_else() {
    let answers = [r#"[3,"ID"]"#, r#"[3,"ID",{},{}]"#, r#"[3,"ID",{]}]"#, r#"[4,"ID"]"#, r#"[4,"ID",7]"#];
    for answer in answers {
        let mut pair = Pair::new();
        let (first, next) = (pair.call("A"), pair.call("B"));
        let sent = texts(&mut pair.station);
        let id = sent[0].split('"').nth(1).unwrap();
        pair.station.handle_text(pair.now, answer.replace("ID", id));
        let (ended, outcome) = pair.ended();
        assert_eq!(ended, first);
        match outcome {
            CallOutcome::Unreadable(_) => {
                assert!(matches!(pair.station.poll_event(), Some(Event::Refused(_))), "{answer}");
            }
            // The reader of the payload finds that it is not JSON.
            CallOutcome::Result(result) => assert!(result.check(Version::V201).is_err(), "{answer}"),
            other => panic!("{answer}: {other:?}"),
        }
        // Answers are not answered in 2.0.1. The next CALL is sent.
        let sent = texts(&mut pair.station);
        assert_eq!(sent.len(), 1, "{sent:?}");
        pair.csms.handle_text(pair.now, sent[0].as_str());
        let (id, _) = pair.incoming();
        pair.answer(&id, "{}");
        pair.carry();
        assert_eq!(pair.ended().0, next);
    }
}

#[test]
fn a_payload_that_is_no_json_is_found_by_its_reader_and_counted() {
    let mut pair = Pair::new();
    pair.csms.handle_text(pair.now, r#"[2,"x","A",{"a":]}]"#);
    let Some(Event::Call(call)) = pair.csms.poll_event() else { panic!() };
    let error = call.check(Version::V201).unwrap_err();
    let code = error.answer(Version::V201).unwrap().code;
    let answer = Answer::Error { code, description: error.to_string() };
    pair.csms.answer(pair.now, call.id(), answer).unwrap();
    assert_eq!(texts(&mut pair.csms), [r#"[4,"x","RpcFrameworkError","the frame is not a JSON array",{}]"#]);
    assert_eq!(pair.csms.counters().invalid_frames, 1);
}
