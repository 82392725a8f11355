//! The pause between two checks of the renewals that are due.

use std::time::Duration;

/// The time until the next renewal is due, at most [`LONGEST_PAUSE`], because files may be removed.
///
/// A renewal that is still due has failed or is due again at once. The pause before each further
/// attempt is twice as long as the one before, because each attempt may write an entry into the
/// record. This does not delay a renewal that becomes due meanwhile.
pub(crate) fn pause(due: &[Duration], back_off: &mut Duration) -> Duration {
    let later = due.iter().filter(|until| !until.is_zero()).min();
    let later = later.map(|until| *until.max(&SHORTEST_PAUSE));
    if due.iter().all(|until| !until.is_zero()) {
        *back_off = SHORTEST_PAUSE;
        return later.unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE);
    }
    let pause = *back_off;
    *back_off = (pause * 2).min(LONGEST_BACK_OFF);
    later.unwrap_or(pause).min(pause)
}

/// The longest pause between two checks.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The pause before a renewal is attempted, and the first pause after a failure.
pub(crate) const SHORTEST_PAUSE: Duration = Duration::from_secs(2);

/// The longest pause between two attempts of a renewal that fails.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_again_and_again_is_tried_less_and_less() {
        let (failing, later) = (Duration::ZERO, Duration::from_secs(600));
        let mut back_off = SHORTEST_PAUSE;
        let pauses = (0..13).map(|_| pause(&[failing], &mut back_off).as_secs()).collect::<Vec<_>>();
        assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600]);
        assert_eq!(pause(&[failing, later], &mut back_off).as_secs(), 600, "the other one is not late");
        assert_eq!(pause(&[later], &mut back_off), LONGEST_PAUSE);
        assert_eq!(pause(&[failing], &mut back_off), SHORTEST_PAUSE, "the next failure starts again");
        assert_eq!(pause(&[], &mut back_off), LONGEST_PAUSE);
    }
}
