//! Keys and signatures, without a token.

pub(crate) mod algorithm;
pub(crate) mod encoding;
pub(crate) mod error;
pub(crate) mod kind;
pub(crate) mod oid;
pub(crate) mod pss;
pub(crate) mod public_key;
pub(crate) mod signer;
pub(crate) mod weak_key;
