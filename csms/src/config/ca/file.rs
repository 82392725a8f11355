//! The members of `[ca]` as they are written in the file, and the rules between them.

use std::{num::NonZeroU32, path::PathBuf, time::Duration};

use serde::Deserialize;
use signer_pkcs11::{Hierarchy, parse_duration};

use crate::config::{
    ca::{
        CaKeys, CaSection, CaSigner, ExternalSection, IssuerSection, Padding,
        profiles::{self, ProfilesSection},
    },
    error::ConfigError,
    token_uri::parse_uri,
};

/// `[ca]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawCa {
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

/// `[[ca.issuer]]`
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

/// `[ca.external]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExternal {
    command: Vec<String>,
    #[serde(default = "day")]
    deadline_hours: u32,
    #[serde(default = "four")]
    at_once: u32,
}

impl RawCa {
    pub(crate) fn parse(self) -> Result<CaSection, ConfigError> {
        let has_issuers = !self.issuers.is_empty();
        let signer = match (self.external, self.key) {
            (None, None) => return Err(ConfigError::value("ca", "has to have either key or [ca.external]")),
            (Some(_), key) if key.is_some() || !self.spares.is_empty() || has_issuers => {
                return Err(ConfigError::value("ca", "has to have either keys of its own or [ca.external]"));
            }
            (Some(external), _) => CaSigner::External(external.parse()?),
            (None, Some(key)) => CaSigner::Keys(Box::new(CaKeys {
                key: parse_uri("ca.key", &key)?,
                spares: (self.spares.iter().enumerate())
                    .map(|(index, spare)| parse_uri(&format!("ca.spares[{index}]"), spare))
                    .collect::<Result<_, _>>()?,
                rsa_padding: self.rsa_padding,
                issuers: (self.issuers.into_iter().enumerate())
                    .map(|(index, issuer)| issuer.parse(index))
                    .collect::<Result<_, _>>()?,
            })),
        };
        let crl_validity = parse_duration(&self.crl_validity).map_err(|_| {
            ConfigError::value("ca.crl_validity", "has to be a duration such as \"7d\" or \"12h\"")
        });
        let profiles = profiles::parse(self.profiles, self.profiles_file, self.validity_days)?;
        let crl_validity = crl_validity?;
        if self.crl_url.is_some() && has_issuers {
            let rule = "names the list of one issuer, but there is an [[ca.issuer]]";
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
    fn parse(self, index: usize) -> Result<IssuerSection, ConfigError> {
        Ok(IssuerSection {
            hierarchy: self.hierarchy,
            key: parse_uri(&format!("ca.issuer[{index}].key"), &self.key)?,
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
    use std::path::Path;

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
        let wrong = "[[issuer]]\nkey = \"k\"\ncertificate_file = \"b\"\n";
        check(&format!("{OWN}{other}{wrong}"), Err("ca.issuer[1].key"));
        check(&format!("spares = [\"pkcs11:object=k\", \"k\"]\n{OWN}"), Err("ca.spares[1]"));
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
