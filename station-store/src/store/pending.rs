//! The keys that wait for a certificate, and those that wait to be destroyed.

use crate::pending::error::PendingError;
use crate::pending::key::{NewPending, PendingCsr, PendingId, SendNote};
use crate::storage::StorageError;
use crate::store::Store;

impl Store {
    /// Records a key that is about to be generated in the token, so that no crash can orphan it.
    ///
    /// # Errors
    /// [`PendingError`]. The key must not be generated then.
    pub fn begin_pending(&self, new: &NewPending) -> Result<PendingId, PendingError> {
        self.change(|catalog| catalog.plan_begin(new))
    }

    /// Adds the public key and the CSR to a pending key. The CSR can be sent from then on. A
    /// repeated call with the same values changes nothing.
    ///
    /// # Errors
    /// [`PendingError`]
    pub fn complete_pending(
        &self,
        id: PendingId,
        spki_der: &[u8],
        csr_pem: &str,
    ) -> Result<(), PendingError> {
        self.change(|catalog| Ok(((), catalog.plan_complete(id, spki_der, csr_pem)?)))
    }

    /// Gives a key that was announced but never completed another name, after a restart: the token
    /// may still be generating the key for the former process. The former name is then among
    /// [`Store::condemned_keys`].
    ///
    /// # Errors
    /// [`PendingError`]
    pub fn rename_pending(&self, id: PendingId, key_uri: &str) -> Result<(), PendingError> {
        self.change(|catalog| Ok(((), catalog.plan_rename(id, key_uri)?)))
    }

    /// Notes that the CSR of a pending key is about to be sent, so that a restart sends it neither
    /// too early nor too often (A02.FR.17–19).
    ///
    /// # Errors
    /// [`PendingError`]. The CSR must not be sent then.
    pub fn note_send(&self, id: PendingId, note: SendNote) -> Result<(), PendingError> {
        self.change(|catalog| Ok(((), catalog.plan_note(id, note)?)))
    }

    /// The keys that wait for a certificate, oldest first.
    pub fn pending(&self) -> Vec<PendingCsr> {
        self.read().pending.iter().map(PendingCsr::from).collect()
    }

    /// Drops a pending key. Returns the name of the key, which must be destroyed in the token.
    /// Until [`Store::key_destroyed`] it is among [`Store::condemned_keys`].
    ///
    /// # Errors
    /// [`PendingError`]
    pub fn drop_pending(&self, id: PendingId) -> Result<String, PendingError> {
        self.change(|catalog| catalog.plan_drop(id))
    }

    /// The names of the keys that are still to be destroyed in the token, also after a crash.
    pub fn condemned_keys(&self) -> Vec<String> {
        self.read().condemned.iter().cloned().collect()
    }

    /// Removes a condemned key, which the token no longer holds. A key that is not condemned is
    /// left unchanged.
    ///
    /// # Errors
    /// [`StorageError`]
    pub fn key_destroyed(&self, key_uri: &str) -> Result<(), StorageError> {
        self.change(|catalog| Ok(((), catalog.plan_forget(key_uri))))
    }
}
