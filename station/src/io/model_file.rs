//! The device model on disk, changed durably before anybody is told.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use crate::{
    device_model::{Defaults, DeviceModel, NetworkConfiguration, StoredModelError},
    io::durable::replace,
};

/// The device model of a station, in its folder.
#[derive(Debug)]
pub(crate) struct ModelFile {
    path: PathBuf,
    model: Mutex<DeviceModel>,
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
        Ok(Self { path, model: Mutex::new(model) })
    }

    /// The model as it is.
    pub(crate) fn current(&self) -> DeviceModel {
        self.model.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets `plan` answer and say what the model is then; what it says is durable when this returns. Blocks.
    ///
    /// # Errors
    /// [`ModelError::Disk`]; the model is as before then.
    pub(crate) fn change<T>(
        &self,
        plan: impl FnOnce(&DeviceModel) -> (T, Option<DeviceModel>),
    ) -> Result<T, ModelError> {
        let mut model = self.model.lock().unwrap_or_else(PoisonError::into_inner);
        let (answer, changed) = plan(&model);
        if let Some(changed) = changed {
            let text = changed
                .to_json()
                .map_err(|source| ModelError::Content { path: self.path.clone(), source })?;
            replace(&self.path, &text)
                .map_err(|source| ModelError::Disk { path: self.path.clone(), source })?;
            *model = changed;
        }
        Ok(answer)
    }

    /// The CSMS signs no certificate for the SECC: PnCEnabled is off until the next start (A02.FR.21).
    pub(crate) fn suspend_pnc(&self, secc_id: &str) {
        self.model.lock().unwrap_or_else(PoisonError::into_inner).suspend_pnc(secc_id);
    }

    /// The CSMS's answer to BootNotification names the interval of heartbeats; the next start asks anew.
    pub(crate) fn adopt_heartbeat_interval(&self, interval: std::time::Duration) {
        self.model.lock().unwrap_or_else(PoisonError::into_inner).adopt_heartbeat_interval(interval);
    }
}

/// What the CSMS has set; it holds the password, and only its owner can read it (A01.FR.10).
const FILE: &str = "device-model.json";
