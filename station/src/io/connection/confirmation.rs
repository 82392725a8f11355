//! The consequences of a connection: it proves a certificate, a root and a network profile, and
//! what they replace is discarded.

use std::sync::Arc;

use ocpp_transport::SecurityProfile;
use program::causes;
use rustls_pki_types::CertificateDer;
use station_store::{OwnCertificate, OwnId, Session};

use crate::{
    io::{
        blocking::on_blocking_thread,
        connection::state::ConnectionState,
        device_model::file::ModelFile,
        disk::{faults::DiskFaults, last_slot::LastSlot, store::StationStore},
        enrolment::disposal::KeyDisposal,
        renewal::state::RenewalState,
        security_events::recorder::SecurityEvents,
    },
    security_events::SecurityEvent,
};

/// Makes durable what a connection has proved.
#[derive(Debug)]
pub(crate) struct Confirmation {
    pub(crate) state: Arc<ConnectionState>,
    pub(crate) store: Arc<StationStore>,
    pub(crate) model: Arc<ModelFile>,
    pub(crate) last_slot: Arc<LastSlot>,
    pub(crate) faults: Arc<DiskFaults>,
    pub(crate) events: Arc<SecurityEvents>,
    pub(crate) renewals: Arc<RenewalState>,
    pub(crate) disposal: Arc<KeyDisposal>,
    /// Held while the certificate of a connection is being confirmed.
    pub(crate) running: Arc<tokio::sync::Mutex<()>>,
}

/// The certificates with which a connection was made.
#[derive(Clone, Debug)]
pub(crate) struct Connected {
    pub(crate) slot: u32,
    pub(crate) profile: SecurityProfile,
    /// The root that proved the CSMS.
    pub(crate) root: Option<CertificateDer<'static>>,
    /// The certificate that the station presented.
    pub(crate) own: Option<OwnCertificate>,
    /// The newest certificate when the attempt began.
    pub(crate) newest: Option<OwnId>,
}

impl Confirmation {
    /// Ready when no certificate is being confirmed.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(crate) async fn finished(&self) {
        drop(self.running.lock().await);
    }

    /// Records the network profile that worked and the root that proved the CSMS. Keep the session
    /// as long as the connection is up: the root is in use until the session is dropped.
    pub(crate) async fn begin_session(&self, connected: &Connected) -> Option<Session> {
        let (last_slot, store) = (Arc::clone(&self.last_slot), Arc::clone(&self.store));
        let (slot, root) = (connected.slot, connected.root.clone());
        let begin = move || {
            last_slot.handle_connected(slot);
            // M05.FR.13, TC_M_30, TC_M_31
            let (session, noted) = store.writable().session(&root?);
            if let Err(error) = noted {
                tracing::error!(error = %causes(&error), "the fallback root is kept, though the new one has proved itself");
            }
            Some(session)
        };
        on_blocking_thread(begin).await.unwrap_or_else(|error| {
            tracing::error!(error = %causes(&error), "which root is in use is not known");
            None
        })
    }

    /// Keeps the certificates of the connection, and discards those that they replace.
    pub(crate) async fn settle(&self, connected: &Connected) {
        self.confirm(connected.own.clone(), connected.newest).await;
        self.discard_lower_profiles(connected.profile).await;
    }

    /// Repeats the consequences of a connection each time when the disk takes writes again. Steps
    /// that were already done change nothing. Never ends.
    pub(crate) async fn settle_again(&self, connected: &Connected) {
        let mut written = self.faults.ended();
        // The sender lives as long as `self`.
        while written.changed().await.is_ok() {
            // The connection has a session already.
            drop(self.begin_session(connected).await);
            self.settle(connected).await;
        }
    }

    /// The station is connected with `own`, which was chosen when `newest` was its newest
    /// certificate. The other certificate is discarded (A02.FR.10).
    async fn confirm(&self, own: Option<OwnCertificate>, newest: Option<OwnId>) {
        if let (Some(own), Some(newest)) = (own, newest) {
            let Self { store, events, disposal, .. } = self;
            let (store, events, disposal) = (Arc::clone(store), Arc::clone(events), Arc::clone(disposal));
            // The work continues if the connection ends meanwhile; the next attempt waits for it.
            let confirming = Arc::clone(&self.running).lock_owned().await;
            let confirm = move || {
                confirm(&store, &events, &disposal, &own, newest);
                drop(confirming);
            };
            if let Err(error) = on_blocking_thread(confirm).await {
                tracing::error!(error = %causes(&error), "the former certificate is kept");
            }
        }
        self.state.handle_confirmed();
        self.renewals.handle_change();
    }

    /// A05.FR.06: a connection by a higher profile removes the profiles of a lower level.
    async fn discard_lower_profiles(&self, connected: SecurityProfile) {
        let model = Arc::clone(&self.model);
        let discard = move || model.change(|model| ((), model.handle_connected(connected)));
        match on_blocking_thread(discard).await {
            Ok(((), Ok(()))) => {}
            Ok(((), Err(error))) => {
                tracing::warn!(error = %causes(&error), "network profiles of a lower level are kept for now");
            }
            Err(error) => {
                tracing::error!(error = %causes(&error), "network profiles of a lower level are kept")
            }
        }
    }
}

/// Keeps `own`, with which the station is connected. Discards the certificates that were kept
/// beside it when `newest` was the newest; later certificates are still to be tried. Blocks.
fn confirm(
    store: &StationStore,
    events: &SecurityEvents,
    disposal: &KeyDisposal,
    own: &OwnCertificate,
    newest: OwnId,
) {
    match store.writable().confirm_own_of(own.id, newest) {
        // A02.FR.29
        Ok(_) if newest != own.id => {
            events.record(SecurityEvent::DiscardedRenewedClientCertificate, "the CSMS did not accept it");
        }
        Ok(_) => {}
        Err(error) => {
            return tracing::error!(error = %causes(&error), "the former certificate is kept");
        }
    }
    disposal.handle_condemned();
}
