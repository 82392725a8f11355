//! The handlers of the messages about certificates, independent of the version of OCPP.

use std::{sync::Arc, time::SystemTime};

use ocpp_transport::{CallError, Reply};
use program::causes;
use station_store::{
    Certificate, PendingCsr, PendingId, PendingState, Store,
    message::{DeleteMessage, InstallMessage, InventoryMessage, SignedMessage},
};

use crate::{
    io::{
        blocking::blocking,
        certificates::statuses::StatusKeeper,
        connection::{signals::Signals, state::ConnectionState},
        disk::store::StationStore,
        enrolment::disposal::KeyDisposal,
        renewal::state::RenewalState,
        security_events::recorder::SecurityEvents,
    },
    security_events::SecurityEvent,
};

/// Answers the messages about certificates.
#[derive(Debug)]
pub(crate) struct CertificateHandlers {
    pub(crate) connection: Arc<ConnectionState>,
    pub(crate) signals: Arc<Signals>,
    pub(crate) store: Arc<StationStore>,
    pub(crate) renewals: Arc<RenewalState>,
    pub(crate) events: Arc<SecurityEvents>,
    pub(crate) disposal: Arc<KeyDisposal>,
    pub(crate) statuses: Arc<StatusKeeper>,
}

impl CertificateHandlers {
    /// Answers CertificateSigned after the certificate is durable. Reconnects after the answer has
    /// been sent (A02.FR.08).
    pub(crate) async fn certificate_signed<M>(
        self: Arc<Self>,
        request: M,
    ) -> Result<Reply<M::Response>, CallError>
    where
        M: SignedMessage + Send + 'static,
        M::Response: Send + 'static,
    {
        self.connection.permit()?;
        self.connection.settled().await;
        let handlers = Arc::clone(&self);
        let (outcome, reconnection) = blocking(move || {
            let pending = answered(&handlers.store, request.chain());
            let outcome = handlers.store.writable().certificate_signed(&request, SystemTime::now());
            // This comes before the request is sent again or its key is condemned.
            handlers.renewals.handle_certificate(&outcome, pending, request.signing_use());
            let connects = outcome.installed.as_ref().is_some_and(|own| own.use_.connects());
            (outcome, connects.then(|| handlers.signals.reconnection()))
        })
        .await?;
        if let Some(refused) = &outcome.refused {
            // A02.FR.07
            let why = causes(refused).to_string();
            self.events.raise(SecurityEvent::InvalidChargingStationCertificate, why).await;
        }
        let reply = Reply::new(outcome.response);
        Ok(match outcome.installed {
            None => reply,
            Some(own) => {
                if own.use_.is_for_vehicles() {
                    // M06.FR.07
                    self.statuses.handle_due();
                    // The certificate that it replaced may have left a condemned key.
                    self.disposal.handle_condemned();
                }
                if let Some(reconnection) = reconnection {
                    tracing::info!(certificate = %own.id, "the new certificate is stored; connecting again with it");
                    reply.then(async move { drop(reconnection) })
                } else {
                    tracing::info!(certificate = %own.id, "the new certificate for vehicles is stored");
                    reply
                }
            }
        })
    }

    /// Answers InstallCertificate (M05).
    pub(crate) async fn install<M>(self: Arc<Self>, request: M) -> Result<M::Response, CallError>
    where
        M: InstallMessage + Send + 'static,
        M::Response: Send + 'static,
    {
        self.connection.permit()?;
        self.connection.settled().await;
        blocking(move || self.store.writable().install(&request, SystemTime::now())).await
    }

    /// Answers GetInstalledCertificateIds (M03).
    pub(crate) async fn list<M>(self: Arc<Self>, request: M) -> Result<M::Response, CallError>
    where
        M: InventoryMessage + Send + 'static,
    {
        self.connection.permit()?;
        self.connection.settled().await;
        Ok(self.store.installed_certificate_ids(&request))
    }

    /// Answers DeleteCertificate (M04).
    pub(crate) async fn delete<M>(self: Arc<Self>, request: M) -> Result<M::Response, CallError>
    where
        M: DeleteMessage + Send + 'static,
        M::Response: Send + 'static,
    {
        self.connection.permit()?;
        self.connection.settled().await;
        let handlers = Arc::clone(&self);
        let response = blocking(move || handlers.store.writable().delete(&request)).await?;
        // M04.FR.08: the keys of V2G chains are destroyed after the answer. The answer does not
        // wait for the token.
        self.disposal.handle_condemned();
        self.renewals.handle_change();
        Ok(response)
    }
}

/// The pending key of the leaf of `chain`, PEM as in CertificateSigned.
fn answered(store: &Store, chain: &str) -> Option<PendingId> {
    let leaf = Certificate::chain_from_pem(chain, MAX_CERTIFICATES).ok()?.into_iter().next()?;
    let is_answered = |pending: &PendingCsr| match &pending.state {
        PendingState::CsrReady { spki_der, .. } => spki_der == leaf.spki(),
        _ => false,
    };
    store.pending().iter().find(|pending| is_answered(pending)).map(|pending| pending.id)
}

/// The most certificates that are read from a chain; the store accepts fewer.
const MAX_CERTIFICATES: usize = 16;
