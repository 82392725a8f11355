//! Trust bundles: a PEM file per use, for other programs that use OpenSSL.
//!
//! They are derived from the store and never read back. Each is replaced atomically, so a neighbour
//! that opens one sees all of the old roots or all of the new ones.

use std::path::PathBuf;

use certificates::Certificate;
use program::{Readers, replace};

use crate::outcome::TrustError;
use crate::store::Store;
use crate::store::observer::RootObserver;
use crate::uses::RootUse;

impl Store {
    /// Writes `csms.pem`, `manufacturer.pem`, `v2g.pem`, `mo.pem` and `oem.pem` into `directory`,
    /// which must exist, and replaces each after every change of the roots in it, before the CSMS
    /// gets its answer.
    ///
    /// Everybody may read them (mode 0644); no key is ever in them. A use without roots has a file
    /// without certificates. A fallback root is in `csms.pem` as well, for a neighbour cannot try
    /// one after the other. Blocks on the disk.
    ///
    /// A change of the store stands although a bundle cannot be replaced afterwards; that is
    /// logged, and tried again with the next change, whatever it is about, and by
    /// [`Store::retry_trust_bundles`].
    ///
    /// # Errors
    /// [`TrustError`] when one cannot be written now; it is tried again all the same.
    pub fn write_trust_bundles(&self, directory: impl Into<PathBuf>) -> Result<(), TrustError> {
        self.observe(Box::new(Bundles { directory: directory.into() }))
    }

    /// Replaces the trust bundles again that could not be replaced after a change. False: one still
    /// cannot; the log says why. Blocks on the disk.
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
