//! The device model on disk, changed durably before anybody is told.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use crate::{
    device_model::{Defaults, DeviceModel, NetworkConfiguration, StoredModelError},
    io::{durable::replace, handlers::lock},
};

/// The device model of a station, in its folder.
#[derive(Debug)]
pub(crate) struct ModelFile {
    path: PathBuf,
    /// Held while the disk is written; whoever reads the model does not wait for that.
    writer: Mutex<()>,
    current: Mutex<Current>,
}

/// The model as it is.
#[derive(Debug)]
struct Current {
    model: DeviceModel,
    /// While a change is being written: what has been altered meanwhile, which the changed model has to follow.
    meanwhile: Option<Vec<Alteration>>,
}

/// What is never written down.
#[derive(Debug)]
enum Alteration {
    SuspendPnc(String),
    HeartbeatInterval(Duration),
}

/// Why the device model cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The disk failed.
    #[error("cannot use {}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// It is not what this program wrote, or was written by a newer one.
    #[error("{} cannot be used; put a copy back, or remove it to go back to what station.toml says", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: StoredModelError,
    },
}

impl ModelFile {
    /// Opens the model in `folder`; one that was never changed is as the defaults say. Blocks.
    ///
    /// # Errors
    /// [`ModelError`]. A file that cannot be used is left as it is.
    pub(crate) fn open(
        folder: &Path,
        defaults: Defaults,
        network: NetworkConfiguration,
    ) -> Result<Self, ModelError> {
        let path = folder.join(FILE);
        let model = match fs::read_to_string(&path) {
            Ok(text) => DeviceModel::from_json(&zeroize::Zeroizing::new(text), defaults)
                .map_err(|source| ModelError::Content { path: path.clone(), source })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => DeviceModel::new(defaults, network),
            Err(source) => return Err(ModelError::Disk { path, source }),
        };
        Ok(Self { path, writer: Mutex::default(), current: Mutex::new(Current { model, meanwhile: None }) })
    }

    /// The model as it is.
    pub(crate) fn current(&self) -> DeviceModel {
        lock(&self.current).model.clone()
    }

    /// Lets `plan` answer and say what the model is then; what it says is durable when this returns. Blocks.
    ///
    /// # Errors
    /// [`ModelError::Disk`]; the model is as before then.
    pub(crate) fn change<T>(
        &self,
        plan: impl FnOnce(&DeviceModel) -> (T, Option<DeviceModel>),
    ) -> Result<T, ModelError> {
        let _writer = lock(&self.writer);
        let model = {
            let mut current = lock(&self.current);
            current.meanwhile = Some(Vec::new());
            current.model.clone()
        };
        let (answer, changed) = plan(&model);
        let written = changed.map(|changed| self.write(&changed).map(|()| changed)).transpose();
        let mut current = lock(&self.current);
        let meanwhile = current.meanwhile.take().unwrap_or_default();
        if let Some(mut changed) = written? {
            for alteration in &meanwhile {
                alteration.apply(&mut changed);
            }
            current.model = changed;
        }
        Ok(answer)
    }

    fn write(&self, model: &DeviceModel) -> Result<(), ModelError> {
        let text =
            model.to_json().map_err(|source| ModelError::Content { path: self.path.clone(), source })?;
        replace(&self.path, &text).map_err(|source| ModelError::Disk { path: self.path.clone(), source })
    }

    /// The CSMS signs no certificate for the SECC: PnCEnabled is off until the next start (A02.FR.21).
    pub(crate) fn suspend_pnc(&self, secc_id: &str) {
        self.alter(Alteration::SuspendPnc(secc_id.to_owned()));
    }

    /// The CSMS's answer to BootNotification names the interval of heartbeats; the next start asks anew.
    pub(crate) fn adopt_heartbeat_interval(&self, interval: Duration) {
        self.alter(Alteration::HeartbeatInterval(interval));
    }

    fn alter(&self, alteration: Alteration) {
        let mut current = lock(&self.current);
        alteration.apply(&mut current.model);
        if let Some(meanwhile) = &mut current.meanwhile {
            meanwhile.push(alteration);
        }
    }
}

impl Alteration {
    fn apply(&self, model: &mut DeviceModel) {
        match self {
            Self::SuspendPnc(secc_id) => model.suspend_pnc(secc_id),
            Self::HeartbeatInterval(interval) => model.adopt_heartbeat_interval(*interval),
        }
    }
}

/// What the CSMS has set; it holds the password, and only its owner can read it (A01.FR.10).
const FILE: &str = "device-model.json";

#[cfg(test)]
mod tests {
    use ocpp_transport::Password;
    use ocpp_types::v201::{
        NetworkConnectionProfileType, OCPPInterfaceEnumType, OCPPTransportEnumType, OCPPVersionEnumType,
    };

    use super::*;

    /// The plan stands for the write, which holds the same lock.
    #[test]
    fn the_model_is_read_and_altered_while_a_change_is_written() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let profile = NetworkConnectionProfileType::new(
            OCPPVersionEnumType::OCPP20,
            OCPPTransportEnumType::JSON,
            "wss://one.example/ocpp".try_into()?,
            30,
            3,
            OCPPInterfaceEnumType::Wired0,
        );
        let defaults = Defaults::new("CS-1".parse()?, "Example CSO", Password::from("0123456789abcdef"));
        let file = ModelFile::open(folder.path(), defaults, NetworkConfiguration::new(profile))?;
        let interval = file.current().heartbeat_interval() + Duration::from_secs(7);
        file.change(|model| {
            file.adopt_heartbeat_interval(interval);
            assert_eq!(file.current().heartbeat_interval(), interval, "nobody waits for the change");
            ((), Some(model.clone()))
        })?;
        assert_eq!(file.current().heartbeat_interval(), interval, "altered after the plan, and kept");
        Ok(())
    }
}
