//! PKCS #11 modules: one object per shared library and process.

pub(crate) mod architecture;
pub(crate) mod calls;
pub(crate) mod restart_lock;
pub(crate) mod session;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Function, Pkcs11},
    error::{Error, Rv, RvError},
    slot::Slot,
};
use pkcs11_info::{TokenInfo, TokenInfoReader, pin_bytes};
use program::causes;

use crate::{
    io::token::{
        errors::TokenError,
        fault, hints,
        module::{
            calls::{Caller, Calls},
            restart_lock::{Hung, RestartLock},
        },
    },
    metrics,
    token::{
        breaker,
        fault::TokenFault,
        slot::{LibraryDescription, SlotContent, TokenDescription, TokenSlot},
    },
};

/// A loaded and initialized module.
///
/// It is finalized only to be initialized again, if nothing less heals it: C_Finalize ends every
/// session of the process, including those of other users of the library.
pub(crate) struct Module {
    path: PathBuf,
    context: Pkcs11,
    /// Other code in this process had initialized the library before.
    is_shared: bool,
    /// Open sessions of this process.
    sessions: AtomicUsize,
    /// Held while logging in, which is a state of the whole process.
    login: Mutex<()>,
    /// Held while a token is initialized (write) and while slots are listed or sessions are opened
    /// (read): SoftHSM changes its list of slots without a lock, and aborts the process if two
    /// threads do so at once.
    slots: RwLock<()>,
    restart_lock: RestartLock,
    calls: Arc<Calls>,
    restarts: Mutex<Restarts>,
}

/// A shared library, loaded or not, and its running calls.
pub(crate) struct Library {
    path: PathBuf,
    calls: Arc<Calls>,
    /// Held while it is loaded and initialized, which may hang.
    module: Mutex<Option<Arc<Module>>>,
}

/// A slot with a token, as the module lists it.
pub(crate) struct Listed {
    pub(crate) slot: Slot,
    pub(crate) described: TokenSlot,
    /// `None`: it cannot be read.
    pub(crate) info: Option<TokenInfo>,
}

/// How often restarts of the module did not help.
#[derive(Default)]
struct Restarts {
    in_vain: u32,
    not_before: Option<Instant>,
}

/// Every library of the process. C_Initialize works once per process, so they stay.
static LIBRARIES: Mutex<BTreeMap<PathBuf, Arc<Library>>> = Mutex::new(BTreeMap::new());

impl Library {
    /// Finds the shared library without loading it.
    pub(crate) fn find(path: &Path) -> Result<Arc<Self>, TokenError> {
        // The loader searches a bare name in its search path, which does not contain the working
        // directory: a library in that directory must not be loaded. Other paths are canonicalized,
        // because the same library under two paths would be initialized twice.
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
            Arc::new(Self { path, calls: Arc::default(), module: Mutex::default() })
        });
        Ok(Arc::clone(library))
    }

    /// Loads the module if necessary, runs a closure with it, and waits for it at most this long.
    pub(crate) fn run<T: Send + 'static>(
        self: &Arc<Self>,
        after: Duration,
        work: impl FnOnce(&Arc<Module>, &Caller) -> Result<T, TokenError> + Send + 'static,
    ) -> Result<T, TokenError> {
        let library = Arc::clone(self);
        self.calls.run(after, move |caller| work(&library.load()?, caller))
    }

    fn load(&self) -> Result<Arc<Module>, TokenError> {
        let mut loaded = self.module.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = &*loaded {
            return Ok(Arc::clone(module));
        }
        let path = || self.path.clone();
        let context =
            Pkcs11::new(&self.path).map_err(|error| architecture::explain(&self.path, error.into()))?;
        let is_shared = match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) => false,
            // Other code in this process uses the library too.
            Err(error) if fault::code(&error) == Some(RvError::CryptokiAlreadyInitialized) => true,
            Err(error) => {
                let hint = hints::why_missing(&self.path);
                return Err(TokenError::ModuleInitialize {
                    path: path(),
                    hint,
                    source: fault::fault(&error),
                });
            }
        };
        let module = Arc::new(Module {
            path: path(),
            context,
            is_shared,
            sessions: AtomicUsize::new(0),
            login: Mutex::new(()),
            slots: RwLock::new(()),
            restart_lock: RestartLock::default(),
            calls: Arc::clone(&self.calls),
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

    /// Prevents a restart while calls are running.
    pub(crate) fn restart_lock(&self) -> &RestartLock {
        &self.restart_lock
    }

    /// The running calls.
    pub(crate) fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Restarts the module, unless it was restarted since `epoch`, or the last restart did not help
    /// and is recent. The caller must hold no permit. Returns whether another attempt is
    /// worthwhile.
    pub(crate) fn restart(&self, epoch: u64) -> bool {
        let now = Instant::now();
        let restarts = || self.restarts.lock().unwrap_or_else(PoisonError::into_inner);
        if restarts().not_before.is_some_and(|not_before| now < not_before) {
            return false;
        }
        let restarted = self.restart_lock.restart(epoch, || self.initialize_again());
        // Counts as useless until a signature shows that it has helped.
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
                tracing::error!(module = %self.path.display(), error = %causes(&error), "cannot initialize the PKCS #11 module again");
                false
            }
            Err(Hung) => {
                tracing::error!(module = %self.path.display(), "the PKCS #11 module hangs and cannot be restarted");
                false
            }
        }
    }

    /// Makes the module look for its tokens again, which many do only when they are initialized.
    /// Does nothing while this process has sessions, which would end. The caller must hold no
    /// permit.
    pub(crate) fn look_again(&self, epoch: u64) {
        // Sessions of other code in this process are not counted, and would end too.
        if self.is_shared {
            return;
        }
        let restarted = self.restart_lock.restart(epoch, || match self.sessions.load(Ordering::SeqCst) {
            0 => self.initialize_again(),
            _ => Ok(()),
        });
        match restarted {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                let error = fault::fault(&error);
                tracing::warn!(error = %causes(&error), "the module could not be initialized again");
            }
            Err(Hung) => tracing::warn!("the module hangs and could not be initialized again"),
        }
    }

    /// No call runs meanwhile.
    fn initialize_again(&self) -> cryptoki::error::Result<()> {
        // SoftHSM rebuilds its slots.
        let _guard = self.changing_slots();
        match self.context.clone().finalize() {
            Ok(()) => {}
            Err(error) => tracing::debug!(error = %causes(&fault::fault(&error)), "C_Finalize failed"),
        }
        match self.context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Err(error) if fault::code(&error) != Some(RvError::CryptokiAlreadyInitialized) => Err(error),
            _ => Ok(()),
        }
    }

    /// Counts the open sessions of this process.
    pub(crate) fn sessions(&self) -> &AtomicUsize {
        &self.sessions
    }

    /// A signature succeeded: the next restart need not wait.
    pub(crate) fn works(&self) {
        let mut restarts = self.restarts.lock().unwrap_or_else(PoisonError::into_inner);
        if restarts.in_vain > 0 {
            *restarts = Restarts::default();
        }
    }

    /// Prevents other threads from logging in.
    pub(crate) fn login(&self) -> MutexGuard<'_, ()> {
        self.login.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prevents the initialization of tokens. Never taken twice by one thread.
    pub(crate) fn slots(&self) -> RwLockReadGuard<'_, ()> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prevents listing of slots and opening of sessions.
    pub(crate) fn changing_slots(&self) -> RwLockWriteGuard<'_, ()> {
        self.slots.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the token in a slot reports about itself.
    pub(crate) fn token_info(&self, slot: Slot) -> cryptoki::error::Result<TokenInfo> {
        match self.context.get_token_info(slot) {
            Ok(info) => Ok(known(&info)),
            // The token has answered, and cryptoki cannot read it: opencryptoki's clock.
            Err(error) if fault::code(&error).is_none() => {
                let reader = TokenInfoReader::load(&self.path).map_err(|_| error)?;
                reader.read(slot.into()).map_err(|code| {
                    let error = Rv::from(code).into_result(Function::GetTokenInfo).err();
                    error.unwrap_or(Error::InvalidValue)
                })
            }
            Err(error) => Err(error),
        }
    }

    /// The slots with a token. One that cannot be read does not hide the others.
    ///
    /// Call it under [`Module::slots`] or [`Module::changing_slots`].
    pub(crate) fn tokens(&self) -> Result<Vec<Listed>, TokenError> {
        let list = || self.context.get_slots_with_token().map_err(|error| self.failed(&error));
        let mut slots = list()?;
        // Some modules occasionally return an empty list, and the slots at the next call.
        if slots.is_empty() {
            slots = list()?;
        }
        Ok(slots.into_iter().map(|slot| self.listed(slot)).collect())
    }

    /// All slots, also those without a token. Call it as [`Module::tokens`].
    pub(crate) fn all_slots(&self) -> Result<Vec<TokenSlot>, TokenError> {
        let with_token = self.tokens()?;
        let slots = self.context.get_all_slots().map_err(|error| self.failed(&error))?;
        let mut all: Vec<_> = with_token.into_iter().map(|listed| listed.described).collect();
        for slot in slots {
            if !all.iter().any(|known| known.slot_id == slot.id()) {
                all.push(self.described(slot, SlotContent::Empty));
            }
        }
        all.sort_by_key(|slot| slot.slot_id);
        Ok(all)
    }

    /// What the module reports about itself. A module that reports nothing matches nothing.
    pub(crate) fn library(&self) -> LibraryDescription {
        let Ok(info) = self.context.get_library_info() else { return LibraryDescription::default() };
        let version = info.library_version();
        LibraryDescription {
            manufacturer: trimmed(info.manufacturer_id()).to_owned(),
            description: trimmed(info.library_description()).to_owned(),
            version: (version.major(), version.minor()),
        }
    }

    fn listed(&self, slot: Slot) -> Listed {
        match self.token_info(slot) {
            Ok(info) => {
                let token = SlotContent::Token(TokenDescription::new(&info));
                Listed { slot, described: self.described(slot, token), info: Some(info) }
            }
            Err(error) => {
                let fault = fault::fault(&error);
                tracing::debug!(slot = slot.id(), error = %causes(&fault), "token information is unreadable, slot skipped");
                let described = self.described(slot, SlotContent::Unreadable(fault));
                Listed { slot, described, info: None }
            }
        }
    }

    fn described(&self, slot: Slot, token: SlotContent) -> TokenSlot {
        // A slot without a description is still one.
        let info = self.context.get_slot_info(slot).ok();
        let text = |text: Option<&str>| text.map(trimmed).unwrap_or_default().to_owned();
        TokenSlot {
            slot_id: slot.id(),
            description: text(info.as_ref().map(|info| info.slot_description())),
            manufacturer: text(info.as_ref().map(|info| info.manufacturer_id())),
            token,
        }
    }

    fn failed(&self, error: &cryptoki::error::Error) -> TokenError {
        let source: TokenFault = fault::fault(error);
        TokenError::Module { path: self.path.clone(), source }
    }
}

fn known(info: &cryptoki::slot::TokenInfo) -> TokenInfo {
    TokenInfo {
        label: trimmed(info.label()).to_owned(),
        manufacturer: trimmed(info.manufacturer_id()).to_owned(),
        model: trimmed(info.model()).to_owned(),
        serial: trimmed(info.serial_number()).to_owned(),
        max_sessions: info.max_session_count().into(),
        pin_bytes: pin_bytes(info.min_pin_length(), info.max_pin_length()),
        is_initialized: info.token_initialized(),
        needs_login: info.login_required(),
        asks_at_the_device: info.protected_authentication_path(),
        has_user_pin: info.user_pin_initialized(),
        is_at_final_try: info.user_pin_final_try(),
        is_locked: info.user_pin_locked(),
    }
}

/// A label or serial number without the padding that some modules leave.
pub(crate) fn trimmed(text: &str) -> &str {
    text.trim_end_matches(['\0', ' ']).trim_start_matches(' ')
}
