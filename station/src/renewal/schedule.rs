//! Times: the waits between sends of one CSR, and the time before expiry at which a certificate is
//! renewed.

use std::time::{Duration, SystemTime};

use super::{Note, Stage};

/// `SecurityCtrlr.CertSigningWaitMinimum` and `CertSigningRepeatTimes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Schedule {
    wait_minimum: Duration,
    repeat_times: u32,
    skew: Duration,
}

/// The validity of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Validity {
    /// Its first second.
    pub not_before: SystemTime,
    /// Its last second.
    pub not_after: SystemTime,
}

impl Schedule {
    /// `wait_minimum`: the first wait, at least one second. `repeat_times`: how often it is
    /// doubled.
    ///
    /// The description in Part 2 and TC_A_23 count doublings: one doubling makes two sends after
    /// the first, after W and after 2 W more. (The appendix counts sends; stations are certified by
    /// the test.)
    #[must_use]
    pub fn new(wait_minimum: Duration, repeat_times: u32) -> Self {
        Self { wait_minimum: wait_minimum.max(Duration::from_secs(1)), repeat_times, skew: Duration::ZERO }
    }

    /// How far in the future the validity of a certificate may begin. Default: zero.
    #[must_use]
    pub fn with_skew(self, skew: Duration) -> Self {
        Self { skew, ..self }
    }

    pub(super) fn skew(&self) -> Duration {
        self.skew
    }

    pub(super) fn wait_minimum(&self) -> Duration {
        self.wait_minimum
    }

    /// The wait after the CSR was accepted for the `accepted`th time. `None`: it is not sent again
    /// (A02.FR.19).
    pub(super) fn wait_after(&self, accepted: u32) -> Option<Duration> {
        let doublings = accepted.checked_sub(1)?;
        let factor = 1_u32.checked_shl(doublings.min(MAX_DOUBLINGS)).unwrap_or(u32::MAX);
        (doublings <= self.repeat_times).then(|| self.wait_minimum.saturating_mul(factor).min(LONGEST))
    }

    /// The note that is stored before a send, after `accepted` accepted sends.
    pub(super) fn note_of_send(&self, accepted: u32, now: SystemTime) -> Note {
        let accepted = accepted.saturating_add(1);
        Note { accepted, due: self.wait_after(accepted).map(|wait| now + wait) }
    }

    /// The stage at which a CSR with this note continues. If the clock was set back, no wait
    /// becomes longer than it was.
    pub(super) fn restored(&self, note: Note, now: SystemTime) -> Stage {
        match (note.due, self.wait_after(note.accepted)) {
            (Some(due), Some(wait)) => Stage::Waiting { accepted: note.accepted, due: due.min(now + wait) },
            _ => Stage::Stopped,
        }
    }

    /// A03.FR.02: one month before the end. For a short-lived certificate, when two thirds of its
    /// life are over.
    pub(super) fn renewal_due(&self, validity: Validity) -> SystemTime {
        let life = validity.not_after.duration_since(validity.not_before).unwrap_or_default();
        validity.not_after - MONTH.min(life / 3)
    }
}

/// The longest month.
const MONTH: Duration = Duration::from_secs(31 * 86_400);

/// 2^16 times the minimum is beyond every sensible wait.
const MAX_DOUBLINGS: u32 = 16;

/// The longest wait: one year.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);
