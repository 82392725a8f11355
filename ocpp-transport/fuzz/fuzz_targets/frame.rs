//! Any text as a frame.
//!
//! Nothing may panic, and a frame that was read is read again from what is written for it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ocpp_transport::frame::{self, Limits};
use ocpp_types::Version;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let limits = Limits::default();
    let Ok(frame) = frame::parse(text, &limits) else { return };
    let written = frame.encode(Version::V201);
    let again = frame::parse(&written, &limits).expect("what was written is a frame");
    assert_eq!(again.encode(Version::V201), written);
});
