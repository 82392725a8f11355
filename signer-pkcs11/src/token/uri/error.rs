//! Why a text is not a PKCS #11 URI.

/// Why a text is not an acceptable PKCS #11 URI.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UriError {
    /// Another scheme, or none.
    #[error("a PKCS #11 URI begins with \"pkcs11:\", as in pkcs11:token=station;object=key")]
    Scheme,
    /// A part that is not `name=value`.
    #[error("attribute {number} of the {kind} is not of the form name=value")]
    Attribute {
        /// `path` or `query`.
        kind: &'static str,
        /// Which one, counted from 1. Its text is not repeated, because it may be a PIN.
        number: usize,
    },
    /// RFC 7512 §2.3: an attribute occurs at most once.
    #[error("attribute {0} occurs twice")]
    Twice(String),
    /// The value has an invalid percent escape or is not UTF-8 where text is needed.
    #[error("the value of {0} is not percent-encoded UTF-8: write a blank as %20, ä as %C3%A4")]
    Encoding(String),
    /// `slot-id` is not a number.
    #[error("slot-id \"{0}\" is not a decimal number")]
    SlotId(String),
    /// `library-version` is not a version.
    #[error("library-version \"{0}\" is not a version, as in 2 or 2.6")]
    LibraryVersion(String),
    /// An attribute that RFC 7512 does not define. If it were ignored, the URI would match other
    /// tokens than its author meant.
    #[error(
        "attribute \"{0}\" is unknown: use token, serial, manufacturer, model, slot-id, slot-description, slot-manufacturer, library-manufacturer, library-description, library-version, object, id or type, and write pin-source and module-path after a question mark"
    )]
    Unknown(String),
    /// An unknown attribute after the question mark.
    #[error("attribute \"{0}\" is unknown after the question mark: use pin-source or module-path")]
    UnknownQuery(String),
    /// A module by its name instead of its file.
    #[error("module-name is not supported: write module-path=/path/to/module.so")]
    ModuleName,
    /// `type` is none of RFC 7512's.
    #[error("type \"{0}\" is none of public, private, cert, secret-key, data")]
    ObjectType(String),
    /// `pin-source` names an unsupported source. It is not repeated, because it may be the PIN
    /// itself.
    #[error("pin-source is none of file:/path, env:NAME, fd:NUMBER, prompt: and credential:NAME")]
    PinSource,
    /// A PIN in a URI ends up in logs, process lists and databases.
    #[error(
        "a PIN in a URI is refused, because URIs are logged and stored: put the PIN into a file and write pin-source=file:/path, or pin-source=env:NAME"
    )]
    PinValue,
}
