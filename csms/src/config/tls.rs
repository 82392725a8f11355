//! The CSMS's own certificate, and the roots and lists by which stations' certificates are
//! verified.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use signer_pkcs11::{ServerName, ServerNameError, Uri};

use crate::config::{error::ConfigError, token_uri::parse_uri};

/// The CSMS's own certificate.
#[derive(Clone, Debug)]
pub struct TlsSection {
    /// The key: `key`, an RFC 7512 URI that names it in the token, or `key_file`, optionally with
    /// `[tls.rsa]`.
    pub key: TlsKey,
    /// The chain that the CSMS presents, leaf first, PEM.
    pub certificate_file: PathBuf,
    /// The names under which stations reach the CSMS, its FQDN first (A00.FR.510). If they are set,
    /// this service's authority issues the certificate, writes it to `certificate_file`, and renews
    /// it after two thirds of its validity (A00.FR.701). If they are absent, another authority
    /// issues the certificate.
    pub names: Option<OwnNames>,
    /// The roots of stations' certificates, PEM; default: `ca.certificate_file`.
    pub client_roots_file: Option<PathBuf>,
    /// Revocation lists of stations' certificates, PEM or DER. They are read again with
    /// `ocpp-csms reload`.
    pub crl_files: Vec<PathBuf>,
    /// Whether a station is refused if no current list covers its certificate; default false.
    pub require_crls: bool,
    /// Whether stations are asked for a certificate in the TLS handshake; default true. If it is
    /// false, only security profile 2 is possible: a station cannot use its certificate. Browsers,
    /// which do not connect after such a request, can then connect.
    pub request_client_certificate: bool,
}

/// The key of the CSMS's own certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsKey {
    /// In the token.
    Token(Box<Uri>),
    /// In a file.
    File {
        /// PKCS #8 in PEM.
        path: PathBuf,
        /// A second certificate, with an RSA key. With it OpenSSL provides TLS, and serves all four
        /// cipher suites that A00.FR.318 and A00.FR.421 require. The program has to be built with
        /// the feature `openssl`.
        rsa: Option<RsaSection>,
    },
}

/// The names of a certificate that the service's own authority issues, the FQDN first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnNames {
    names: Vec<String>,
    server_name: ServerName,
}

/// The CSMS's second certificate, with an RSA key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RsaSection {
    /// A file with the key, PKCS #8 in PEM.
    pub key_file: PathBuf,
    /// The chain, leaf first, PEM.
    pub certificate_file: PathBuf,
}

/// The members as they are written in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTls {
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    key_file: Option<PathBuf>,
    certificate_file: PathBuf,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    rsa: Option<RsaSection>,
    #[serde(default)]
    client_roots_file: Option<PathBuf>,
    #[serde(default)]
    crl_files: Vec<PathBuf>,
    #[serde(default)]
    require_crls: bool,
    #[serde(default = "yes")]
    request_client_certificate: bool,
}

impl TlsSection {
    /// The second certificate, with an RSA key.
    pub(crate) fn rsa(&self) -> Option<&RsaSection> {
        match &self.key {
            TlsKey::Token(_) => None,
            TlsKey::File { rsa, .. } => rsa.as_ref(),
        }
    }

    pub(super) fn make_relative_to(&mut self, folder: &Path) {
        let make_relative = |path: &mut PathBuf| *path = folder.join(&*path);
        match &mut self.key {
            TlsKey::Token(uri) => **uri = Uri::clone(uri).relative_to(folder),
            TlsKey::File { path, rsa } => {
                make_relative(path);
                if let Some(rsa) = rsa {
                    make_relative(&mut rsa.key_file);
                    make_relative(&mut rsa.certificate_file);
                }
            }
        }
        make_relative(&mut self.certificate_file);
        self.client_roots_file.iter_mut().chain(&mut self.crl_files).for_each(make_relative);
    }
}

impl OwnNames {
    /// Checks the names. The first one is the FQDN (A00.FR.510).
    ///
    /// # Errors
    /// [`ServerNameError`] if there is no name, or one is not a host name.
    pub fn new(names: Vec<String>) -> Result<Self, ServerNameError> {
        let (first, others) = names.split_first().map_or(("", &[][..]), |(first, others)| (first, others));
        let server_name = others
            .iter()
            .try_fold(ServerName::new(first)?, |name, other| name.with_dns_name(other.as_str()))?;
        Ok(Self { names, server_name })
    }

    /// The names; there is at least one.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.names
    }

    /// The names, in the type of a server certificate.
    pub(crate) fn server_name(&self) -> &ServerName {
        &self.server_name
    }
}

impl RawTls {
    pub(super) fn parse(self) -> Result<TlsSection, ConfigError> {
        // Without names the service issues no certificate for itself.
        let names = (!self.names.is_empty()).then(|| OwnNames::new(self.names)).transpose();
        let names = names.map_err(|error| ConfigError::value("tls.names", error))?;
        let key = match (self.key, self.key_file, self.rsa) {
            (Some(_), None, Some(_)) => {
                let rule = "needs tls.key_file, because OpenSSL cannot use a key in the token";
                return Err(ConfigError::value("tls.rsa", rule));
            }
            (Some(uri), None, None) => TlsKey::Token(Box::new(parse_uri("tls.key", &uri)?)),
            (None, Some(path), rsa) => TlsKey::File { path, rsa },
            _ => return Err(ConfigError::value("tls", "has to have either key or key_file")),
        };
        Ok(TlsSection {
            key,
            certificate_file: self.certificate_file,
            names,
            client_roots_file: self.client_roots_file,
            crl_files: self.crl_files,
            require_crls: self.require_crls,
            request_client_certificate: self.request_client_certificate,
        })
    }
}

fn yes() -> bool {
    true
}
