//! Payloads and time measurement for the contestants.
//!
//! A contestant decodes and encodes four payloads, and prints one line for each: `payload direction
//! nanoseconds`. `cargo xtask bench types` runs the contestants in turn, many times, and compares
//! the results of the same turn. With a word as argument, only lines that contain the word are
//! measured, for use with a profiler: `perf record contestant-ours "TransactionEventRequest
//! decode"`.

mod payloads;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

pub use payloads::{delete_certificate, installed_certificate_ids, sign_certificate, transaction_event};

/// Measures one payload in both directions, after checking that encoding returns the decoded text.
///
/// # Panics
/// If the encoded text differs from the decoded text.
pub fn measure<T>(name: &str, text: &str, decode: impl Fn(&str) -> T, encode: impl Fn(&T) -> String) {
    let value = decode(text);
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
    assert_eq!(json(&encode(&value)), json(text), "{name} changes on its way");
    let wanted = |line: &str| std::env::args().nth(1).is_none_or(|word| line.contains(&word));
    let (decoding, encoding) = (format!("{name} decode"), format!("{name} encode"));
    if wanted(&decoding) {
        println!("{decoding} {:.1}", median(|| decode(black_box(text))));
    }
    if wanted(&encoding) {
        println!("{encoding} {:.1}", median(|| encode(black_box(&value))));
    }
}

/// The median of the batches, in nanoseconds per call.
fn median<T>(call: impl Fn() -> T) -> f64 {
    let batch = |calls: u32| {
        let start = Instant::now();
        for _ in 0..calls {
            black_box(call());
        }
        start.elapsed()
    };
    let mut calls = 1;
    let warm = Instant::now();
    while batch(calls) < BATCH || warm.elapsed() < WARM_UP {
        calls = if batch(calls) < BATCH { calls * 2 } else { calls };
    }
    let mut batches = Vec::new();
    let start = Instant::now();
    while start.elapsed() < MEASUREMENT {
        batches.push(batch(calls).as_secs_f64() * 1e9 / f64::from(calls));
    }
    batches.sort_by(f64::total_cmp);
    batches[batches.len() / 2]
}

/// Long enough to make the cost of reading the clock negligible.
const BATCH: Duration = Duration::from_micros(100);

/// The time until caches, branch predictors and the clock of the processor have settled.
const WARM_UP: Duration = Duration::from_millis(10);

/// For each payload and direction. The contestants run many times for more measurements.
const MEASUREMENT: Duration = Duration::from_millis(40);

/// Measures all payloads. The contestant imports the four types under the names that are used here.
#[macro_export]
macro_rules! measure_all {
    ($decode:expr, $encode:expr $(,)?) => {
        $crate::measure_all! { $decode, $encode;
            DeleteCertificateRequest: delete_certificate,
            GetInstalledCertificateIdsResponse: installed_certificate_ids,
            SignCertificateRequest: sign_certificate,
            TransactionEventRequest: transaction_event,
        }
    };
    ($decode:expr, $encode:expr; $($payload:ident: $text:ident,)*) => {
        $($crate::measure::<$payload>(stringify!($payload), &$crate::$text(), $decode, $encode);)*
    };
}
