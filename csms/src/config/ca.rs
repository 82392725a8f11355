//! What the configuration says about the authority: its keys or its command, its profiles, its
//! lists.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use signer_pkcs11::{Hierarchy, Profiles, ProfilesError, RsaPadding, Uri, parse_duration};

/// The authority that signs stations' certificates: keys in the token, or a command that asks
/// another authority.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaSection {
    /// An RFC 7512 URI that names the key in the token.
    #[serde(default)]
    pub key: Option<String>,
    /// The same key in other tokens: RFC 7512 URIs with token, pin-source and object. They are
    /// asked in this order where the tokens before do not sign.
    #[serde(default)]
    pub spares: Vec<String>,
    /// Keys that are never certified: the SHA-256 of a SubjectPublicKeyInfo in hexadecimal begins
    /// each line. It is read at the start.
    #[serde(default)]
    pub blocked_keys_file: Option<PathBuf>,
    /// The issuer's certificate first, then those above it, PEM. With `[ca.external]`: the roots to
    /// which every chain of the other authority has to lead.
    pub certificate_file: PathBuf,
    /// How the key signs, where it is of RSA: `pkcs1`, the default, or `pss`.
    #[serde(default)]
    pub rsa_padding: Padding,
    /// How long a station's certificate is valid, in days; default 365. With profiles it stands
    /// there.
    #[serde(default)]
    pub validity_days: Option<u32>,
    /// A file with profiles, as `hsm` reads it too: what certificates of each kind look like. It is
    /// read at the start.
    #[serde(default)]
    pub profiles_file: Option<PathBuf>,
    /// The profiles themselves instead: `[ca.profiles.station]`, `[ca.profiles.v2g]`, …
    #[serde(default)]
    pub profiles: Option<toml::Table>,
    /// Where the list of revoked certificates is written, DER, and beside it `….pem`; default: in
    /// the ledger's folder.
    #[serde(default)]
    pub crl_file: Option<PathBuf>,
    /// Until when a list is to be used, such as `7d`; the next one is signed when two thirds of it
    /// are over.
    #[serde(default = "week")]
    pub crl_validity: String,
    /// The `IssuingDistributionPoint` of the list: it has to be among `crl_urls` of the station's
    /// profile, and there may be no other issuer. Only where it was there from the beginning, for
    /// such a list does not cover certificates that were issued without it.
    #[serde(default)]
    pub crl_url: Option<String>,
    /// Further issuers: for the hierarchy of ISO 15118, or for another family of keys.
    #[serde(default, rename = "issuer")]
    pub issuers: Vec<IssuerSection>,
    /// Another authority, which signs instead of a key in the token.
    #[serde(default)]
    pub external: Option<ExternalSection>,
}

/// An issuer beside the first one. A certificate comes from the first issuer of its hierarchy whose
/// key is of the same family, RSA or ECDSA, as the certified one; else from the first of its
/// hierarchy.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerSection {
    /// `cso`, the default, or `v2g`.
    #[serde(default)]
    pub hierarchy: Hierarchy,
    /// An RFC 7512 URI that names the key in the token.
    pub key: String,
    /// The issuer's certificate first, then those above it, PEM.
    pub certificate_file: PathBuf,
    /// As `ca.rsa_padding`.
    #[serde(default)]
    pub rsa_padding: Padding,
    /// As `ca.crl_file`.
    #[serde(default)]
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
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExternalSection {
    /// Program and arguments. It reads the request from standard input, PEM, and writes the chain
    /// to standard output, PEM, leaf first. `OCPP_STATION`, `OCPP_SERIAL_NUMBER`,
    /// `OCPP_COMMON_NAME`, `OCPP_ORGANIZATION` and `OCPP_CERTIFICATE_TYPE` (empty: for all
    /// connections) are in its environment.
    pub command: Vec<String>,
    /// How long it may take, in hours; default 24.
    #[serde(default = "day")]
    pub deadline_hours: u32,
    /// How many run at once; default 4. Other requests wait.
    #[serde(default = "four")]
    pub at_once: u32,
}

impl CaSection {
    /// The member that breaks a rule, and the rule.
    pub(crate) fn check(&self) -> Result<(), (String, String)> {
        let refuse = |field: &str, rule: &str| Err((format!("ca{field}"), rule.to_owned()));
        match &self.external {
            None if self.key.is_none() => return refuse("", "has to have either key or [ca.external]"),
            Some(_) if self.key.is_some() || !self.spares.is_empty() || !self.issuers.is_empty() => {
                return refuse("", "has to have either keys of its own or [ca.external]");
            }
            Some(external) if external.command.first().is_none_or(String::is_empty) => {
                return refuse(".external.command", "has to name a program");
            }
            Some(external) if external.deadline_hours == 0 || external.at_once == 0 => {
                return refuse(".external", "has to have a deadline_hours and an at_once of 1 or more");
            }
            _ => {}
        }
        if self.profiles.is_some() && self.profiles_file.is_some() {
            return refuse("", "has to have either profiles or profiles_file");
        }
        let has_profiles = self.profiles.is_some() || self.profiles_file.is_some();
        match self.validity_days {
            Some(_) if has_profiles => {
                return refuse(".validity_days", "stands in the profiles, as `validity` of [station]");
            }
            Some(0) => return refuse(".validity_days", "has to be 1 or more"),
            _ => {}
        }
        if parse_duration(&self.crl_validity).is_err() {
            return refuse(".crl_validity", "has to be a duration such as \"7d\" or \"12h\"");
        }
        if self.crl_url.is_some() && !self.issuers.is_empty() {
            return refuse(".crl_url", "is where one issuer's list is, and there is an [[ca.issuer]]");
        }
        if self.profiles_file.is_none() {
            let profiles =
                self.profiles("").map_err(|error| ("ca.profiles".to_owned(), error.to_string()))?;
            self.check_crl_url(&profiles)?;
        }
        Ok(())
    }

    /// The profiles, `file` being the text of `profiles_file`, if there is one.
    pub(crate) fn profiles(&self, file: &str) -> Result<Profiles, ProfilesError> {
        let mut profiles = match &self.profiles {
            // The text is not the user's: only the keys say where something is wrong.
            Some(table) => Profiles::from_toml(&table.to_string()).map_err(|error| match error {
                ProfilesError::Toml(error) => ProfilesError::Toml(error.without_place()),
                error => error,
            })?,
            None => Profiles::from_toml(file)?,
        };
        if let Some(days) = self.validity_days {
            profiles.station.validity = Duration::from_secs(u64::from(days) * 24 * 60 * 60);
        }
        Ok(profiles)
    }

    /// The rule that binds `crl_url` to the profiles.
    pub(crate) fn check_crl_url(&self, profiles: &Profiles) -> Result<(), (String, String)> {
        match &self.crl_url {
            Some(url) if !profiles.station.crl_urls.contains(url) => Err((
                "ca.crl_url".to_owned(),
                "has to be among crl_urls of the station's profile, for its certificates have to name it"
                    .to_owned(),
            )),
            _ => Ok(()),
        }
    }

    /// How long a list of revoked certificates is to be used.
    pub(crate) fn list_lifetime(&self) -> Duration {
        // `check` has seen to it.
        parse_duration(&self.crl_validity).unwrap_or(Duration::from_secs(7 * 24 * 60 * 60))
    }

    /// Where the lists of the issuers are written where the configuration says so, in the order of
    /// the issuers.
    pub(crate) fn crl_files(&self) -> impl Iterator<Item = Option<&Path>> {
        let others = self.issuers.iter().map(|issuer| issuer.crl_file.as_deref());
        std::iter::once(self.crl_file.as_deref()).chain(others)
    }

    pub(crate) fn make_relative_to(&mut self, folder: &Path) {
        let own =
            [&mut self.profiles_file, &mut self.crl_file, &mut self.blocked_keys_file].into_iter().flatten();
        let issuers = self.issuers.iter_mut().flat_map(|issuer| {
            [Some(&mut issuer.certificate_file), issuer.crl_file.as_mut()].into_iter().flatten()
        });
        for path in own.chain(issuers).chain([&mut self.certificate_file]) {
            *path = folder.join(&*path);
        }
        let issuers = self.issuers.iter_mut().map(|issuer| &mut issuer.key);
        for uri in self.key.iter_mut().chain(&mut self.spares).chain(issuers) {
            *uri = Uri::text_relative_to(uri, folder);
        }
        // A program that is named with its folder; any other is looked for where programs are.
        let program = self.external.as_mut().and_then(|external| external.command.first_mut());
        if let Some(program) = program.filter(|program| program.contains('/')) {
            *program = folder.join(&*program).to_string_lossy().into_owned();
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

    fn check(text: &str, expected: Result<(), &str>) {
        let section: CaSection = toml::from_str(text).expect(text);
        let found = section.check().map_err(|(field, _)| field);
        assert_eq!(found, expected.map_err(str::to_owned), "{text}");
    }

    #[test]
    fn each_rule_names_its_field() {
        const OWN: &str = "certificate_file = \"a\"\nkey = \"k\"\n";
        const OTHER: &str = "certificate_file = \"a\"\n[external]\n";
        check(OWN, Ok(()));
        check("certificate_file = \"a\"", Err("ca"));
        check(&format!("{OTHER}command = [\"ca\"]"), Ok(()));
        check(&format!("spares = [\"k\"]\n{OTHER}command = [\"ca\"]"), Err("ca"));
        check(&format!("key = \"k\"\n{OTHER}command = [\"ca\"]"), Err("ca"));
        check(&format!("{OTHER}command = []"), Err("ca.external.command"));
        check(&format!("{OTHER}command = [\"ca\"]\ndeadline_hours = 0"), Err("ca.external"));
        check(&format!("{OWN}validity_days = 0"), Err("ca.validity_days"));
        check(&format!("{OWN}crl_validity = \"soon\""), Err("ca.crl_validity"));
        let named = "[profiles.station]\ncrl_urls = [\"http://a.example/crl\"]";
        let url = "crl_url = \"http://a.example/crl\"\n";
        check(&format!("{OWN}{url}"), Err("ca.crl_url"));
        check(&format!("{OWN}{url}{named}"), Ok(()));
        let other = "[[issuer]]\nkey = \"k\"\ncertificate_file = \"b\"\n";
        check(&format!("{OWN}{url}{other}{named}"), Err("ca.crl_url"));
        check(&format!("{OWN}validity_days = 5\n[profiles]"), Err("ca.validity_days"));
        check(&format!("{OWN}profiles_file = \"p\"\n[profiles]"), Err("ca"));
        check(&format!("{OWN}[profiles.station]\nvalidity = \"90d\""), Ok(()));
        check(&format!("{OWN}[profiles.station]\nvalidity = \"1y\""), Err("ca.profiles"));
        check(&format!("{OWN}[profiles.nobody]"), Err("ca.profiles"));
        check(
            &format!("{OWN}[[issuer]]\nhierarchy = \"v2g\"\nkey = \"k\"\ncertificate_file = \"b\""),
            Ok(()),
        );
    }

    #[test]
    fn validity_and_profiles() {
        let read = |text: &str| -> Profiles {
            let text = format!("certificate_file = \"a\"\nkey = \"k\"\n{text}");
            toml::from_str::<CaSection>(&text).expect("good").profiles("[v2g]").expect("good")
        };
        assert_eq!(read("").station.validity.as_secs(), 365 * 24 * 3600);
        assert_eq!(read("validity_days = 2").station.validity.as_secs(), 2 * 24 * 3600);
        assert!(read("").v2g.is_some(), "of the file");
        assert_eq!(read("[profiles.station]\nvalidity = \"90d\"").station.validity.as_secs(), 90 * 24 * 3600);
    }

    #[test]
    fn a_program_that_is_named_with_its_folder_is_relative_to_the_file() {
        let program = |name: &str| {
            let text = format!("certificate_file = \"a\"\n[external]\ncommand = [\"{name}\", \"./b\"]");
            let mut section: CaSection = toml::from_str(&text).expect("good");
            section.make_relative_to(Path::new("/etc/csms"));
            section.external.expect("there").command
        };
        assert_eq!(program("step"), ["step", "./b"]);
        assert_eq!(program("./ask"), ["/etc/csms/./ask", "./b"]);
        assert_eq!(program("/usr/bin/ask"), ["/usr/bin/ask", "./b"]);
    }
}
