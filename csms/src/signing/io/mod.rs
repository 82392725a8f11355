//! The token, the files of certificates and lists, other authorities and OCSP responders.

pub(crate) mod authority;
pub(crate) mod external;
mod http;
pub(crate) mod lists;
pub(crate) mod ocsp;
pub(crate) mod own_certificate;
pub(crate) mod pem_files;
pub(crate) mod token;
pub(crate) mod upkeep;
