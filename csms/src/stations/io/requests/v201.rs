//! Sends the requests of OCPP 2.0.1.

super::v2::requests_of_v2!(v201);

pub(super) async fn send_certificate(peer: &Peer, entry: &LedgerEntry) -> Result<Delivery, NotSent> {
    send_completed(peer, entry, |_| {}).await
}
