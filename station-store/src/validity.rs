//! Whether a certificate is valid now, by a clock that may be a little off.

use std::time::{Duration, SystemTime};

use x509_cert::der::DateTime;

use crate::certificate::Certificate;

/// The time to judge `certificates` at: `now`, or the nearest time within `skew` at which all of them are valid.
///
/// A CSMS that has just issued a certificate may have a clock that runs a little ahead of the station's (A02.FR.06 as the
/// errata have it: certificates of the future are invalid, and clocks differ).
pub(crate) fn judge_at(
    certificates: &[Certificate],
    now: SystemTime,
    skew: Duration,
) -> Result<SystemTime, (usize, OutsideValidity)> {
    let mut at = now;
    for (position, certificate) in certificates.iter().enumerate() {
        let (not_before, not_after) = (certificate.not_before(), certificate.not_after());
        if now < not_before {
            let early = not_before.duration_since(now).unwrap_or_default();
            if early > skew {
                let (not_before, now) = (certificate.not_before_text(), text(now));
                return Err((position, OutsideValidity::NotYet { not_before, now }));
            }
            at = at.max(not_before);
        } else if now > not_after {
            let late = now.duration_since(not_after).unwrap_or_default();
            if late > skew {
                let (not_after, now) = (certificate.not_after_text(), text(now));
                return Err((position, OutsideValidity::Expired { not_after, now }));
            }
            at = at.min(not_after);
        }
    }
    Ok(at)
}

/// A certificate is not valid at the time of asking. Both times are in the text, for one of them may be the wrong one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutsideValidity {
    /// Valid only in the future.
    #[error("valid only from {not_before}, and now it is {now}; if that is wrong, set the clock")]
    NotYet {
        /// The first second of its validity, UTC.
        not_before: String,
        /// The station's clock, UTC.
        now: String,
    },
    /// No longer valid.
    #[error("expired at {not_after}, and now it is {now}; if that is wrong, set the clock")]
    Expired {
        /// The last second of its validity, UTC.
        not_after: String,
        /// The station's clock, UTC.
        now: String,
    },
}

/// RFC 3339; a clock outside the years 1970–9999 has no date.
fn text(time: SystemTime) -> String {
    DateTime::from_system_time(time).map_or_else(|_| "an impossible date".to_owned(), |date| date.to_string())
}
