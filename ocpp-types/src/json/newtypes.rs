//! The newtypes by which a type asks the reader for a number in another form than serde has.

/// A value whose numbers are wanted as they are written: the visitor gets their text as bytes.
pub(crate) const AS_WRITTEN: &str = "$ocpp_types::as_written";

/// An integer that has to be in digits: without a point and without an exponent.
pub(crate) const DIGITS: &str = "$ocpp_types::digits";
