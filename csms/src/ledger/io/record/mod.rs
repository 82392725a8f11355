//! The record of what the authority signs, in the ledger's database.

pub(crate) mod entries;
mod issuance;
mod revocations;

use signer_pkcs11::{AuditChain, AuditEvent, EntryHash};

use crate::ledger::{
    LedgerError,
    io::{
        database::{failure::failed, ledger::Ledger},
        record::entries::lines,
    },
};

impl Ledger {
    /// Appends entries, all of them or none, and returns the number of the last one.
    pub(crate) async fn append_all(&self, events: &[AuditEvent]) -> Result<u64, LedgerError> {
        self.change("write into its record", events.to_vec(), |events, change| {
            Box::pin(async move {
                let mut number = 0;
                for event in events {
                    number = change.append(event)?;
                }
                Ok(number)
            })
        })
        .await
    }

    /// Reads the whole record.
    ///
    /// `kept` is the hash of an entry that was kept elsewhere. The record has to contain this
    /// entry.
    ///
    /// # Errors
    /// [`LedgerError`] whose source names the first entry that was changed.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn verify_record(&self, kept: Option<EntryHash>) -> Result<AuditChain, LedgerError> {
        let action = "verify its record";
        let broken = |source| LedgerError { action, source: Box::new(source) };
        let mut chain = AuditChain::new();
        let mut found = kept.is_none();
        self.lines(async |line| {
            chain.read_line(&line).map_err(broken)?;
            found |= kept == Some(chain.head());
            Ok(())
        })
        .await?;
        match kept {
            Some(kept) if !found => Err(broken(signer_pkcs11::AuditError::HeadMissing(kept))),
            _ => Ok(chain),
        }
    }

    /// Passes the lines of the record to `take` in order, without their line ends. Together they
    /// are the text that `hsm audit verify` reads.
    ///
    /// # Errors
    /// [`LedgerError`] if they cannot be read, and the errors of `take`.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn lines(
        &self,
        mut take: impl AsyncFnMut(String) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        let mut connection = self.pool.acquire().await.map_err(failed("read its record"))?;
        lines(&mut connection, 0, async |_, line| take(line).await).await
    }
}

#[cfg(test)]
mod tests;
