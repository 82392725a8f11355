//! The configuration: where the CSMS listens, which token holds its keys, which stations it knows.

mod ca;
mod duration;
mod error;
pub(crate) mod io;
mod ledger;
mod listen;
pub(crate) mod live;
mod ocsp;
mod station;
mod tls;
mod token_uri;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use program::parse_toml;
use serde::Deserialize;
use signer_pkcs11::TokenConfig;

use self::{ca::RawCa, duration::duration, ledger::RawLedger, station::RawStation, tls::RawTls};
pub use self::{
    ca::{CaKeys, CaSection, CaSigner, ExternalSection, IssuerSection, Padding, ProfilesSection},
    error::ConfigError,
    ledger::{LedgerLocation, LedgerSection, PostgresUrl, PostgresUrlError},
    listen::{LimitsSection, ListenSection, NoCommonSubprotocol, OcppVersion, UnknownVersion},
    ocsp::OcspSection,
    station::{PasswordHash, PasswordHashError, StationSection},
    tls::{OwnNames, RsaSection, TlsKey, TlsSection},
};

/// The configuration of the certificate service, read from TOML.
///
/// ```
/// let config = csms::Config::parse(r#"
///     directory = "/var/lib/ocpp-csms"
///     organization = "Example CSO"
///
///     [listen]
///     address = "0.0.0.0:8443"
///     path = "/ocpp"
///     versions = ["2.1", "2.0.1", "1.6"]
///
///     [token]
///     uri = "pkcs11:token=csms?module-path=/usr/lib/libsofthsm2.so&pin-source=file:/etc/csms/pin"
///
///     [ca]
///     key = "pkcs11:object=cso-root"
///     certificate_file = "/etc/ocpp-csms/cso-root.pem"
///     crl_file = "/srv/www/cso.crl"
///     [ca.profiles.station]
///     validity = "90d"
///     crl_urls = ["http://pki.example.com/cso.crl"]
///
///     [tls]
///     key = "pkcs11:object=tls"
///     certificate_file = "/etc/ocpp-csms/tls.pem"
///     names = ["csms.example.com"]
///
///     [ocsp]
///     allowed_hosts = ["ocsp.example.com"]
///
///     [[station]]
///     identity = "CS001"
///     serial_number = "SN-0001"
///     password_hash = "$argon2id$v=19$m=19456,t=2,p=1$c29tZSBzYWx0$dHdlbnR5IGVpZ2h0IGJ5dGVz"
/// "#)?;
/// let station = config.station("CS001").expect("it is in the configuration");
/// assert_eq!(station.serial_number, "SN-0001");
/// # Ok::<(), csms::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The folder of the ledger and of the control socket. Relative paths in the file are relative
    /// to the folder of the file.
    pub directory: PathBuf,
    /// The name of the CSO: O of the certificate of each station (A00.FR.404, A00.FR.509).
    pub organization: String,
    /// Where the ledger is kept.
    pub ledger: LedgerSection,
    /// Where stations connect.
    pub listen: ListenSection,
    /// For how long the system clock is not trusted after it was moved, such as `10m`, the default.
    pub clock_doubt: Duration,
    /// The token that holds the keys; absent: no key is in a token.
    pub token: Option<TokenConfig>,
    /// The authority that signs stations' certificates.
    pub ca: CaSection,
    /// The CSMS's own certificate.
    pub tls: TlsSection,
    /// The responders that the CSMS asks for stations whether certificates are revoked (M06).
    pub ocsp: OcspSection,
    /// The stations that may connect.
    pub stations: Vec<StationSection>,
}

/// The members as they are written in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    directory: PathBuf,
    organization: String,
    #[serde(default)]
    ledger: RawLedger,
    listen: ListenSection,
    #[serde(default = "ten_minutes", deserialize_with = "duration")]
    clock_doubt: Duration,
    #[serde(default)]
    token: Option<TokenConfig>,
    ca: RawCa,
    tls: RawTls,
    #[serde(default)]
    ocsp: OcspSection,
    #[serde(default, rename = "station")]
    stations: Vec<RawStation>,
}

impl Config {
    /// Reads a configuration and checks it.
    ///
    /// # Errors
    /// [`ConfigError`] with the member and the rule.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let raw: RawConfig = parse_toml(text).map_err(ConfigError::Syntax)?;
        if !raw.listen.path.starts_with('/') {
            return Err(ConfigError::value("listen.path", "has to begin with /"));
        }
        if raw.organization.is_empty() || raw.organization.chars().count() > 64 {
            let rule = "has to have 1 to 64 characters (X.520 organizationName)";
            return Err(ConfigError::value("organization", rule));
        }
        let config = Self {
            directory: raw.directory,
            organization: raw.organization,
            ledger: raw.ledger.parse()?,
            listen: raw.listen,
            clock_doubt: raw.clock_doubt,
            token: raw.token,
            ca: raw.ca.parse()?,
            tls: raw.tls.parse()?,
            ocsp: raw.ocsp,
            stations: station::parse(raw.stations)?,
        };
        config.check()?;
        Ok(config)
    }

    /// The rules that concern several sections.
    fn check(&self) -> Result<(), ConfigError> {
        let needs_token =
            matches!(self.ca.signer, CaSigner::Keys(_)) || matches!(self.tls.key, TlsKey::Token(_));
        if self.token.is_none() && needs_token {
            return Err(ConfigError::value("token", "is needed for the keys that ca.key and tls.key name"));
        }
        if self.tls.names.is_some() && matches!(self.ca.signer, CaSigner::External(_)) {
            let rule = "needs keys of its own in [ca], not [ca.external]";
            return Err(ConfigError::value("tls.names", rule));
        }
        self.listen.check()?;
        self.ocsp.check()
    }

    /// Returns the same configuration with its relative paths resolved against `folder`.
    #[must_use]
    pub fn relative_to(mut self, folder: &Path) -> Self {
        self.directory = folder.join(&self.directory);
        self.ca.make_relative_to(folder);
        self.tls.make_relative_to(folder);
        if let Some(file) = &mut self.ocsp.authorities_file {
            *file = folder.join(&*file);
        }
        if let Some(token) = &mut self.token {
            token.uri = token.uri.clone().relative_to(folder);
        }
        self
    }

    /// The station with an identity, in upper or lower case: `identifierString` of OCPP is not
    /// case-sensitive.
    #[must_use]
    pub fn station(&self, identity: &str) -> Option<&StationSection> {
        self.stations.iter().find(|station| station.identity.is(identity))
    }

    /// The name of the first section that is different in `other` and that a running service cannot
    /// change.
    #[must_use]
    pub(crate) fn needs_restart(&self, other: &Self) -> Option<&'static str> {
        let fixed =
            |config: &Self| (config.directory.clone(), config.organization.clone(), config.clock_doubt);
        if fixed(self) != fixed(other) {
            Some("directory, organization or clock_doubt")
        } else if self.ledger != other.ledger {
            Some("[ledger]")
        } else if self.listen != other.listen {
            Some("[listen]")
        } else if self.token != other.token {
            Some("[token]")
        } else if self.ca != other.ca {
            Some("[ca]")
        } else if self.tls.names != other.tls.names {
            // No station's certificate may have one of these names. The authority gets this rule
            // when it is created.
            Some("tls.names")
        } else {
            None
        }
    }

    /// The file of the ledger's high-water mark.
    #[must_use]
    pub fn mark_file(&self) -> PathBuf {
        self.directory.join("ledger.mark")
    }

    /// The Unix socket on which the running service receives an operator's commands.
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        self.directory.join("control.sock")
    }
}

fn ten_minutes() -> Duration {
    Duration::from_secs(10 * 60)
}

#[cfg(test)]
mod tests {
    use ocpp_types::Version;

    use super::*;

    const GOOD: &str = r#"
        directory = "csms"
        organization = "Example CSO"
        [listen]
        address = "127.0.0.1:0"
        path = "/ocpp"
        [token]
        uri = "pkcs11:token=csms"
        [ca]
        key = "pkcs11:object=root"
        certificate_file = "root.pem"
        [tls]
        key = "pkcs11:object=tls"
        certificate_file = "tls.pem"
        [[station]]
        identity = "CS001"
        serial_number = "SN-0001"
        [[station]]
        identity = "CS002"
        serial_number = "SN-0002"
    "#;

    /// The error names the line, the member and the rule, but never the value.
    #[test]
    fn a_token_uri_with_a_pin_is_refused_while_it_is_read() {
        for wrong in ["pkcs11:token=x?pin-value=hunter2", "pkcs11:pin=hunter2", "hunter2"] {
            let error = Config::parse(&GOOD.replacen("pkcs11:token=csms", wrong, 1)).expect_err(wrong);
            let text = format!("{} {error:?}", program::causes(&error));
            assert!(text.contains("token.uri") && text.contains("is no PKCS #11 URI"), "{text}");
            assert!(text.contains("line ") && !text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn each_rule_names_its_field() {
        for (from, to, field) in [
            ("\"/ocpp\"", "\"ocpp\"", "listen.path"),
            ("\"CS002\"", "\"CS001\"", "station[1].identity"),
            ("\"CS002\"", "\"cs001\"", "station[1].identity"),
            ("key = \"pkcs11:object=tls\"", "", "tls"),
            ("key = \"pkcs11:object=root\"", "", "ca"),
            (
                "key = \"pkcs11:object=tls\"",
                "key = \"pkcs11:object=tls\"\nnames = [\"*.example.com\"]",
                "tls.names",
            ),
            ("key = \"pkcs11:object=tls\"", "key = \"pkcs11:object=tls\"\nkey_file = \"tls.key\"", "tls"),
            ("[[station]]", "[tls.rsa]\nkey_file = \"a\"\ncertificate_file = \"b\"\n[[station]]", "tls.rsa"),
            ("path = \"/ocpp\"", "path = \"/ocpp\"\nmessages_per_second = 0", "listen.messages_per_second"),
            ("path = \"/ocpp\"", "path = \"/ocpp\"\nversions = []", "listen.versions"),
            ("\"pkcs11:object=tls\"", "\"tls.key\"", "tls.key"),
            ("\"pkcs11:object=root\"", "\"root\"", "ca.key"),
            ("[token]", "[listen.limits]\npending = 0\n[token]", "listen.limits.pending: has to be 1"),
            ("[token]", "[listen.limits]\nconnections = 1000001\n[token]", "listen.limits.connections"),
            ("[tls]", "[ocsp]\nallowed_hosts = [\"a\", \"http://b/\"]\n[tls]", "ocsp.allowed_hosts[1]"),
            ("[tls]", "[ocsp]\nallowed_hosts = [\"a@b\"]\n[tls]", "ocsp.allowed_hosts[0]"),
            ("[tls]", "[ocsp]\nallowed_hosts = [\"a:b\"]\n[tls]", "ocsp.allowed_hosts[0]"),
            ("[tls]", "[ocsp]\nallowed_hosts = [\"\"]\n[tls]", "ocsp.allowed_hosts[0]"),
            ("\"root.pem\"", "\"root.pem\"\nvalidity_days = 0", "ca.validity_days"),
            ("\"root.pem\"", "\"root.pem\"\nvalidity_days = 9\nprofiles_file = \"p\"", "ca.validity_days"),
            ("\"SN-0002\"", "\"SN-0001\"", "station[1].serial_number"),
            (
                "\"SN-0002\"",
                "\"SN-0002\"\npassword_hash = \"$argon2id$v=19$m=19456\"",
                "station[1].password_hash",
            ),
            ("\"SN-0002\"", "\"SN-0002\"\npassword_hash = \"hunter2\"", "station[1].password_hash: of CS002"),
            (
                "\"SN-0002\"",
                "\"SN-0002\"\npassword_hash = \"$argon2id$v=19$m=4194304,t=2,p=1$c29tZSBzYWx0$dHdlbnR5IGVpZ2h0IGJ5dGVz\"",
                "station[1].password_hash: of CS002 demands m=4194304, at most 65536 is permitted",
            ),
        ] {
            let error = Config::parse(&GOOD.replacen(from, to, 1)).expect_err(field).to_string();
            assert!(error.starts_with(field), "{error}");
            assert!(!error.contains("hunter2"));
        }
    }

    #[test]
    fn an_identity_that_no_station_can_have_is_refused_where_it_stands() {
        let error = Config::parse(&GOOD.replacen("\"CS002\"", "\"CS:02\"", 1)).expect_err("a colon");
        let ConfigError::Syntax(error) = error else { panic!("{error:?}") };
        assert!(error.place.is_some_and(|place| place.line == 19), "{error}");
        assert!(error.key.is_some_and(|key| key.contains("identity")));
    }

    #[test]
    fn pings_and_limits_have_their_defaults_and_can_be_set() {
        let listen = |text: &str| {
            let text = GOOD.replacen("path = \"/ocpp\"", &format!("path = \"/ocpp\"\n{text}"), 1);
            Config::parse(&text).map(|config| config.listen)
        };
        let found = listen("").expect("good");
        assert_eq!((found.ping_interval.as_secs(), found.ping_timeout.as_secs()), (60, 20));
        assert_eq!(found.limits, LimitsSection::default());
        let found = listen(
            "ping_interval = \"never\"\nping_timeout = \"2m\"\n[listen.limits]\nlogins_per_address = 900",
        );
        let found = found.expect("good");
        assert_eq!((found.ping_interval.as_secs(), found.ping_timeout.as_secs()), (0, 120));
        assert_eq!((found.limits.logins_per_address, found.limits.pending), (900, 8_192));
        for wrong in ["ping_timeout = \"never\"", "ping_interval = \"0s\"", "ping_interval = 60"] {
            listen(wrong).expect_err(wrong);
        }
    }

    #[test]
    fn versions_are_those_that_are_served() {
        let versions = |text: &str| {
            let config =
                Config::parse(&GOOD.replacen("path = \"/ocpp\"", &format!("path = \"/ocpp\"\n{text}"), 1));
            config.map(|config| config.listen.versions.into_iter().map(Version::from).collect::<Vec<_>>())
        };
        assert_eq!(versions("").expect("good"), [Version::V21, Version::V201, Version::V16]);
        assert_eq!(versions("versions = [\"1.6\", \"2.0.1\"]").expect("good"), [Version::V16, Version::V201]);
        versions("versions = [\"2.0\"]").expect_err("no such version");
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let config = Config::parse(GOOD).expect("good").relative_to(Path::new("/etc/csms"));
        assert_eq!(config.tls.certificate_file, Path::new("/etc/csms/tls.pem"));
        assert_eq!(config.control_socket(), Path::new("/etc/csms/csms/control.sock"));
        let issuer = "profiles_file = \"profiles.toml\"\n[[ca.issuer]]\nkey = \"pkcs11:object=k\"\ncertificate_file = \"v2g.pem\"\n[tls]";
        let ca = Config::parse(&GOOD.replacen("[tls]", issuer, 1)).expect("good");
        let ca = ca.relative_to(Path::new("/etc/csms")).ca;
        assert_eq!(ca.profiles, ProfilesSection::File(PathBuf::from("/etc/csms/profiles.toml")));
        assert_eq!(ca.issuers()[0].certificate_file, Path::new("/etc/csms/v2g.pem"));
        let files = "client_roots_file = \"roots.pem\"\ncrl_files = [\"a.crl\", \"/b.crl\"]\n[[station]]";
        let config = Config::parse(&GOOD.replacen("[[station]]", files, 1)).expect("good");
        let tls = config.relative_to(Path::new("/etc/csms")).tls;
        assert_eq!(tls.client_roots_file.as_deref(), Some(Path::new("/etc/csms/roots.pem")));
        assert_eq!(tls.crl_files, [Path::new("/etc/csms/a.crl"), Path::new("/b.crl")]);
    }
}
