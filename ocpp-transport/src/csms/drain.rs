//! How a server that shuts down spreads its farewells.

use std::time::Duration;

/// How long to wait between two connections that are closed: so long that all take `spread`, but no
/// longer than what a small fleet would notice. Stations that are sent away together come back
/// together, and another node has to take them.
pub(crate) fn pause(connections: usize, spread: Duration) -> Duration {
    let connections = u32::try_from(connections.max(1)).unwrap_or(u32::MAX);
    (spread / connections).min(LONGEST_PAUSE)
}

/// A hundred stations a second are no storm.
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
