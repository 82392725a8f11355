//! The messages of OCPP 2.1 about the device model.
//!
//! The component `NetworkConfiguration` of 2.1 (B09.FR.07 and following) is not offered. Profiles
//! are set by SetNetworkProfile, which 2.1 still has.

use ocpp_types::{BoundedInteger, v21, v201};

super::v2::words_of_v2!(v21);

fn named_evse(evse: &EVSEType) -> NamedEvse {
    NamedEvse { id: evse.id.get(), connector: evse.connector_id.map(BoundedInteger::get) }
}

fn evse(id: u32) -> EVSEType {
    EVSEType::new(not_negative(id.into()))
}

/// There are only a few reports.
fn sequence_number(position: usize) -> BoundedInteger<0, { i64::MAX }> {
    not_negative(i64::try_from(position).unwrap_or(i64::MAX))
}

fn not_negative(number: i64) -> BoundedInteger<0, { i64::MAX }> {
    BoundedInteger::try_from(number).unwrap_or_else(|_| unreachable!("it was made of an unsigned number"))
}

/// The profile in the form of 2.0.1, in which profiles are stored.
fn network_profile(
    model: &DeviceModel,
    request: &SetNetworkProfileRequest,
) -> Result<v201::NetworkConnectionProfileType, Refusal> {
    let invalid = |info: &str| Refusal::new("InvalidNetworkConf", info);
    let data = &request.connection_data;
    // B09.FR.21, B09.FR.22: a slot that is in use is not changed.
    if model.network().priority().iter().any(|slot| i64::from(*slot) == request.configuration_slot) {
        return Err(Refusal::new("ActiveNetworkConf", "the slot is in NetworkConfigurationPriority"));
    }
    if data.identity.is_some() || data.basic_auth_password.is_some() {
        return Err(invalid(
            "identity and password are the same for each profile; set them in SecurityCtrlr",
        ));
    }
    if data.vpn.is_some() || data.apn.is_some() {
        return Err(invalid("this station does not set up a VPN or an APN"));
    }
    let url = BoundedString::try_from(data.ocpp_csms_url.as_str())
        .map_err(|_| invalid("ocppCsmsUrl has at most 512 characters"))?;
    let transport = match data.ocpp_transport {
        v21::OCPPTransportEnumType::JSON => v201::OCPPTransportEnumType::JSON,
        v21::OCPPTransportEnumType::SOAP => v201::OCPPTransportEnumType::SOAP,
    };
    // The CSMS chooses the version by the subprotocol, whatever the profile names.
    Ok(v201::NetworkConnectionProfileType::new(
        v201::OCPPVersionEnumType::OCPP20,
        transport,
        url,
        data.message_timeout,
        data.security_profile.get(),
        interface(data.ocpp_interface),
    ))
}

/// The routes of the operating system decide the interface, whatever the profile names.
fn interface(interface: v21::OCPPInterfaceEnumType) -> v201::OCPPInterfaceEnumType {
    match interface {
        v21::OCPPInterfaceEnumType::Wired0 | v21::OCPPInterfaceEnumType::Any => {
            v201::OCPPInterfaceEnumType::Wired0
        }
        v21::OCPPInterfaceEnumType::Wired1 => v201::OCPPInterfaceEnumType::Wired1,
        v21::OCPPInterfaceEnumType::Wired2 => v201::OCPPInterfaceEnumType::Wired2,
        v21::OCPPInterfaceEnumType::Wired3 => v201::OCPPInterfaceEnumType::Wired3,
        v21::OCPPInterfaceEnumType::Wireless0 => v201::OCPPInterfaceEnumType::Wireless0,
        v21::OCPPInterfaceEnumType::Wireless1 => v201::OCPPInterfaceEnumType::Wireless1,
        v21::OCPPInterfaceEnumType::Wireless2 => v201::OCPPInterfaceEnumType::Wireless2,
        v21::OCPPInterfaceEnumType::Wireless3 => v201::OCPPInterfaceEnumType::Wireless3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device_model::{Variable, tests};

    #[test]
    fn a_value_that_2_0_1_has_no_room_for_is_refused_by_every_rule() {
        let value = "1".repeat(2500);
        for variable in Variable::ALL {
            // The order of the slots is checked together with the slots.
            if variable != Variable::NetworkConfigurationPriority {
                variable.rule().check(&value).expect_err(variable.name());
            }
        }
        let text = |value: &str| {
            let component = ComponentType::new("OCPPCommCtrlr".parse().expect("short"));
            let variable = VariableType::new("OfflineThreshold".parse().expect("short"));
            SetVariableDataType::new(value.parse().expect("short"), component, variable)
        };
        let padded = format!("{}1", "0".repeat(1000));
        let data = vec![text(&value), text(&padded), text(&padded[1..])];
        let request = SetVariablesRequest::new(NonEmptyVec::try_from(data).expect("three"));
        let outcome = set_variables(&tests::model(2), &request, &tests::situation(2));
        let statuses = outcome.response.set_variable_result.iter().map(|result| result.attribute_status);
        use SetVariableStatusEnumType::{Accepted, Rejected};
        assert_eq!(statuses.collect::<Vec<_>>(), [Rejected, Rejected, Accepted]);
    }

    #[test]
    fn an_interface_that_2_0_1_does_not_know_is_kept_as_the_first() {
        let (any, wired) = (v21::OCPPInterfaceEnumType::Any, v21::OCPPInterfaceEnumType::Wired1);
        assert_eq!(interface(any), v201::OCPPInterfaceEnumType::Wired0);
        assert_eq!(interface(wired), v201::OCPPInterfaceEnumType::Wired1);
    }
}
