//! OCPP 2.1: what its messages about the device model say, in the words of 2.0.1, in which this
//! model answers.
//!
//! The messages are the same but for longer texts, more names, and what is said here. The component
//! `NetworkConfiguration` of 2.1 (B09.FR.07 and following) is not offered: profiles are set by
//! SetNetworkProfile, which 2.1 still has.

use ocpp_types::{BoundedString, NonEmptyVec, decode, encode, v21, v201};
use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use super::{DeviceModel, ProfileOutcome, Situation, variable::Refusal};

/// The same message in another version of OCPP 2.
///
/// # Errors
/// What the other version has no word or no room for.
pub fn same<From: Serialize, To: DeserializeOwned>(message: &From) -> Result<To, NotTheSame> {
    // SetVariables may carry a password.
    let text = Zeroizing::new(encode(message).map_err(|error| NotTheSame { why: error.to_string() })?);
    decode(&text).map_err(|error| NotTheSame { why: error.to_string() })
}

/// A message that the other version cannot say.
#[derive(Debug, thiserror::Error)]
#[error("OCPP 2.0.1 and 2.1 do not say the same here: {why}")]
pub struct NotTheSame {
    why: String,
}

/// SetVariables in the words of 2.0.1, where a value has 1,000 characters and not 2,500.
///
/// No variable of this station takes more than a few dozen. A longer value is replaced by one that
/// every rule refuses, so that it is refused as what it is: of an unknown variable, of one that
/// cannot be set, or too long.
///
/// # Errors
/// None of a request that was read by its type.
pub fn set_variables(mut request: v21::SetVariablesRequest) -> Result<v201::SetVariablesRequest, NotTheSame> {
    let shortened = request.set_variable_data.into_iter().map(|mut data| {
        if data.attribute_value.chars().count() > LONGEST_VALUE {
            let refused = "?".repeat(LONGEST_VALUE);
            data.attribute_value = BoundedString::try_from(refused).unwrap_or_default();
        }
        data
    });
    let shortened = NonEmptyVec::try_from(shortened.collect::<Vec<_>>());
    request.set_variable_data =
        shortened.map_err(|_| NotTheSame { why: "there is nothing to be set".to_owned() })?;
    same(&request)
}

impl DeviceModel {
    /// Answers SetNetworkProfile of 2.1 (B09).
    #[must_use]
    pub fn set_network_profile_21(
        &self,
        request: &v21::SetNetworkProfileRequest,
        situation: &Situation,
    ) -> ProfileOutcome {
        match self.profile_of_201(request) {
            Ok(request) => self.set_network_profile(&request, situation),
            Err(refusal) => refused(&refusal),
        }
    }

    fn profile_of_201(
        &self,
        request: &v21::SetNetworkProfileRequest,
    ) -> Result<v201::SetNetworkProfileRequest, Refusal> {
        let invalid = |info: &str| Refusal::new("InvalidNetworkConf", info);
        let data = &request.connection_data;
        // B09.FR.21, B09.FR.22: a slot that is in use is not changed.
        if self.network().priority().iter().any(|slot| i64::from(*slot) == request.configuration_slot) {
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
        // The version is that of the subprotocol which the CSMS chooses, whatever stands here, and
        // the interface is that of the operating system's routes.
        let interface = same(&data.ocpp_interface).unwrap_or(v201::OCPPInterfaceEnumType::Wired0);
        let transport = match data.ocpp_transport {
            v21::OCPPTransportEnumType::JSON => v201::OCPPTransportEnumType::JSON,
            v21::OCPPTransportEnumType::SOAP => v201::OCPPTransportEnumType::SOAP,
        };
        let profile = v201::NetworkConnectionProfileType::new(
            v201::OCPPVersionEnumType::OCPP20,
            transport,
            url,
            data.message_timeout,
            data.security_profile.get(),
            interface,
        );
        Ok(v201::SetNetworkProfileRequest::new(request.configuration_slot, profile))
    }
}

fn refused(refusal: &Refusal) -> ProfileOutcome {
    let status = v201::SetNetworkProfileStatusEnumType::Rejected;
    let mut response = v201::SetNetworkProfileResponse::new(status);
    response.status_info = refusal.status_info();
    ProfileOutcome { response, changed: None }
}

/// The characters of `attributeValue` in 2.0.1.
const LONGEST_VALUE: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device_model::Variable;

    #[test]
    fn a_value_that_2_0_1_has_no_room_for_is_refused_by_every_rule() {
        let refused = "?".repeat(LONGEST_VALUE);
        for variable in Variable::ALL {
            // The order of the slots is judged beside the slots.
            if variable != Variable::NetworkConfigurationPriority {
                variable.rule().check(&refused).expect_err(variable.name());
            }
        }
        let text = |value: &str| {
            let component = v21::ComponentType::new("SecurityCtrlr".parse().expect("short"));
            let variable = v21::VariableType::new("Identity".parse().expect("short"));
            v21::SetVariableDataType::new(value.parse().expect("short"), component, variable)
        };
        let data = vec![text(&"1".repeat(2500)), text(&"1".repeat(1000)), text("1")];
        let request = v21::SetVariablesRequest::new(NonEmptyVec::try_from(data).expect("three"));
        let told = set_variables(request).expect("the same");
        let values: Vec<_> =
            told.set_variable_data.iter().map(|data| data.attribute_value.as_str()).collect();
        assert_eq!(values, [refused.as_str(), &"1".repeat(1000), "1"]);
    }

    #[test]
    fn what_has_no_word_in_the_other_version_is_an_error() {
        let any = v21::OCPPInterfaceEnumType::Any;
        same::<_, v201::OCPPInterfaceEnumType>(&any).expect_err("2.0.1 does not know it");
        let wired = v21::OCPPInterfaceEnumType::Wired1;
        let known: v201::OCPPInterfaceEnumType = same(&wired).expect("the same");
        assert_eq!(known, v201::OCPPInterfaceEnumType::Wired1);
    }
}
