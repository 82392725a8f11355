//! How long to wait before what is due is looked at again.

use std::time::Duration;

/// Until something is due, but no longer than a while: files may be taken away.
///
/// What is due still, for it failed or is due again at once, is tried again after twice the time
/// each time, for each try may write into the record. It does not keep waiting what becomes due
/// meanwhile.
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

/// Between two looks.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Before what is due is tried, and the first pause of those after a failure.
pub(crate) const SHORTEST_PAUSE: Duration = Duration::from_secs(2);

/// Between two tries of something that is due and fails.
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
        assert_eq!(pause(&[failing], &mut back_off), SHORTEST_PAUSE, "the next failure begins anew");
        assert_eq!(pause(&[], &mut back_off), LONGEST_PAUSE);
    }
}
