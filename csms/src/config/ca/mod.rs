//! What the configuration says about the authority: its keys or its command, its profiles, its
//! lists.

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
    /// Keys that are never certified: the SHA-256 of a SubjectPublicKeyInfo in hexadecimal begins
    /// each line. It is read at the start.
    pub blocked_keys_file: Option<PathBuf>,
    /// The issuer's certificate first, then those above it, PEM. With `[ca.external]`: the roots to
    /// which every chain of the other authority has to lead.
    pub certificate_file: PathBuf,
    /// What certificates of each kind look like.
    pub profiles: ProfilesSection,
    /// Where the list of revoked certificates is written, DER, and beside it `….pem`; default: in
    /// the ledger's folder.
    pub crl_file: Option<PathBuf>,
    /// Until when a list is to be used, such as `7d`; the next one is signed when two thirds of it
    /// are over.
    pub crl_validity: Duration,
    /// The `IssuingDistributionPoint` of the list: it has to be among `crl_urls` of the station's
    /// profile, and there may be no other issuer. Only where it was there from the beginning, for
    /// such a list does not cover certificates that were issued without it.
    pub crl_url: Option<String>,
}

/// Who signs.
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
    /// The same key in other tokens: RFC 7512 URIs with token, pin-source and object. They are
    /// asked in this order where the tokens before do not sign.
    pub spares: Vec<Uri>,
    /// How the key signs, where it is of RSA: `pkcs1`, the default, or `pss`.
    pub rsa_padding: Padding,
    /// Further issuers: for the hierarchy of ISO 15118, or for another family of keys.
    pub issuers: Vec<IssuerSection>,
}

/// An issuer beside the first one. A certificate comes from the first issuer of its hierarchy whose
/// key is of the same family, RSA or ECDSA, as the certified one; else from the first of its
/// hierarchy.
#[derive(Clone, Debug, PartialEq)]
pub struct IssuerSection {
    /// `cso`, the default, or `v2g`.
    pub hierarchy: Hierarchy,
    /// An RFC 7512 URI that names the key in the token.
    pub key: Uri,
    /// The issuer's certificate first, then those above it, PEM.
    pub certificate_file: PathBuf,
    /// As `ca.rsa_padding`.
    pub rsa_padding: Padding,
    /// As `ca.crl_file`.
    pub crl_file: Option<PathBuf>,
}

/// How an RSA key signs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Padding {
    /// RSASSA-PKCS1-v1_5, which every peer reads.
    #[default]
    Pkcs1,
    /// RSASSA-PSS, which A00.FR.505 recommends. Some stations and test tools cannot read it.
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

/// An authority elsewhere, asked by a command (A02.FR.04).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalSection {
    /// The program. It reads the request from standard input, PEM, and writes the chain to standard
    /// output, PEM, leaf first. `OCPP_STATION`, `OCPP_SERIAL_NUMBER`, `OCPP_COMMON_NAME`,
    /// `OCPP_ORGANIZATION` and `OCPP_CERTIFICATE_TYPE` (empty: for all connections) are in its
    /// environment.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// How long it may take; default 24 hours.
    pub deadline: Duration,
    /// How many run at once; default 4. Other requests wait.
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

    /// Where the lists of the issuers are written where the configuration says so, in the order of
    /// the issuers.
    pub(crate) fn crl_files(&self) -> impl Iterator<Item = Option<&Path>> {
        let others = self.issuers().iter().map(|issuer| issuer.crl_file.as_deref());
        std::iter::once(self.crl_file.as_deref()).chain(others)
    }

    /// The rule that binds `crl_url` to the profiles.
    pub(crate) fn check_crl_url(&self, profiles: &Profiles) -> Result<(), ConfigError> {
        match &self.crl_url {
            Some(url) if !profiles.station.crl_urls.contains(url) => Err(ConfigError::value(
                "ca.crl_url",
                "has to be among crl_urls of the station's profile, for its certificates have to name it",
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
            // A program that is named with its folder; any other is looked for where programs are.
            CaSigner::External(external) if external.program.contains('/') => {
                external.program = folder.join(&external.program).to_string_lossy().into_owned();
            }
            CaSigner::External(_) => {}
        }
    }
}
