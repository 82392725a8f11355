//! Sends the requests of OCPP 2.1.

super::v2::requests_of_v2!(v21);

pub(super) async fn send_certificate(peer: &Peer, entry: &LedgerEntry) -> Result<Delivery, NotSent> {
    // A02.FR.25
    send_completed(peer, entry, |request| request.request_id = entry.request_id).await
}
