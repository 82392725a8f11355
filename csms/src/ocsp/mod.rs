//! The question of a station whether a certificate is revoked (M06, M07), put to an OCSP responder: what is sent, and what an
//! answer says. Fetching is in `io`.

mod request;
mod response;
mod verdict;

pub(crate) use self::{
    request::{CertificateId, Digest, NoCertificateId},
    response::{NoAnswer, Status, check_about},
    verdict::{Authority, Unproved, Verdict, by_list, by_response},
};
