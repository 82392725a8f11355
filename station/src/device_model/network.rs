//! The slots of network connection profiles: what may be stored in one, and which may be tried in which order.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use ocpp_transport::{Endpoint, EndpointError, SecurityProfile};
use ocpp_types::{
    BoundedString,
    v201::{
        NetworkConnectionProfileType, OCPPTransportEnumType, SetNetworkProfileRequest,
        SetNetworkProfileResponse, SetNetworkProfileStatusEnumType, StatusInfoType,
    },
};

use super::{DeviceModel, Downgrade, Installed, Situation, variable::Refusal};

/// Numbered slots, some of which hold a profile, and the order in which they are tried.
///
/// Invariant: each slot of the order holds a profile, and is in it once.
#[derive(Clone, PartialEq)]
pub struct NetworkConfiguration {
    /// B09.FR.06: at least two.
    slots: u32,
    profiles: BTreeMap<u32, NetworkConnectionProfileType>,
    priority: Vec<u32>,
    /// The slots that were written since the program started: the connection in hand says nothing about what they hold now.
    written: BTreeSet<u32>,
}

/// The answer to SetNetworkProfile, and what the model is then.
#[derive(Debug)]
pub struct ProfileOutcome {
    /// The answer. Accepted is to be sent only after the change is durable; where it cannot be made so, Failed (B09.FR.03).
    pub response: SetNetworkProfileResponse,
    /// The changed model, if it is accepted.
    pub changed: Option<DeviceModel>,
}

impl NetworkConfiguration {
    /// How many slots a station has.
    pub const SLOTS: u32 = 4;

    /// The configuration of a station that was delivered with one profile, in slot 1.
    #[must_use]
    pub fn new(profile: NetworkConnectionProfileType) -> Self {
        let profiles = BTreeMap::from([(1, profile)]);
        Self { slots: Self::SLOTS, profiles, priority: vec![1], written: BTreeSet::new() }
    }

    /// The slots in the order in which they are tried (B10).
    #[must_use]
    pub fn priority(&self) -> &[u32] {
        &self.priority
    }

    /// The profile in a slot.
    #[must_use]
    pub fn profile(&self, slot: u32) -> Option<&NetworkConnectionProfileType> {
        self.profiles.get(&slot)
    }

    /// The profiles by slot.
    pub(super) fn profiles(&self) -> &BTreeMap<u32, NetworkConnectionProfileType> {
        &self.profiles
    }

    /// Takes over what was stored; `None` where it breaks the invariant.
    pub(super) fn restore(
        profiles: BTreeMap<u32, NetworkConnectionProfileType>,
        priority: Vec<u32>,
    ) -> Option<Self> {
        let restored = Self { slots: Self::SLOTS, profiles, priority: Vec::new(), written: BTreeSet::new() };
        restored.check_slots(&priority).ok()?;
        Some(Self { priority, ..restored })
    }

    /// Raises the security profile of a slot; `None` where it holds no profile.
    pub(super) fn raise_security_profile(&mut self, slot: u32, security_profile: u8) -> Option<()> {
        self.profiles.get_mut(&slot)?.security_profile = security_profile.into();
        Some(())
    }

    /// The numbers of all slots, as `valuesList` of `NetworkConfigurationPriority` has them.
    pub(super) fn values_list(&self) -> String {
        list(1..=self.slots)
    }

    /// The order, as `NetworkConfigurationPriority` has it.
    pub(super) fn priority_list(&self) -> String {
        list(self.priority.iter().copied())
    }

    fn check_slots(&self, priority: &[u32]) -> Result<(), Refusal> {
        if priority.is_empty() {
            return Err(Refusal::new("InvalidValue", "no slot: the station could not connect any more"));
        }
        for (position, slot) in priority.iter().enumerate() {
            // B10.FR.02
            if !self.profiles.contains_key(slot) {
                return Err(Refusal::new("InvalidValue", format!("slot {slot} holds no profile")));
            }
            if priority[..position].contains(slot) {
                return Err(Refusal::new("InvalidValue", format!("slot {slot} twice")));
            }
        }
        Ok(())
    }

    /// The configuration with another order (A05, B10).
    pub(super) fn with_priority(
        &self,
        text: &str,
        downgrade: Downgrade,
        situation: &Situation,
    ) -> Result<Self, Refusal> {
        let priority = text
            .split(',')
            .map(|slot| slot.trim().parse())
            .collect::<Result<Vec<u32>, _>>()
            .map_err(|_| Refusal::new("InvalidValue", "not numbers separated by commas"))?;
        self.check_slots(&priority)?;
        for slot in &priority {
            let profile = self.profiles[slot].security_profile;
            check_level(profile, downgrade, situation.profile)?;
            // A profile 3 without a certificate is connected by with the password, and so it is usable as it stands.
            let is_connected = *slot == situation.slot && !self.written.contains(slot);
            if profile <= i64::from(situation.profile.number()) || is_connected {
                continue;
            }
            // A05.FR.02
            if situation.csms_root == Installed::No {
                return Err(Refusal::new(
                    "InvalidValue",
                    format!("slot {slot} needs a valid CSMSRootCertificate"),
                ));
            }
            // A05.FR.03
            if profile == THREE && situation.own_certificate == Installed::No {
                return Err(Refusal::new(
                    "InvalidValue",
                    format!("slot {slot} needs a valid ChargingStationCertificate"),
                ));
            }
        }
        Ok(Self { priority, ..self.clone() })
    }
}

impl DeviceModel {
    /// Answers SetNetworkProfile (B09).
    #[must_use]
    pub fn set_network_profile(
        &self,
        request: &SetNetworkProfileRequest,
        situation: &Situation,
    ) -> ProfileOutcome {
        use SetNetworkProfileStatusEnumType::{Accepted, Rejected};
        let slot = u32::try_from(request.configuration_slot)
            .ok()
            .filter(|slot| (1..=self.network.slots).contains(slot));
        let judged = match slot {
            // B09.FR.05
            None => {
                let slots = self.network.values_list();
                Err(Refusal::new("InvalidConfSlot", format!("the slots are {slots}")))
            }
            Some(slot) => check_profile(&request.connection_data, self.defaults.downgrade, situation.profile)
                .map(|()| slot),
        };
        match judged {
            Ok(slot) => {
                let mut changed = self.clone();
                changed.network.profiles.insert(slot, request.connection_data.clone());
                changed.network.written.insert(slot);
                ProfileOutcome { response: SetNetworkProfileResponse::new(Accepted), changed: Some(changed) }
            }
            Err(refusal) => {
                let mut response = SetNetworkProfileResponse::new(Rejected);
                response.status_info = refusal.status_info();
                ProfileOutcome { response, changed: None }
            }
        }
    }

    /// The station is connected under `profile`: profiles of a lower level are gone for good (A05.FR.06), unless a downgrade is
    /// allowed. `None` where nothing changes.
    #[must_use]
    pub fn handle_connected(&self, profile: SecurityProfile) -> Option<Self> {
        if self.defaults.downgrade == Downgrade::ThreeToTwo {
            return None;
        }
        let mut changed = self.clone();
        let network = &mut changed.network;
        network.profiles.retain(|_, stored| stored.security_profile >= i64::from(profile.number()));
        network.priority.retain(|slot| network.profiles.contains_key(slot));
        (*network != self.network && !changed.network.priority.is_empty()).then_some(changed)
    }
}

impl Refusal {
    /// As it goes into an answer.
    pub(super) fn status_info(&self) -> Option<StatusInfoType> {
        let mut info = StatusInfoType::new(BoundedString::try_from(self.reason).ok()?);
        info.additional_info = BoundedString::try_from(self.info.as_str()).ok();
        Some(info)
    }
}

/// Whether a profile of this level may be used from one of level `active` on.
fn check_level(profile: i64, downgrade: Downgrade, active: SecurityProfile) -> Result<(), Refusal> {
    let refused = |info: &str| Err(Refusal::new("NoSecurityDowngrade", info));
    let active = i64::from(active.number());
    match profile {
        _ if profile >= active => Ok(()),
        // A05.FR.09, B09.FR.31
        ..=1 => refused("profile 1 never follows a higher one"),
        // A05.FR.08
        _ if downgrade == Downgrade::ThreeToTwo => Ok(()),
        // A05.FR.10, B09.FR.04
        _ => refused("the station does not go back to a lower security profile"),
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

impl fmt::Debug for NetworkConfiguration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let profiles = self.profiles.iter().map(|(slot, profile)| (slot, profile.security_profile));
        formatter
            .debug_struct("NetworkConfiguration")
            .field("security_profiles", &profiles.collect::<BTreeMap<_, _>>())
            .field("priority", &self.priority)
            .finish_non_exhaustive()
    }
}

fn list(slots: impl IntoIterator<Item = u32>) -> String {
    slots.into_iter().map(|slot| slot.to_string()).collect::<Vec<_>>().join(",")
}

/// The highest security profile.
const THREE: i64 = 3;
