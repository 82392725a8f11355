//! Whether certificates are valid at a time, by a clock that may be slightly wrong.

use std::time::Duration;

use crate::certificate::Certificate;
use crate::types::UnixSeconds;

/// The time for the check of `certificates`: `now`, or the nearest time within `skew` at which all
/// of them are valid.
///
/// The clock of an authority that has just issued a certificate may be slightly ahead (A02.FR.06
/// with its errata: certificates of the future are invalid, and clocks differ).
///
/// # Errors
/// The position of the first certificate that is not valid, and the end of its validity that was
/// missed.
pub fn judge_at<'a>(
    certificates: impl IntoIterator<Item = &'a Certificate>,
    now: UnixSeconds,
    skew: Duration,
) -> Result<UnixSeconds, (usize, OutsideValidity)> {
    let mut at = now;
    for (position, certificate) in certificates.into_iter().enumerate() {
        let (not_before, not_after) = (certificate.not_before(), certificate.not_after());
        if now < not_before {
            if now.saturating_add(skew) < not_before {
                return Err((position, OutsideValidity::NotYet { not_before, now }));
            }
            at = at.max(not_before);
        } else if now > not_after {
            if now.saturating_sub(skew) > not_after {
                return Err((position, OutsideValidity::Expired { not_after, now }));
            }
            at = at.min(not_after);
        }
    }
    Ok(at)
}

/// A certificate is not valid at the time of the check. The text contains both times, because
/// either may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OutsideValidity {
    /// Not valid yet.
    #[error("valid only from {not_before}, and now it is {now}; if that is wrong, set the clock")]
    NotYet {
        /// The first second of its validity.
        not_before: UnixSeconds,
        /// The time of the clock.
        now: UnixSeconds,
    },
    /// No longer valid.
    #[error("expired at {not_after}, and now it is {now}; if that is wrong, set the clock")]
    Expired {
        /// The last second of its validity.
        not_after: UnixSeconds,
        /// The time of the clock.
        now: UnixSeconds,
    },
}
