//! Reads and sets variables, independent of the version of OCPP.

use std::collections::BTreeSet;

use ocpp_transport::Password;

use super::{
    DeviceModel, Downgrade, Situation,
    names::{Attribute, NamedComponent, NamedVariable, Unknown},
    variable::{Effect, Mutability, Place, Refusal, Rule, Variable},
};

/// The answer to SetVariables, and the model after it.
#[derive(Debug)]
pub struct SetOutcome<R> {
    /// The answer. Send it only after the change is durable.
    pub response: R,
    /// The changed model, or the same model if no change was accepted.
    pub model: DeviceModel,
    /// The variables that were set, including those that already had the value.
    pub changed: BTreeSet<Variable>,
}

/// The answer to a read of a variable.
#[derive(Debug)]
pub(super) enum ReadAnswer {
    Value(String),
    Refused(Refusal),
    Unknown(Unknown),
}

/// The answer to a new value.
#[derive(Debug)]
pub(super) enum WriteAnswer {
    Accepted { variable: Variable, effect: Effect },
    Refused(Refusal),
    Unknown(Unknown),
}

impl DeviceModel {
    /// Reads a variable.
    pub(super) fn read(
        &self,
        component: NamedComponent<'_>,
        variable: NamedVariable<'_>,
        attribute: Attribute,
        situation: &Situation,
    ) -> ReadAnswer {
        match self.find(component, variable, attribute) {
            Err(unknown) => ReadAnswer::Unknown(unknown),
            // A01: a password is never reported.
            Ok(place) if place.variable.mutability() == Mutability::WriteOnly => {
                ReadAnswer::Refused(Refusal::new("WriteOnly", "it cannot be read"))
            }
            Ok(place) => ReadAnswer::Value(self.value(place, situation)),
        }
    }

    /// Sets a variable. A refused variable does not affect others.
    pub(super) fn write(
        &mut self,
        component: NamedComponent<'_>,
        variable: NamedVariable<'_>,
        attribute: Attribute,
        value: &str,
        situation: &Situation,
    ) -> WriteAnswer {
        let place = match self.find(component, variable, attribute) {
            Ok(place) => place,
            Err(unknown) => return WriteAnswer::Unknown(unknown),
        };
        match self.set(place, value, situation) {
            Ok(()) => WriteAnswer::Accepted { variable: place.variable, effect: place.variable.effect() },
            Err(refusal) => WriteAnswer::Refused(refusal),
        }
    }

    pub(super) fn set(&mut self, place: Place, value: &str, situation: &Situation) -> Result<(), Refusal> {
        let variable = place.variable;
        if variable.mutability() == Mutability::ReadOnly {
            return Err(Refusal::new("ReadOnly", "it cannot be set"));
        }
        let rule = variable.rule();
        rule.check(value)?;
        match rule {
            Rule::Password => self.password = Some(Password::from(value)),
            Rule::Slots => {
                self.network = self.network.with_priority(value, self.defaults.downgrade, situation)?;
            }
            Rule::Text { .. } | Rule::Integer { .. } | Rule::Boolean | Rule::Country => {
                if variable == Variable::PncEnabled {
                    self.suspended.remove(&place.evse);
                }
                self.set.insert(place, value.to_owned());
            }
        }
        Ok(())
    }

    /// The value of a variable that may be read.
    pub(super) fn value(&self, place: Place, situation: &Situation) -> String {
        match place.variable {
            Variable::BasicAuthPassword => String::new(),
            Variable::Identity => self.defaults.identity.as_str().to_owned(),
            Variable::OrganizationName => self.organization().to_owned(),
            Variable::CertificateEntries => situation.certificates.to_string(),
            Variable::SecurityProfile => situation.profile.number().to_string(),
            Variable::AdditionalRootCertificateCheck => situation.additional_root_check.to_string(),
            Variable::MaxCertificateChainSize => situation.max_chain_size.to_string(),
            Variable::AllowSecurityProfileDowngrade => {
                (self.defaults.downgrade == Downgrade::ThreeToTwo).to_string()
            }
            Variable::ActiveNetworkProfile => situation.slot.to_string(),
            Variable::MessageTimeout => {
                let active = self.network.profile(situation.slot);
                active.map_or(DEFAULT_MESSAGE_TIMEOUT, |profile| profile.message_timeout).to_string()
            }
            Variable::NetworkConfigurationPriority => self.network.priority_list(),
            _ => self.text(place).to_owned(),
        }
    }
}

/// Facts: the specification suggests 30 s.
const DEFAULT_MESSAGE_TIMEOUT: i64 = 30;
