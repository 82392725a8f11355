//! Any text as a frame of each version.
//!
//! Nothing may panic, a frame that was read is read again from what is written for it, and what is no frame is answered
//! with one.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ocpp_transport::frame::{self, Limits};
use ocpp_transport::session::{Role, Session, SessionSettings};
use ocpp_types::Version;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let limits = Limits::default();
    for version in Version::ALL.iter().copied() {
        if let Ok(frame) = frame::parse(text, version, &limits) {
            let written = frame.encode(version);
            let again = frame::parse(&written, version, &limits).expect("what was written is a frame");
            assert_eq!(again.encode(version), written);
        }
        let mut session = Session::new(Role::Csms, version, SessionSettings::default(), [0; 16]);
        session.handle_text(std::time::Instant::now(), text);
        while let Some(answer) = session.poll_transmit() {
            frame::parse(&answer.text, version, &limits).expect("an answer is a frame");
        }
    }
});
