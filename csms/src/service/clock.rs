//! Decides whether the system's clock can be trusted. It compares the clock with one that is never
//! set.
//!
//! If the clock is moved by more than [`MAX_TRUSTED_STEP`] while the service runs, it is in doubt:
//! either it was wrong before, or it is wrong now. The doubt ends when the clock is moved back,
//! when it has kept the new time for a while, or when an operator confirms that it is right. Until
//! then, what is signed has to be valid at both times, and what is valid at either time is
//! accepted.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use signer_pkcs11::Present;

/// The values of both clocks at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The system's clock.
    pub(crate) wall: SystemTime,
    /// A clock that is never set, counted from an arbitrary start.
    pub(crate) uptime: Duration,
}

/// Compares the clocks.
#[derive(Debug)]
pub(crate) struct ClockWatch {
    /// For how long a clock that was moved is in doubt.
    doubt: Duration,
    /// The clocks at the last check.
    last: Reading,
    doubted: Option<Doubted>,
}

/// A clock that was moved and is not trusted yet.
#[derive(Clone, Copy, Debug)]
struct Doubted {
    /// The last reading that was trusted.
    believed: Reading,
    /// The end of the doubt, in uptime.
    until: Duration,
}

/// How far a clock was moved, in whole seconds; negative: back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step(pub(crate) i64);

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The clock was moved by so little that it is not in doubt.
    Moved(Step),
    /// The clock was moved, and is in doubt.
    Doubted(Step),
    /// The clock was moved back to where it would be if it had never been moved.
    Returned(Step),
    /// The clock has kept its new time for so long that it is trusted.
    Settled,
}

impl ClockWatch {
    pub(crate) fn new(doubt: Duration, first: Reading) -> Self {
        Self { doubt, last: first, doubted: None }
    }

    /// Checks the clocks.
    pub(crate) fn look(&mut self, now: Reading) -> Option<Change> {
        let step = Step::between(self.last.expected_at(now.uptime), now.wall);
        let was_never_set = self.last.wall < UNIX_EPOCH + BEFORE_THIS_PROGRAM;
        let before = std::mem::replace(&mut self.last, now);
        let is_moved = step.length() > MAX_DRIFT;
        if let Some(doubted) = self.doubted {
            let from_believed = Step::between(doubted.believed.expected_at(now.uptime), now.wall);
            if from_believed.length() <= MAX_TRUSTED_STEP {
                self.doubted = None;
                return Some(Change::Returned(step));
            }
            if is_moved {
                self.doubted = Some(Doubted { until: now.uptime + self.doubt, ..doubted });
                return Some(Change::Doubted(step));
            }
            if now.uptime >= doubted.until {
                self.doubted = None;
                return Some(Change::Settled);
            }
            return None;
        }
        if !is_moved {
            return None;
        }
        // A clock that was never set is trusted as soon as it is set.
        if step.length() <= MAX_TRUSTED_STEP || was_never_set {
            return Some(Change::Moved(step));
        }
        self.doubted = Some(Doubted { believed: before, until: now.uptime + self.doubt });
        Some(Change::Doubted(step))
    }

    /// Trusts the clock because an operator confirms that it is right. Returns whether it was in
    /// doubt.
    pub(crate) fn believe(&mut self) -> bool {
        self.doubted.take().is_some()
    }

    /// The present time at the last check.
    pub(crate) fn present(&self) -> Present {
        match &self.doubted {
            None => Present::at(self.last.wall),
            Some(doubted) => Present::either(self.last.wall, doubted.believed.expected_at(self.last.uptime)),
        }
    }

    /// The time of the system's clock at the last check.
    pub(crate) fn now(&self) -> SystemTime {
        self.last.wall
    }

    /// The time that the clock would show if it had not been moved; `None` if it is not in doubt.
    pub(crate) fn believed(&self) -> Option<SystemTime> {
        Some(self.doubted?.believed.expected_at(self.last.uptime))
    }

    /// The rest of the doubt, unless the clock is moved again.
    pub(crate) fn doubted_for(&self) -> Option<Duration> {
        Some(self.doubted?.until.saturating_sub(self.last.uptime))
    }
}

impl Reading {
    /// The time of the system's clock at this uptime, unless it is moved.
    fn expected_at(&self, uptime: Duration) -> SystemTime {
        self.wall.checked_add(uptime.saturating_sub(self.uptime)).unwrap_or(self.wall)
    }
}

impl Step {
    pub(crate) fn between(from: SystemTime, to: SystemTime) -> Self {
        let seconds = |length: Duration| i64::try_from(length.as_secs()).unwrap_or(i64::MAX);
        match to.duration_since(from) {
            Ok(ahead) => Self(seconds(ahead)),
            Err(behind) => Self(-seconds(behind.duration())),
        }
    }

    fn length(self) -> Duration {
        Duration::from_secs(self.0.unsigned_abs())
    }
}

/// When something with this validity has to be renewed: a third of its time before its end. The
/// backdated time is not counted, because it could not be used.
pub(crate) fn renewal_due(from: SystemTime, until: SystemTime, backdate: Duration) -> SystemTime {
    let life = until.duration_since(from).unwrap_or_default();
    let used = if life > backdate { life - backdate } else { life };
    until.checked_sub(used / 3).unwrap_or(from)
}

/// Two clocks may differ by this much between two checks without one of them having been set. A
/// time service moves a clock by less.
const MAX_DRIFT: Duration = Duration::from_secs(2);

/// A step that harms no certificate. It is smaller than the time by which notBefore lies in the
/// past, and peers tolerate as much.
const MAX_TRUSTED_STEP: Duration = Duration::from_secs(60);

/// 2025-01-01: a clock with an earlier time was never set.
const BEFORE_THIS_PROGRAM: Duration = Duration::from_secs(1_735_689_600);

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;

    /// Checks the clocks at these moments of uptime, with the clock this many seconds ahead of the
    /// right time.
    fn check(looks: &[(u64, i64, Option<Change>)]) {
        let mut watch = ClockWatch::new(Duration::from_secs(600), reading(0, 0));
        for (uptime, ahead, expected) in looks {
            let found = watch.look(reading(*uptime, *ahead));
            assert_eq!(found, *expected, "{ahead} s ahead after {uptime} s");
            let present = watch.present();
            let right = reading(*uptime, 0).wall;
            assert!(
                present.earliest <= right + MAX_TRUSTED_STEP || *expected == Some(Change::Settled),
                "what is signed is valid at the right time: {present:?}"
            );
        }
    }

    fn reading(uptime: u64, ahead: i64) -> Reading {
        let right = UNIX_EPOCH + Duration::from_secs(1_800_000_000 + uptime);
        let by = Duration::from_secs(ahead.unsigned_abs());
        Reading { wall: if ahead < 0 { right - by } else { right + by }, uptime: Duration::from_secs(uptime) }
    }

    #[test]
    fn a_clock_that_is_moved_is_doubted_until_it_returns() {
        check(&[
            (1, 0, None),
            (2, 20 * HOUR, Some(Change::Doubted(Step(20 * HOUR)))),
            (3, 20 * HOUR, None),
            (77, 20 * HOUR, None),
            (78, 1, Some(Change::Returned(Step(1 - 20 * HOUR)))),
            (700, 1, None),
        ]);
    }

    #[test]
    fn a_clock_that_keeps_its_time_is_believed_after_a_while() {
        check(&[
            (10, -24 * HOUR, Some(Change::Doubted(Step(-24 * HOUR)))),
            (609, -24 * HOUR, None),
            (610, -24 * HOUR, Some(Change::Settled)),
            (611, -24 * HOUR, None),
        ]);
        // Each further step begins the wait again.
        check(&[
            (10, HOUR, Some(Change::Doubted(Step(HOUR)))),
            (500, 2 * HOUR, Some(Change::Doubted(Step(HOUR)))),
            (610, 2 * HOUR, None),
            (1100, 2 * HOUR, Some(Change::Settled)),
        ]);
    }

    #[test]
    fn small_steps_and_slow_drift_are_followed() {
        check(&[(60, 1, None), (120, 2, None), (180, 4, None), (181, 50, Some(Change::Moved(Step(46))))]);
    }

    #[test]
    fn a_clock_that_was_never_set_is_believed_when_it_is() {
        let first = Reading { wall: UNIX_EPOCH + Duration::from_secs(20), uptime: Duration::ZERO };
        let mut watch = ClockWatch::new(Duration::from_secs(600), first);
        let set = watch.look(reading(1, 0));
        assert!(matches!(set, Some(Change::Moved(_))), "{set:?}");
        assert!(watch.present().is_certain());
    }

    #[test]
    fn an_operator_ends_the_doubt() {
        let mut watch = ClockWatch::new(Duration::from_secs(600), reading(0, 0));
        watch.look(reading(1, HOUR));
        assert_eq!(watch.present(), Present::either(reading(1, HOUR).wall, reading(1, 0).wall));
        assert_eq!(watch.believed(), Some(reading(1, 0).wall));
        assert_eq!(watch.doubted_for(), Some(Duration::from_secs(600)));
        assert!(watch.believe() && !watch.believe());
        assert_eq!(watch.present(), Present::at(reading(1, HOUR).wall));
    }

    #[test]
    fn what_lives_shortly_is_renewed_in_time() {
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let backdate = Duration::from_secs(300);
        // The lifetime, and when the renewal is due after the issuance, with and without a
        // backdated notBefore.
        for (life, due) in [(240, 160), (120, 80), (30, 20), (9, 6), (23 * 3600, 15 * 3600 + 1200)] {
            let life = Duration::from_secs(life);
            let found = renewal_due(now - backdate, now + life, backdate);
            assert_eq!(found, now + Duration::from_secs(due), "{life:?}");
            if life <= backdate {
                assert_eq!(renewal_due(now, now + life, backdate), found, "below a new issuer");
            }
        }
    }
}
