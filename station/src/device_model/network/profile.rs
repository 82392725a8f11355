//! SetNetworkProfile (B09), and the effect of a connection under a higher profile (A05).

use ocpp_transport::{Endpoint, EndpointError, SecurityProfile};
use ocpp_types::v201::{NetworkConnectionProfileType, OCPPTransportEnumType};

use super::{THREE, check_level};
use crate::device_model::{DeviceModel, Downgrade, Situation, variable::Refusal};

/// The answer to SetNetworkProfile, and the model after it.
#[derive(Debug)]
pub struct ProfileOutcome<R> {
    /// The answer. Send Accepted only after the change is durable. If the change cannot be made
    /// durable, send Failed (B09.FR.03).
    pub response: R,
    /// The changed model, if it is accepted.
    pub changed: Option<DeviceModel>,
}

impl DeviceModel {
    /// The model with `profile` in the slot with this number (B09).
    pub(in crate::device_model) fn store_profile(
        &self,
        slot: i64,
        profile: NetworkConnectionProfileType,
        situation: &Situation,
    ) -> Result<Self, Refusal> {
        // B09.FR.05
        let slot = u32::try_from(slot).ok().filter(|slot| self.network.has_slot(*slot)).ok_or_else(|| {
            Refusal::new("InvalidConfSlot", format!("the slots are {}", self.network.values_list()))
        })?;
        check_profile(&profile, self.defaults.downgrade, situation.profile)?;
        let mut changed = self.clone();
        changed.network.store(slot, profile);
        Ok(changed)
    }

    /// The station is connected under `profile`. Profiles of a lower level are removed for good
    /// (A05.FR.06), unless a downgrade is allowed. `None` if nothing changes.
    #[must_use]
    pub fn handle_connected(&self, profile: SecurityProfile) -> Option<Self> {
        if self.defaults.downgrade == Downgrade::ThreeToTwo {
            return None;
        }
        let network = self.network.without_lower(profile)?;
        Some(Self { network, ..self.clone() })
    }
}

/// B09.FR.01, B09.FR.02: whether the station could use a profile.
fn check_profile(
    data: &NetworkConnectionProfileType,
    downgrade: Downgrade,
    active: SecurityProfile,
) -> Result<(), Refusal> {
    let invalid = |info: String| Err(Refusal::new("InvalidNetworkConf", info));
    if !(1..=THREE).contains(&data.security_profile) {
        return invalid(format!("there is no security profile {}", data.security_profile));
    }
    check_level(data.security_profile, downgrade, active)?;
    if data.security_profile == 1 {
        return invalid("this station connects over TLS only".to_owned());
    }
    if data.ocpp_transport != OCPPTransportEnumType::JSON {
        return invalid("this station speaks OCPP-J only".to_owned());
    }
    if !(1..=3600).contains(&data.message_timeout) {
        return invalid("messageTimeout is 1 to 3600 s".to_owned());
    }
    if data.vpn.is_some() || data.apn.is_some() {
        return invalid("this station does not set up a VPN or an APN".to_owned());
    }
    match data.ocpp_csms_url.as_str().parse::<Endpoint>() {
        Ok(endpoint) if endpoint.is_tls() => Ok(()),
        Ok(_) | Err(EndpointError::Scheme) => invalid("ocppCsmsUrl has to begin with wss://".to_owned()),
        Err(error) => invalid(format!("ocppCsmsUrl: {error}")),
    }
}
