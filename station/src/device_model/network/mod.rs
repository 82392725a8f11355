//! The slots of network connection profiles: which profiles a slot may hold, and in which order the
//! slots are tried.

pub(super) mod profile;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use ocpp_transport::SecurityProfile;
use ocpp_types::v201::NetworkConnectionProfileType;

use super::{Downgrade, Installed, Situation, variable::Refusal};

/// Numbered slots, some of which hold a profile, and the order in which they are tried.
///
/// Invariant: each slot of the order holds a profile, and occurs once.
#[derive(Clone, PartialEq)]
pub struct NetworkConfiguration {
    /// B09.FR.06: at least two.
    slots: u32,
    profiles: BTreeMap<u32, NetworkConnectionProfileType>,
    priority: Vec<u32>,
    /// The slots that were written since the program started. The present connection is no evidence
    /// for their content.
    written: BTreeSet<u32>,
}

impl NetworkConfiguration {
    /// How many slots a station has.
    pub const SLOTS: u32 = 4;

    /// The configuration of a station that is delivered with one profile, in slot 1.
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

    /// Restores a stored configuration. `None` if it breaks the invariant.
    pub(super) fn restore(
        profiles: BTreeMap<u32, NetworkConnectionProfileType>,
        priority: Vec<u32>,
    ) -> Option<Self> {
        let restored = Self { slots: Self::SLOTS, profiles, priority: Vec::new(), written: BTreeSet::new() };
        restored.check_slots(&priority).ok()?;
        Some(Self { priority, ..restored })
    }

    /// Whether the station has this slot.
    pub(super) fn has_slot(&self, slot: u32) -> bool {
        (1..=self.slots).contains(&slot)
    }

    /// Writes a profile into a slot.
    pub(super) fn store(&mut self, slot: u32, profile: NetworkConnectionProfileType) {
        self.profiles.insert(slot, profile);
        self.written.insert(slot);
    }

    /// The configuration without the profiles below `level`. `None` if nothing would change, or if
    /// no profile would be left.
    pub(super) fn without_lower(&self, level: SecurityProfile) -> Option<Self> {
        let mut changed = self.clone();
        changed.profiles.retain(|_, stored| stored.security_profile >= i64::from(level.number()));
        changed.priority.retain(|slot| changed.profiles.contains_key(slot));
        (changed != *self && !changed.priority.is_empty()).then_some(changed)
    }

    /// Raises the security profile of a slot. `None` if the slot holds no profile.
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
            // The station connects with its password under a profile 3 for which it has no
            // certificate. So that profile is usable as it is.
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

/// Whether a profile of this level may replace one of level `active`.
pub(super) fn check_level(
    profile: i64,
    downgrade: Downgrade,
    active: SecurityProfile,
) -> Result<(), Refusal> {
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
pub(super) const THREE: i64 = 3;
