//! JSON text, straight from and into types.
//!
//! serde_json does the same for types of any kind. What is here knows two things more: that a payload that is refused is read a second time
//! anyway, by serde_json, so that the first reading needs no words for what is wrong; and that a string of OCPP is long and without anything
//! to escape.

mod plain;
mod reader;
mod writer;

pub(crate) use reader::{Refused, read};
pub(crate) use writer::{Unwritable, write};
