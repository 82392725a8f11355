//! The error codes of OCPP-J.

use alloc::{borrow::ToOwned as _, string::String};

use crate::{Version, decode::Violation};

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
    /// A member is missing, or occurs too rarely or too often.
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
    /// The code in the spelling of this version. OCPP 1.6 has no codes for faults of a frame; the
    /// nearest code is used instead.
    #[must_use]
    pub fn as_str(&self, version: Version) -> &str {
        match (self, version) {
            (Self::NotImplemented, _) => "NotImplemented",
            (Self::NotSupported, _) => "NotSupported",
            (Self::InternalError, _) => "InternalError",
            (Self::ProtocolError, _) => "ProtocolError",
            (Self::SecurityError, _) => "SecurityError",
            (Self::FormatViolation, Version::V16) => "FormationViolation",
            (Self::FormatViolation, _) => "FormatViolation",
            (Self::PropertyConstraintViolation, _) => "PropertyConstraintViolation",
            // OCPP-J 1.6, 4.2.3: its errata do not correct this spelling; 2.0.1 does.
            (Self::OccurrenceConstraintViolation, Version::V16) => "OccurenceConstraintViolation",
            (Self::OccurrenceConstraintViolation, _) => "OccurrenceConstraintViolation",
            (Self::TypeConstraintViolation, _) => "TypeConstraintViolation",
            (Self::GenericError, _) | (Self::MessageTypeNotSupported, Version::V16) => "GenericError",
            (Self::MessageTypeNotSupported, _) => "MessageTypeNotSupported",
            (Self::RpcFrameworkError, Version::V16) => "FormationViolation",
            (Self::RpcFrameworkError, _) => "RpcFrameworkError",
            (Self::Other(code), _) => code,
        }
    }

    /// Parses a code in any spelling of a peer: the spelling of every version is accepted in every
    /// version, and the case of letters is ignored.
    #[must_use]
    pub fn parse(code: &str) -> Self {
        let known = SPELLINGS.iter().find(|(spelling, _)| spelling.eq_ignore_ascii_case(code));
        known.map_or_else(|| Self::Other(code.to_owned()), |(_, known)| known.clone())
    }

    /// The code of this version for a fault in a payload.
    #[must_use]
    pub fn of_violation(violation: Violation, version: Version) -> Self {
        match version {
            Version::V16 => Self::in_v16(violation),
            Version::V201 => Self::in_v201(violation),
            Version::V21 => Self::in_v21(violation),
        }
    }

    /// OCPP-J 1.6, 4.2.3. The codes are those of 2.0.1 with older names, which
    /// [`as_str`](Self::as_str) returns.
    fn in_v16(violation: Violation) -> Self {
        Self::in_v201(violation)
    }

    /// OCPP 2.0.1 Part 4, 4.3.
    fn in_v201(violation: Violation) -> Self {
        match violation {
            Violation::NotJson
            | Violation::NotAnObject
            | Violation::UnknownMember
            | Violation::DuplicateMember => Self::FormatViolation,
            // A value that an enumeration does not contain counts as a value of another type: the
            // specification defines each enumeration as a type of its own
            // (`HashAlgorithmEnumType`), and the message guides that vendors test against agree.
            // The text of OCPP-J would allow PropertyConstraintViolation too. This decision is made
            // only in these functions.
            Violation::UnknownValue | Violation::WrongType => Self::TypeConstraintViolation,
            Violation::Constraint => Self::PropertyConstraintViolation,
            Violation::MissingMember | Violation::ItemCount => Self::OccurrenceConstraintViolation,
        }
    }

    /// OCPP 2.1 Part 4, 4.3: the table of 2.0.1.
    fn in_v21(violation: Violation) -> Self {
        Self::in_v201(violation)
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
    fn every_code_is_read_back() {
        for (spelling, code) in SPELLINGS {
            assert_eq!(RpcErrorCode::parse(spelling), *code);
            for version in [Version::V201, Version::V21] {
                assert_eq!(RpcErrorCode::parse(code.as_str(version)), *code);
            }
        }
    }

    #[test]
    fn both_spellings_are_read_and_that_of_the_version_is_written() {
        let code = RpcErrorCode::parse("OccurenceConstraintViolation");
        assert_eq!(code.as_str(Version::V16), "OccurenceConstraintViolation");
        assert_eq!(code.as_str(Version::V201), "OccurrenceConstraintViolation");
        assert_eq!(code.as_str(Version::V21), "OccurrenceConstraintViolation");
        assert_eq!(RpcErrorCode::parse("FormatViolation").as_str(Version::V16), "FormationViolation");
        assert_eq!(RpcErrorCode::RpcFrameworkError.as_str(Version::V16), "FormationViolation");
        assert_eq!(RpcErrorCode::MessageTypeNotSupported.as_str(Version::V16), "GenericError");
        assert_eq!(RpcErrorCode::parse("Formationviolation").as_str(Version::V201), "FormatViolation");
        assert_eq!(RpcErrorCode::parse("Own").as_str(Version::V201), "Own");
    }
}
