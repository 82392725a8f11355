//! What wants to know the roots that are trusted.

use certificates::Certificate;

use crate::outcome::TrustError;
use crate::uses::RootUse;

/// Someone who wants to know the roots that are trusted, after each change of them.
pub(crate) trait RootObserver: Send {
    /// The roots for `use_` are `roots` now, and durable. To fail does not undo that; it is tried
    /// again with the next change.
    fn handle_roots(&mut self, use_: RootUse, roots: &[&Certificate]) -> Result<(), TrustError>;
}
