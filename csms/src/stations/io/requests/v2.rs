//! Sends the requests that OCPP 2.0.1 and 2.1 have in common, although each version has its own
//! types.

/// Generates the translation for the version with this module of types.
macro_rules! requests_of_v2 {
    ($version:ident) => {
        use ocpp_transport::{CallFailure, Peer};
        use ocpp_types::{
            BoundedString,
            $version::{
                CertificateSignedRequest, CertificateSignedStatusEnumType, CertificateSigningUseEnumType,
                ComponentType, GetVariableDataType, GetVariablesRequest, MessageTriggerEnumType,
                SetVariableDataType, SetVariableStatusEnumType, SetVariablesRequest, TriggerMessageRequest,
                VariableType,
            },
        };

        use crate::{
            ledger::{Delivery, LedgerEntry, PasswordAnswer},
            stations::io::requests::not_sent::NotSent,
        };

        pub(super) async fn ask_to_renew(peer: &Peer) -> Result<&'static str, CallFailure> {
            let trigger = MessageTriggerEnumType::SignChargingStationCertificate;
            Ok(peer.call(TriggerMessageRequest::new(trigger)).await?.status.as_str())
        }

        /// Sends CertificateSigned; `complete` sets the fields that only one version has.
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
            // A password has at most 64 characters (A00.FR.205).
            let value = BoundedString::truncated(password);
            let variables = vec![SetVariableDataType::new(value, component, variable)];
            let request = SetVariablesRequest::new(variables.try_into().expect("one or more, and it is one"));
            let answer = peer.call(request).await?;
            let status = answer.set_variable_result.first().map(|result| result.attribute_status);
            let status = status.unwrap_or(SetVariableStatusEnumType::Rejected);
            let answer = match status {
                SetVariableStatusEnumType::Accepted => Some(PasswordAnswer::Taken),
                // A01.FR.04: the station uses the old password until it has rebooted.
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

pub(super) use requests_of_v2;
