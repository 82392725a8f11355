//! Reads a whole ledger: its pages, its record, and its certificates, which are compared with the
//! record.

use program::causes;
use signer_pkcs11::{AuditError, AuditEvent, ChainEnd, EntryHash};
use sqlx::{AnyConnection, Row as _};

use crate::ledger::{
    Finding, LedgerEntry, LedgerError, Mark, Mismatch, Reached, RecordedCertificates, check_row,
    io::{
        database::{
            connect::Kind,
            failure::{Within as _, failed},
            ledger::Ledger,
            rows,
        },
        record::entries::{self, lines},
        sqlite::pages::check_pages,
    },
    leaf_sha256,
};

/// The content of a ledger that was verified from its first entry to its last.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LedgerReport {
    /// The number of entries in the record.
    pub entries: u64,
    /// The hash of the last entry. If it is kept elsewhere, it proves later that no entry up to
    /// this one was removed.
    pub head: EntryHash,
    /// The number of signed certificates.
    pub certificates: u64,
    /// The number of certificates for which it is not known whether they were signed.
    pub unfinished: u64,
    /// The number of revoked certificates.
    pub revoked: u64,
    /// The certificates in the ledger that differ from what was signed.
    pub findings: Vec<Finding>,
    /// The number of rows without an entry. They are older than the record, or else among the
    /// findings.
    pub(crate) unrecorded: u64,
    pub(crate) reached: Reached,
}

impl Ledger {
    /// Proves the whole ledger at one instant: its pages, its record, and that each certificate is
    /// the one that was signed. A service may write meanwhile.
    ///
    /// `kept` is the hash of an entry that was kept elsewhere. The record has to contain this
    /// entry.
    ///
    /// # Errors
    /// [`LedgerError`] whose source is [`DamagedPages`](crate::io::DamagedPages), or the
    /// [`AuditError`] of the first entry that was changed.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn verify(&self, kept: Option<EntryHash>) -> Result<LedgerReport, LedgerError> {
        let action = "verify itself";
        let mut connection = self.pool.acquire().await.map_err(failed(action))?;
        // The connection ends with its transaction.
        connection.close_on_drop();
        match self.kind() {
            Kind::Sqlite => {
                sqlx::query("BEGIN").execute(&mut *connection).within(action).await?;
                check_pages(&mut connection).await?;
            }
            Kind::Postgres => {
                let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                sqlx::query(begin).execute(&mut *connection).within(action).await?;
            }
        }
        let broken = |source: AuditError| LedgerError { action: "verify its record", source: source.into() };
        let (mut end, mut found) = (ChainEnd::default(), kept.is_none());
        let (mut report, mut recorded) = (LedgerReport::default(), RecordedCertificates::default());
        lines(&mut connection, 0, async |number, line| {
            let event = end.follow(&line).map_err(broken)?;
            found |= kept == Some(end.head());
            report.reached.add(&event);
            recorded.add(number, event);
            Ok(())
        })
        .await?;
        if let Some(kept) = kept.filter(|_| !found) {
            return Err(broken(AuditError::HeadMissing(kept)));
        }
        each_certificate(&mut connection, |row| match row {
            Ok(row) => report.findings.extend(recorded.compare(&row)),
            Err(error) => report.findings.push(unreadable(&error)),
        })
        .await?;
        report.entries = end.entries();
        report.head = end.head();
        report.reached.mark.entries = end.entries();
        report.reached.mark.head = end.head().to_string();
        report.revoked = report.reached.revoked.len() as u64;
        (report.certificates, report.unfinished) = recorded.counts();
        report.unrecorded = recorded.unrecorded();
        report.findings.extend(recorded.finish());
        Ok(report)
    }

    /// The hash of an entry; `None`: the record is shorter.
    pub(crate) async fn entry_hash(&self, number: u64) -> Result<Option<String>, LedgerError> {
        let row = sqlx::query("SELECT number, line FROM record WHERE number = $1")
            .bind(i64::try_from(number).unwrap_or(i64::MAX))
            .fetch_optional(&self.pool)
            .within("read its record")
            .await?;
        Ok(row.map(|row| entries::entry(&row)).transpose()?.map(|(end, _)| end.head().to_string()))
    }

    /// How a certificate differs from the one that was signed according to the record.
    pub(crate) async fn signature_mismatch(
        &self,
        entry: &LedgerEntry,
    ) -> Result<Option<Mismatch>, LedgerError> {
        let Some(hash) = leaf_sha256(&entry.chain) else { return Ok(Some(Mismatch::NotOnRecord)) };
        let signed = sqlx::query(
            "SELECT number, line FROM record WHERE certificate_sha256 = $1 ORDER BY number DESC LIMIT 1",
        )
        .bind(&hash)
        .fetch_optional(&self.pool)
        .within("look a signature up")
        .await?;
        let signed = signed.map(|row| entries::entry(&row)).transpose()?.map(|(_, event)| event);
        let Some(AuditEvent::Signed { entry: announced, chain_sha256, .. }) = signed else {
            return Ok(Some(Mismatch::NotOnRecord));
        };
        let intent = self.entry(announced).await?;
        let Some(AuditEvent::Signing(intent)) = intent else { return Ok(Some(Mismatch::NotOnRecord)) };
        Ok(check_row(entry, announced, &intent, chain_sha256.as_deref()).into_iter().next())
    }

    /// The entry with this number; `None`: the record is shorter.
    pub(crate) async fn entry(&self, number: u64) -> Result<Option<AuditEvent>, LedgerError> {
        let row = sqlx::query("SELECT number, line FROM record WHERE number = $1")
            .bind(i64::try_from(number).unwrap_or(i64::MAX))
            .fetch_optional(&self.pool)
            .within("read its record")
            .await?;
        Ok(row.map(|row| entries::entry(&row)).transpose()?.map(|(_, event)| event))
    }
}

/// Reads every certificate of the ledger, a few at a time.
async fn each_certificate(
    connection: &mut AnyConnection,
    mut take: impl FnMut(Result<LedgerEntry, LedgerError>),
) -> Result<(), LedgerError> {
    let action = "read certificates";
    let mut last = 0_i64;
    loop {
        let rows = sqlx::query("SELECT * FROM certificate WHERE number > $1 ORDER BY number LIMIT $2")
            .bind(last)
            .bind(ROWS_AT_ONCE)
            .fetch_all(&mut *connection)
            .within(action)
            .await?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in rows {
            last = row.try_get("number").map_err(failed(action))?;
            take(rows::entry(&row));
        }
    }
}

fn unreadable(error: &LedgerError) -> Finding {
    let reason = causes(&*error.source).to_string();
    Finding { serial_number: None, station: None, mismatch: Mismatch::Unreadable { reason } }
}

impl Reached {
    pub(crate) fn add(&mut self, event: &AuditEvent) {
        let Mark { ledger, lists, .. } = &mut self.mark;
        let mut raise = |issuer: &str, number: u64| {
            let known = lists.entry(issuer.to_owned()).or_default();
            *known = (*known).max(number);
        };
        match event {
            AuditEvent::Ledger { id, .. } if ledger.is_empty() => ledger.clone_from(id),
            AuditEvent::CrlSigning { issuer_key_id, number, .. } => raise(issuer_key_id, *number),
            AuditEvent::Restored { lists: known, .. } => {
                known.iter().for_each(|(issuer, number)| raise(issuer, *number));
            }
            AuditEvent::Revoked { serial, .. } => {
                self.revoked.insert(*serial);
            }
            _ => {}
        }
    }
}

/// The number of certificates in memory while a ledger is read, some kilobytes each.
const ROWS_AT_ONCE: i64 = 500;
