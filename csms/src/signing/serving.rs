//! Chooses which of the CSMS's own certificates is served, the newest or the one before it, and
//! when the next one is due.

use std::time::{Duration, SystemTime};

use signer_pkcs11::Present;

use crate::service::clock::renewal_due;

/// The validity of a certificate for the right key and names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    /// The first second of the validity.
    pub(crate) from: SystemTime,
    /// The last second of the validity.
    pub(crate) until: SystemTime,
}

/// The present time, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    /// The earliest and the latest time that may be the present one.
    pub(crate) present: Present,
    /// The time that the clock would show if it had not been moved; `None` if the clock is not in
    /// doubt.
    pub(crate) believed: Option<SystemTime>,
}

/// The rules for issuing certificates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Issuing {
    /// The validity of a certificate.
    pub(crate) lifetime: Duration,
    /// How far its notBefore lies in the past.
    pub(crate) backdate: Duration,
}

/// When a certificate or a list is signed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// Now, whether it is due or not.
    Now,
    /// If it is missing or incomplete, or if two thirds of its validity are over.
    Due,
}

/// The newest certificate and the one before it; `None` if it is missing.
pub(crate) type Held = [Option<Validity>; 2];

/// The index of the certificate to serve. It is the newest, unless only the one before it is valid
/// at both times, or at least at the time that was trusted before the clock was moved.
pub(crate) fn to_serve(held: Held, times: Times) -> usize {
    let rank = |validity: Option<Validity>| validity.map_or(0, |validity| validity.rank(times));
    usize::from(rank(held[1]) > rank(held[0]))
}

/// The time until the next certificate has to be issued.
pub(crate) fn due_in(held: Held, times: Times, issuing: Issuing) -> Duration {
    let Some(newest) = held[0] else { return Duration::ZERO };
    let Present { earliest, latest } = times.present;
    let left = |validity: Validity| {
        let due = renewal_due(validity.from, validity.until, issuing.backdate);
        due.duration_since(earliest).unwrap_or_default()
    };
    if times.present.is_certain() {
        // A certificate that is not valid yet was issued while the clock was ahead.
        return if newest.is_valid_at(earliest) { left(newest) } else { Duration::ZERO };
    }
    let outlasts = latest.duration_since(earliest).is_ok_and(|apart| apart < issuing.lifetime);
    let best =
        held.into_iter().flatten().filter(|held| held.is_valid_throughout(times.present)).map(left).max();
    match best {
        Some(left) => left,
        // A new certificate would not be valid at both times. None is issued before the doubt is
        // over.
        None if !outlasts => Duration::MAX,
        None => Duration::ZERO,
    }
}

impl Validity {
    pub(crate) fn is_valid_at(self, time: SystemTime) -> bool {
        (self.from..=self.until).contains(&time)
    }

    fn is_valid_throughout(self, present: Present) -> bool {
        self.from <= present.earliest && present.latest <= self.until
    }

    fn rank(self, times: Times) -> u8 {
        let Present { earliest, latest } = times.present;
        if self.is_valid_throughout(times.present) {
            3
        } else if times.believed.is_some_and(|believed| self.is_valid_at(believed)) {
            2
        } else {
            u8::from(self.is_valid_at(earliest) || self.is_valid_at(latest))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUING: Issuing =
        Issuing { lifetime: Duration::from_secs(23 * 3600), backdate: Duration::from_secs(300) };

    fn at(hour: i64) -> SystemTime {
        let base = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let by = Duration::from_secs(hour.unsigned_abs() * 3600);
        if hour < 0 { base - by } else { base + by }
    }

    /// A certificate that was issued at this hour.
    fn issued(hour: i64) -> Option<Validity> {
        Some(Validity { from: at(hour) - ISSUING.backdate, until: at(hour) + ISSUING.lifetime })
    }

    fn certain(hour: i64) -> Times {
        Times { present: Present::at(at(hour)), believed: None }
    }

    fn moved(believed: i64, to: i64) -> Times {
        Times { present: Present::either(at(believed), at(to)), believed: Some(at(believed)) }
    }

    fn check(held: Held, times: Times, serve: usize, due: Option<bool>) {
        assert_eq!(to_serve(held, times), serve, "{held:?} {times:?}");
        let found = match due_in(held, times, ISSUING) {
            Duration::ZERO => Some(true),
            Duration::MAX => None,
            _ => Some(false),
        };
        assert_eq!(found, due, "{held:?} {times:?}");
    }

    #[test]
    fn the_newest_is_served_and_renewed_in_time() {
        check([issued(0), None], certain(0), 0, Some(false));
        check([issued(0), issued(-15)], certain(15), 0, Some(false));
        check([issued(0), None], certain(16), 0, Some(true));
        check([None, issued(0)], certain(0), 1, Some(true));
        check([None, None], certain(0), 0, Some(true));
    }

    #[test]
    fn one_of_the_future_is_replaced_and_the_one_before_it_served() {
        check([issued(20), issued(-5)], certain(0), 1, Some(true));
        check([issued(20), None], certain(0), 0, Some(true));
        check([issued(20), issued(-25)], certain(0), 0, Some(true));
    }

    #[test]
    fn while_the_clock_is_in_doubt_both_times_count() {
        // The clock was moved ahead: the present certificate is valid at both times, or a new one
        // is issued that is.
        check([issued(0), None], moved(0, 20), 0, Some(false));
        check([issued(-5), None], moved(0, 20), 0, Some(true));
        // The clock was moved back: a certificate is issued that is valid from the earlier time on.
        check([issued(-1), None], moved(0, -20), 0, Some(true));
        // The clock was moved by more than the lifetime of a certificate: the earlier certificate
        // is served, and none is issued.
        check([issued(0), None], moved(0, 48), 0, None);
        check([issued(0), None], moved(0, -24), 0, None);
        check([issued(48), issued(0)], moved(0, 48), 1, None);
        // A certificate that was issued meanwhile is considered.
        check([issued(-20), issued(-1)], moved(0, -20), 0, Some(false));
    }
}
