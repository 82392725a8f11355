//! Trust bundles: one PEM file per use, for other programs that use OpenSSL.
//!
//! They are derived from the store and never read back. Each is replaced atomically, so a program
//! that opens one reads all of the old roots or all of the new ones.

use std::path::PathBuf;

use certificates::Certificate;
use program::{Readers, replace};

use crate::outcome::TrustError;
use crate::store::Store;
use crate::store::observer::RootObserver;
use crate::uses::RootUse;

impl Store {
    /// Writes `csms.pem`, `manufacturer.pem`, `v2g.pem`, `mo.pem` and `oem.pem` into `directory`,
    /// which must exist. Replaces each after every change of its roots, before the CSMS gets its
    /// answer.
    ///
    /// All users may read the files (mode 0644); they never contain a key. A use without roots has
    /// a file without certificates. `csms.pem` also contains a fallback root, because other
    /// programs cannot try one root after the other. Blocks on the disk.
    ///
    /// A change of the store stays in force even if a bundle cannot be replaced afterwards. The
    /// failure is logged. The replacement is retried with the next change of any kind, and by
    /// [`Store::retry_trust_bundles`].
    ///
    /// # Errors
    /// [`TrustError`] if a bundle cannot be written now. It is retried nevertheless.
    pub fn write_trust_bundles(&self, directory: impl Into<PathBuf>) -> Result<(), TrustError> {
        self.observe(Box::new(Bundles { directory: directory.into() }))
    }

    /// Retries the replacement of bundles that could not be replaced after a change. Returns false
    /// if one still cannot be replaced; the log contains the reason. Blocks on the disk.
    pub fn retry_trust_bundles(&self) -> bool {
        self.retry_observer()
    }
}

struct Bundles {
    directory: PathBuf,
}

impl RootObserver for Bundles {
    fn handle_roots(&mut self, use_: RootUse, roots: &[&Certificate]) -> Result<(), TrustError> {
        let text: String = roots.iter().map(|root| root.to_pem()).collect();
        let path = self.directory.join(format!("{}.pem", use_.word()));
        replace(&path, text.as_bytes(), Readers::Everybody)
            .map_err(|source| TrustError { path, source: Box::new(source) })
    }
}
