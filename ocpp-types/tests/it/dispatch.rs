//! From action and payload text to a type, and the errors.

use ocpp_types::{DispatchError, Request, RpcErrorCode, Sender, Version, Violation, v16, v21, v201};

#[test]
fn a_call_is_decoded_into_the_type_of_its_action() {
    let call = v201::StationCall::decode("SignCertificate", r#"{"csr":"x"}"#).unwrap();
    assert_eq!(call.action(), v201::SignCertificateRequest::ACTION);
    let v201::StationCall::SignCertificate(request) = &call else { panic!("{call:?}") };
    assert_eq!(request.csr.as_str(), "x");
    assert_eq!(call.encode().unwrap(), r#"{"csr":"x"}"#);
    assert_eq!(v201::StationCall::from(request.clone()), call);

    let result = v201::CallResult::decode("DeleteCertificate", r#"{"status":"NotFound"}"#).unwrap();
    assert!(matches!(result, v201::CallResult::DeleteCertificate(_)), "{result:?}");
    let call =
        v16::CsmsCall::decode("ExtendedTriggerMessage", r#"{"requestedMessage":"Heartbeat"}"#).unwrap();
    assert!(matches!(call, v16::CsmsCall::ExtendedTriggerMessage(_)), "{call:?}");
}

#[test]
fn data_transfer_goes_both_ways() {
    let payload = r#"{"vendorId":"org.example"}"#;
    assert!(v16::StationCall::decode("DataTransfer", payload).is_ok());
    assert!(v16::CsmsCall::decode("DataTransfer", payload).is_ok());
    assert!(v201::StationCall::decode("DataTransfer", payload).is_ok());
    assert!(v201::CsmsCall::decode("DataTransfer", payload).is_ok());
    assert!(v21::StationCall::decode("DataTransfer", payload).is_ok());
    assert!(v21::CsmsCall::decode("DataTransfer", payload).is_ok());
}

#[test]
fn the_stream_is_sent_and_not_called() {
    let payload = r#"{"id":1,"pending":0,"basetime":"2025-01-23T12:00:00Z","data":[{"t":0.5,"v":"230.1"}]}"#;
    let action = "NotifyPeriodicEventStream";
    let send = v21::StationSend::decode(action, payload).unwrap();
    assert_eq!(send.action(), action);
    assert!(send.encode().unwrap().contains(r#""data":[{"t":0.5,"v":"230.1"}]"#));
    for error in [
        v21::StationCall::decode(action, payload).unwrap_err(),
        v21::CsmsCall::decode(action, payload).unwrap_err(),
        v21::CallResult::decode(action, payload).unwrap_err(),
        v21::StationSend::decode("Heartbeat", "{}").unwrap_err(),
    ] {
        assert_eq!(error, DispatchError::WrongMessageType);
        assert_eq!(error.rpc_code(Version::V21), RpcErrorCode::NotSupported);
    }
    // 2.0.1 has no such action.
    assert_eq!(v201::StationCall::decode(action, payload), Err(DispatchError::UnknownAction));
}

#[test]
fn unknown_actions_wrong_directions_and_wrong_payloads_differ() {
    for action in ["", "signCertificate", "SignCertificateRequest", "LogStatus\u{0}", "NotifyEvent "] {
        let error = v201::StationCall::decode(action, "{}").unwrap_err();
        assert_eq!(error, DispatchError::UnknownAction, "{action}");
        assert_eq!(error.rpc_code(Version::V201), RpcErrorCode::NotImplemented);
    }
    let error = v201::StationCall::decode("DeleteCertificate", "{}").unwrap_err();
    assert_eq!(error, DispatchError::WrongDirection { sender: Sender::Csms });
    assert_eq!(error.to_string(), "only the CSMS sends this action");
    assert_eq!(error.rpc_code(Version::V201), RpcErrorCode::NotSupported);
    let error = v16::CsmsCall::decode("StartTransaction", "{}").unwrap_err();
    assert_eq!(error, DispatchError::WrongDirection { sender: Sender::ChargingStation });

    let error = v16::StationCall::decode("SignCertificate", "{}").unwrap_err();
    let DispatchError::Payload(cause) = &error else { panic!("{error}") };
    assert_eq!((cause.violation(), cause.pointer()), (Violation::MissingMember, "/csr"));
    assert_eq!(error.rpc_code(Version::V16).as_str(Version::V16), "OccurenceConstraintViolation");
    assert_eq!(error.rpc_code(Version::V21).as_str(Version::V21), "OccurrenceConstraintViolation");
}

#[test]
fn every_action_is_taken_from_its_sender_and_from_nobody_else() {
    for (action, sender) in v21::ACTIONS {
        let from_station = v21::StationCall::decode(action, "");
        let from_csms = v21::CsmsCall::decode(action, "");
        let is_taken = |result: &Result<(), DispatchError>| matches!(result, Err(DispatchError::Payload(_)));
        let taken = (is_taken(&from_station.map(drop)), is_taken(&from_csms.map(drop)));
        let expected = match sender {
            Sender::ChargingStation => (true, false),
            Sender::Csms => (false, true),
            Sender::Both => (true, true),
        };
        assert_eq!(taken, expected, "{action}");
    }
}
