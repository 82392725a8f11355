//! The time at which a certificate is renewed without a trigger. It depends on the validity of the
//! certificate and on the end of the last series.

use std::time::{Duration, SystemTime};

use super::{Schedule, Validity};

/// The newest certificate of one subject, and the state of its automatic renewal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Held {
    pub(super) validity: Option<Validity>,
    /// Whether it is not valid yet, because it was signed while a clock was ahead.
    pub(super) early: bool,
    /// The time and the kind of the last series' end.
    pub(super) ended: Option<(SystemTime, Pause)>,
    pub(super) announcing: bool,
    /// Whether the last key could not be announced.
    pub(super) not_announced: bool,
}

/// The rule for the next automatic series after the end of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Pause {
    /// A certificate arrived: wait until it is due, by the rest of its life.
    Renewed,
    /// The token or the disk failed.
    Retry,
    /// The CSMS rejected the request or cannot be asked, or the token has no such keys.
    Rejected,
}

impl Held {
    /// When the next automatic series begins.
    pub(super) fn due(&self, schedule: &Schedule) -> Option<SystemTime> {
        let Validity { not_before, not_after } = self.validity?;
        let due = match self.ended {
            // A certificate whose validity began long ago may be due on arrival, and would be
            // renewed without end. So its life counts from the end of the series.
            Some((at, Pause::Renewed)) => schedule
                .renewal_due(Validity { not_before: not_before.max(at), not_after })
                .max(at.checked_add(SHORTEST_PAUSE)?),
            Some((at, pause)) => {
                let longest = if pause == Pause::Rejected { AFTER_REJECTION } else { RETRY };
                // For a short-lived certificate, several attempts are made before it expires.
                let life = not_after.duration_since(not_before).unwrap_or_default();
                let wait = if at < not_after { (life / 12).clamp(SHORTEST_PAUSE, longest) } else { longest };
                schedule.renewal_due(Validity { not_before, not_after }).max(at.checked_add(wait)?)
            }
            None => schedule.renewal_due(Validity { not_before, not_after }),
        };
        match (self.early, self.ended) {
            (false, _) => Some(due),
            (true, None) => Some(SystemTime::UNIX_EPOCH),
            (true, Some((at, Pause::Renewed))) => at.checked_add(SHORTEST_PAUSE),
            (true, Some((at, _))) => at.checked_add(RETRY),
        }
    }
}

/// Moves a time in the past to a clock that was set.
pub(super) fn shifted(at: SystemTime, expected: SystemTime, now: SystemTime) -> SystemTime {
    let passed = expected.duration_since(at).unwrap_or_default();
    now.checked_sub(passed).unwrap_or(now)
}

/// The shortest time between two renewals of one certificate, however short its life.
const SHORTEST_PAUSE: Duration = Duration::from_secs(10);

/// The longest wait after a failure of the token or the disk.
const RETRY: Duration = Duration::from_secs(3600);

/// The longest wait after a rejection, or for a CSMS that cannot be asked. The station tries once a
/// day by itself, and more often for a short-lived certificate. The certificate must not expire
/// without an attempt, and a CSMS that rejected a request must not be asked all the time.
const AFTER_REJECTION: Duration = Duration::from_secs(86_400);
