//! Tests of the readers with the output of OpenSSL, and of the rules with invalid certificates.

mod crl;
mod hash_data;
mod made;
mod ocsp;
mod openssl;
mod path;
mod path_cases;
mod path_judges;
mod revocation;
