//! The limit of the work that a peer's certificates may cause.

use super::error::PathError;

/// The rest of the work that a peer's certificates may cause.
pub(super) struct Steps(usize);

impl Default for Steps {
    fn default() -> Self {
        Self(MAX_STEPS)
    }
}

impl Steps {
    pub(super) fn take(&mut self, steps: usize) -> Result<(), PathError> {
        self.0 = self.0.checked_sub(steps).ok_or(PathError::TooExpensive)?;
        Ok(())
    }
}

/// The maximum work for one leaf, in comparisons of two names: about 20 ms.
pub(super) const MAX_STEPS: usize = 100_000;
