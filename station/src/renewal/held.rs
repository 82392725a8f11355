//! When a certificate is renewed by itself: by its validity, and by how the last series ended.

use std::time::{Duration, SystemTime};

use super::{Schedule, Validity};

/// The newest certificate of one subject, and what its renewal waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Held {
    pub(super) validity: Option<Validity>,
    /// Whether it is not valid yet: it was signed while a clock was ahead.
    pub(super) early: bool,
    /// When the last series ended, and how.
    pub(super) ended: Option<(SystemTime, Pause)>,
    pub(super) announcing: bool,
    /// Whether the last key could not be announced.
    pub(super) not_announced: bool,
}

/// What the next series by itself waits for after the end of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Pause {
    /// A certificate came: until that is due, by what is left of its life.
    Renewed,
    /// The token or the disk failed.
    Retry,
    /// The CSMS rejected the request or cannot be asked, or the token has no such keys.
    Rejected,
}

impl Held {
    /// When the next series begins by itself.
    pub(super) fn due(&self, schedule: &Schedule) -> Option<SystemTime> {
        let Validity { not_before, not_after } = self.validity?;
        let due = match self.ended {
            // A certificate that is due as it comes would be renewed for ever; its begin lies in
            // the past.
            Some((at, Pause::Renewed)) => schedule
                .renewal_due(Validity { not_before: not_before.max(at), not_after })
                .max(at.checked_add(SHORTEST_PAUSE)?),
            Some((at, pause)) => {
                let longest = if pause == Pause::Rejected { AFTER_REJECTION } else { RETRY };
                // Of a certificate that lives shortly, several attempts are made before its end.
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

/// A time in the past, by a clock that was set.
pub(super) fn shifted(at: SystemTime, expected: SystemTime, now: SystemTime) -> SystemTime {
    let passed = expected.duration_since(at).unwrap_or_default();
    now.checked_sub(passed).unwrap_or(now)
}

/// Between two renewals of one certificate, however short it lives.
const SHORTEST_PAUSE: Duration = Duration::from_secs(10);

/// After the token or the disk has failed, at most.
const RETRY: Duration = Duration::from_secs(3600);

/// After a rejection, or of a CSMS that cannot be asked, the station tries by itself once a day,
/// and more often for a certificate that lives shortly: it should not expire in silence, and a CSMS
/// that said no should not be asked all the time.
const AFTER_REJECTION: Duration = Duration::from_secs(86_400);
