//! The CSMS's own certificate, and what stations' certificates have to lead to.

use std::path::PathBuf;

use serde::Deserialize;
use signer_pkcs11::{ServerName, ServerNameError};

/// The CSMS's own certificate.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSection {
    /// An RFC 7512 URI that names the key in the token.
    #[serde(default)]
    pub key: Option<String>,
    /// A file with the key instead, PKCS #8 in PEM.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// The chain that the CSMS presents, leaf first, PEM.
    pub certificate_file: PathBuf,
    /// Under which names stations reach the CSMS, its FQDN first (A00.FR.510). With them the
    /// authority of this service issues the certificate itself, writes it to `certificate_file`,
    /// and renews it when two thirds of its life are over (A00.FR.701); without them somebody else
    /// does.
    #[serde(default)]
    pub names: Vec<String>,
    /// A second certificate, of RSA: with it TLS is OpenSSL's, which serves all four cipher suites
    /// that A00.FR.318 and A00.FR.421 demand. Needs `key_file`, and a program that was built with
    /// the feature `openssl`.
    #[serde(default)]
    pub rsa: Option<RsaSection>,
    /// The roots that stations' certificates have to lead to, PEM; default: `ca.certificate_file`.
    #[serde(default)]
    pub client_roots_file: Option<PathBuf>,
    /// Revocation lists of stations' certificates, PEM or DER. They are read again with
    /// `ocpp-csms reload`.
    #[serde(default)]
    pub crl_files: Vec<PathBuf>,
    /// Whether a station is refused whose certificate no list, or no recent one, tells about;
    /// default false.
    #[serde(default)]
    pub require_crls: bool,
    /// Whether stations are asked for a certificate in the TLS handshake; default true. With
    /// false, security profile 2 is the only one: a station cannot use its certificate here, and
    /// browsers, which stop at such a request, can connect.
    #[serde(default = "yes")]
    pub request_client_certificate: bool,
}

/// The CSMS's second certificate, of RSA.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RsaSection {
    /// A file with the key, PKCS #8 in PEM.
    pub key_file: PathBuf,
    /// The chain, leaf first, PEM.
    pub certificate_file: PathBuf,
}

impl TlsSection {
    /// The names of a certificate that the service's own authority issues; `None`: it issues none.
    pub(crate) fn server_name(&self) -> Option<Result<ServerName, ServerNameError>> {
        let (first, others) = self.names.split_first()?;
        let first = ServerName::new(first.as_str());
        Some(others.iter().fold(first, |name, other| name?.with_dns_name(other.as_str())))
    }
}

fn yes() -> bool {
    true
}
