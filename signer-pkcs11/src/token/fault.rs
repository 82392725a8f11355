//! The fault of a failed PKCS #11 call.

use std::{error, fmt};

/// The fault of a failed PKCS #11 call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFault {
    call: String,
    code: String,
}

impl TokenFault {
    pub(crate) fn new(call: impl Into<String>, code: impl Into<String>) -> Self {
        Self { call: call.into(), code: code.into() }
    }

    /// The function, for example `C_Sign`.
    #[must_use]
    pub fn call(&self) -> &str {
        &self.call
    }

    /// The name of the return value, for example `KeyHandleInvalid`.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }
}

impl fmt::Display for TokenFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} returned {}", self.call, self.code)
    }
}

impl error::Error for TokenFault {}
