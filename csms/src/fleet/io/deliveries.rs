//! Sends certificates that are due to connected stations without a request from them.

use std::{sync::Arc, time::Duration};

use program::causes;
use tokio::{task::JoinSet, time::sleep};

use crate::{service::io::clock::unix_now, stations::io::registry::StationRegistry};

/// Delivers what is due again after a wait, and what is due to stations that connect again without
/// BootNotification, as they may: after a crash of this service, or a connection that broke between
/// SignCertificate and CertificateSigned.
pub(crate) async fn deliver_without_boot(registry: Arc<StationRegistry>) {
    let mut deliveries = JoinSet::new();
    loop {
        sleep(DELIVERY_ROUND).await;
        for peer in registry.fleet.take_unbooted() {
            let registry = Arc::clone(&registry);
            deliveries.spawn(async move { registry.send_due(&peer).await });
        }
        let due = registry.ledger.due_again(unix_now()).await;
        let due = due.unwrap_or_else(|error| {
            tracing::error!(error = %causes(&error), "cannot read the certificates that are due again");
            Vec::new()
        });
        for station in due {
            if let Some(peer) = registry.fleet.peer(&station) {
                let registry = Arc::clone(&registry);
                deliveries.spawn(async move { registry.deliveries.deliver_again(&peer).await });
            }
        }
        while deliveries.try_join_next().is_some() {}
    }
}

/// The interval of the checks for stations that have connected without BootNotification. A station
/// that boots does so within this time.
const DELIVERY_ROUND: Duration = Duration::from_secs(5);
