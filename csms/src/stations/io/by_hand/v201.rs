//! The actions that may be sent by hand in OCPP 2.0.1.

use ocpp_transport::Peer;
use ocpp_types::{Request as _, v201};

use crate::stations::{
    io::by_hand::send::{OperatorCallError, by_hand, decode, send},
    words::is_password,
};

by_hand!(v201:
    TriggerMessageRequest,
    InstallCertificateRequest,
    GetInstalledCertificateIdsRequest,
    DeleteCertificateRequest,
    SetNetworkProfileRequest,
    SetVariablesRequest unless |request: &v201::SetVariablesRequest| {
        request.set_variable_data.iter().any(|data| is_password(&data.variable.name))
    },
    GetVariablesRequest,
    ResetRequest,
);
