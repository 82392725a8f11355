//! The handlers that OCPP 2.0.1 and 2.1 define alike, with separate types.

/// Writes the translation for the version whose module of types is given. The calling file defines
/// `wanted` and `reset_of`, in which the versions differ.
macro_rules! words_of_v2 {
    ($version:ident) => {
        use std::sync::Arc;

        use ocpp_transport::{CallError, Peer, Reply, Router};
        use ocpp_types::$version::{
            CertificateSignedRequest, DeleteCertificateRequest, GetBaseReportRequest,
            GetInstalledCertificateIdsRequest, GetReportRequest, GetVariablesRequest,
            InstallCertificateRequest, MessageTriggerEnumType, ResetRequest, ResetResponse,
            ResetStatusEnumType, SetNetworkProfileRequest, SetVariablesRequest, SetVariablesResponse,
            TriggerMessageRequest, TriggerMessageResponse, TriggerMessageStatusEnumType,
        };
        use station_store::CertificateSigningUse;

        use crate::{
            device_model::{DeviceModel, $version},
            io::{
                device_model::handlers::{Change, ModelHandlers},
                handlers::{
                    parts::Handlers,
                    station::{ResetAnswer, ResetOf, Trigger, TriggerAnswer},
                },
            },
        };

        /// Adds the handlers of this version.
        pub(super) fn with_handlers(router: Router, handlers: &Handlers) -> Router {
            with_certificates(with_model(with_station(router, handlers), handlers), handlers)
        }

        /// Adds the handlers that concern the station as a whole.
        fn with_station(router: Router, handlers: &Handlers) -> Router {
            let [trigger, reset] = [&handlers.station; 2].map(Arc::clone);
            router
                .handle(move |peer, request: TriggerMessageRequest| {
                    let handlers = Arc::clone(&trigger);
                    async move {
                        handlers.permit()?;
                        let wanted = wanted(&request);
                        Ok::<_, CallError>(handlers.trigger(peer, wanted).await.map(triggered))
                    }
                })
                .handle(move |_, request: ResetRequest| {
                    let handlers = Arc::clone(&reset);
                    async move {
                        handlers.permit()?;
                        Ok::<_, CallError>(handlers.reset(reset_of(&request)).map(reset_response))
                    }
                })
        }

        /// Adds the handlers that concern certificates.
        fn with_certificates(router: Router, handlers: &Handlers) -> Router {
            let [signed, install, list, delete] = [&handlers.certificates; 4].map(Arc::clone);
            router
                .handle(move |_, request: CertificateSignedRequest| {
                    let handlers = Arc::clone(&signed);
                    async move { handlers.certificate_signed(request).await }
                })
                .handle(move |_, request: InstallCertificateRequest| {
                    let handlers = Arc::clone(&install);
                    async move { handlers.install(request).await }
                })
                .handle(move |_, request: GetInstalledCertificateIdsRequest| {
                    let handlers = Arc::clone(&list);
                    async move { handlers.list(request).await }
                })
                .handle(move |_, request: DeleteCertificateRequest| {
                    let handlers = Arc::clone(&delete);
                    async move { handlers.delete(request).await }
                })
        }

        /// Adds the handlers that concern the device model.
        fn with_model(router: Router, handlers: &Handlers) -> Router {
            let [get, set, profile, base, report] = [&handlers.model; 5].map(Arc::clone);
            router
                .handle(move |peer: Peer, request: GetVariablesRequest| {
                    let handlers = Arc::clone(&get);
                    async move {
                        handlers.permit()?;
                        let (model, situation) = handlers.model(&peer);
                        Ok::<_, CallError>($version::get_variables(&model, &request, &situation))
                    }
                })
                .handle(move |peer: Peer, request: SetVariablesRequest| {
                    let handlers = Arc::clone(&set);
                    async move {
                        handlers.permit()?;
                        set_variables(handlers, peer, request).await
                    }
                })
                .handle(move |peer: Peer, request: SetNetworkProfileRequest| {
                    let handlers = Arc::clone(&profile);
                    async move {
                        handlers.permit()?;
                        let (slot, situation) = (request.configuration_slot, handlers.situation(&peer));
                        let plan = move |model: &DeviceModel| {
                            $version::set_network_profile(model, &request, &situation)
                        };
                        handlers.change_network(slot, plan, $version::network_profile_not_stored()).await
                    }
                })
                .handle(move |peer: Peer, request: GetBaseReportRequest| {
                    let handlers = Arc::clone(&base);
                    async move {
                        handlers.permit()?;
                        Ok::<_, CallError>(handlers.report(peer, |model, situation, now| {
                            $version::base_report(model, &request, situation, now)
                        }))
                    }
                })
                .handle(move |peer: Peer, request: GetReportRequest| {
                    let handlers = Arc::clone(&report);
                    async move {
                        handlers.permit()?;
                        Ok::<_, CallError>(handlers.report(peer, |model, situation, now| {
                            $version::report(model, &request, situation, now)
                        }))
                    }
                })
        }

        async fn set_variables(
            handlers: Arc<ModelHandlers>,
            peer: Peer,
            request: SetVariablesRequest,
        ) -> Result<Reply<SetVariablesResponse>, CallError> {
            let situation = handlers.situation(&peer);
            let plan = move |model: &DeviceModel| {
                let outcome = $version::set_variables(model, &request, &situation);
                Change {
                    answer: outcome.response,
                    model: outcome.model,
                    changed: outcome.changed,
                    refuse: $version::variables_not_stored,
                }
            };
            handlers.change_variables(peer, plan).await
        }

        fn triggered(answer: TriggerAnswer) -> TriggerMessageResponse {
            TriggerMessageResponse::new(match answer {
                TriggerAnswer::Accepted => TriggerMessageStatusEnumType::Accepted,
                TriggerAnswer::Rejected => TriggerMessageStatusEnumType::Rejected,
                TriggerAnswer::NotImplemented => TriggerMessageStatusEnumType::NotImplemented,
            })
        }

        fn reset_response(answer: ResetAnswer) -> ResetResponse {
            ResetResponse::new(match answer {
                ResetAnswer::Accepted => ResetStatusEnumType::Accepted,
                ResetAnswer::Rejected => ResetStatusEnumType::Rejected,
            })
        }
    };
}

pub(super) use words_of_v2;
