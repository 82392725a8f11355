//! The TOML text of profiles.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use certificates::StationIdentity;
use program::parse_toml;
use serde::Deserialize;

use crate::policy::profiles::{
    CommonNameRule, Hierarchy, LeafUsage, Profile, Profiles, ProfilesError, SubAuthority, parse_duration,
    urls,
};

impl Profiles {
    /// Parses profiles. Omitted values have the defaults of their kind.
    ///
    /// # Errors
    /// [`ProfilesError`]
    pub fn from_toml(text: &str) -> Result<Self, ProfilesError> {
        let raw: RawProfiles = parse_toml(text).map_err(ProfilesError::Toml)?;
        Ok(Self {
            station: raw.station.unwrap_or_default().over(Profile::station(), "station")?,
            v2g: raw.v2g.map(|raw| raw.over(Profile::v2g(), "v2g")).transpose()?,
            combined: raw.combined.map(|raw| raw.over(Profile::combined(), "combined")).transpose()?,
            server: raw.server.unwrap_or_default().over(Profile::server(), "server")?,
            sub_authority: raw.sub_ca.unwrap_or_default().read()?,
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProfiles {
    station: Option<RawProfile>,
    v2g: Option<RawProfile>,
    combined: Option<RawProfile>,
    server: Option<RawProfile>,
    #[serde(rename = "sub-ca")]
    sub_ca: Option<RawSubAuthority>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSubAuthority {
    validity: Option<String>,
    path_len: Option<u8>,
    crl_urls: Option<Vec<String>>,
}

impl RawSubAuthority {
    fn read(self) -> Result<SubAuthority, ProfilesError> {
        let default = SubAuthority::default();
        Ok(SubAuthority {
            validity: self.validity.map_or(Ok(default.validity), |text| parse_duration(&text))?,
            path_len: self.path_len.or(default.path_len),
            crl_urls: urls(self.crl_urls)?,
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProfile {
    validity: Option<String>,
    key_usage: Option<Vec<LeafUsage>>,
    hierarchy: Option<Hierarchy>,
    organization: Option<String>,
    country: Option<String>,
    domain_component: Option<String>,
    common_name: Option<RawRule>,
    common_names: Option<BTreeMap<StationIdentity, BTreeSet<String>>>,
    keys: Option<Vec<String>>,
    crl_urls: Option<Vec<String>>,
    ocsp_urls: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawRule {
    SerialNumber,
    Identity,
}

impl RawProfile {
    /// The values of the text, and the defaults for omitted ones.
    fn over(self, default: Profile, title: &'static str) -> Result<Profile, ProfilesError> {
        let rule = match (self.common_name, self.common_names) {
            (Some(_), Some(_)) => return Err(ProfilesError::TwoNameRules(title)),
            (Some(RawRule::SerialNumber), None) => Some(CommonNameRule::SerialNumber),
            (Some(RawRule::Identity), None) => Some(CommonNameRule::Identity),
            (None, Some(table)) => Some(CommonNameRule::Table(Arc::new(table))),
            (None, None) => default.common_name,
        };
        let keys = match self.keys {
            Some(names) => names.iter().map(|name| name.parse()).collect::<Result<_, _>>()?,
            None => default.keys,
        };
        let key_usage = self.key_usage.unwrap_or(default.key_usage);
        if key_usage.is_empty() {
            return Err(ProfilesError::NoUsage(title));
        }
        Ok(Profile {
            validity: self.validity.map_or(Ok(default.validity), |text| parse_duration(&text))?,
            key_usage,
            hierarchy: self.hierarchy.unwrap_or(default.hierarchy),
            organization: self.organization.or(default.organization),
            country: self.country.or(default.country),
            // An empty text removes the default.
            domain_component: self.domain_component.or(default.domain_component).filter(|dc| !dc.is_empty()),
            common_name: rule,
            keys,
            crl_urls: urls(self.crl_urls)?,
            ocsp_urls: urls(self.ocsp_urls)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Hierarchy, LeafUsage, Profile, Profiles, ProfilesError, SubAuthority};
    use crate::{
        key::kind::KeyKind,
        policy::profiles::{CommonNameRule, DAY},
    };

    fn check(text: &str, expected: ProfilesError) {
        assert_eq!(Profiles::from_toml(text), Err(expected), "{text}");
    }

    #[test]
    fn an_empty_text_is_the_defaults() {
        assert_eq!(Profiles::from_toml(""), Ok(Profiles::default()));
        let profiles = Profiles::from_toml("[v2g]\n[combined]\n").unwrap();
        assert_eq!(profiles.v2g, Some(Profile::v2g()));
        assert_eq!(profiles.combined, Some(Profile::combined()));
    }

    #[test]
    fn everything_that_can_be_said() {
        let text = r#"
            [station]
            validity = "30d"
            key_usage = ["digitalSignature", "keyEncipherment"]
            hierarchy = "v2g"
            organization = "Other"
            country = "DE"
            common_name = "identity"
            keys = ["rsa-2048", "ecdsa-p521"]
            crl_urls = ["http://a.example/crl"]
            ocsp_urls = ["http://a.example/ocsp"]
            [v2g]
            domain_component = ""
            [v2g.common_names]
            CS001 = ["S1", "S2"]
            [server]
            validity = "12h"
            [sub-ca]
            validity = "700d"
            path_len = 1
            crl_urls = ["http://a.example/root"]
        "#;
        let profiles = Profiles::from_toml(text).unwrap();
        let station = &profiles.station;
        assert_eq!(station.validity, 30 * DAY);
        assert_eq!(station.key_usage, [LeafUsage::DigitalSignature, LeafUsage::KeyEncipherment]);
        assert_eq!((station.hierarchy, station.country.as_deref()), (Hierarchy::V2g, Some("DE")));
        assert_eq!(station.common_name, Some(CommonNameRule::Identity));
        assert_eq!(station.keys, [KeyKind::Rsa { bits: 2048 }, KeyKind::P521]);
        let v2g = profiles.v2g.unwrap();
        assert_eq!(v2g.domain_component, None);
        let Some(CommonNameRule::Table(table)) = v2g.common_name else { panic!("a table") };
        assert!(table[&"cs001".parse().unwrap()].contains("S2"));
        assert_eq!(profiles.server.validity, DAY / 2);
        let expected = SubAuthority::new(700 * DAY).path_len(Some(1));
        assert_eq!(profiles.sub_authority, expected.crl_url("http://a.example/root").unwrap());
    }

    #[test]
    fn what_is_refused() {
        check("[station]\nvalidity = \"1y\"", ProfilesError::Validity("1y".into()));
        check("[station]\nvalidity = \"0d\"", ProfilesError::Validity("0d".into()));
        check("[station]\nvalidity = \"\"", ProfilesError::Validity(String::new()));
        check(
            "[station]\nkeys = [\"rsa-1024\"]",
            ProfilesError::KeyKind("rsa-1024".parse::<KeyKind>().unwrap_err()),
        );
        check("[station]\nkey_usage = []", ProfilesError::NoUsage("station"));
        for url in
            ["https://a.example/crl", "http://", "http:///a", "http://ä", "ldap://a", "http://u:p@a/crl"]
        {
            check(&format!("[station]\ncrl_urls = [\"{url}\"]"), ProfilesError::Url(url.into()));
        }
        check(
            "[v2g]\ncommon_name = \"identity\"\n[v2g.common_names]\na = []",
            ProfilesError::TwoNameRules("v2g"),
        );
        for text in [
            "[stations]",
            "[station]\neku = [\"clientAuth\"]",
            "[sub-ca]\norganization = \"O\"",
            "[station]\nkey_usage = [\"keyCertSign\"]",
            "[",
        ] {
            assert!(matches!(Profiles::from_toml(text), Err(ProfilesError::Toml(_))), "{text}");
        }
    }
}
