//! Why a payload was refused.

use alloc::string::{String, ToString as _};
use core::fmt;

use crate::{RpcErrorCode, Version, decode::violation::Violation, json::Unwritable};

/// A payload that breaks its schema: the place, the kind of fault, and the broken rule.
///
/// The printed text is of bounded length. It shows only short strings and numbers of the found
/// value, and no value of a member that may contain a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    pub(super) pointer: String,
    pub(super) violation: Violation,
    pub(super) message: String,
}

impl DecodeError {
    /// The place of the fault as a JSON pointer (RFC 6901), empty for the payload itself. For a
    /// missing member it is the place where the member should be.
    #[must_use]
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// The kind of the fault.
    #[must_use]
    pub fn violation(&self) -> Violation {
        self.violation
    }

    /// The error code with which this version answers such a payload.
    #[must_use]
    pub fn rpc_code(&self, version: Version) -> RpcErrorCode {
        RpcErrorCode::of_violation(self.violation, version)
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointer = if self.pointer.is_empty() { "payload" } else { &self.pointer };
        write!(formatter, "{}: {}", pointer.escape_debug(), self.message)
    }
}

impl core::error::Error for DecodeError {}

/// A payload that cannot be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodeError {
    message: String,
}

impl EncodeError {
    pub(super) fn new(error: Unwritable) -> Self {
        Self { message: error.to_string() }
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "payload cannot be encoded: {}", self.message)
    }
}

impl core::error::Error for EncodeError {}
