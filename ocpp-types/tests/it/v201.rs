//! All messages of OCPP 2.0.1 as functions, so that tests can go through them by name.

use ocpp_types::{DecodeError, Request, decode, encode, v201};

/// One message: decodes a payload and encodes it again.
pub(crate) struct Message {
    pub(crate) name: String,
    pub(crate) round_trip: fn(&str) -> Result<String, DecodeError>,
}

fn round_trip<T: serde_core::Serialize + serde_core::de::DeserializeOwned>(
    text: &str,
) -> Result<String, DecodeError> {
    decode::<T>(text).map(|payload| encode(&payload).expect("what was decoded can be encoded"))
}

fn add<R: Request>(messages: &mut Vec<Message>) {
    messages.push(Message { name: format!("{}Request", R::ACTION), round_trip: round_trip::<R> });
    messages.push(Message { name: format!("{}Response", R::ACTION), round_trip: round_trip::<R::Response> });
}

macro_rules! all {
    ($($request:ident)*) => {
        /// Every request and every response.
        pub(crate) fn messages() -> Vec<Message> {
            let mut messages = Vec::new();
            $(add::<v201::$request>(&mut messages);)*
            messages
        }
    };
}

all! {
    AuthorizeRequest BootNotificationRequest CancelReservationRequest CertificateSignedRequest ChangeAvailabilityRequest
    ClearCacheRequest ClearChargingProfileRequest ClearDisplayMessageRequest ClearVariableMonitoringRequest
    ClearedChargingLimitRequest CostUpdatedRequest CustomerInformationRequest DataTransferRequest DeleteCertificateRequest
    FirmwareStatusNotificationRequest Get15118EVCertificateRequest GetBaseReportRequest GetCertificateStatusRequest
    GetChargingProfilesRequest GetCompositeScheduleRequest GetDisplayMessagesRequest GetInstalledCertificateIdsRequest
    GetLocalListVersionRequest GetLogRequest GetMonitoringReportRequest GetReportRequest GetTransactionStatusRequest
    GetVariablesRequest HeartbeatRequest InstallCertificateRequest LogStatusNotificationRequest MeterValuesRequest
    NotifyChargingLimitRequest NotifyCustomerInformationRequest NotifyDisplayMessagesRequest NotifyEVChargingNeedsRequest
    NotifyEVChargingScheduleRequest NotifyEventRequest NotifyMonitoringReportRequest NotifyReportRequest
    PublishFirmwareRequest PublishFirmwareStatusNotificationRequest ReportChargingProfilesRequest
    RequestStartTransactionRequest RequestStopTransactionRequest ReservationStatusUpdateRequest ReserveNowRequest
    ResetRequest SecurityEventNotificationRequest SendLocalListRequest SetChargingProfileRequest SetDisplayMessageRequest
    SetMonitoringBaseRequest SetMonitoringLevelRequest SetNetworkProfileRequest SetVariableMonitoringRequest
    SetVariablesRequest SignCertificateRequest StatusNotificationRequest TransactionEventRequest TriggerMessageRequest
    UnlockConnectorRequest UnpublishFirmwareRequest UpdateFirmwareRequest
}

#[test]
fn the_list_has_all_actions() {
    let names: Vec<_> = messages().into_iter().map(|message| message.name).collect();
    assert_eq!(names.len(), 128);
    for (action, _) in v201::ACTIONS {
        assert!(names.contains(&format!("{action}Request")), "{action}");
    }
}

#[test]
fn senders_of_the_certificate_messages() {
    use ocpp_types::Sender::{Both, ChargingStation, Csms};
    for (action, sender) in [
        ("SignCertificate", Some(ChargingStation)),
        ("CertificateSigned", Some(Csms)),
        ("InstallCertificate", Some(Csms)),
        ("DeleteCertificate", Some(Csms)),
        ("GetInstalledCertificateIds", Some(Csms)),
        ("GetCertificateStatus", Some(ChargingStation)),
        ("DataTransfer", Some(Both)),
        ("ExtendedTriggerMessage", None),
        ("signCertificate", None),
        ("", None),
    ] {
        assert_eq!(v201::sender(action), sender, "{action}");
    }
}

#[test]
fn enumerations_speak_the_specification() {
    for value in v201::ConnectorEnumType::ALL {
        assert_eq!(value.as_str().parse(), Ok(*value));
        assert_eq!(value.to_string(), value.as_str());
    }
    assert_eq!(v201::ConnectorEnumType::S309_1P16A.as_str(), "s309-1P-16A");
    let error = "sha256".parse::<v201::HashAlgorithmEnumType>().unwrap_err();
    assert_eq!(error.to_string(), "not a value of HashAlgorithmEnumType; use one of SHA256, SHA384, SHA512");
}
