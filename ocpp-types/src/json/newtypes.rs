//! The newtypes with which a type requests a number in another form than that of serde.

/// A value whose numbers are needed as they are written: the visitor gets their text as bytes.
pub(crate) const AS_WRITTEN: &str = "$ocpp_types::as_written";

/// An integer that must be written in digits: without a point and without an exponent.
pub(crate) const DIGITS: &str = "$ocpp_types::digits";
