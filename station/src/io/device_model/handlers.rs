//! The station's answers about its device model and its network profiles (A01, A05, B09).

use std::{collections::BTreeSet, sync::Arc, time::SystemTime};

use certificates::UnixSeconds;
use ocpp_transport::{CallError, Peer, Reply, SecurityProfile};
use ocpp_types::{Request, Timestamp};
use program::causes;
use station_store::Certificate;

use crate::{
    config::CertificatesSection,
    device_model::{DeviceModel, Installed, ProfileOutcome, Situation, Variable},
    io::{
        blocking::blocking,
        connection::{signals::Signals, state::ConnectionState},
        device_model::file::ModelFile,
        disk::store::StationStore,
        renewal::state::RenewalState,
        security_events::recorder::SecurityEvents,
    },
    security_events::SecurityEvent,
};

/// Answers the messages about the device model and the network profiles.
#[derive(Debug)]
pub(crate) struct ModelHandlers {
    pub(crate) connection: Arc<ConnectionState>,
    pub(crate) signals: Arc<Signals>,
    pub(crate) store: Arc<StationStore>,
    pub(crate) model: Arc<ModelFile>,
    pub(crate) certificates: CertificatesSection,
    pub(crate) renewals: Arc<RenewalState>,
    pub(crate) events: Arc<SecurityEvents>,
}

/// A change of variables.
pub(crate) struct Change<T> {
    pub(crate) answer: T,
    /// The model after the change.
    pub(crate) model: DeviceModel,
    /// The variables that were set; empty if the change is to be discarded.
    pub(crate) changed: BTreeSet<Variable>,
    /// Converts the answer if the change cannot be stored.
    pub(crate) refuse: fn(T) -> T,
}

impl ModelHandlers {
    /// Refuses a call of a CSMS that has rejected the station.
    pub(crate) fn permit(&self) -> Result<(), CallError> {
        self.connection.permit()
    }

    /// The current model, and the situation on which its answers depend.
    pub(crate) fn model(&self, peer: &Peer) -> (DeviceModel, Situation) {
        (self.model.current(), self.situation(peer))
    }

    /// The facts on which the answers about the device model depend.
    pub(crate) fn situation(&self, peer: &Peer) -> Situation {
        let now = UnixSeconds::from(SystemTime::now());
        let valid = |der: &[u8]| {
            Certificate::from_der(der)
                .is_ok_and(|certificate| certificate.not_before() <= now && now <= certificate.not_after())
        };
        let installed = |found| if found { Installed::Yes } else { Installed::No };
        let roots = self.store.roots(ocpp_types::v201::InstallCertificateUseEnumType::CSMSRootCertificate);
        let own = self.store.own_certificates();
        Situation {
            certificates: self.store.entries(),
            certificate_capacity: self.certificates.max_entries.into(),
            csms_root: installed(roots.iter().any(|root| valid(root))),
            own_certificate: installed(
                own.iter().any(|own| own.chain.first().is_some_and(|leaf| valid(leaf))),
            ),
            additional_root_check: self.certificates.additional_root_check,
            max_chain_size: self.certificates.max_chain_size.into(),
            profile: peer.profile(),
            slot: self.connection.slot(),
        }
    }

    /// Makes a change durable, then acts on it.
    pub(crate) async fn change_variables<T: Send + 'static>(
        self: Arc<Self>,
        peer: Peer,
        plan: impl FnOnce(&DeviceModel) -> Change<T> + Send + 'static,
    ) -> Result<Reply<T>, CallError> {
        let handlers = Arc::clone(&self);
        let changed = blocking(move || {
            handlers.model.change(|model| {
                let Change { answer, model, changed, refuse } = plan(model);
                let model = (!changed.is_empty()).then_some(model);
                ((answer, changed, refuse), model)
            })
        });
        let ((response, changed, refuse), stored) = changed.await?;
        if let Err(error) = stored {
            // A change that cannot be made durable is not acknowledged.
            tracing::warn!(error = %causes(&error), "a change of the device model was not stored");
            return Ok(Reply::new(refuse(response)));
        }
        if changed.iter().any(|variable| SECURITY.contains(variable)) {
            // A01.FR.11, A01.FR.12: the event names the variables, and never their values.
            self.events.raise(SecurityEvent::ReconfigurationOfSecurityParameters, names(&changed)).await;
        }
        if changed.contains(&Variable::HeartbeatInterval) {
            self.signals.heartbeat_interval.notify_one();
        }
        self.renewals.handle_change();
        let reply = Reply::new(response);
        // A01: reconnects with the new password after the CSMS has the answer. A05.FR.06 of the
        // whitepaper: reconnects under the new profile.
        let renew = changed.contains(&Variable::SecurityProfile)
            || changed.contains(&Variable::BasicAuthPassword)
                && peer.profile() != SecurityProfile::TlsWithClientCertificate;
        Ok(if renew { reply.then(async move { self.signals.reconnect.notify_one() }) } else { reply })
    }

    /// Stores a network profile, if `plan` returns a change. `failed` is the answer if the change
    /// could not be stored.
    pub(crate) async fn change_network<R: Send + 'static>(
        self: Arc<Self>,
        slot: i64,
        plan: impl FnOnce(&DeviceModel) -> ProfileOutcome<R> + Send + 'static,
        failed: R,
    ) -> Result<R, CallError> {
        let handlers = Arc::clone(&self);
        let stored = blocking(move || {
            handlers.model.change(|model| {
                let ProfileOutcome { response, changed } = plan(model);
                ((response, changed.is_some()), changed)
            })
        });
        match stored.await? {
            ((response, is_accepted), Ok(())) => {
                if is_accepted {
                    let info = format!("network profile in slot {slot}");
                    self.events.raise(SecurityEvent::ReconfigurationOfSecurityParameters, info).await;
                }
                Ok(response)
            }
            // B09.FR.03
            (_, Err(error)) => {
                tracing::warn!(error = %causes(&error), "a network profile was not stored");
                Ok(failed)
            }
        }
    }

    /// Sends the reports after the answer (B07, B08).
    pub(crate) fn report<T, R: Request>(
        &self,
        peer: Peer,
        report: impl FnOnce(&DeviceModel, &Situation, Timestamp) -> (T, Vec<R>),
    ) -> Reply<T> {
        let now = Timestamp::from(SystemTime::now()).to_milliseconds();
        let (model, situation) = self.model(&peer);
        let (response, reports) = report(&model, &situation, now);
        Reply::new(response).then(send_reports(peer, reports))
    }
}

async fn send_reports<R: Request>(peer: Peer, reports: Vec<R>) {
    for report in reports {
        if let Err(error) = peer.call(report).await {
            tracing::warn!(error = %causes(&error), "a report of the device model was not delivered");
            return;
        }
    }
}

fn names(variables: &BTreeSet<Variable>) -> String {
    variables.iter().map(|variable| variable.name()).collect::<Vec<_>>().join(", ")
}

/// The variables for which `ReconfigurationOfSecurityParameters` is raised.
const SECURITY: [Variable; 8] = [
    Variable::BasicAuthPassword,
    Variable::SecurityProfile,
    Variable::OrganizationName,
    Variable::AllowCsmsTlsWildcards,
    Variable::NetworkConfigurationPriority,
    Variable::SeccId,
    Variable::CountryName,
    Variable::SeccOrganizationName,
];
