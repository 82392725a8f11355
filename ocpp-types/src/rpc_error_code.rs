//! The error codes of OCPP-J.

use alloc::{borrow::ToOwned as _, string::String};

use crate::{Version, Violation};

/// Why a CALL was not answered with a CALLRESULT (OCPP-J 4.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RpcErrorCode {
    /// The receiver does not know the action.
    NotImplemented,
    /// The receiver knows the action and does not support it.
    NotSupported,
    /// The receiver failed.
    InternalError,
    /// The payload is incomplete or not that of the action.
    ProtocolError,
    /// A security issue occurred while the action was processed.
    SecurityError,
    /// The payload is syntactically incorrect.
    FormatViolation,
    /// A member has a value that its rule does not allow.
    PropertyConstraintViolation,
    /// A member is missing, or is there too rarely or too often.
    OccurrenceConstraintViolation,
    /// A member has a value of the wrong type.
    TypeConstraintViolation,
    /// None of the others.
    GenericError,
    /// The message type number is not known.
    MessageTypeNotSupported,
    /// The frame is not a valid RPC request.
    RpcFrameworkError,
    /// A code that no version defines, as a peer sent it.
    Other(String),
}

impl RpcErrorCode {
    /// The code as a version spells it.
    #[must_use]
    pub fn as_str(&self, version: Version) -> &str {
        match version {
            // 2.0.1 corrected the spelling of 1.6's "Occurence"; some implementations still send it, so parse() takes both.
            Version::V201 => match self {
                Self::NotImplemented => "NotImplemented",
                Self::NotSupported => "NotSupported",
                Self::InternalError => "InternalError",
                Self::ProtocolError => "ProtocolError",
                Self::SecurityError => "SecurityError",
                Self::FormatViolation => "FormatViolation",
                Self::PropertyConstraintViolation => "PropertyConstraintViolation",
                Self::OccurrenceConstraintViolation => "OccurrenceConstraintViolation",
                Self::TypeConstraintViolation => "TypeConstraintViolation",
                Self::GenericError => "GenericError",
                Self::MessageTypeNotSupported => "MessageTypeNotSupported",
                Self::RpcFrameworkError => "RpcFrameworkError",
                Self::Other(code) => code,
            },
        }
    }

    /// A code as a peer may spell it: every version's spelling counts in every version, in any case of its letters.
    #[must_use]
    pub fn parse(code: &str) -> Self {
        let known = SPELLINGS.iter().find(|(spelling, _)| spelling.eq_ignore_ascii_case(code));
        known.map_or_else(|| Self::Other(code.to_owned()), |(_, known)| known.clone())
    }

    /// The code that a version has for a fault in a payload.
    #[must_use]
    pub fn of_violation(violation: Violation, version: Version) -> Self {
        match version {
            Version::V201 => match violation {
                Violation::NotJson
                | Violation::NotAnObject
                | Violation::UnknownMember
                | Violation::DuplicateMember => Self::FormatViolation,
                // A value that an enumeration does not have counts as a value of another type, for the specification calls each
                // enumeration a type of its own (`HashAlgorithmEnumType`), and the message guides that vendors test against have it
                // so. The text of OCPP-J would allow PropertyConstraintViolation too. This is the only place that decides it.
                Violation::UnknownValue | Violation::WrongType => Self::TypeConstraintViolation,
                Violation::Constraint => Self::PropertyConstraintViolation,
                Violation::MissingMember | Violation::ItemCount => Self::OccurrenceConstraintViolation,
            },
        }
    }
}

const SPELLINGS: &[(&str, RpcErrorCode)] = &[
    ("NotImplemented", RpcErrorCode::NotImplemented),
    ("NotSupported", RpcErrorCode::NotSupported),
    ("InternalError", RpcErrorCode::InternalError),
    ("ProtocolError", RpcErrorCode::ProtocolError),
    ("SecurityError", RpcErrorCode::SecurityError),
    ("FormatViolation", RpcErrorCode::FormatViolation),
    // OCPP 1.6.
    ("FormationViolation", RpcErrorCode::FormatViolation),
    ("PropertyConstraintViolation", RpcErrorCode::PropertyConstraintViolation),
    ("OccurrenceConstraintViolation", RpcErrorCode::OccurrenceConstraintViolation),
    // OCPP 1.6.
    ("OccurenceConstraintViolation", RpcErrorCode::OccurrenceConstraintViolation),
    ("TypeConstraintViolation", RpcErrorCode::TypeConstraintViolation),
    ("GenericError", RpcErrorCode::GenericError),
    ("MessageTypeNotSupported", RpcErrorCode::MessageTypeNotSupported),
    ("RpcFrameworkError", RpcErrorCode::RpcFrameworkError),
];

#[cfg(test)]
mod tests {
    use super::{RpcErrorCode, SPELLINGS};
    use crate::Version;

    #[test]
    fn every_code_is_read_back_in_every_version() {
        for (spelling, code) in SPELLINGS {
            assert_eq!(RpcErrorCode::parse(spelling), *code);
            for version in Version::ALL {
                assert_eq!(RpcErrorCode::parse(code.as_str(*version)), *code);
            }
        }
    }

    #[test]
    fn both_spellings_are_read_and_the_corrected_one_is_written() {
        let code = RpcErrorCode::parse("OccurenceConstraintViolation");
        assert_eq!(code.as_str(Version::V201), "OccurrenceConstraintViolation");
        assert_eq!(RpcErrorCode::parse("Formationviolation").as_str(Version::V201), "FormatViolation");
        assert_eq!(RpcErrorCode::parse("Own").as_str(Version::V201), "Own");
    }
}
