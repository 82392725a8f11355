//! The device model on disk. A change is durable before its answer is sent.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use program::{Readers, causes, check_room, replace, sync_folder_of};

use crate::{
    device_model::{Defaults, DeviceModel, NetworkConfiguration, StoredModelError},
    io::{
        disk::faults::{DiskFaults, DiskFile},
        locking::lock,
    },
};

/// The device model of a station, in its folder.
#[derive(Debug)]
pub(crate) struct ModelFile {
    path: PathBuf,
    faults: Arc<DiskFaults>,
    /// Held while the file is written; readers of the model do not wait for it.
    writer: Mutex<OnDisk>,
    current: Mutex<Current>,
}

/// The content of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OnDisk {
    /// There is no file.
    Nothing,
    /// The current model.
    Current,
    /// The current model, or a model whose change was answered as not stored.
    Uncertain {
        /// Whether there was no file before.
        was_absent: bool,
    },
}

/// The current model.
#[derive(Debug)]
struct Current {
    model: DeviceModel,
    /// While a change is being written: the alterations made meanwhile, which must also be applied
    /// to the changed model.
    meanwhile: Option<Vec<Alteration>>,
}

/// A change that is never stored.
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
    /// The content was not written by this program, or was written by a newer version of it.
    #[error("{} cannot be used; restore a copy, or remove it to return to the values in station.toml", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// The fault in the content.
        #[source]
        source: StoredModelError,
    },
}

impl ModelFile {
    /// Opens the model in `folder`. If there is no file, the model has its default values. Blocks.
    ///
    /// # Errors
    /// [`ModelError`]. A file that cannot be used is not changed.
    pub(crate) fn open(
        folder: &Path,
        defaults: Defaults,
        network: NetworkConfiguration,
        faults: Arc<DiskFaults>,
    ) -> Result<Self, ModelError> {
        let path = folder.join(FILE);
        let (model, on_disk) = match fs::read_to_string(&path) {
            Ok(text) => {
                let model = DeviceModel::from_json(&zeroize::Zeroizing::new(text), defaults)
                    .map_err(|source| ModelError::Content { path: path.clone(), source })?;
                (model, OnDisk::Current)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                (DeviceModel::new(defaults, network), OnDisk::Nothing)
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(ModelError::Content { path, source: StoredModelError::Encoding });
            }
            Err(source) => return Err(ModelError::Disk { path, source }),
        };
        let current = Mutex::new(Current { model, meanwhile: None });
        Ok(Self { path, faults, writer: Mutex::new(on_disk), current })
    }

    /// The current model.
    pub(crate) fn current(&self) -> DeviceModel {
        lock(&self.current).model.clone()
    }

    /// Changes the model. `plan` returns the answer and the new model; the new model is durable
    /// when this function returns. Blocks.
    ///
    /// Returns the answer. If the disk failed, the second value is [`ModelError::Disk`], and the
    /// model is unchanged.
    pub(crate) fn change<T>(
        &self,
        plan: impl FnOnce(&DeviceModel) -> (T, Option<DeviceModel>),
    ) -> (T, Result<(), ModelError>) {
        let mut on_disk = lock(&self.writer);
        let model = {
            let mut current = lock(&self.current);
            current.meanwhile = Some(Vec::new());
            current.model.clone()
        };
        let (answer, changed) = plan(&model);
        let written = changed.map(|changed| self.write(&changed, &mut on_disk).map(|()| changed)).transpose();
        let mut current = lock(&self.current);
        let meanwhile = current.meanwhile.take().unwrap_or_default();
        match written {
            Ok(Some(mut changed)) => {
                for alteration in &meanwhile {
                    alteration.apply(&mut changed);
                }
                current.model = changed;
            }
            Ok(None) => {}
            Err(error) => return (answer, Err(error)),
        }
        (answer, Ok(()))
    }

    fn write(&self, model: &DeviceModel, on_disk: &mut OnDisk) -> Result<(), ModelError> {
        let text =
            model.to_json().map_err(|source| ModelError::Content { path: self.path.clone(), source })?;
        match replace(&self.path, text.as_bytes(), Readers::Owner) {
            Ok(()) => {
                *on_disk = OnDisk::Current;
                self.faults.handle_written(DiskFile::DeviceModel);
                Ok(())
            }
            Err(source) => {
                let was_absent = matches!(on_disk, OnDisk::Nothing | OnDisk::Uncertain { was_absent: true });
                *on_disk = OnDisk::Uncertain { was_absent };
                self.faults.handle_failed(DiskFile::DeviceModel, source.to_string());
                Err(ModelError::Disk { path: self.path.clone(), source })
            }
        }
    }

    /// Repairs the file after a failed write: makes it hold the current model, so that a restart
    /// changes nothing, and checks whether there is room again. Blocks.
    pub(crate) fn write_again(&self) {
        let mut on_disk = lock(&self.writer);
        let model = self.current();
        let written = match *on_disk {
            OnDisk::Uncertain { was_absent: true } => self.remove_again(&model, &mut on_disk),
            OnDisk::Uncertain { was_absent: false } => self.write(&model, &mut on_disk),
            OnDisk::Nothing | OnDisk::Current => Ok(()),
        };
        match written {
            Ok(()) => self.faults.handle_written(DiskFile::DeviceModel),
            Err(error) => self.faults.handle_failed(DiskFile::DeviceModel, causes(&error).to_string()),
        }
    }

    /// There is no file until the CSMS has set a value: the configuration applies.
    fn remove_again(&self, model: &DeviceModel, on_disk: &mut OnDisk) -> Result<(), ModelError> {
        let content = |source| ModelError::Content { path: self.path.clone(), source };
        let length = model.to_json().map_err(content)?.len();
        let remove = || match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => sync_folder_of(&self.path),
        };
        check_room(&self.path, length)
            .and_then(|()| remove())
            .map_err(|source| ModelError::Disk { path: self.path.clone(), source })?;
        *on_disk = OnDisk::Nothing;
        Ok(())
    }

    /// The CSMS signs no certificate for the SECC. PnCEnabled is off until the next start
    /// (A02.FR.21).
    pub(crate) fn suspend_pnc(&self, secc_id: &str) {
        self.alter(Alteration::SuspendPnc(secc_id.to_owned()));
    }

    /// Adopts the interval of heartbeats in the CSMS's answer to BootNotification. It is not
    /// stored.
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

/// The values set by the CSMS. The file holds the password, and only its owner can read it
/// (A01.FR.10).
const FILE: &str = "device-model.json";

#[cfg(test)]
mod tests {
    use ocpp_transport::Password;
    use ocpp_types::v201::{
        NetworkConnectionProfileType, OCPPInterfaceEnumType, OCPPTransportEnumType, OCPPVersionEnumType,
    };

    use super::*;

    /// The plan stands in for the write, which holds the same lock.
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
        let faults = Arc::new(DiskFaults::new(folder.path().to_owned()));
        let file = ModelFile::open(folder.path(), defaults, NetworkConfiguration::new(profile), faults)?;
        let interval = file.current().heartbeat_interval() + Duration::from_secs(7);
        file.change(|model| {
            file.adopt_heartbeat_interval(interval);
            assert_eq!(file.current().heartbeat_interval(), interval, "nobody waits for the change");
            ((), Some(model.clone()))
        })
        .1?;
        assert_eq!(file.current().heartbeat_interval(), interval, "altered after the plan, and kept");
        Ok(())
    }
}
