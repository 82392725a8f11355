//! The certificates that were issued.

use std::time::SystemTime;

use certificates::{KeyHash, SerialNumber, StationIdentity, UnixSeconds};

use crate::ledger::{
    CertificateFilter, CertificateState, Finding, LedgerEntry, LedgerError, ListedCertificate, Mismatch,
    io::database::{
        failure::Within as _,
        ledger::Ledger,
        rows::{listed, readable},
        statement::Statement,
    },
};

impl Ledger {
    /// Records that a certificate that is due was requested again, in a request with this id:
    /// CertificateSigned repeats the newest (A02.FR.25).
    ///
    /// # Errors
    /// [`LedgerError`]
    ///
    /// # Cancel safety
    /// The request is recorded all the same.
    pub async fn asked_again(
        &self,
        serial_number: SerialNumber,
        request_id: Option<i64>,
    ) -> Result<(), LedgerError> {
        self.change("record a repeated request", (serial_number, request_id), |data, change| {
            Box::pin(async move {
                let (serial_number, request_id) = data;
                sqlx::query(
                    "UPDATE certificate SET request_id = $1, attempts = 0, next_attempt = 0 WHERE serial_number = $2",
                )
                .bind(*request_id)
                .bind(serial_number.to_string())
                .execute(change.connection().await?)
                .within("record a repeated request")
                .await
                .map(drop)
            })
        })
        .await
    }

    /// Compares a certificate with the record of its signature. One that differs is not sent.
    ///
    /// # Errors
    /// [`LedgerError`]
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn check_signed(&self, entry: &LedgerEntry) -> Result<Option<Mismatch>, LedgerError> {
        let mismatch = self.signature_mismatch(entry).await?;
        if let Some(mismatch) = &mismatch {
            self.find(Finding {
                serial_number: Some(entry.serial_number),
                station: Some(entry.station.clone()),
                mismatch: mismatch.clone(),
            });
        }
        Ok(mismatch)
    }

    /// Certificates that were issued, newest first: at most `limit` of those that the filter names
    /// and whose number is below `before`. A list of any length is read page by page, and nothing
    /// is held between two pages.
    ///
    /// # Errors
    /// [`LedgerError`]
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn certificates(
        &self,
        filter: &CertificateFilter,
        before: i64,
        limit: u32,
    ) -> Result<Vec<ListedCertificate>, LedgerError> {
        // Without the chain, which is most of a row.
        let mut query = Statement::new(
            "SELECT certificate.number, serial_number, certificate.station, not_after, state,
             certificate.reason, attempts, revocation.line AS revocation,
             revocation.number AS revocation_number
             FROM certificate LEFT JOIN record AS revocation
             ON revocation.serial = serial_number AND revocation.kind = 'revoked'
             WHERE certificate.number < ",
        );
        query.bind(before);
        if let Some(station) = &filter.station {
            query.push(" AND station_key = ").bind(station.key());
        }
        if let Some(end) = filter.expiring_before {
            query.push(" AND not_after < ").bind(end.as_i64());
        }
        let delivery = match filter.state {
            None => None,
            Some(CertificateState::Issued) => Some("Issued"),
            Some(CertificateState::Accepted) => Some("Accepted"),
            Some(CertificateState::Rejected) => Some("Rejected"),
            Some(CertificateState::Revoked) => {
                query.push(" AND revocation.number IS NOT NULL");
                None
            }
        };
        if let Some(delivery) = delivery {
            query.push(" AND state = ").bind(delivery).push(" AND revocation.number IS NULL");
        }
        query.push(" ORDER BY certificate.number DESC LIMIT ").bind(i64::from(limit));
        let rows = query.query().fetch_all(&self.pool).within("read certificates").await?;
        rows.iter().map(listed).collect()
    }

    /// Whether a certificate of a station was revoked.
    ///
    /// # Errors
    /// [`LedgerError`]
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn is_revoked(
        &self,
        station: &StationIdentity,
        serial_number: SerialNumber,
    ) -> Result<bool, LedgerError> {
        let found: Option<i64> = sqlx::query_scalar(
            // A ledger that was restored may know of the revocation alone. Another authority may
            // have given the number to the certificate of another station.
            "SELECT number FROM record WHERE serial = $1 AND kind = 'revoked' AND NOT EXISTS
             (SELECT 1 FROM certificate WHERE serial_number = $1 AND station_key <> $2)",
        )
        .bind(serial_number.to_string())
        .bind(station.key())
        .fetch_optional(&self.pool)
        .within("look a revocation up")
        .await?;
        Ok(found.is_some())
    }

    /// Whether a key must not be certified again: a certificate for it was revoked because others
    /// have the key.
    ///
    /// # Errors
    /// [`LedgerError`]
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn is_compromised(&self, key: KeyHash) -> Result<bool, LedgerError> {
        let found: Option<i64> = sqlx::query_scalar(
            // Another authority's certificate has its number in the ledger alone.
            "SELECT number FROM record WHERE kind = 'revoked' AND reason = 'key-compromise'
             AND serial IN (SELECT serial FROM record WHERE spki_sha256 = $1 AND kind = 'signing'
             UNION ALL SELECT serial_number FROM certificate WHERE spki_sha256 = $1)",
        )
        .bind(key.to_string())
        .fetch_optional(&self.pool)
        .within("look a key up")
        .await?;
        Ok(found.is_some())
    }

    /// The certificates that were issued after `time` and not followed by another one for the same
    /// station and use (one without a type serves all uses), at most `limit`.
    pub(crate) async fn issued_after(
        &self,
        time: SystemTime,
        limit: u32,
    ) -> Result<Vec<LedgerEntry>, LedgerError> {
        let rows = sqlx::query(
            "SELECT * FROM certificate AS this WHERE issued_at > $1 AND not_after > $1
             AND NOT EXISTS (SELECT 1 FROM certificate AS next WHERE next.station_key = this.station_key
                 AND next.number > this.number AND (next.certificate_type = this.certificate_type
                 OR next.certificate_type IS NULL))
             AND NOT EXISTS (SELECT 1 FROM record WHERE serial = serial_number AND kind = 'revoked')
             ORDER BY issued_at, number LIMIT $2",
        )
        .bind(UnixSeconds::from(time).as_i64())
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .within("look for certificates of the future")
        .await?;
        Ok(rows.iter().filter_map(readable).collect())
    }
}
