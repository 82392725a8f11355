//! The readers against what OpenSSL writes, and the rules against what nobody should write.

mod crl;
mod hash_data;
mod made;
mod ocsp;
mod openssl;
mod path;
mod path_cases;
mod path_judges;
mod revocation;
