//! Any text as a frame of each version.
//!
//! The code must not panic. A frame that was read is read again from its written form. The answer
//! to a text that is not a frame is a frame. A session reads only the beginning of a frame; it
//! accepts the same messages as the reader of the whole frame.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ocpp_transport::frame::{self, Frame, FrameError, Incoming, Limits};
use ocpp_transport::session::{Event, Role, Session, SessionSettings};
use ocpp_types::Version;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let limits = Limits::default();
    for version in Version::ALL.iter().copied() {
        let parsed = frame::parse(text, version, &limits);
        if let Ok(frame) = &parsed {
            let written = frame.encode(version);
            let again = frame::parse(&written, version, &limits).expect("what was written is a frame");
            assert_eq!(again.encode(version), written);
        }
        let mut session = Session::new(Role::Csms, version, SessionSettings::default(), [0; 16]);
        session.handle_text(std::time::Instant::now(), text);
        match session.poll_event() {
            Some(Event::Call(taken)) => {
                agree(version, &taken, parsed, |frame| matches!(frame, Frame::Call { .. }))
            }
            Some(Event::Send(taken)) => {
                agree(version, &taken, parsed, |frame| matches!(frame, Frame::Send { .. }))
            }
            _ => {
                assert!(!matches!(parsed, Ok(Frame::Call { .. } | Frame::Send { .. })), "it was not taken in")
            }
        }
        while let Some(answer) = session.poll_transmit() {
            frame::parse(&answer.text, version, &limits).expect("an answer is a frame");
        }
    }
});

/// A message that a session accepted is the frame that was read, or is found not to be a frame.
fn agree(
    version: Version,
    taken: &Incoming,
    parsed: Result<Frame<'_>, FrameError>,
    is_kind: impl FnOnce(&Frame<'_>) -> bool,
) {
    match &parsed {
        Ok(frame @ (Frame::Call { id, action, payload } | Frame::Send { id, action, payload })) => {
            assert!(is_kind(frame));
            assert_eq!((taken.id(), taken.action(), taken.payload()), (id, action.as_ref(), payload.get()));
            taken.check(version).expect("it was read");
        }
        Ok(other) => panic!("taken for another frame: {other:?}"),
        Err(error) => assert_eq!(taken.check(version).expect_err("it was not read").fault, error.fault),
    }
}
