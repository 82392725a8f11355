//! GetVariables and SetVariables.

use std::collections::BTreeSet;

use ocpp_transport::Password;
use ocpp_types::{
    BoundedString, NonEmptyVec,
    v201::{
        AttributeEnumType, ComponentType, GetVariableDataType, GetVariableResultType,
        GetVariableStatusEnumType, GetVariablesRequest, GetVariablesResponse, MutabilityEnumType,
        SetVariableDataType, SetVariableResultType, SetVariableStatusEnumType, SetVariablesRequest,
        SetVariablesResponse, VariableType,
    },
};

use super::{
    DeviceModel, Downgrade, Situation,
    variable::{COMMUNICATION, Effect, ISO15118, Place, Refusal, Rule, SECURITY, Variable},
};

/// The answer to SetVariables, and what the model is then.
#[derive(Debug)]
pub struct SetOutcome {
    /// The answer, to be sent only after the change is durable.
    pub response: SetVariablesResponse,
    /// The changed model; as before where nothing was accepted.
    pub model: DeviceModel,
    /// The variables that were set, also those that had the same value before.
    pub changed: BTreeSet<Variable>,
}

impl SetOutcome {
    /// The answer where the change could not be made durable: nothing was set.
    #[must_use]
    pub fn not_stored(response: SetVariablesResponse) -> SetVariablesResponse {
        use SetVariableStatusEnumType as Status;
        let refused = |result: &SetVariableResultType| {
            let mut result = result.clone();
            if matches!(result.attribute_status, Status::Accepted | Status::RebootRequired) {
                result.attribute_status = Status::Rejected;
                let refusal = Refusal::new("InternalError", "the change could not be stored");
                result.attribute_status_info = refusal.status_info();
            }
            result
        };
        SetVariablesResponse::new(each(&response.set_variable_result, refused))
    }
}

/// Why a variable cannot be found.
enum Unknown {
    Component,
    Variable,
    Attribute,
}

impl DeviceModel {
    /// Answers GetVariables: one result for each question, in their order.
    #[must_use]
    pub fn get_variables(
        &self,
        request: &GetVariablesRequest,
        situation: &Situation,
    ) -> GetVariablesResponse {
        let result = |asked: &GetVariableDataType| {
            use GetVariableStatusEnumType as Status;
            let answer = |status| {
                let mut result =
                    GetVariableResultType::new(status, asked.component.clone(), asked.variable.clone());
                result.attribute_type = asked.attribute_type;
                result
            };
            match self.find(&asked.component, &asked.variable, asked.attribute_type) {
                Err(Unknown::Component) => answer(Status::UnknownComponent),
                Err(Unknown::Variable) => answer(Status::UnknownVariable),
                Err(Unknown::Attribute) => answer(Status::NotSupportedAttributeType),
                // A01: a password is never told.
                Ok(place) if place.variable.mutability() == MutabilityEnumType::WriteOnly => {
                    let mut result = answer(Status::Rejected);
                    result.attribute_status_info =
                        Refusal::new("WriteOnly", "it cannot be read").status_info();
                    result
                }
                Ok(place) => {
                    let mut result = answer(Status::Accepted);
                    result.attribute_value = BoundedString::try_from(self.value(place, situation)).ok();
                    result
                }
            }
        };
        GetVariablesResponse::new(each(&request.get_variable_data, result))
    }

    /// Answers SetVariables: one result for each question, in their order. One that is refused does
    /// not hinder the others.
    #[must_use]
    pub fn set_variables(&self, request: &SetVariablesRequest, situation: &Situation) -> SetOutcome {
        let (mut model, mut changed) = (self.clone(), BTreeSet::new());
        let result = |asked: &SetVariableDataType| {
            use SetVariableStatusEnumType as Status;
            let (status, info) = match self.find(&asked.component, &asked.variable, asked.attribute_type) {
                Err(Unknown::Component) => (Status::UnknownComponent, None),
                Err(Unknown::Variable) => (Status::UnknownVariable, None),
                Err(Unknown::Attribute) => (Status::NotSupportedAttributeType, None),
                Ok(place) => match model.set(place, asked.attribute_value.as_str(), situation) {
                    Ok(()) => {
                        changed.insert(place.variable);
                        match place.variable.effect() {
                            Effect::AtOnce => (Status::Accepted, None),
                            Effect::AfterRestart => (Status::RebootRequired, None),
                        }
                    }
                    Err(refusal) => (Status::Rejected, refusal.status_info()),
                },
            };
            let mut result =
                SetVariableResultType::new(status, asked.component.clone(), asked.variable.clone());
            result.attribute_type = asked.attribute_type;
            result.attribute_status_info = info;
            result
        };
        let results = each(&request.set_variable_data, result);
        SetOutcome { response: SetVariablesResponse::new(results), model, changed }
    }

    pub(super) fn set(&mut self, place: Place, value: &str, situation: &Situation) -> Result<(), Refusal> {
        let variable = place.variable;
        if variable.mutability() == MutabilityEnumType::ReadOnly {
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

    /// The variable that is meant; an attribute that is not named is `Actual`, and there is no
    /// other.
    fn find(
        &self,
        component: &ComponentType,
        variable: &VariableType,
        attribute: Option<AttributeEnumType>,
    ) -> Result<Place, Unknown> {
        let name = component.name.as_str();
        let evse = match &component.evse {
            // The controllers are those of whole EVSEs.
            Some(evse) if evse.connector_id.is_some() => return Err(Unknown::Component),
            Some(evse) => Some(u32::try_from(evse.id).map_err(|_| Unknown::Component)?),
            None => None,
        };
        let is_there = if ISO15118.eq_ignore_ascii_case(name) {
            self.controllers().any(|known| known == evse)
        } else {
            // Of these there is one each.
            evse.is_none()
                && [SECURITY, COMMUNICATION].into_iter().any(|known| known.eq_ignore_ascii_case(name))
        };
        if component.instance.is_some() || !is_there {
            return Err(Unknown::Component);
        }
        let instance = variable.instance.as_ref().map(BoundedString::as_str);
        let variable = Variable::find(name, variable.name.as_str(), instance).ok_or(Unknown::Variable)?;
        match attribute {
            None | Some(AttributeEnumType::Actual) => Ok(Place { variable, evse }),
            Some(_) => Err(Unknown::Attribute),
        }
    }
}

/// As many results as questions.
fn each<T, R>(questions: &NonEmptyVec<T>, answer: impl FnMut(&T) -> R) -> NonEmptyVec<R> {
    let results = questions.iter().map(answer).collect::<Vec<_>>();
    NonEmptyVec::try_from(results)
        .unwrap_or_else(|_| unreachable!("there is a question, so there is an answer"))
}

/// Facts: 30 s is what the specification suggests.
const DEFAULT_MESSAGE_TIMEOUT: i64 = 30;
