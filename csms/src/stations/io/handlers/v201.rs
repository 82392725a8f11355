//! The messages of OCPP 2.0.1.

super::v2::words_of_v2!(v201);

pub(super) fn handlers<L: Ledger>(router: Router, desk: &Arc<Desk<L>>) -> Router {
    handlers_of_both(router, desk)
}

pub(super) async fn send_certificate(peer: &Peer, entry: &LedgerEntry) -> Result<Delivery, NotSent> {
    send_completed(peer, entry, |_| {}).await
}

/// Of `ocspResult`, in characters.
const LONGEST_RESULT: usize = 5_500;
