//! The ISO 15118 controllers in the form of the device model.

use std::collections::BTreeMap;

use crate::{
    config::Config,
    device_model::{Iso15118, Variable},
};

impl Config {
    /// The ISO 15118 controllers in the form of the device model. `None`: the station has none.
    #[must_use]
    pub fn iso15118_defaults(&self) -> Option<Iso15118> {
        let section = self.iso15118.as_ref()?;
        let controller = |position| {
            let organization = section.organization_name.as_ref().unwrap_or(&self.station.organization);
            let id = section.secc_id(position).unwrap_or(&self.station.serial_number);
            let mut values = BTreeMap::from([
                (Variable::SeccId, id.clone()),
                (Variable::SeccOrganizationName, organization.clone()),
            ]);
            values.extend(section.country_name.clone().map(|country| (Variable::CountryName, country)));
            for (variable, value) in [
                (Variable::PncEnabled, section.pnc_enabled),
                (Variable::V2gCertificateInstallationEnabled, section.v2g_certificate_installation_enabled),
                (
                    Variable::ContractCertificateInstallationEnabled,
                    section.contract_certificate_installation_enabled,
                ),
                (Variable::CentralContractValidationAllowed, section.central_contract_validation_allowed),
                (Variable::ContractValidationOffline, section.contract_validation_offline),
            ] {
                values.insert(variable, value.to_string());
            }
            values
        };
        let controllers = match section.evses.as_slice() {
            [] => BTreeMap::from([(None, controller(0))]),
            evses => {
                let each = evses.iter().enumerate();
                each.map(|(position, evse)| (Some(*evse), controller(position))).collect()
            }
        };
        Some(Iso15118 { controllers, combined_certificates: section.combined_certificates })
    }
}
