//! How often a certificate is sent to a station that does not answer.

use std::time::Duration;

/// How often a certificate is sent without an answer. A station that closes the connection each
/// time, before it answers, would otherwise get it for ever; after so many attempts, over more than
/// a day, an operator has to look at it.
pub(crate) const MAX_ATTEMPTS: u32 = 8;

/// How long a certificate waits after so many attempts without an answer. After the first it goes
/// with the next connection: most of them are lost by a link that was cut.
#[must_use]
pub(crate) fn wait_after(attempts: u32) -> Duration {
    match attempts {
        ..=1 => Duration::ZERO,
        // 10 s, a minute, 6 min, 36 min, 3.6 h, 21.6 h.
        more => Duration::from_secs(10 * 6_u64.pow(more.min(MAX_ATTEMPTS).saturating_sub(2))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_are_bounded() {
        let waits: Vec<u64> = (0..=MAX_ATTEMPTS).map(|attempts| wait_after(attempts).as_secs()).collect();
        assert_eq!(waits, [0, 0, 10, 60, 360, 2_160, 12_960, 77_760, 466_560]);
        assert_eq!(wait_after(u32::MAX), wait_after(MAX_ATTEMPTS));
    }
}
