//! Requests for certificates, answered and issued. Nothing here calls a token.

pub(crate) mod admissions;
pub(crate) mod answer;
pub(crate) mod certificate;
pub(crate) mod error;
pub(crate) mod external;
pub(crate) mod message;
pub(crate) mod present;
pub(crate) mod record;
pub(crate) mod request;
