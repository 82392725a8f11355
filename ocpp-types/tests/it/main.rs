//! What the crate accepts, refuses and says, on all messages of all versions that are compiled in.

mod decode_error;
mod differential;
mod exactness;
mod hostile;
mod payloads;
mod v201;
