//! JSON text, read directly into types and written directly from them.
//!
//! serde_json does the same for types of any kind. This module uses two more facts. A refused
//! payload is read a second time anyway, so the first reading needs no error texts. The strings of
//! OCPP are long and rarely contain escapes.

mod newtypes;
mod plain;
mod reader;
mod writer;

pub(crate) use newtypes::{AS_WRITTEN, DIGITS};
pub(crate) use reader::{Fault, Refused, is_in_digits, number, read, read_seed};
pub(crate) use writer::{Unwritable, write};
