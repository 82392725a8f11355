//! Any order of operations on a session, of either side and in each version.
//!
//! One byte selects the operation, the next one its variant. The code must not panic, at most one
//! CALL is in flight, every call ends exactly once, every output is a frame, and the queues stay
//! bounded.

#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use ocpp_transport::MessageId;
use ocpp_transport::frame::{self, Limits};
use ocpp_transport::session::{
    Answer, CallKey, Event, Outgoing, Registration, Retry, Role, Session, SessionSettings, TransmitKind,
};
use ocpp_types::{RpcErrorCode, Version};
use serde_json::value::RawValue;

/// A session, and the state that is known from outside.
struct Watched {
    session: Session,
    version: Version,
    now: Instant,
    open: Vec<CallKey>,
    in_flight: Option<(CallKey, MessageId)>,
    to_answer: Option<MessageId>,
}

impl Watched {
    fn poll(&mut self) {
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Call(call) => {
                    assert!(self.to_answer.replace(call.id().clone()).is_none());
                    let _ = call.check(self.version);
                    assert!(call.payload().starts_with('{') && call.payload().ends_with('}'));
                }
                Event::AnswerOverdue { .. } => self.to_answer = None,
                Event::CallRetried { key, .. } => self.end_in_flight(key),
                Event::CallEnded { key, .. } => {
                    let index = self.open.iter().position(|open| *open == key);
                    self.open.swap_remove(index.expect("a call ends once"));
                    if self.in_flight.as_ref().is_some_and(|(in_flight, _)| *in_flight == key) {
                        self.end_in_flight(key);
                    }
                }
                _ => {}
            }
        }
        let mut sent = 0;
        while let Some(transmit) = self.session.poll_transmit() {
            sent += 1;
            frame::parse(&transmit.text, self.version, &Limits::default()).expect("what is sent is a frame");
            if let TransmitKind::Call { key, id } = transmit.kind {
                assert!(self.in_flight.replace((key, id)).is_none(), "at most one CALL is in flight");
            }
        }
        assert!(sent <= SessionSettings::MAX_TRANSMITS + 2);
        assert!(self.open.len() <= SessionSettings::MAX_QUEUED_CALLS + 1);
    }

    fn end_in_flight(&mut self, key: CallKey) {
        assert_eq!(self.in_flight.take().map(|(in_flight, _)| in_flight), Some(key));
    }
}

fuzz_target!(|bytes: &[u8]| {
    let [first, steps @ ..] = bytes else { return };
    let version = Version::ALL[usize::from(*first) % Version::ALL.len()];
    let role = if first & 0x80 == 0 { Role::Csms } else { Role::ChargingStation };
    let registration = match first >> 4 & 3 {
        0 => Registration::NotBooted,
        1 => Registration::Pending,
        2 => Registration::Rejected,
        _ => Registration::Accepted,
    };
    let session = Session::new(role, version, SessionSettings::default(), [7; 16]);
    let mut it = Watched {
        session: session.with_registration(registration),
        version,
        now: Instant::now(),
        open: Vec::new(),
        in_flight: None,
        to_answer: None,
    };
    let mut steps = steps.iter();
    while let (Some(what), Some(how)) = (steps.next(), steps.next()) {
        let action = ACTIONS[usize::from(*how) % ACTIONS.len()];
        let payload = PAYLOADS[usize::from(*how >> 4) % PAYLOADS.len()];
        let raw: Box<RawValue> = RawValue::from_string(payload.to_owned()).expect("it is JSON");
        match what % 12 {
            0 => {
                let mut call = Outgoing::new(action, &raw);
                if how & 0x40 != 0 {
                    let interval = Duration::from_secs(u64::from(*how));
                    call = call.with_retry(Retry::new(u32::from(how & 7), interval));
                }
                if how & 0x20 != 0 {
                    call = call.with_id(MessageId::try_from("7").expect("one character"));
                }
                it.open.extend(it.session.call(it.now, call));
            }
            1 => drop(it.session.send(Outgoing::new(action, &raw))),
            2 | 3 => {
                if let Some(id) = it.to_answer.take() {
                    let answer = match how & 3 {
                        0 => Answer::Error { code: RpcErrorCode::GenericError, description: action.into() },
                        _ => Answer::Result(raw),
                    };
                    let _ = it.session.answer(it.now, &id, answer);
                }
            }
            4 => {
                it.now += Duration::from_secs(u64::from(*how));
                it.session.handle_timeout(it.now);
                assert!(it.session.poll_timeout().is_none_or(|time| time > it.now));
            }
            5 => it.session.handle_text(it.now, format!(r#"[2,"{how}","{action}",{payload}]"#)),
            6 => it.session.handle_text(it.now, format!(r#"[6,"{how}","{action}",{payload}]"#)),
            7 | 8 => {
                let id = it.in_flight.as_ref().map_or("none", |(_, id)| id.as_str());
                let text = match how & 7 {
                    0 => format!(r#"[4,"{id}","{action}","",{payload}]"#),
                    1 => format!(r#"[3,"{id}"]"#),
                    2 => format!(r#"[3,"{id}",{payload},{payload}]"#),
                    3 => format!(r#"[5,"{id}","{action}"]"#),
                    _ => format!(r#"[3,"{id}",{payload}]"#),
                };
                it.session.handle_text(it.now, text);
            }
            9 => {
                // The next bytes, unchanged.
                let rest = steps.as_slice();
                let (text, after) = rest.split_at(rest.len().min(usize::from(*how)));
                it.session.handle_text(it.now, String::from_utf8_lossy(text).into_owned());
                steps = after.iter();
            }
            10 => {
                let id = MessageId::try_from(action).expect("short enough");
                it.session.refuse_result(&id, &RpcErrorCode::FormatViolation, payload);
            }
            _ if *how == 0 => {
                it.session.disconnect();
                it.in_flight = None;
                it.to_answer = None;
            }
            _ => {}
        }
        it.poll();
    }
    it.in_flight = None;
    it.session.disconnect();
    it.poll();
    assert!(it.open.is_empty(), "every call ends");
    assert_eq!(it.session.poll_timeout(), None);
});

const ACTIONS: &[&str] =
    &["BootNotification", "Heartbeat", "TriggerMessage", "GetReport", "NotifyReport", "SecurityError"];

const PAYLOADS: &[&str] = &[
    "{}",
    r#"{"status":"Accepted"}"#,
    r#"{"status":"Pending"}"#,
    r#"{"status":"Rejected"}"#,
    r#"{"requestedMessage":"Heartbeat"}"#,
    r#"{"requestedMessage":"CustomTrigger","status":7}"#,
];
