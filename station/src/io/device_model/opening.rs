//! Opens the station's device model with its configuration.

use std::{collections::BTreeMap, sync::Arc};

use ocpp_transport::{Password, SecurityProfile};
use ocpp_types::{
    BoundedString,
    v201::{NetworkConnectionProfileType, OCPPInterfaceEnumType, OCPPTransportEnumType, OCPPVersionEnumType},
};

use crate::{
    config::Config,
    device_model::{Defaults, NetworkConfiguration, Variable},
    io::{
        agent::error::AgentError,
        device_model::file::ModelFile,
        disk::{faults::DiskFaults, folder::make_folder, opening::OpenStoreError},
    },
};

/// The device model. Slot 1 holds the network profile of the configuration until the CSMS has set
/// one.
pub(crate) fn open_model(
    config: &Config,
    password: Password,
    faults: Arc<DiskFaults>,
) -> Result<ModelFile, AgentError> {
    let csms = &config.csms;
    // A station without a certificate uses the password. Once it has a certificate, it never uses
    // the password again (A05.FR.06).
    let profile = SecurityProfile::TlsWithClientCertificate;
    let profile = NetworkConnectionProfileType::new(
        OCPPVersionEnumType::OCPP20,
        OCPPTransportEnumType::JSON,
        BoundedString::try_from(csms.url.as_str())?,
        MESSAGE_TIMEOUT_S,
        profile.number().into(),
        OCPPInterfaceEnumType::Wired0,
    );
    let mut defaults = Defaults::new(config.station.identity.clone(), &config.station.organization, password);
    defaults.values = BTreeMap::from([
        (Variable::RetryBackOffWaitMinimum, csms.retry_wait_minimum_s.to_string()),
        (Variable::RetryBackOffRandomRange, csms.retry_random_range_s.to_string()),
        (Variable::RetryBackOffRepeatTimes, csms.retry_repeat_times.to_string()),
    ]);
    defaults.iso15118 = config.iso15118_defaults();
    make_folder(config)
        .map_err(|source| OpenStoreError::Folder { path: config.directory.clone(), source })?;
    Ok(ModelFile::open(&config.directory, defaults, NetworkConfiguration::new(profile), faults)?)
}

/// The value that the specification suggests (2.0.1 Part 4, 4.1).
const MESSAGE_TIMEOUT_S: i64 = 30;
