//! The information about a token (`C_GetTokenInfo`), read leniently.
//!
//! The crate `cryptoki` refuses the whole information if its clock does not have sixteen digits,
//! and offers no other way to read the label, the serial number and the flags of a token.
//! opencryptoki writes `12:23:30` there, so none of its tokens could be found. This crate ignores
//! the clock.
//!
//! It is for tokens that `cryptoki` refuses, not for all: modules of p11-kit have a separate state
//! for each `C_GetFunctionList`, and this crate's state is not initialized.
//!
//! It is the only crate of the workspace with unsafe code, and it does nothing else.

use std::{ffi::c_ulong, path::Path, ptr};

use cryptoki_sys::{
    CK_FLAGS, CK_FUNCTION_LIST, CK_SLOT_ID, CK_TOKEN_INFO, CKF_LOGIN_REQUIRED,
    CKF_PROTECTED_AUTHENTICATION_PATH, CKF_TOKEN_INITIALIZED, CKF_USER_PIN_FINAL_TRY,
    CKF_USER_PIN_INITIALIZED, CKF_USER_PIN_LOCKED, CKR_OK, Pkcs11,
};

/// Reads the information about the tokens of one module.
pub struct TokenInfoReader {
    get_token_info: GetTokenInfo,
    /// Keeps the function loaded.
    _library: Pkcs11,
}

/// What a token reports about itself. The texts are without padding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenInfo {
    /// The label.
    pub label: String,
    /// The manufacturer.
    pub manufacturer: String,
    /// The model.
    pub model: String,
    /// The serial number. Empty if the token has none.
    pub serial: String,
    /// The maximum number of sessions; `None` if it has no limit or does not report it.
    pub max_sessions: Option<u64>,
    /// The shortest and the longest PIN in bytes; `None` if the token does not report them.
    pub pin_bytes: Option<(usize, usize)>,
    /// The token has been initialized.
    pub is_initialized: bool,
    /// Private objects need a login.
    pub needs_login: bool,
    /// The user logs in at the device, without a PIN from this process.
    pub asks_at_the_device: bool,
    /// A user PIN has been set.
    pub has_user_pin: bool,
    /// One more wrong user PIN locks the token.
    pub is_at_final_try: bool,
    /// The user PIN is locked.
    pub is_locked: bool,
}

/// Why the function cannot be called.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The library cannot be loaded.
    #[error("cannot load the library")]
    Library(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The library is not a module of PKCS #11.
    #[error("the library has no C_GetFunctionList, or that has no C_GetTokenInfo")]
    NoFunction,
}

type GetTokenInfo = unsafe extern "C" fn(CK_SLOT_ID, *mut CK_TOKEN_INFO) -> c_ulong;

impl TokenInfoReader {
    /// Loads the library, or adds a user to it if the process has loaded it.
    ///
    /// # Errors
    /// [`LoadError`]
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        // SAFETY: loading runs the library's initializers, which is what loading a module of
        // PKCS #11 means; the path is the caller's choice, as in `cryptoki::context::Pkcs11::new`.
        let library = unsafe { Pkcs11::new(path) };
        let library = library.map_err(|error| LoadError::Library(error.into()))?;
        if library.C_GetFunctionList.is_err() {
            return Err(LoadError::NoFunction);
        }
        let mut list: *mut CK_FUNCTION_LIST = ptr::null_mut();
        // SAFETY: PKCS #11 allows the call at any time. It writes one pointer, to a place that
        // outlives the call.
        let returned = unsafe { library.C_GetFunctionList(&mut list) };
        if returned != CKR_OK || list.is_null() {
            return Err(LoadError::NoFunction);
        }
        // SAFETY: after CKR_OK the pointer names the module's list, which lives as long as the
        // library, and its fields up to C_GetTokenInfo are the same in each version of PKCS #11.
        let get_token_info = unsafe { (*list).C_GetTokenInfo };
        let get_token_info = get_token_info.ok_or(LoadError::NoFunction)?;
        Ok(Self { get_token_info, _library: library })
    }

    /// Reads the information about the token in a slot.
    ///
    /// # Errors
    /// The return value (CKR_…) of the module.
    pub fn read(&self, slot_id: c_ulong) -> Result<TokenInfo, c_ulong> {
        let mut info = CK_TOKEN_INFO::default();
        // SAFETY: the library is loaded, the structure outlives the call, and the module writes
        // nothing beyond it. A module that is not initialized returns an error.
        let returned = unsafe { (self.get_token_info)(slot_id, &mut info) };
        if returned == CKR_OK { Ok(TokenInfo::new(&info)) } else { Err(returned) }
    }
}

impl TokenInfo {
    fn new(info: &CK_TOKEN_INFO) -> Self {
        let has = |flag: CK_FLAGS| info.flags & flag != 0;
        // 0 means infinite, and all bits mean that the token does not report it.
        let max_sessions = Some(info.ulMaxSessionCount).filter(|count| ![0, c_ulong::MAX].contains(count));
        let lengths = usize::try_from(info.ulMinPinLen).ok().zip(usize::try_from(info.ulMaxPinLen).ok());
        Self {
            label: text(&info.label),
            manufacturer: text(&info.manufacturerID),
            model: text(&info.model),
            serial: text(&info.serialNumber),
            max_sessions: max_sessions.map(wide),
            pin_bytes: lengths.and_then(|(min, max)| pin_bytes(min, max)),
            is_initialized: has(CKF_TOKEN_INITIALIZED),
            needs_login: has(CKF_LOGIN_REQUIRED),
            asks_at_the_device: has(CKF_PROTECTED_AUTHENTICATION_PATH),
            has_user_pin: has(CKF_USER_PIN_INITIALIZED),
            is_at_final_try: has(CKF_USER_PIN_FINAL_TRY),
            is_locked: has(CKF_USER_PIN_LOCKED),
        }
    }
}

/// The lengths of PINs as a token reports them. Some report 0 to 0, which means that they do not
/// report them.
#[must_use]
pub fn pin_bytes(min: usize, max: usize) -> Option<(usize, usize)> {
    (max > 0 && min <= max).then_some((min, max))
}

/// `CK_ULONG` has 32 bits on some systems.
#[allow(clippy::useless_conversion, reason = "not useless where CK_ULONG has 32 bits")]
fn wide(value: c_ulong) -> u64 {
    u64::from(value)
}

/// The text without its padding: PKCS #11 pads with blanks, tpm2-pkcs11 and opencryptoki with
/// zeros.
fn text(padded: &[u8]) -> String {
    let text = String::from_utf8_lossy(padded);
    text.trim_end_matches(['\0', ' ']).trim_start_matches(' ').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn padded<const LENGTH: usize>(text: &[u8], padding: u8) -> [u8; LENGTH] {
        let mut padded = [padding; LENGTH];
        padded[..text.len()].copy_from_slice(text);
        padded
    }

    #[test]
    fn a_clock_of_any_form_is_not_looked_at() {
        let mut info = CK_TOKEN_INFO {
            label: padded(b"ock", b' '),
            model: padded(b"Soft", 0),
            serialNumber: padded(b"", b' '),
            flags: CKF_TOKEN_INITIALIZED | CKF_LOGIN_REQUIRED,
            ulMaxPinLen: 8,
            ulMinPinLen: 4,
            ..CK_TOKEN_INFO::default()
        };
        for clock in [&b"12:23:30"[..], b"2026113012233000", b"", &[0xff; 16]] {
            info.utcTime = padded(clock, 0);
            let read = TokenInfo::new(&info);
            assert_eq!((&*read.label, &*read.model, &*read.serial), ("ock", "Soft", ""));
            assert!(read.is_initialized && read.needs_login && !read.has_user_pin);
            assert_eq!((read.pin_bytes, read.max_sessions), (Some((4, 8)), None));
        }
    }

    #[test]
    fn lengths_and_counts_that_are_not_reported() {
        let lengths = |min, max| {
            let info = CK_TOKEN_INFO { ulMinPinLen: min, ulMaxPinLen: max, ..CK_TOKEN_INFO::default() };
            TokenInfo::new(&info).pin_bytes
        };
        assert_eq!((lengths(0, 0), lengths(9, 8), lengths(0, 128)), (None, None, Some((0, 128))));
        for (count, expected) in [(0, None), (c_ulong::MAX, None), (1024, Some(1024))] {
            let info = CK_TOKEN_INFO { ulMaxSessionCount: count, ..CK_TOKEN_INFO::default() };
            assert_eq!(TokenInfo::new(&info).max_sessions, expected);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_library_that_is_no_module() {
        let error = TokenInfoReader::load(Path::new("libm.so.6")).err();
        assert!(matches!(error, Some(LoadError::NoFunction)), "{error:?}");
        let error = TokenInfoReader::load(Path::new("/none.so")).err();
        assert!(matches!(error, Some(LoadError::Library(_))), "{error:?}");
    }
}
