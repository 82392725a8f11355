//! The present time, which is in doubt after the clock was moved.

use std::{fmt, time::SystemTime};

/// The times between which the present lies. Usually both are the same.
///
/// After the clock was moved, one of them is the time that it shows and the other one the time that
/// it would show otherwise. A signed object is valid at both, so that it is valid whichever is
/// right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Present {
    /// The earlier one.
    pub earliest: SystemTime,
    /// The later one.
    pub latest: SystemTime,
}

impl Present {
    /// A present that is not in doubt.
    #[must_use]
    pub fn at(now: SystemTime) -> Self {
        Self { earliest: now, latest: now }
    }

    /// A present that is one of two times, in any order.
    #[must_use]
    pub fn either(one: SystemTime, other: SystemTime) -> Self {
        Self { earliest: one.min(other), latest: one.max(other) }
    }

    /// Whether both times are the same.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        self.earliest == self.latest
    }
}

/// The source of an authority's present time.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The present time.
    fn present(&self) -> Present;
}
