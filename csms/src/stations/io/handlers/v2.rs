//! Handles the requests that OCPP 2.0.1 and 2.1 have in common, although each version has its own
//! types.

/// Generates the translation for the version with this module of types. The calling file defines
/// `LONGEST_RESULT`, the length of `ocspResult` in characters.
macro_rules! handlers_of_v2 {
    ($version:ident) => {
        use std::sync::Arc;

        use certificates::{HashAlgorithm, HashData, HashDataError};
        use ocpp_transport::{CallError, Peer, Router};
        use ocpp_types::{
            BoundedString,
            $version::{
                BootNotificationRequest, BootNotificationResponse, GetCertificateStatusEnumType,
                GetCertificateStatusRequest, GetCertificateStatusResponse, HashAlgorithmEnumType,
                HeartbeatRequest, HeartbeatResponse, OCSPRequestDataType, RegistrationStatusEnumType,
                SecurityEventNotificationRequest, SecurityEventNotificationResponse, SignCertificateRequest,
                StatusInfoType,
            },
        };
        use program::in_one_line;

        use crate::{
            signing::io::ocsp::NoOcsp,
            stations::io::registry::{Boot, BootStatus, Product, StationRegistry, note_security_event, now},
        };

        /// The handlers that both versions have.
        fn handlers_of_both(router: Router, registry: &Arc<StationRegistry>) -> Router {
            let [boot, sign, status] = [registry; 3].map(Arc::clone);
            router
                .handle(move |peer: Peer, request: BootNotificationRequest| {
                    let registry = Arc::clone(&boot);
                    async move {
                        let reported = request.charging_station.serial_number.as_deref();
                        let station = &request.charging_station;
                        let product = Product {
                            vendor: &station.vendor_name,
                            model: &station.model,
                            firmware: station.firmware_version.as_deref(),
                        };
                        Ok::<_, CallError>(registry.boot(peer, reported, product).await?.map(boot_response))
                    }
                })
                .handle(|_, _: HeartbeatRequest| async { Ok::<_, CallError>(HeartbeatResponse::new(now())) })
                .handle(move |peer: Peer, request: SignCertificateRequest| {
                    let registry = Arc::clone(&sign);
                    async move { registry.sign(&peer, &request).await }
                })
                .handle(move |peer: Peer, request: GetCertificateStatusRequest| {
                    let registry = Arc::clone(&status);
                    async move {
                        let data = &request.ocsp_request_data;
                        let result = registry
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

        /// M06.FR.02 to M06.FR.04: Accepted if there is an answer, whatever it contains.
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

        fn name<const N: usize>(text: &'static str) -> BoundedString<N> {
            BoundedString::try_from(text).expect("all names are short")
        }
    };
}

pub(super) use handlers_of_v2;
