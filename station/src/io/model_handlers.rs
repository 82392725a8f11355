//! What the station answers about its device model and its network profiles (A01, A05, B09).

use std::{collections::BTreeSet, sync::Arc, time::SystemTime};

use certificates::UnixSeconds;
use ocpp_transport::{CallError, Peer, Reply, Router, SecurityProfile};
use ocpp_types::{
    Timestamp,
    v201::{
        GetBaseReportRequest, GetBaseReportResponse, GetReportRequest, GetReportResponse,
        GetVariablesRequest, NotifyReportRequest, ResetRequest, ResetResponse, ResetStatusEnumType,
        SetNetworkProfileRequest, SetNetworkProfileResponse, SetNetworkProfileStatusEnumType,
        SetVariablesRequest, SetVariablesResponse,
    },
};
use program::causes;
use station_store::Certificate;

use crate::{
    device_model::{DeviceModel, Installed, ProfileOutcome, SetOutcome, Situation, Variable},
    io::{
        csms,
        handlers::{Shared, blocking},
    },
    security_events::SecurityEvent,
};

/// A change of variables.
pub(super) struct Change<T> {
    pub(super) answer: T,
    /// What the model is then.
    pub(super) model: DeviceModel,
    /// The variables that were set; none where nothing is to be changed.
    pub(super) changed: BTreeSet<Variable>,
    /// What the answer becomes when the change cannot be stored.
    pub(super) refuse: fn(T) -> T,
}

impl Shared {
    /// What the answers about the device model depend on.
    pub(super) fn situation(&self, peer: &Peer) -> Situation {
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
            slot: self.slot(),
        }
    }

    pub(super) async fn set_variables(
        self: Arc<Self>,
        peer: Peer,
        request: SetVariablesRequest,
    ) -> Result<Reply<SetVariablesResponse>, CallError> {
        let situation = self.situation(&peer);
        let plan = move |model: &DeviceModel| {
            let SetOutcome { response, model, changed } = model.set_variables(&request, &situation);
            Change { answer: response, model, changed, refuse: SetOutcome::not_stored }
        };
        self.change_variables(peer, plan).await
    }

    /// Makes a change durable, and does what follows from it.
    pub(super) async fn change_variables<T: Send + 'static>(
        self: Arc<Self>,
        peer: Peer,
        plan: impl FnOnce(&DeviceModel) -> Change<T> + Send + 'static,
    ) -> Result<Reply<T>, CallError> {
        let shared = Arc::clone(&self);
        let changed = blocking(move || {
            shared.model.change(|model| {
                let Change { answer, model, changed, refuse } = plan(model);
                let model = (!changed.is_empty()).then_some(model);
                ((answer, changed, refuse), model)
            })
        });
        let ((response, changed, refuse), stored) = changed.await?;
        if let Err(error) = stored {
            // What cannot be made durable is not acknowledged.
            tracing::warn!(error = %causes(&error), "a change of the device model was not stored");
            return Ok(Reply::new(refuse(response)));
        }
        if changed.iter().any(|variable| SECURITY.contains(variable)) {
            // A01.FR.11, A01.FR.12: which variables, and never what they hold.
            self.raise(SecurityEvent::ReconfigurationOfSecurityParameters, names(&changed)).await;
        }
        if changed.contains(&Variable::HeartbeatInterval) {
            self.events_wait.notify_one();
        }
        self.renewing.handle_change();
        let reply = Reply::new(response);
        // A01: with the new password, as soon as the CSMS knows that it holds. A05.FR.06 of the whitepaper: by the new profile.
        let renew = changed.contains(&Variable::SecurityProfile)
            || changed.contains(&Variable::BasicAuthPassword)
                && peer.profile() != SecurityProfile::TlsWithClientCertificate;
        Ok(if renew { reply.then(async move { self.reconnect.notify_one() }) } else { reply })
    }

    async fn set_network_profile(
        self: Arc<Self>,
        peer: Peer,
        request: SetNetworkProfileRequest,
    ) -> Result<SetNetworkProfileResponse, CallError> {
        let (slot, situation) = (request.configuration_slot, self.situation(&peer));
        self.change_network(slot, move |model| model.set_network_profile(&request, &situation)).await
    }

    /// Stores a network profile, if `plan` says so.
    pub(super) async fn change_network(
        self: Arc<Self>,
        slot: i64,
        plan: impl FnOnce(&DeviceModel) -> ProfileOutcome + Send + 'static,
    ) -> Result<SetNetworkProfileResponse, CallError> {
        let shared = Arc::clone(&self);
        let response = blocking(move || {
            shared.model.change(|model| {
                let outcome = plan(model);
                (outcome.response, outcome.changed)
            })
        });
        match response.await? {
            (response, Ok(())) => {
                if response.status == SetNetworkProfileStatusEnumType::Accepted {
                    let info = format!("network profile in slot {slot}");
                    self.raise(SecurityEvent::ReconfigurationOfSecurityParameters, info).await;
                }
                Ok(response)
            }
            // B09.FR.03
            (_, Err(error)) => {
                tracing::warn!(error = %causes(&error), "a network profile was not stored");
                Ok(SetNetworkProfileResponse::new(SetNetworkProfileStatusEnumType::Failed))
            }
        }
    }

    /// The station as a whole starts anew after the answer has left; it has no EVSE that could do so alone.
    pub(super) fn reset(self: Arc<Self>, request: &ResetRequest) -> Reply<ResetResponse> {
        if request.evse_id.is_some() {
            return Reply::new(ResetResponse::new(ResetStatusEnumType::Rejected));
        }
        Reply::new(ResetResponse::new(ResetStatusEnumType::Accepted))
            .then(async move { self.reset.notify_one() })
    }

    /// The reports follow the answer (B07).
    pub(super) fn base_report(
        &self,
        peer: Peer,
        request: &GetBaseReportRequest,
    ) -> Reply<GetBaseReportResponse> {
        let now = Timestamp::from(SystemTime::now()).to_milliseconds();
        let (response, reports) = self.model.current().base_report(request, &self.situation(&peer), now);
        Reply::new(response).then(send_reports(peer, reports))
    }

    /// The reports follow the answer (B08).
    pub(super) fn report(&self, peer: Peer, request: &GetReportRequest) -> Reply<GetReportResponse> {
        let now = Timestamp::from(SystemTime::now()).to_milliseconds();
        let (response, reports) = self.model.current().report(request, &self.situation(&peer), now);
        Reply::new(response).then(send_reports(peer, reports))
    }
}

/// Adds the handlers of the device model.
pub(crate) fn with_model(router: Router, shared: &Arc<Shared>) -> Router {
    let [get, set, profile, base, report, reset] = [shared; 6].map(Arc::clone);
    router
        .handle(move |_, request: ResetRequest| {
            let shared = Arc::clone(&reset);
            async move {
                shared.permit()?;
                Ok::<_, CallError>(shared.reset(&request))
            }
        })
        .handle(move |peer: Peer, request: GetVariablesRequest| {
            let shared = Arc::clone(&get);
            async move {
                shared.permit()?;
                Ok::<_, CallError>(shared.model.current().get_variables(&request, &shared.situation(&peer)))
            }
        })
        .handle(move |peer, request: SetVariablesRequest| {
            let shared = Arc::clone(&set);
            async move {
                shared.permit()?;
                shared.set_variables(peer, request).await
            }
        })
        .handle(move |peer, request: SetNetworkProfileRequest| {
            let shared = Arc::clone(&profile);
            async move {
                shared.permit()?;
                shared.set_network_profile(peer, request).await
            }
        })
        .handle(move |peer, request: GetBaseReportRequest| {
            let shared = Arc::clone(&base);
            async move {
                shared.permit()?;
                Ok::<_, CallError>(shared.base_report(peer, &request))
            }
        })
        .handle(move |peer, request: GetReportRequest| {
            let shared = Arc::clone(&report);
            async move {
                shared.permit()?;
                Ok::<_, CallError>(shared.report(peer, &request))
            }
        })
}

async fn send_reports(peer: Peer, reports: Vec<NotifyReportRequest>) {
    for report in reports {
        if let Err(error) = csms::notify_report(&peer, report).await {
            tracing::warn!(error = %causes(&error), "a report of the device model was not delivered");
            return;
        }
    }
}

fn names(variables: &BTreeSet<Variable>) -> String {
    variables.iter().map(|variable| variable.name()).collect::<Vec<_>>().join(", ")
}

/// What `ReconfigurationOfSecurityParameters` is about.
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
