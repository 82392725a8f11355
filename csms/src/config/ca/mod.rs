//! The configuration of the authority: its keys or its command, its profiles, its lists.

mod file;
mod profiles;

use std::{
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use signer_pkcs11::{Hierarchy, Profiles, RsaPadding, Uri};

pub(super) use self::file::RawCa;
pub use self::profiles::ProfilesSection;
use crate::config::error::ConfigError;

/// The authority that signs stations' certificates.
#[derive(Clone, Debug, PartialEq)]
pub struct CaSection {
    /// Keys in the token, or a command that asks another authority.
    pub signer: CaSigner,
    /// Keys that are never certified: each line begins with the SHA-256 of a SubjectPublicKeyInfo
    /// in hexadecimal. The file is read at the start.
    pub blocked_keys_file: Option<PathBuf>,
    /// The issuer's certificate first, then the certificates above it, PEM. With `[ca.external]`:
    /// the roots of all chains of the other authority.
    pub certificate_file: PathBuf,
    /// The profiles of the kinds of certificates.
    pub profiles: ProfilesSection,
    /// The file of the list of revoked certificates, DER; the same list in PEM is beside it with
    /// the suffix `.pem`; default: in the ledger's folder.
    pub crl_file: Option<PathBuf>,
    /// The validity of a list, such as `7d`. The next list is signed after two thirds of it.
    pub crl_validity: Duration,
    /// The `IssuingDistributionPoint` of the list. It has to be among `crl_urls` of the station's
    /// profile, and there may be no other issuer. Set it only if it was set from the beginning:
    /// such a list does not cover certificates that were issued without it.
    pub crl_url: Option<String>,
}

/// The signer of certificates.
#[derive(Clone, Debug, PartialEq)]
pub enum CaSigner {
    /// This service, with keys in the token.
    Keys(Box<CaKeys>),
    /// Another authority, which signs instead of a key in the token.
    External(ExternalSection),
}

/// The keys of an authority.
#[derive(Clone, Debug, PartialEq)]
pub struct CaKeys {
    /// The RFC 7512 URI that names the key in the token.
    pub key: Uri,
    /// The same key in other tokens: RFC 7512 URIs with token, pin-source and object. They are used
    /// in this order if the tokens before them do not sign.
    pub spares: Vec<Uri>,
    /// The padding of signatures with an RSA key: `pkcs1`, the default, or `pss`.
    pub rsa_padding: Padding,
    /// Further issuers: for the hierarchy of ISO 15118, or for another key algorithm.
    pub issuers: Vec<IssuerSection>,
}

/// An issuer beside the first one. A certificate is signed by the first issuer of its hierarchy
/// whose key has the same algorithm, RSA or ECDSA, as the certified key. If there is none, the
/// first issuer of its hierarchy signs it.
#[derive(Clone, Debug, PartialEq)]
pub struct IssuerSection {
    /// `cso`, the default, or `v2g`.
    pub hierarchy: Hierarchy,
    /// An RFC 7512 URI that names the key in the token.
    pub key: Uri,
    /// The issuer's certificate first, then the certificates above it, PEM.
    pub certificate_file: PathBuf,
    /// See `ca.rsa_padding`.
    pub rsa_padding: Padding,
    /// See `ca.crl_file`.
    pub crl_file: Option<PathBuf>,
}

/// The padding of an RSA signature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Padding {
    /// RSASSA-PKCS1-v1_5, which every peer can verify.
    #[default]
    Pkcs1,
    /// RSASSA-PSS, which A00.FR.505 recommends. Some stations and test tools cannot verify it.
    Pss,
}

impl From<Padding> for RsaPadding {
    fn from(padding: Padding) -> Self {
        match padding {
            Padding::Pkcs1 => Self::Pkcs1,
            Padding::Pss => Self::Pss,
        }
    }
}

/// Another authority, which a command asks for certificates (A02.FR.04).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalSection {
    /// The program. It reads the request from standard input, PEM, and writes the chain to standard
    /// output, PEM, leaf first. Its environment contains `OCPP_STATION`, `OCPP_SERIAL_NUMBER`,
    /// `OCPP_COMMON_NAME`, `OCPP_ORGANIZATION` and `OCPP_CERTIFICATE_TYPE` (empty: for all
    /// connections).
    pub program: String,
    /// The arguments of the program.
    pub arguments: Vec<String>,
    /// The longest run time of the program; default 24 hours.
    pub deadline: Duration,
    /// The number of programs that run at the same time; default 4. Other requests wait.
    pub at_once: NonZeroU32,
}

impl CaSection {
    /// The issuers beside the first one.
    pub(crate) fn issuers(&self) -> &[IssuerSection] {
        match &self.signer {
            CaSigner::Keys(keys) => &keys.issuers,
            CaSigner::External(_) => &[],
        }
    }

    /// The configured files of the issuers' lists, in the order of the issuers.
    pub(crate) fn crl_files(&self) -> impl Iterator<Item = Option<&Path>> {
        let others = self.issuers().iter().map(|issuer| issuer.crl_file.as_deref());
        std::iter::once(self.crl_file.as_deref()).chain(others)
    }

    /// Checks `crl_url` against the profiles.
    pub(crate) fn check_crl_url(&self, profiles: &Profiles) -> Result<(), ConfigError> {
        match &self.crl_url {
            Some(url) if !profiles.station.crl_urls.contains(url) => Err(ConfigError::value(
                "ca.crl_url",
                "has to be among crl_urls of the station's profile, because its certificates have to name it",
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn make_relative_to(&mut self, folder: &Path) {
        let make_relative = |path: &mut PathBuf| *path = folder.join(&*path);
        make_relative(&mut self.certificate_file);
        self.crl_file.iter_mut().chain(&mut self.blocked_keys_file).for_each(make_relative);
        if let ProfilesSection::File(path) = &mut self.profiles {
            make_relative(path);
        }
        match &mut self.signer {
            CaSigner::Keys(keys) => {
                for issuer in &mut keys.issuers {
                    make_relative(&mut issuer.certificate_file);
                    issuer.crl_file.iter_mut().for_each(make_relative);
                }
                let issuers = keys.issuers.iter_mut().map(|issuer| &mut issuer.key);
                for uri in std::iter::once(&mut keys.key).chain(&mut keys.spares).chain(issuers) {
                    *uri = uri.clone().relative_to(folder);
                }
            }
            // A program whose path has a folder. Other programs are searched in `PATH`.
            CaSigner::External(external) if external.program.contains('/') => {
                external.program = folder.join(&external.program).to_string_lossy().into_owned();
            }
            CaSigner::External(_) => {}
        }
    }
}
