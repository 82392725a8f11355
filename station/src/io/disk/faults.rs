//! The station's files that cannot be written now. A fault begins with a failed write and ends with
//! a successful one.

use std::{collections::BTreeMap, path::PathBuf, sync::Mutex, time::SystemTime};

use tokio::sync::watch;

use crate::{control::DiskFault, inventory::timestamp, io::locking::lock};

/// The faults of the station's folder.
#[derive(Debug)]
pub(crate) struct DiskFaults {
    folder: PathBuf,
    faults: Mutex<BTreeMap<DiskFile, Fault>>,
    /// How many faults have begun.
    begun: watch::Sender<u64>,
    /// How many faults have ended.
    ended: watch::Sender<u64>,
}

/// The files in the station's folder or beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DiskFile {
    Store,
    DeviceModel,
    SecurityEvents,
    LastSlot,
    TrustBundles,
    ControlSocket,
}

#[derive(Clone, Debug)]
struct Fault {
    since: SystemTime,
    reason: String,
}

impl DiskFaults {
    /// `folder` is the station's.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            faults: Mutex::default(),
            begun: watch::Sender::default(),
            ended: watch::Sender::default(),
        }
    }

    /// A write has failed. The beginning of a fault is logged. The reported reason is the newest.
    pub(crate) fn handle_failed(&self, file: DiskFile, reason: String) {
        let mut faults = lock(&self.faults);
        if let Some(fault) = faults.get_mut(&file) {
            fault.reason = reason;
            return;
        }
        let remedy = self.remedy();
        tracing::error!(file = file.name(), reason, remedy, "a file of the station cannot be written");
        faults.insert(file, Fault { since: SystemTime::now(), reason });
        drop(faults);
        self.begun.send_modify(|begun| *begun += 1);
    }

    /// A write has succeeded.
    pub(crate) fn handle_written(&self, file: DiskFile) {
        let Some(fault) = lock(&self.faults).remove(&file) else { return };
        let seconds = fault.since.elapsed().unwrap_or_default().as_secs();
        tracing::warn!(file = file.name(), seconds, "a file of the station can be written again");
        self.ended.send_modify(|ended| *ended += 1);
    }

    /// The files that cannot be written now.
    pub(crate) fn files(&self) -> Vec<DiskFile> {
        lock(&self.faults).keys().copied().collect()
    }

    /// The faults, for local commands.
    pub(crate) fn report(&self) -> Vec<DiskFault> {
        let faults = lock(&self.faults).clone();
        let fault = |(file, fault): (DiskFile, Fault)| DiskFault {
            file: file.name().to_owned(),
            since: timestamp(fault.since),
            reason: fault.reason,
            remedy: self.remedy(),
        };
        faults.into_iter().map(fault).collect()
    }

    /// Changes when a fault begins.
    pub(crate) fn begun(&self) -> watch::Receiver<u64> {
        self.begun.subscribe()
    }

    /// Changes when a fault ends: postponed writes can be done.
    pub(crate) fn ended(&self) -> watch::Receiver<u64> {
        self.ended.subscribe()
    }

    fn remedy(&self) -> String {
        format!(
            "make room on the disk of {}, or make it writable; the station tries again at least once a minute",
            self.folder.display()
        )
    }
}

impl DiskFile {
    fn name(self) -> &'static str {
        match self {
            Self::Store => "certificates.redb",
            Self::DeviceModel => "device-model.json",
            Self::SecurityEvents => "security events",
            Self::LastSlot => "last-slot",
            Self::TrustBundles => "trust bundles",
            Self::ControlSocket => "control.sock",
        }
    }
}
