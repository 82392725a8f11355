//! What a module's return values mean for us.

use cryptoki::error::{Error, RvError};

use crate::sign::TokenFault;

/// The fault in our own words: cryptoki's types change with each of its versions, and its texts are paragraphs.
pub(crate) fn fault(error: &Error) -> TokenFault {
    match error {
        Error::Pkcs11(code, function) => TokenFault::new(format!("C_{function:?}"), format!("{code:?}")),
        other => TokenFault::new("the PKCS #11 interface", other.to_string()),
    }
}

/// Return value of a call, where there is one.
pub(crate) fn code(error: &Error) -> Option<RvError> {
    match error {
        Error::Pkcs11(code, _) => Some(*code),
        _ => None,
    }
}

/// An error and its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// What can be done about a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// The request is at fault, and would be again.
    Request,
    /// One session or a handle in it: a new session can cure it.
    Session,
    /// The module or the device: a restart of the module can cure it.
    Module,
    /// The login: nothing cures it but a person.
    Login,
}

/// The class of a fault. What is unknown, as vendors' own codes are, counts as the module's.
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

/// Faults by which tokens refuse a template that they do not like; another template may pass.
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
                // tpm2-pkcs11 answers so to CKA_DECRYPT=false and its like.
                | RvError::GeneralError
                | RvError::FunctionFailed
        )
    )
}
