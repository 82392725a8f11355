//! The meaning of a module's return values.

use cryptoki::error::{Error, RvError};

use crate::token::fault::TokenFault;

/// The fault in this crate's words: cryptoki's types change with each of its versions, and its
/// texts are paragraphs.
pub(crate) fn fault(error: &Error) -> TokenFault {
    match error {
        Error::Pkcs11(code, function) => TokenFault::new(format!("C_{function:?}"), name(code)),
        other => TokenFault::new("the PKCS #11 interface", other.to_string()),
    }
}

/// The name of a return value. Codes of vendors are written as their headers and manuals have them.
fn name(code: &RvError) -> String {
    match code {
        RvError::VendorDefined(code) => format!("VendorDefined({code:#010x})"),
        code => format!("{code:?}"),
    }
}

/// The return value of a call, if there is one.
pub(crate) fn code(error: &Error) -> Option<RvError> {
    match error {
        Error::Pkcs11(code, _) => Some(*code),
        _ => None,
    }
}

/// What may heal a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// The request is at fault, and would fail again.
    Request,
    /// One session or a handle in it: a new session may heal it.
    Session,
    /// The module or the device: a restart of the module may heal it.
    Module,
    /// The login: only a person can fix it.
    Login,
}

/// The class of a fault. Unknown codes, including those of vendors, count as faults of the module.
pub(crate) fn class(error: &Error) -> Class {
    match code(error) {
        Some(
            RvError::DataInvalid
            | RvError::DataLenRange
            | RvError::MechanismInvalid
            | RvError::MechanismParamInvalid
            | RvError::KeyTypeInconsistent
            | RvError::KeyFunctionNotPermitted
            | RvError::KeySizeRange
            | RvError::TemplateInconsistent
            | RvError::TemplateIncomplete
            | RvError::AttributeTypeInvalid
            | RvError::AttributeValueInvalid
            | RvError::AttributeReadOnly
            | RvError::CurveNotSupported
            | RvError::ArgumentsBad
            | RvError::FunctionNotSupported
            | RvError::SessionReadOnly
            | RvError::TokenWriteProtected,
        ) => Class::Request,
        Some(
            RvError::SessionHandleInvalid
            | RvError::SessionClosed
            | RvError::ObjectHandleInvalid
            | RvError::KeyHandleInvalid
            | RvError::UserNotLoggedIn
            | RvError::OperationActive
            | RvError::OperationNotInitialized
            | RvError::SessionCount,
        ) => Class::Session,
        Some(
            RvError::PinIncorrect
            | RvError::PinInvalid
            | RvError::PinLenRange
            | RvError::PinExpired
            | RvError::PinLocked
            | RvError::PinTooWeak
            | RvError::UserPinNotInitialized
            | RvError::UserAnotherAlreadyLoggedIn,
        ) => Class::Login,
        _ => Class::Module,
    }
}

/// Faults by which tokens report that they have no such keys, whatever the template.
pub(crate) fn is_unsupported(error: &Error) -> bool {
    matches!(
        code(error),
        Some(
            RvError::MechanismInvalid
                | RvError::FunctionNotSupported
                | RvError::CurveNotSupported
                // cryptoki: "invalid or unsupported domain parameters".
                | RvError::DomainParamsInvalid
                | RvError::KeySizeRange
        )
    )
}

/// Faults by which tokens refuse a template. Another template may be accepted.
pub(crate) fn is_template_fault(error: &Error) -> bool {
    matches!(
        code(error),
        Some(
            RvError::TemplateInconsistent
                | RvError::TemplateIncomplete
                | RvError::AttributeTypeInvalid
                | RvError::AttributeValueInvalid
                | RvError::AttributeReadOnly
                | RvError::ArgumentsBad
                // tpm2-pkcs11 returns it for CKA_DECRYPT=false and similar attributes.
                | RvError::GeneralError
                | RvError::FunctionFailed
        )
    )
}
