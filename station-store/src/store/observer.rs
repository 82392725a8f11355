//! The observer of the trusted roots.

use certificates::Certificate;

use crate::outcome::TrustError;
use crate::uses::RootUse;

/// An observer of the trusted roots, which is called after each change of them.
pub(crate) trait RootObserver: Send {
    /// The roots for `use_` are now `roots`, and this is durable. A failure does not undo the
    /// change; the call is retried with the next change.
    fn handle_roots(&mut self, use_: RootUse, roots: &[&Certificate]) -> Result<(), TrustError>;
}
