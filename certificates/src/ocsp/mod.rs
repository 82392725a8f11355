//! OCSP (RFC 6960): the request about one certificate, the content of a response, and whether the
//! response may be relied on.

mod request;
mod response;
mod verify;

pub use request::{to_request, to_sha1_request};
pub use response::{CertificateStatus, NoAnswer, check_about, check_about_certificate};
pub use verify::{MAX_AGE, OcspRefused, Verified, this_update, verify};
