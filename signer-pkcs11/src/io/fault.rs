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

/// Faults of one session or of a handle in it, which a new session can cure.
pub(crate) fn is_session_fault(error: &Error) -> bool {
    matches!(
        code(error),
        Some(
            RvError::SessionHandleInvalid
                | RvError::SessionClosed
                | RvError::ObjectHandleInvalid
                | RvError::KeyHandleInvalid
                | RvError::UserNotLoggedIn
                | RvError::OperationActive
                | RvError::OperationNotInitialized
                | RvError::SessionCount
        )
    )
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
