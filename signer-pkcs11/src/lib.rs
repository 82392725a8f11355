//! Keys, certificate requests and a certificate authority inside a PKCS #11 token.
