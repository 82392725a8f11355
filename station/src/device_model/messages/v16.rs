//! OCPP 1.6: the configuration keys of the security whitepaper (edition 3, section 7).
//!
//! A key is another name for a variable, and changes the value of that variable. Each fact is
//! stored in one place, whichever version of OCPP changed it.

use std::collections::BTreeSet;

use ocpp_transport::Password;
use ocpp_types::{
    BoundedString,
    v16::{
        ChangeConfigurationRequest, ChangeConfigurationResponse, ConfigurationStatus,
        GetConfigurationRequest, GetConfigurationResponse, KeyValue,
    },
};

use crate::device_model::{
    DeviceModel, Installed, Situation,
    variable::{Effect, Mutability, Refusal, Variable},
};

/// The answer to ChangeConfiguration, and the model after it.
#[derive(Debug)]
pub struct ConfigurationOutcome {
    /// The answer. Send it only after the change is durable.
    pub response: ChangeConfigurationResponse,
    /// The changed model, or the same model if no change was accepted.
    pub model: DeviceModel,
    /// The variable that was set, even if it already had the value.
    pub changed: BTreeSet<Variable>,
    /// Why the value was refused, without the value: the answer of 1.6 has no member for it.
    pub refused: Option<String>,
}

impl DeviceModel {
    /// Answers GetConfiguration: each key once, in the order of the whitepaper. If the request
    /// names no key, the answer has all keys.
    ///
    /// `AuthorizationKey` is listed without its value, which cannot be read.
    #[must_use]
    pub fn get_configuration(
        &self,
        request: &GetConfigurationRequest,
        situation: &Situation,
    ) -> GetConfigurationResponse {
        let asked = request.key.as_deref().unwrap_or_default();
        let (known, unknown): (Vec<_>, Vec<_>) = asked.iter().partition(|name| find(name).is_some());
        let known: BTreeSet<Variable> =
            known.into_iter().filter_map(|name| find(name)).map(|(_, variable)| variable).collect();
        let listed = KEYS.iter().filter(|(_, variable)| asked.is_empty() || known.contains(variable));
        let listed = listed.filter_map(|(name, variable)| {
            let mut key = KeyValue::new(BoundedString::try_from(*name).ok()?, is_read_only(*variable));
            key.value = self.key_value(*variable, situation);
            Some(key)
        });
        let listed: Vec<_> = listed.collect();
        let unknown: Vec<_> = unknown.into_iter().cloned().collect();
        let mut response = GetConfigurationResponse::new();
        response.configuration_key = (!listed.is_empty()).then_some(listed);
        response.unknown_key = (!unknown.is_empty()).then_some(unknown);
        response
    }

    /// Answers ChangeConfiguration.
    #[must_use]
    pub fn change_configuration(
        &self,
        request: &ChangeConfigurationRequest,
        situation: &Situation,
    ) -> ConfigurationOutcome {
        let mut model = self.clone();
        let value = request.value.as_str();
        let mut refused = None;
        let (status, changed) = match find(&request.key) {
            None => (ConfigurationStatus::NotSupported, None),
            Some((_, variable)) => {
                let set = match variable {
                    Variable::BasicAuthPassword => model.set_authorization_key(value),
                    Variable::SecurityProfile => model.raise_security_profile(value, situation),
                    _ => model.set(variable.into(), value, situation),
                };
                match (set, variable.effect()) {
                    (Ok(()), Effect::AtOnce) => (ConfigurationStatus::Accepted, Some(variable)),
                    (Ok(()), Effect::AfterRestart) => (ConfigurationStatus::RebootRequired, Some(variable)),
                    (Err(refusal), _) => {
                        refused = Some(refusal.info);
                        (ConfigurationStatus::Rejected, None)
                    }
                }
            }
        };
        ConfigurationOutcome {
            response: ChangeConfigurationResponse::new(status),
            model,
            changed: changed.into_iter().collect(),
            refused,
        }
    }

    /// A01: 32 to 40 hexadecimal digits for the 16 to 20 bytes of the new password.
    fn set_authorization_key(&mut self, hexadecimal: &str) -> Result<(), Refusal> {
        let key = Password::from_authorization_key(hexadecimal)
            .ok_or_else(|| Refusal::new("InvalidValue", "32 to 40 hexadecimal digits, an even number"))?;
        self.password = Some(key);
        Ok(())
    }

    /// A05 of the whitepaper. The security profile belongs to the network profile of the
    /// connection, as in OCPP 2.
    ///
    /// A05.FR.02 requires an AuthorizationKey if the new profile is 1 or 2. This station always has
    /// one.
    fn raise_security_profile(&mut self, value: &str, situation: &Situation) -> Result<(), Refusal> {
        Variable::SecurityProfile.rule().check(value)?;
        let refused = |info: &str| Err(Refusal::new("InvalidValue", info));
        let Ok(wanted) = value.parse::<u8>() else { return refused("not a security profile") };
        // A05.FR.01
        if wanted <= situation.profile.number() {
            return refused("the security profile can only be raised");
        }
        // A05.FR.03
        if situation.csms_root == Installed::No {
            return refused("no valid CentralSystemRootCertificate is installed");
        }
        // A05.FR.04
        if wanted == 3 && situation.own_certificate == Installed::No {
            return refused("there is no valid ChargePointCertificate");
        }
        // A05.FR.05
        let raised = self.network.raise_security_profile(situation.slot, wanted);
        raised.ok_or_else(|| Refusal::new("InvalidValue", "the network profile of the connection is gone"))
    }

    /// `None`: the key may not be listed.
    fn key_value(&self, variable: Variable, situation: &Situation) -> Option<BoundedString<500>> {
        let value = match variable {
            _ if variable.mutability() == Mutability::WriteOnly => return None,
            Variable::CertificateEntries => situation.certificate_capacity.to_string(),
            _ => self.value(variable.into(), situation),
        };
        BoundedString::try_from(value).ok()
    }
}

/// The key with this name; case does not matter (CiString50Type).
fn find(name: &str) -> Option<(&'static str, Variable)> {
    KEYS.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name))
}

/// `SecurityProfile` can be raised in 1.6, which has no network profiles.
fn is_read_only(variable: Variable) -> bool {
    variable != Variable::SecurityProfile && variable.mutability() == Mutability::ReadOnly
}

/// Each key with the variable that it names. `CertificateStoreMaxLength` is the upper limit of
/// `CertificateEntries`.
const KEYS: [(&str, Variable); 8] = [
    ("AuthorizationKey", Variable::BasicAuthPassword),
    ("SecurityProfile", Variable::SecurityProfile),
    ("CpoName", Variable::OrganizationName),
    ("AdditionalRootCertificateCheck", Variable::AdditionalRootCertificateCheck),
    ("CertificateSignedMaxChainSize", Variable::MaxCertificateChainSize),
    ("CertificateStoreMaxLength", Variable::CertificateEntries),
    ("HeartbeatInterval", Variable::HeartbeatInterval),
    ("WebSocketPingInterval", Variable::WebSocketPingInterval),
];
