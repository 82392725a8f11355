//! Any bytes as the head of an upgrade request, and as the head of its response.
//!
//! The code must not panic, and each side accepts what the other writes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ocpp_transport::fuzzing;

fuzz_target!(|bytes: &[u8]| {
    fuzzing::request(bytes);
    fuzzing::response(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        fuzzing::identity(text);
    }
});
