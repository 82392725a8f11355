//! What the configuration says about the authority: its keys or its command, its profiles, its
//! lists.

use std::{
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use signer_pkcs11::{Hierarchy, Profiles, RsaPadding, Uri, parse_duration};

use crate::config::{
    error::ConfigError,
    profiles::{self, ProfilesSection},
    token_uri::parse_uri,
};

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

/// The members as they stand in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCa {
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    spares: Vec<String>,
    #[serde(default)]
    blocked_keys_file: Option<PathBuf>,
    certificate_file: PathBuf,
    #[serde(default)]
    rsa_padding: Padding,
    #[serde(default)]
    validity_days: Option<u32>,
    #[serde(default)]
    profiles_file: Option<PathBuf>,
    #[serde(default)]
    profiles: Option<toml::Table>,
    #[serde(default)]
    crl_file: Option<PathBuf>,
    #[serde(default = "week")]
    crl_validity: String,
    #[serde(default)]
    crl_url: Option<String>,
    #[serde(default, rename = "issuer")]
    issuers: Vec<RawIssuer>,
    #[serde(default)]
    external: Option<RawExternal>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawIssuer {
    #[serde(default)]
    hierarchy: Hierarchy,
    key: String,
    certificate_file: PathBuf,
    #[serde(default)]
    rsa_padding: Padding,
    #[serde(default)]
    crl_file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExternal {
    command: Vec<String>,
    #[serde(default = "day")]
    deadline_hours: u32,
    #[serde(default = "four")]
    at_once: u32,
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

impl RawCa {
    pub(super) fn parse(self) -> Result<CaSection, ConfigError> {
        let has_issuers = !self.issuers.is_empty();
        let signer = match (self.external, self.key) {
            (None, None) => return Err(ConfigError::value("ca", "has to have either key or [ca.external]")),
            (Some(_), key) if key.is_some() || !self.spares.is_empty() || has_issuers => {
                return Err(ConfigError::value("ca", "has to have either keys of its own or [ca.external]"));
            }
            (Some(external), _) => CaSigner::External(external.parse()?),
            (None, Some(key)) => CaSigner::Keys(Box::new(CaKeys {
                key: parse_uri("ca.key", &key)?,
                spares: (self.spares.iter())
                    .map(|spare| parse_uri("ca.spares", spare))
                    .collect::<Result<_, _>>()?,
                rsa_padding: self.rsa_padding,
                issuers: (self.issuers.into_iter()).map(RawIssuer::parse).collect::<Result<_, _>>()?,
            })),
        };
        let crl_validity = parse_duration(&self.crl_validity).map_err(|_| {
            ConfigError::value("ca.crl_validity", "has to be a duration such as \"7d\" or \"12h\"")
        });
        let profiles = profiles::parse(self.profiles, self.profiles_file, self.validity_days)?;
        let crl_validity = crl_validity?;
        if self.crl_url.is_some() && has_issuers {
            let rule = "is where one issuer's list is, and there is an [[ca.issuer]]";
            return Err(ConfigError::value("ca.crl_url", rule));
        }
        let section = CaSection {
            signer,
            blocked_keys_file: self.blocked_keys_file,
            certificate_file: self.certificate_file,
            profiles,
            crl_file: self.crl_file,
            crl_validity,
            crl_url: self.crl_url,
        };
        if let ProfilesSection::Here(profiles) = &section.profiles {
            section.check_crl_url(profiles)?;
        }
        Ok(section)
    }
}

impl RawIssuer {
    fn parse(self) -> Result<IssuerSection, ConfigError> {
        Ok(IssuerSection {
            hierarchy: self.hierarchy,
            key: parse_uri("ca.issuer.key", &self.key)?,
            certificate_file: self.certificate_file,
            rsa_padding: self.rsa_padding,
            crl_file: self.crl_file,
        })
    }
}

impl RawExternal {
    fn parse(self) -> Result<ExternalSection, ConfigError> {
        let mut command = self.command.into_iter();
        let program = command.next().filter(|program| !program.is_empty());
        let program =
            program.ok_or_else(|| ConfigError::value("ca.external.command", "has to name a program"))?;
        match (self.deadline_hours, NonZeroU32::new(self.at_once)) {
            (hours @ 1.., Some(at_once)) => Ok(ExternalSection {
                program,
                arguments: command.collect(),
                deadline: Duration::from_secs(u64::from(hours) * 60 * 60),
                at_once,
            }),
            _ => {
                let rule = "has to have a deadline_hours and an at_once of 1 or more";
                Err(ConfigError::value("ca.external", rule))
            }
        }
    }
}

fn week() -> String {
    "7d".to_owned()
}

fn day() -> u32 {
    24
}

fn four() -> u32 {
    4
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<CaSection, ConfigError> {
        toml::from_str::<RawCa>(text).expect(text).parse()
    }

    fn check(text: &str, expected: Result<(), &str>) {
        let found = parse(text).map(drop).map_err(|error| match error {
            ConfigError::Value { field, .. } => field,
            error @ ConfigError::Syntax(_) => panic!("{error:?}"),
        });
        assert_eq!(found, expected.map_err(str::to_owned), "{text}");
    }

    #[test]
    fn each_rule_names_its_field() {
        const OWN: &str = "certificate_file = \"a\"\nkey = \"pkcs11:object=k\"\n";
        const OTHER: &str = "certificate_file = \"a\"\n[external]\n";
        check(OWN, Ok(()));
        check("certificate_file = \"a\"", Err("ca"));
        check(&format!("{OTHER}command = [\"ca\"]"), Ok(()));
        check(&format!("spares = [\"pkcs11:object=k\"]\n{OTHER}command = [\"ca\"]"), Err("ca"));
        check(&format!("key = \"pkcs11:object=k\"\n{OTHER}command = [\"ca\"]"), Err("ca"));
        check(&format!("{OTHER}command = []"), Err("ca.external.command"));
        check(&format!("{OTHER}command = [\"ca\"]\ndeadline_hours = 0"), Err("ca.external"));
        check(&format!("{OWN}validity_days = 0"), Err("ca.validity_days"));
        check(&format!("{OWN}crl_validity = \"soon\""), Err("ca.crl_validity"));
        let named = "[profiles.station]\ncrl_urls = [\"http://a.example/crl\"]";
        let url = "crl_url = \"http://a.example/crl\"\n";
        check(&format!("{OWN}{url}"), Err("ca.crl_url"));
        check(&format!("{OWN}{url}{named}"), Ok(()));
        let other = "[[issuer]]\nkey = \"pkcs11:object=k\"\ncertificate_file = \"b\"\n";
        check(&format!("{OWN}{url}{other}{named}"), Err("ca.crl_url"));
        check(&format!("{OWN}validity_days = 5\n[profiles]"), Err("ca.validity_days"));
        check(&format!("{OWN}profiles_file = \"p\"\n[profiles]"), Err("ca"));
        check(&format!("{OWN}[profiles.station]\nvalidity = \"90d\""), Ok(()));
        check(&format!("{OWN}[profiles.station]\nvalidity = \"1y\""), Err("ca.profiles"));
        check(&format!("{OWN}[profiles.nobody]"), Err("ca.profiles"));
        check(
            &format!(
                "{OWN}[[issuer]]\nhierarchy = \"v2g\"\nkey = \"pkcs11:object=k\"\ncertificate_file = \"b\""
            ),
            Ok(()),
        );
    }

    #[test]
    fn validity_and_profiles() {
        let read = |text: &str| {
            let text = format!("certificate_file = \"a\"\nkey = \"pkcs11:object=k\"\n{text}");
            parse(&text).expect("good").profiles
        };
        let station = |text: &str| match read(text) {
            ProfilesSection::Here(profiles) => profiles.station.validity.as_secs(),
            file @ ProfilesSection::File(_) => panic!("{file:?}"),
        };
        assert_eq!(station(""), 365 * 24 * 3600);
        assert_eq!(station("validity_days = 2"), 2 * 24 * 3600);
        assert_eq!(station("[profiles.station]\nvalidity = \"90d\""), 90 * 24 * 3600);
        assert_eq!(read("profiles_file = \"p\""), ProfilesSection::File("p".into()));
    }

    #[test]
    fn a_program_that_is_named_with_its_folder_is_relative_to_the_file() {
        let program = |name: &str| {
            let text = format!("certificate_file = \"a\"\n[external]\ncommand = [\"{name}\", \"./b\"]");
            let mut section = parse(&text).expect("good");
            section.make_relative_to(Path::new("/etc/csms"));
            match section.signer {
                CaSigner::External(external) => (external.program, external.arguments),
                keys @ CaSigner::Keys(_) => panic!("{keys:?}"),
            }
        };
        let expected = |program: &str| (program.to_owned(), vec!["./b".to_owned()]);
        assert_eq!(program("step"), expected("step"));
        assert_eq!(program("./ask"), expected("/etc/csms/./ask"));
        assert_eq!(program("/usr/bin/ask"), expected("/usr/bin/ask"));
    }
}
