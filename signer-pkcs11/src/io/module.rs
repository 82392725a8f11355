//! PKCS #11 modules: one object per shared library and process.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::{Duration, Instant},
};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::RvError,
    slot::{Slot, TokenInfo},
};

use crate::{
    breaker,
    io::{
        errand::{Errands, Waiting},
        fault,
        gate::{Gate, Hung},
        token::TokenError,
    },
    metrics,
    sign::TokenFault,
};

/// A loaded and initialised module.
///
/// It is finalised only to be initialised again, where nothing less heals it: C_Finalize ends every session of the
/// process, also those of other users of the library.
pub(crate) struct Module {
    path: PathBuf,
    context: Pkcs11,
    /// Held while logging in, which is a state of the whole process.
    login: Mutex<()>,
    /// Held while a token is initialised (write) and while slots are listed or sessions opened (read): SoftHSM changes
    /// its list of slots without a lock of its own, and aborts the process if two threads do so at once.
    slots: RwLock<()>,
    gate: Gate,
    errands: Arc<Errands>,
    restarts: Mutex<Restarts>,
}

/// A shared library, loaded or not, and the calls that are under way in it.
pub(crate) struct Library {
    path: PathBuf,
    errands: Arc<Errands>,
    /// Held while it is being loaded and initialised, which may hang.
    module: Mutex<Option<Arc<Module>>>,
}

/// How often the module was restarted without avail.
#[derive(Default)]
struct Restarts {
    in_vain: u32,
    not_before: Option<Instant>,
}

/// Every library of the process. C_Initialize works once per process, so they stay.
static LIBRARIES: Mutex<BTreeMap<PathBuf, Arc<Library>>> = Mutex::new(BTreeMap::new());

impl Library {
    /// Finds the shared library, without loading it.
    pub(crate) fn find(path: &Path) -> Result<Arc<Self>, TokenError> {
        // A bare name is left to the loader's search path, which the working folder is not part of: what somebody put
        // there must not be loaded. Otherwise the same library by two paths would be initialised twice.
        let is_bare = path.parent().is_some_and(|parent| parent.as_os_str().is_empty());
        let real = match path.canonicalize() {
            _ if is_bare => path.to_owned(),
            Ok(real) => real,
            Err(source) => {
                return Err(TokenError::ModuleNotFound { path: path.to_owned(), source: source.into() });
            }
        };
        let mut libraries = LIBRARIES.lock().unwrap_or_else(PoisonError::into_inner);
        let library = libraries.entry(real).or_insert_with_key(|real| {
            let path = real.clone();
            Arc::new(Self { path, errands: Arc::default(), module: Mutex::default() })
        });
        Ok(Arc::clone(library))
    }

    /// Runs something with the module, which is loaded before if need be, and waits for it so long.
    pub(crate) fn run<T: Send + 'static>(
        self: &Arc<Self>,
        after: Duration,
        work: impl FnOnce(&Arc<Module>, &Waiting) -> Result<T, TokenError> + Send + 'static,
    ) -> Result<T, TokenError> {
        let library = Arc::clone(self);
        self.errands.run(after, move |waiting| work(&library.load()?, waiting))
    }

    fn load(&self) -> Result<Arc<Module>, TokenError> {
        let mut loaded = self.module.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = &*loaded {
            return Ok(Arc::clone(module));
        }
        let path = || self.path.clone();
        let context = Pkcs11::new(&self.path)
            .map_err(|source| TokenError::ModuleNotFound { path: path(), source: source.into() })?;
        match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) => {}
            // Somebody else in this process uses the library too.
            Err(error) if fault::code(&error) == Some(RvError::CryptokiAlreadyInitialized) => {}
            Err(error) => {
                return Err(TokenError::ModuleInitialize { path: path(), source: fault::fault(&error) });
            }
        }
        let module = Arc::new(Module {
            path: path(),
            context,
            login: Mutex::new(()),
            slots: RwLock::new(()),
            gate: Gate::default(),
            errands: Arc::clone(&self.errands),
            restarts: Mutex::default(),
        });
        *loaded = Some(Arc::clone(&module));
        Ok(module)
    }
}

impl Module {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn context(&self) -> &Pkcs11 {
        &self.context
    }

    /// Who is inside, and how often the module was restarted.
    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The calls that are waited for.
    pub(crate) fn errands(&self) -> &Errands {
        &self.errands
    }

    /// Ends and begins the module's life anew, unless somebody has done so since `epoch`, or the last time was in vain
    /// and not long ago. To be called from outside the gate. Says whether it is worth another try.
    pub(crate) fn restart(&self, epoch: u64) -> bool {
        let now = Instant::now();
        let restarts = || self.restarts.lock().unwrap_or_else(PoisonError::into_inner);
        if restarts().not_before.is_some_and(|not_before| now < not_before) {
            return false;
        }
        let restarted = self.gate.restart(epoch, || {
            // The lock is held by nobody who is inside; SoftHSM rebuilds its slots.
            let _guard = self.changing_slots();
            match self.context.clone().finalize() {
                Ok(()) => {}
                Err(error) => tracing::debug!(error = %fault::fault(&error), "C_Finalize failed"),
            }
            match self.context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
                Err(error) if fault::code(&error) != Some(RvError::CryptokiAlreadyInitialized) => Err(error),
                _ => Ok(()),
            }
        });
        // Until a signature says that it has helped, it counts as in vain.
        {
            let mut restarts = restarts();
            restarts.not_before = Some(Instant::now() + breaker::wait(restarts.in_vain, 255));
            restarts.in_vain = restarts.in_vain.saturating_add(1);
        }
        match restarted {
            Ok(Ok(())) => {
                metrics::restarted();
                tracing::warn!(module = %self.path.display(), "the PKCS #11 module was restarted");
                true
            }
            Ok(Err(error)) => {
                let error = fault::fault(&error);
                tracing::error!(module = %self.path.display(), %error, "the PKCS #11 module does not start again");
                false
            }
            Err(Hung) => {
                tracing::error!(module = %self.path.display(), "the PKCS #11 module hangs and cannot be restarted");
                false
            }
        }
    }

    /// A signature was made: the next restart need not wait.
    pub(crate) fn works(&self) {
        let mut restarts = self.restarts.lock().unwrap_or_else(PoisonError::into_inner);
        if restarts.in_vain > 0 {
            *restarts = Restarts::default();
        }
    }

    /// Keeps others from logging in.
    pub(crate) fn login(&self) -> MutexGuard<'_, ()> {
        self.login.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps tokens from being initialised. Never taken twice by one thread.
    pub(crate) fn slots(&self) -> RwLockReadGuard<'_, ()> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps everybody from listing slots and opening sessions.
    pub(crate) fn changing_slots(&self) -> RwLockWriteGuard<'_, ()> {
        self.slots.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The slots with a token whose information can be read. One bad token does not hide the others.
    ///
    /// To be called under [`Module::slots`] or [`Module::changing_slots`].
    pub(crate) fn tokens(&self) -> Result<Vec<(Slot, TokenInfo)>, TokenError> {
        let slots = self.context.get_slots_with_token().map_err(|error| self.failed(&error))?;
        let readable = slots.into_iter().filter_map(|slot| match self.context.get_token_info(slot) {
            Ok(info) => Some((slot, info)),
            Err(error) => {
                tracing::debug!(slot = slot.id(), error = %fault::fault(&error), "token information is unreadable, slot skipped");
                None
            }
        });
        Ok(readable.collect())
    }

    fn failed(&self, error: &cryptoki::error::Error) -> TokenError {
        let source: TokenFault = fault::fault(error);
        TokenError::Module { path: self.path.clone(), source }
    }
}

/// A label or serial number without the padding that some modules leave on it.
pub(crate) fn trimmed(text: &str) -> &str {
    text.trim_end_matches(['\0', ' ']).trim_start_matches(' ')
}
