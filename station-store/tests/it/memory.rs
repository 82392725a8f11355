//! A storage in memory whose commits fail on demand.

use std::io;
use std::sync::{Arc, Mutex};

use station_store::storage::{Change, Loaded, Record, Storage, StorageError};

/// Records in memory, and how the next commit fails. Clones are the same memory.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    records: Vec<Record>,
    commits: usize,
    fault: Option<Fault>,
}

#[derive(Clone, Copy)]
pub(crate) enum Fault {
    /// Nothing is written.
    Full,
    /// Everything is written, and the sync fails: the worst case for an application.
    WrittenButNotSynced,
    Panics,
}

impl Memory {
    pub(crate) fn break_down(&self, fault: Fault) {
        self.state.lock().expect("not poisoned").fault = Some(fault);
    }

    pub(crate) fn repair(&self) {
        self.state.clear_poison();
        self.state.lock().expect("not poisoned").fault = None;
    }

    pub(crate) fn commits(&self) -> usize {
        self.state.lock().expect("not poisoned").commits
    }
}

impl Storage for Memory {
    fn load(&mut self) -> Result<Loaded, StorageError> {
        let records = self.state.lock().expect("not poisoned").records.clone();
        Ok(Loaded { records, damaged: Vec::new() })
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), StorageError> {
        let mut state = self.state.lock().expect("not poisoned");
        state.commits += 1;
        match state.fault {
            Some(Fault::Full) => {
                return Err(StorageError::Full {
                    source: Box::new(io::Error::from(io::ErrorKind::StorageFull)),
                });
            }
            Some(Fault::Panics) => panic!("the storage panics, as this test wants"),
            Some(Fault::WrittenButNotSynced) | None => {}
        }
        for change in changes {
            match change {
                Change::Put(record) => {
                    state.records.retain(|known| (known.table, &known.key) != (record.table, &record.key));
                    state.records.push(record.clone());
                }
                Change::Remove { table, key } => {
                    state.records.retain(|known| (known.table, &known.key) != (*table, key));
                }
                other => panic!("a change that this storage does not know: {other:?}"),
            }
        }
        match state.fault {
            Some(_) => Err(StorageError::Write { source: Box::new(io::Error::other("sync failed")) }),
            None => Ok(()),
        }
    }

    fn reopen(&mut self) -> Result<(), StorageError> {
        Ok(())
    }
}
