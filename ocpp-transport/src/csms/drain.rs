//! How a server that shuts down spreads the closing of its connections.

use std::time::Duration;

/// The pause between two connections that are closed. All pauses together take `spread`, but one is
/// never so long that a small fleet would notice it. Stations that are disconnected at once return
/// at once, and another node must accept them.
pub(crate) fn pause(connections: usize, spread: Duration) -> Duration {
    let connections = u32::try_from(connections.max(1)).unwrap_or(u32::MAX);
    (spread / connections).min(LONGEST_PAUSE)
}

/// A hundred stations per second are no overload.
const LONGEST_PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_connections_take_the_time_that_is_given_at_most() {
        let spread = Duration::from_secs(10);
        for (connections, expected) in [
            (0, Duration::from_millis(10)),
            (2, Duration::from_millis(10)),
            (1_000, Duration::from_millis(10)),
            (20_000, Duration::from_micros(500)),
        ] {
            assert_eq!(pause(connections, spread), expected, "{connections}");
        }
        assert_eq!(pause(5, Duration::ZERO), Duration::ZERO);
        assert!(pause(usize::MAX, spread) < Duration::from_millis(1));
    }
}
