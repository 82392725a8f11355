//! What OCPP 2.0.1 and 2.1 say in the same words, though each has types of its own.

/// Writes the translation for the version whose module of types it is given. The file that calls it
/// says `LONGEST_RESULT`, of `ocspResult` in characters.
macro_rules! words_of_v2 {
    ($version:ident) => {
        use std::sync::Arc;

        use certificates::{HashAlgorithm, HashData, HashDataError};
        use ocpp_transport::{CallError, CallFailure, Peer, Router};
        use ocpp_types::{
            BoundedString,
            $version::{
                BootNotificationRequest, BootNotificationResponse, CertificateSignedRequest,
                CertificateSignedStatusEnumType, CertificateSigningUseEnumType, ComponentType,
                GetCertificateStatusEnumType, GetCertificateStatusRequest, GetCertificateStatusResponse,
                GetVariableDataType, GetVariablesRequest, HashAlgorithmEnumType, HeartbeatRequest,
                HeartbeatResponse, MessageTriggerEnumType, OCSPRequestDataType, RegistrationStatusEnumType,
                SecurityEventNotificationRequest, SecurityEventNotificationResponse, SetVariableDataType,
                SetVariableStatusEnumType, SetVariablesRequest, SignCertificateRequest, StatusInfoType,
                TriggerMessageRequest, VariableType,
            },
        };
        use program::in_one_line;

        use crate::{
            ledger::{Delivery, Ledger, LedgerEntry, PasswordAnswer},
            signing::io::ocsp::NoOcsp,
            stations::io::handlers::{Boot, BootStatus, Desk, NotSent, note_security_event, now},
        };

        /// The handlers that both versions have.
        fn handlers_of_both<L: Ledger>(router: Router, desk: &Arc<Desk<L>>) -> Router {
            let [boot, sign, status] = [desk; 3].map(Arc::clone);
            router
                .handle(move |peer: Peer, request: BootNotificationRequest| {
                    let desk = Arc::clone(&boot);
                    async move {
                        let told = request.charging_station.serial_number.as_deref();
                        Ok::<_, CallError>(desk.boot(peer, told).await?.map(boot_response))
                    }
                })
                .handle(|_, _: HeartbeatRequest| async { Ok::<_, CallError>(HeartbeatResponse::new(now())) })
                .handle(move |peer: Peer, request: SignCertificateRequest| {
                    let desk = Arc::clone(&sign);
                    async move {
                        let station = desk.station(&peer)?;
                        Ok::<_, CallError>(desk.enrolment.answer(&peer, &request, &station).await)
                    }
                })
                .handle(move |peer: Peer, request: GetCertificateStatusRequest| {
                    let desk = Arc::clone(&status);
                    async move {
                        let data = &request.ocsp_request_data;
                        let result = desk
                            .ocsp_result(&peer, hash_data(data), &data.responder_url, LONGEST_RESULT)
                            .await;
                        Ok::<_, CallError>(certificate_status(result))
                    }
                })
                .handle(|peer: Peer, request: SecurityEventNotificationRequest| async move {
                    note_security_event(&peer, &request.type_, request.tech_info.as_deref());
                    Ok::<_, CallError>(SecurityEventNotificationResponse::new())
                })
        }

        fn boot_response(boot: Boot) -> BootNotificationResponse {
            let status = match boot.status {
                BootStatus::Accepted => RegistrationStatusEnumType::Accepted,
                BootStatus::Pending => RegistrationStatusEnumType::Pending,
                BootStatus::Rejected => RegistrationStatusEnumType::Rejected,
            };
            BootNotificationResponse::new(now(), boot.interval_s, status)
        }

        fn hash_data(data: &OCSPRequestDataType) -> Result<HashData, HashDataError> {
            HashData::parse(
                algorithm(data.hash_algorithm),
                &data.issuer_name_hash,
                &data.issuer_key_hash,
                &data.serial_number,
            )
        }

        fn algorithm(name: HashAlgorithmEnumType) -> HashAlgorithm {
            match name {
                HashAlgorithmEnumType::SHA256 => HashAlgorithm::Sha256,
                HashAlgorithmEnumType::SHA384 => HashAlgorithm::Sha384,
                HashAlgorithmEnumType::SHA512 => HashAlgorithm::Sha512,
            }
        }

        /// M06.FR.02 to M06.FR.04: Accepted where there is an answer, whatever it says.
        fn certificate_status(result: Result<String, NoOcsp>) -> GetCertificateStatusResponse {
            match result {
                Ok(text) => {
                    let mut response =
                        GetCertificateStatusResponse::new(GetCertificateStatusEnumType::Accepted);
                    response.ocsp_result = BoundedString::try_from(text).ok();
                    response
                }
                Err(error) => {
                    let mut response =
                        GetCertificateStatusResponse::new(GetCertificateStatusEnumType::Failed);
                    let mut info = StatusInfoType::new(name(error.reason_code()));
                    info.additional_info = Some(BoundedString::truncated(&in_one_line(&error)));
                    response.status_info = Some(info);
                    response
                }
            }
        }

        pub(super) async fn ask_to_renew(peer: &Peer) -> Result<&'static str, CallFailure> {
            let trigger = MessageTriggerEnumType::SignChargingStationCertificate;
            Ok(peer.call(TriggerMessageRequest::new(trigger)).await?.status.as_str())
        }

        /// Sends CertificateSigned; `complete` adds what only one version has.
        async fn send_completed(
            peer: &Peer,
            entry: &LedgerEntry,
            complete: impl FnOnce(&mut CertificateSignedRequest),
        ) -> Result<Delivery, NotSent> {
            let chain = BoundedString::try_from(entry.chain.as_str()).map_err(|_| NotSent::Chain)?;
            let mut request = CertificateSignedRequest::new(chain);
            complete(&mut request);
            // A02.FR.14
            if let Some(text) = &entry.certificate_type {
                let certificate_type = text.parse::<CertificateSigningUseEnumType>();
                request.certificate_type = Some(certificate_type.map_err(|_| NotSent::version(peer, entry))?);
            }
            let answer = peer.call(request).await?;
            Ok(match answer.status {
                CertificateSignedStatusEnumType::Accepted => Delivery::Accepted,
                CertificateSignedStatusEnumType::Rejected => Delivery::Rejected {
                    reason: answer.status_info.map(|info| info.reason_code.into_string()),
                },
            })
        }

        pub(super) async fn longest_chain(peer: &Peer) -> Result<Option<String>, CallFailure> {
            let component = ComponentType::new(name("SecurityCtrlr"));
            let variable =
                GetVariableDataType::new(component, VariableType::new(name("MaxCertificateChainSize")));
            let variables = vec![variable].try_into().expect("one or more, and it is one");
            let answer = peer.call(GetVariablesRequest::new(variables)).await?;
            let value =
                answer.get_variable_result.first().and_then(|result| result.attribute_value.as_deref());
            Ok(value.map(ToOwned::to_owned))
        }

        pub(super) async fn send_password(
            peer: &Peer,
            password: &str,
        ) -> Result<(Option<PasswordAnswer>, &'static str), CallFailure> {
            let component = ComponentType::new(name("SecurityCtrlr"));
            let variable = VariableType::new(name("BasicAuthPassword"));
            // A password has 64 characters at most (A00.FR.205).
            let value = BoundedString::truncated(password);
            let variables = vec![SetVariableDataType::new(value, component, variable)];
            let request = SetVariablesRequest::new(variables.try_into().expect("one or more, and it is one"));
            let answer = peer.call(request).await?;
            let status = answer.set_variable_result.first().map(|result| result.attribute_status);
            let status = status.unwrap_or(SetVariableStatusEnumType::Rejected);
            let answer = match status {
                SetVariableStatusEnumType::Accepted => Some(PasswordAnswer::Taken),
                // A01.FR.04: until it has rebooted it has the old one.
                SetVariableStatusEnumType::RebootRequired => None,
                _ => Some(PasswordAnswer::Refused),
            };
            Ok((answer, status.as_str()))
        }

        fn name<const N: usize>(text: &'static str) -> BoundedString<N> {
            BoundedString::try_from(text).expect("all names are short")
        }
    };
}

pub(super) use words_of_v2;
