//! The section `[iso15118]`: the controllers, and their values until the CSMS changes them.

use serde::Deserialize;

use crate::{config::ConfigError, device_model::Variable};

/// How the station serves vehicles by ISO 15118. Its texts and switches are the defaults of
/// `ISO15118Ctrlr`'s variables.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Iso15118Section {
    /// The EVSEs that have a controller each. If absent, the station as a whole has one controller.
    pub evses: Vec<u32>,
    /// Whether one certificate may serve both the connection to the CSMS and vehicles; default no.
    pub combined_certificates: bool,
    /// `SeccId`: one for all controllers, or one for each of `evses` in their order; default: the
    /// station's serial number.
    pub secc_id: Option<SeccIds>,
    /// `CountryName`, two letters. By default there is none, and the certificate names no country.
    pub country_name: Option<String>,
    /// `OrganizationName`; default: `station.organization`.
    pub organization_name: Option<String>,
    /// `PnCEnabled`; default yes.
    pub pnc_enabled: bool,
    /// `V2GCertificateInstallationEnabled`; default yes.
    pub v2g_certificate_installation_enabled: bool,
    /// `ContractCertificateInstallationEnabled`; default no.
    pub contract_certificate_installation_enabled: bool,
    /// `CentralContractValidationAllowed`; default no.
    pub central_contract_validation_allowed: bool,
    /// `ContractValidationOffline`; default no.
    pub contract_validation_offline: bool,
}

impl Default for Iso15118Section {
    fn default() -> Self {
        Self {
            evses: Vec::new(),
            combined_certificates: false,
            secc_id: None,
            country_name: None,
            organization_name: None,
            pnc_enabled: true,
            v2g_certificate_installation_enabled: true,
            contract_certificate_installation_enabled: false,
            central_contract_validation_allowed: false,
            contract_validation_offline: false,
        }
    }
}

/// The `SeccId` of each controller.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum SeccIds {
    /// The EVSEs share one SECC.
    Shared(String),
    /// One for each of `evses`, in their order.
    Each(Vec<String>),
}

impl Iso15118Section {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let wrong = |field, rule: String| Err(ConfigError::Value { field, rule });
        if self.evses.len() > MAX_EVSES {
            return wrong("iso15118.evses", format!("{} EVSEs, at most {MAX_EVSES}", self.evses.len()));
        }
        for (position, evse) in self.evses.iter().enumerate() {
            if *evse == 0 || self.evses[..position].contains(evse) {
                return wrong(
                    "iso15118.evses",
                    format!("{evse}: EVSEs are numbered from 1, each named once"),
                );
            }
        }
        let ids = match &self.secc_id {
            Some(SeccIds::Each(ids)) if ids.len() != self.evses.len() => {
                let (ids, evses) = (ids.len(), self.evses.len());
                return wrong("iso15118.secc_id", format!("{ids} names for {evses} EVSEs"));
            }
            Some(SeccIds::Each(ids)) => ids.as_slice(),
            Some(SeccIds::Shared(id)) => std::slice::from_ref(id),
            None => &[],
        };
        let texts = [
            ("iso15118.country_name", Variable::CountryName, self.country_name.as_slice()),
            ("iso15118.organization_name", Variable::SeccOrganizationName, self.organization_name.as_slice()),
            ("iso15118.secc_id", Variable::SeccId, ids),
        ];
        for (field, variable, texts) in texts {
            if let Some(rule) = texts.iter().find_map(|text| variable.check(text).err()) {
                return wrong(field, rule);
            }
        }
        Ok(())
    }

    pub(super) fn secc_id(&self, position: usize) -> Option<&String> {
        match self.secc_id.as_ref()? {
            SeccIds::Shared(id) => Some(id),
            SeccIds::Each(ids) => ids.get(position),
        }
    }
}

/// Each EVSE may be an SECC with keys and certificates of its own: the limit is that of the store.
const MAX_EVSES: usize = station_store::MAX_SECCS;
