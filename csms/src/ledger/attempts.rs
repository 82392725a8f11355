//! How often and when a certificate is sent to a station that does not answer.

use std::time::Duration;

/// The number of times that a certificate is sent without an answer. Without this bound, a station
/// that closes each connection before it answers would receive the certificate forever. The
/// attempts take more than a day; after the last one an operator has to look at the certificate.
pub(crate) const MAX_ATTEMPTS: u32 = 8;

/// How long a certificate waits after this number of attempts without an answer. After the first
/// attempt it is sent with the next connection, because the usual cause is a lost connection.
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
