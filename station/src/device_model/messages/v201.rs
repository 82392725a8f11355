//! The messages of OCPP 2.0.1 about the device model.

use ocpp_types::v201::NetworkConnectionProfileType;

super::v2::words_of_v2!(v201);

fn named_evse(evse: &EVSEType) -> NamedEvse {
    NamedEvse { id: evse.id, connector: evse.connector_id }
}

fn evse(id: u32) -> EVSEType {
    EVSEType::new(id.into())
}

/// There are only a few reports.
fn sequence_number(position: usize) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

/// Profiles are stored in the form of this version.
#[expect(clippy::unnecessary_wraps, reason = "other versions have profiles that this form cannot hold")]
fn network_profile(
    _: &DeviceModel,
    request: &SetNetworkProfileRequest,
) -> Result<NetworkConnectionProfileType, Refusal> {
    Ok(request.connection_data.clone())
}
