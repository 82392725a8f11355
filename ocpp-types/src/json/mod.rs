//! JSON text, straight from and into types.
//!
//! serde_json does the same for types of any kind. What is here knows two things more: that a
//! payload that is refused is read a second time anyway, so that the first reading needs no words
//! for what is wrong; and that a string of OCPP is long and without anything to escape.

mod newtypes;
mod plain;
mod reader;
mod writer;

pub(crate) use newtypes::{AS_WRITTEN, DIGITS};
pub(crate) use reader::{Fault, Refused, is_in_digits, number, read, read_seed};
pub(crate) use writer::{Unwritable, write};
