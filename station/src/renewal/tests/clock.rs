//! Short-lived certificates, and clocks that were wrong.

use std::time::{Duration, SystemTime};

use super::{DAY, Schedule, SignAnswer, SignedVerdict, Station, Target, Validity, W, at};

/// A validity of four minutes that begins five minutes in the past: each certificate is renewed in
/// time.
#[test]
fn clock_four_minutes_are_renewed_in_time() {
    let mut station = Station::new(0);
    let minutes = |count: u64| Duration::from_secs(60 * count);
    station.now = at(1000);
    let issued = |now: SystemTime| Validity { not_before: now - minutes(5), not_after: now + minutes(4) };
    let mut end = issued(station.now).not_after;
    station.core.set_held(station.now, [(Target::Station, issued(station.now))]);
    for _ in 0..5 {
        station.now = station.core.poll_timeout().expect("it is renewed by itself");
        assert!(station.now + minutes(1) <= end, "{:?} is a minute before {end:?}", station.now);
        station.work(SignAnswer::Accepted);
        let (key, sent) = station.sends.last().copied().expect("a request");
        assert_eq!(sent, station.now);
        station.core.handle_certificate(station.now, key, SignedVerdict::Accepted);
        station.work(SignAnswer::Accepted);
        end = issued(station.now).not_after;
        station.core.set_held(station.now, [(Target::Station, issued(station.now))]);
    }
    assert_eq!(station.sends.len(), 5);
}

/// A certificate that was signed while the clocks were ahead cannot be used after they are
/// corrected.
#[test]
fn clock_ahead_a_certificate_of_the_future_is_renewed_at_once() {
    let mut station = Station::new(0);
    let skew = Duration::from_secs(300);
    station.core.set_schedule(Schedule::new(W, 0).with_skew(skew));
    let of_the_future =
        |ahead: Duration| Validity { not_before: at(0) + ahead, not_after: at(0) + 365 * DAY };
    station.core.set_held(at(0), [(Target::Station, of_the_future(skew))]);
    station.work(SignAnswer::Accepted);
    assert!(station.sends.is_empty(), "clocks differ a little");
    station.core.set_held(at(0), [(Target::Station, of_the_future(DAY))]);
    station.work(SignAnswer::Accepted);
    assert_eq!(station.seconds(), [0]);
    let key = station.sends[0].0;
    station.core.handle_certificate(station.now, key, SignedVerdict::Accepted);
    station.core.set_held(at(1), [(Target::Station, of_the_future(Duration::ZERO))]);
    station.run_until(at(0) + 300 * DAY, SignAnswer::Accepted);
    assert_eq!(station.sends.len(), 1);
}

/// A verdict by a wrong clock does not block the renewal of a certificate after the clock is
/// corrected.
#[test]
fn clock_that_was_wrong_an_invalid_certificate_stops_no_renewal_for_ever() {
    let mut station = Station::new(0);
    let validity = Validity { not_before: at(0), not_after: at(0) + 365 * DAY };
    let key = station.trigger(Target::Station);
    station.work(SignAnswer::Accepted);
    station.core.handle_certificate(station.now, key, SignedVerdict::Invalid);
    station.core.set_held(at(10), [(Target::Station, validity)]);
    station.run_until(at(0) + 360 * DAY, SignAnswer::Accepted);
    assert_eq!(station.sends.len(), 1, "A02.FR.20");
    station.core.handle_clock_set(at(0) + 360 * DAY, at(0) + 340 * DAY);
    station.now = at(0) + 340 * DAY;
    station.work(SignAnswer::Accepted);
    assert_eq!(station.sends.len(), 2);
}
