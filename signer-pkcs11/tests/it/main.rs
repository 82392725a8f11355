//! Tests on a real token, judged by OpenSSL and webpki.

mod csr;
mod issuance;
mod keys;
mod openssl;
mod refusals;
mod shutdown;
mod signing;
mod softhsm;
mod tls;
mod tokens;
