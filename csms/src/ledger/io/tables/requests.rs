//! Requests that wait for another authority (A02.FR.04).

use crate::ledger::{
    ForwardedRequest, LedgerError,
    io::database::{
        failure::Within as _,
        ledger::Ledger,
        rows::{forwarded, storable},
    },
};

impl Ledger {
    /// Records that a request waits for another authority; its number does not matter. One for
    /// the same key and use replaces the one before.
    /// [`IssuanceRecord::signed`](signer_pkcs11::IssuanceRecord::signed) ends it.
    ///
    /// # Errors
    /// [`LedgerError`]
    ///
    /// # Cancel safety
    /// The request is recorded all the same.
    pub async fn ask(&self, request: &ForwardedRequest) -> Result<(), LedgerError> {
        self.change("record a request", request.clone(), |request, change| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO request (station, spki_sha256, certificate_type, request_id, csr, asked_at)
                     VALUES ($1, $2, $3, $4, $5, $6)
                     ON CONFLICT (station_key, spki_sha256, certificate_type) DO UPDATE SET
                     station = excluded.station, request_id = excluded.request_id, csr = excluded.csr,
                     asked_at = excluded.asked_at, failure = NULL",
                )
                .bind(request.station.as_str())
                .bind(request.spki_sha256.to_string())
                .bind(request.certificate_type.as_deref().unwrap_or_default())
                .bind(request.request_id)
                .bind(request.csr.as_str())
                .bind(request.asked_at.as_i64())
                .execute(change.connection().await?)
                .within("record a request")
                .await
                .map(drop)
            })
        })
        .await
    }

    /// The requests that wait, oldest first.
    ///
    /// # Errors
    /// [`LedgerError`]
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn waiting(&self) -> Result<Vec<ForwardedRequest>, LedgerError> {
        let rows = sqlx::query("SELECT * FROM request WHERE failure IS NULL ORDER BY asked_at, id")
            .fetch_all(&self.pool)
            .within("read requests")
            .await?;
        rows.iter().map(forwarded).collect()
    }

    /// The requests that wait or have failed, newest first: at most `limit` of those whose number
    /// is below `before`.
    ///
    /// # Errors
    /// [`LedgerError`]
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn requests(&self, before: i64, limit: u32) -> Result<Vec<ForwardedRequest>, LedgerError> {
        let rows = sqlx::query("SELECT * FROM request WHERE id < $1 ORDER BY id DESC LIMIT $2")
            .bind(before)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .within("read requests")
            .await?;
        rows.iter().map(forwarded).collect()
    }

    /// Records why a request led to no certificate. It waits no longer. A repetition that came
    /// meanwhile still waits, and so does another request that has its number.
    ///
    /// # Errors
    /// [`LedgerError`]
    ///
    /// # Cancel safety
    /// The failure is recorded all the same.
    pub async fn request_failed(&self, request: &ForwardedRequest, reason: &str) -> Result<(), LedgerError> {
        self.change(
            "record a request's failure",
            (request.clone(), storable(reason)),
            |(request, reason), change| {
                Box::pin(async move {
                    sqlx::query(
                        "UPDATE request SET failure = $1 WHERE id = $2 AND csr = $3 AND asked_at = $4",
                    )
                    .bind(reason.as_str())
                    .bind(request.id)
                    .bind(request.csr.as_str())
                    .bind(request.asked_at.as_i64())
                    .execute(change.connection().await?)
                    .within("record a request's failure")
                    .await
                    .map(drop)
                })
            },
        )
        .await
    }
}
