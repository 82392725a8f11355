//! The actions that may be sent by hand in OCPP 2.1.

use ocpp_transport::Peer;
use ocpp_types::{Request as _, v21};

use crate::stations::{
    io::by_hand::send::{OperatorCallError, by_hand, decode, send},
    words::is_password,
};

by_hand!(v21:
    TriggerMessageRequest,
    InstallCertificateRequest,
    GetInstalledCertificateIdsRequest,
    DeleteCertificateRequest,
    SetNetworkProfileRequest unless |request: &v21::SetNetworkProfileRequest| {
        request.connection_data.basic_auth_password.is_some()
    },
    SetVariablesRequest unless |request: &v21::SetVariablesRequest| {
        request.set_variable_data.iter().any(|data| is_password(&data.variable.name))
    },
    GetVariablesRequest,
    ResetRequest,
);
