//! The record of signatures, as an authority needs it.

use std::{fmt, future::Future, pin::Pin, time::Duration};

use certificates::{KeyHash, StationIdentity};
use sha2::{Digest as _, Sha256};

use crate::{
    issuing::{answer::PendingCertificate, certificate::IssuedCertificate},
    record::event::{AuditEvent, RecordError},
};

/// The future result of a record.
pub type RecordFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, RecordError>> + Send + 'a>>;

/// Records what an authority signs: before it signs, and the outcome.
///
/// An entry is durable when [`IssuanceRecord::append`] returns. The token signs only after that. An
/// authority that cannot write its record signs nothing.
pub trait IssuanceRecord: Send + Sync + fmt::Debug {
    /// Appends an entry durably and returns its number.
    fn append<'a>(&'a self, event: &'a AuditEvent) -> RecordFuture<'a, u64>;

    /// Records that the certificate announced by the entry with this number was signed. `pending`
    /// is the request of a station, if there was one.
    ///
    /// A record of events only appends [`AuditEvent::signed`]. A record that also stores
    /// certificates writes both at once, so that no signed certificate is lost.
    fn signed<'a>(
        &'a self,
        entry: u64,
        certificate: &'a IssuedCertificate,
        pending: Option<&'a PendingCertificate>,
    ) -> RecordFuture<'a, u64>;

    /// The first station for which a key was certified.
    fn owner_of_key(&self, key: KeyHash) -> RecordFuture<'_, Option<StationIdentity>>;

    /// The number of certificates that were signed for a station within the last `window`, or that
    /// were requested from another authority. The limit per station counts them after a restart
    /// too.
    ///
    /// A record that does not know it returns 0: the limit then counts from the start of the
    /// process.
    fn certified_within<'a>(
        &'a self,
        station: &'a StationIdentity,
        window: Duration,
    ) -> RecordFuture<'a, u64> {
        let _ = (station, window);
        Box::pin(std::future::ready(Ok(0)))
    }
}

impl AuditEvent {
    /// The certificate that the entry with this number announced was signed.
    #[must_use]
    pub fn signed(entry: u64, certificate: &IssuedCertificate) -> Self {
        Self::Signed {
            entry,
            certificate_sha256: hex::encode(Sha256::digest(&certificate.der)),
            chain_sha256: Some(hex::encode(Sha256::digest(&certificate.chain_pem))),
        }
    }
}
