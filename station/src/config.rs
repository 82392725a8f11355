//! The configuration of a station: its identity, its CSMS, and the token that holds its keys.

mod controllers;
mod error;
mod iso15118;
mod key_algorithms;
mod versions;

use std::path::{Path, PathBuf};

use ocpp_transport::{Endpoint, Password, StationIdentity};
use ocpp_types::v201::HashAlgorithmEnumType;
use program::parse_toml;
use serde::Deserialize;
use signer_pkcs11::TokenConfig;

pub use self::{
    error::ConfigError,
    iso15118::{Iso15118Section, SeccIds},
    key_algorithms::{KeyAlgorithms, KeyAlgorithmsError},
    versions::{Versions, VersionsError},
};

/// The configuration of one charging station, read from TOML.
///
/// ```
/// let config = station::Config::parse(r#"
///     directory = "/var/lib/ocpp-station"
///
///     [station]
///     identity = "CS001"
///     serial_number = "SN-0001"
///     model = "Demo"
///     vendor = "Example"
///     organization = "Example CSO"
///
///     [csms]
///     url = "wss://csms.example.com/ocpp"
///     password_file = "/etc/ocpp-station/password"
///
///     [token]
///     uri = "pkcs11:token=station?module-path=libsofthsm2.so&pin-source=file:/etc/station/pin"
/// "#)?;
/// assert_eq!(config.station.serial_number, "SN-0001");
/// # Ok::<(), station::ConfigError>(())
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The folder of the store; relative paths in the file are relative to the file.
    pub directory: PathBuf,
    /// The station's identity.
    pub station: StationSection,
    /// The CSMS, and how the station authenticates to it.
    pub csms: CsmsSection,
    /// The token that holds the station's keys.
    pub token: TokenConfig,
    /// The station's rules for the certificates that are installed.
    #[serde(default)]
    pub certificates: CertificatesSection,
    /// Set if the station serves vehicles by ISO 15118. If absent, it does not, and has no
    /// component ISO15118Ctrlr.
    #[serde(default)]
    pub iso15118: Option<Iso15118Section>,
}

/// The station's identity: the content of BootNotification and of its certificate.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StationSection {
    /// The identity in the connection URL, at most 48 characters (OCPP-J 3.1).
    pub identity: StationIdentity,
    /// The unique serial number: CN of the station's certificate (A00.FR.511), at most 25
    /// characters.
    pub serial_number: String,
    /// At most 20 characters.
    pub model: String,
    /// At most 50 characters.
    pub vendor: String,
    /// At most 50 characters.
    #[serde(default)]
    pub firmware_version: Option<String>,
    /// `SecurityCtrlr.OrganizationName`: O of the station's certificate (A00.FR.509).
    pub organization: String,
}

/// The CSMS, and how the station authenticates to it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CsmsSection {
    /// The endpoint without the identity, `wss://host[:port]/path`. A user, a password, a query or
    /// a fragment is refused, because URLs are logged and shown.
    pub url: Endpoint,
    /// The versions of OCPP that the station offers, the preferred one first; default `["2.0.1"]`.
    #[serde(default)]
    pub versions: Versions,
    /// The file with the password of security profile 2. The password is used until the station has
    /// a certificate of its own.
    pub password_file: PathBuf,
    /// The format of the password file: `text`, the default, or `hexadecimal`, an AuthorizationKey
    /// of OCPP 1.6 with 32 to 40 digits.
    #[serde(default)]
    pub password_format: PasswordFormat,
    /// `OCPPCommCtrlr.RetryBackOffWaitMinimum`, in seconds; default 5.
    #[serde(default = "five")]
    pub retry_wait_minimum_s: u32,
    /// `OCPPCommCtrlr.RetryBackOffRepeatTimes`; default 5, so the longest wait is 32 times the
    /// shortest.
    #[serde(default = "five")]
    pub retry_repeat_times: u32,
    /// `OCPPCommCtrlr.RetryBackOffRandomRange`, in seconds; default 5.
    #[serde(default = "five")]
    pub retry_random_range_s: u32,
}

/// The format of a password file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PasswordFormat {
    /// The password as it is sent.
    #[default]
    Text,
    /// The bytes that are sent, in hexadecimal digits.
    Hexadecimal,
}

/// The station's rules for the certificates that are installed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CertificatesSection {
    /// `SecurityCtrlr.CertificateEntries.maxLimit`: how many root certificates may be installed;
    /// default 32.
    pub max_entries: u16,
    /// `SecurityCtrlr.AdditionalRootCertificateCheck`: whether a new CSMS root must be signed by
    /// the one before it (M05.FR.09); default no.
    pub additional_root_check: bool,
    /// `SecurityCtrlr.MaxCertificateChainSize`: the longest chain that CertificateSigned may carry,
    /// in characters of PEM; default 10000, which is also the maximum (A02.FR.16). OCPP recommends
    /// 5600 or more.
    pub max_chain_size: u16,
    /// The digest of the hash data that the inventory reports; default SHA256. A CSMS may delete
    /// certificates by any of the three digests.
    pub hash_algorithm: HashAlgorithmEnumType,
    /// The permitted difference between the clocks of station and CSMS when a certificate's
    /// validity is checked, in seconds; default 300.
    pub clock_skew_s: u32,
    /// The kinds of key that the station generates for its connection, the preferred one first;
    /// default P-256, else RSA of 2048 bits. ISO 15118 requires P-256 or P-521 for the certificates
    /// for vehicles.
    pub key_algorithms: KeyAlgorithms,
    /// What DeleteCertificate does with the last CSMS root: `refuse`, the default, or `delete`.
    pub last_csms_root: LastCsmsRoot,
    /// A folder for one PEM file per use, for neighbours that use OpenSSL. If absent, no files are
    /// written.
    pub trust_bundles: Option<PathBuf>,
}

/// What DeleteCertificate does with the last CSMS root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LastCsmsRoot {
    /// The root stays, and the answer is Failed, as the note to M04.FR.03 permits. A station
    /// without a CSMS root can verify no CSMS, and stays offline until an installer adds one on
    /// site.
    #[default]
    Refuse,
    /// The root is deleted, as TC_M_20 expects if the tester selects this root.
    Delete,
}

impl Default for CertificatesSection {
    fn default() -> Self {
        Self {
            max_entries: 32,
            additional_root_check: false,
            max_chain_size: MAX_CHAIN_SIZE,
            hash_algorithm: HashAlgorithmEnumType::SHA256,
            clock_skew_s: 300,
            key_algorithms: KeyAlgorithms::default(),
            last_csms_root: LastCsmsRoot::Refuse,
            trust_bundles: None,
        }
    }
}

impl Config {
    /// Reads a configuration and checks every bound that OCPP sets for it.
    ///
    /// # Errors
    /// [`ConfigError`] with the member and the rule.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = parse_toml(text).map_err(ConfigError::Syntax)?;
        let at_most = |field, text: &str, characters| match text.chars().count() {
            0 => Err(ConfigError::Value { field, rule: "is empty".to_owned() }),
            count if count > characters => {
                Err(ConfigError::Value { field, rule: format!("{count} characters, at most {characters}") })
            }
            _ => Ok(()),
        };
        // The bounds of BootNotificationRequest.
        at_most("station.serial_number", &config.station.serial_number, 25)?;
        at_most("station.model", &config.station.model, 20)?;
        at_most("station.vendor", &config.station.vendor, 50)?;
        at_most("station.organization", &config.station.organization, 64)?;
        if let Some(version) = &config.station.firmware_version {
            at_most("station.firmware_version", version, 50)?;
        }
        let chain_size = config.certificates.max_chain_size;
        if !(MIN_CHAIN_SIZE..=MAX_CHAIN_SIZE).contains(&chain_size) {
            return Err(ConfigError::Value {
                field: "certificates.max_chain_size",
                rule: format!("{chain_size} characters; {MIN_CHAIN_SIZE} to {MAX_CHAIN_SIZE} are possible"),
            });
        }
        if let Some(iso15118) = &config.iso15118 {
            iso15118.check()?;
        }
        if !config.csms.url.is_tls() {
            return Err(ConfigError::Value {
                field: "csms.url",
                rule: "only wss:// is allowed: certificates are not managed without TLS".to_owned(),
            });
        }
        Ok(config)
    }

    /// The same configuration with relative paths resolved against `folder`.
    #[must_use]
    pub fn relative_to(mut self, folder: &Path) -> Self {
        self.directory = folder.join(&self.directory);
        self.csms.password_file = folder.join(&self.csms.password_file);
        self.certificates.trust_bundles = self.certificates.trust_bundles.map(|bundles| folder.join(bundles));
        self.token.uri = self.token.uri.relative_to(folder);
        self
    }

    /// The socket on which the running agent accepts local commands.
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        self.directory.join("control.sock")
    }

    /// The password, without the line end of its file. It has the length that A00.FR.304 requires.
    ///
    /// # Errors
    /// [`ConfigError::Value`], which does not contain the password.
    pub fn password(&self, text: &str) -> Result<Password, ConfigError> {
        let text = text.trim_end_matches(['\r', '\n']);
        if self.csms.password_format == PasswordFormat::Hexadecimal {
            return Password::from_authorization_key(text).ok_or_else(|| ConfigError::Value {
                field: "csms.password_file",
                rule: "an AuthorizationKey has 32 to 40 hexadecimal digits, an even number (A01)".to_owned(),
            });
        }
        if !(16..=64).contains(&text.chars().count()) {
            return Err(ConfigError::Value {
                field: "csms.password_file",
                rule: "the password has to have 16 to 64 characters (A00.FR.304)".to_owned(),
            });
        }
        Ok(Password::from(text))
    }
}

/// `CertificateSignedRequest.certificateChain` has 10000 characters.
const MAX_CHAIN_SIZE: u16 = 10_000;

/// A chain below this size has no room for one leaf and one sub-CA: every chain would be refused.
const MIN_CHAIN_SIZE: u16 = 2_000;

fn five() -> u32 {
    5
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device_model::Variable;

    const GOOD: &str = r#"
        directory = "store"
        [station]
        identity = "CS001"
        serial_number = "SN-0001"
        model = "Demo"
        vendor = "Example"
        organization = "Example CSO"
        [csms]
        url = "wss://localhost:8443/ocpp"
        password_file = "password"
        [token]
        uri = "pkcs11:token=station"
    "#;

    #[test]
    fn each_bound_names_its_field() {
        for (from, to, field) in [
            ("SN-0001", "12345678901234567890123456", "station.serial_number"),
            ("\"Demo\"", "\"a model name of 21 ch\"", "station.model"),
            ("wss://", "ws://", "csms.url"),
        ] {
            let error = Config::parse(&GOOD.replace(from, to)).expect_err(field);
            assert!(error.to_string().starts_with(field), "{error}");
        }
        for (section, field) in [
            ("[certificates]\nmax_chain_size = 10001", "certificates.max_chain_size"),
            ("[certificates]\nmax_chain_size = 12", "certificates.max_chain_size"),
            ("[iso15118]\nevses = [1, 1]", "iso15118.evses"),
            ("[iso15118]\nevses = [0]", "iso15118.evses"),
            ("[iso15118]\nevses = [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]", "iso15118.evses"),
            ("[iso15118]\nevses = [1, 2]\nsecc_id = [\"A\"]", "iso15118.secc_id"),
            ("[iso15118]\nsecc_id = [\"A\", \"B\"]", "iso15118.secc_id"),
            ("[iso15118]\nsecc_id = \"\"", "iso15118.secc_id"),
            ("[iso15118]\ncountry_name = \"NLD\"", "iso15118.country_name"),
        ] {
            let error = Config::parse(&format!("{GOOD}\n{section}")).expect_err(section);
            assert!(error.to_string().starts_with(field), "{section}: {error}");
        }
    }

    #[test]
    fn an_identity_that_no_station_can_have_is_refused_where_it_stands() {
        let error = Config::parse(&GOOD.replace("CS001", "CS:001")).expect_err("a colon");
        let ConfigError::Syntax(error) = error else { panic!("{error:?}") };
        assert!(error.place.is_some_and(|place| place.line == 4), "{error}");
        assert_eq!(error.key.as_deref(), Some("station.identity"));
    }

    /// The error names the line, the member and the rule, and never the value.
    #[test]
    fn a_token_uri_with_a_pin_is_refused_while_it_is_read() {
        for wrong in ["pkcs11:token=x?pin-value=hunter2", "pkcs11:pin=hunter2", "hunter2"] {
            let error = Config::parse(&GOOD.replacen("pkcs11:token=station", wrong, 1)).expect_err(wrong);
            let text = format!("{} {error:?}", program::causes(&error));
            assert!(text.contains("token.uri") && text.contains("is no PKCS #11 URI"), "{text}");
            assert!(text.contains("line ") && !text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn unknown_member_is_refused() {
        assert!(matches!(Config::parse(&format!("colour = 1\n{GOOD}")), Err(ConfigError::Syntax(_))));
    }

    #[test]
    fn a_url_with_a_secret_is_refused_without_it() {
        for url in [
            "wss://user:hunter2@csms/ocpp",
            "wss://hunter2@csms/ocpp",
            "wss://csms/ocpp?token=hunter2",
            "wss://csms/ocpp#hunter2",
            "hunter2",
        ] {
            let error = Config::parse(&GOOD.replace("wss://localhost:8443/ocpp", url)).expect_err(url);
            let ConfigError::Syntax(error) = error else { panic!("{url}: {error}") };
            assert!(error.to_string().starts_with("line 10, column 15: csms.url: "), "{error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a00_fr_304_password_has_16_characters_or_more() {
        let config = Config::parse(GOOD).expect("good");
        assert!(config.password("0123456789abcdef\n").is_ok());
        let error = config.password("short-secret").expect_err("12 characters");
        assert!(!error.to_string().contains("short-secret"));
    }

    #[test]
    fn a01_an_authorization_key_is_bytes_in_hexadecimal() {
        let text = GOOD.replace("[token]", "password_format = \"hexadecimal\"\n[token]");
        let config = Config::parse(&text).expect("good");
        let key = config.password("000102030405060708090A0B0C0D0E0f\n").expect("16 bytes");
        assert_eq!(key.expose(), (0..16).collect::<Vec<u8>>());
        let error = config.password("000102030405060708090A0B0C0D0E").expect_err("15 bytes");
        assert!(error.to_string().starts_with("csms.password_file") && !error.to_string().contains("0405"));
    }

    #[test]
    fn unknown_version_is_refused() {
        let text = GOOD.replace("[token]", "versions = [\"2.0\"]\n[token]");
        let ConfigError::Syntax(error) = Config::parse(&text).expect_err("no version") else {
            panic!("syntax")
        };
        assert!(error.to_string().contains("csms.versions: the station speaks 2.1"), "{error}");
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let text =
            GOOD.replace("token=station", "token=station?pin-source=file:pin&module-path=libsofthsm2.so");
        let config = Config::parse(&text).expect("good").relative_to(Path::new("/etc/station"));
        assert_eq!(config.directory, Path::new("/etc/station/store"));
        assert_eq!(
            config.token.uri.to_string(),
            "pkcs11:token=station?pin-source=file:/etc/station/pin&module-path=libsofthsm2.so"
        );
    }

    #[test]
    fn iso_15118_has_defaults_of_the_station_itself() {
        let config = Config::parse(GOOD).expect("good");
        assert!(config.iso15118_defaults().is_none());
        let config = Config::parse(&format!("{GOOD}\n[iso15118]\nevses = [1, 2]\nsecc_id = [\"A\", \"B\"]"));
        let iso15118 = config.expect("good").iso15118_defaults().expect("a section");
        assert!(!iso15118.combined_certificates);
        let of = |evse| &iso15118.controllers[&Some(evse)];
        assert_eq!(of(1)[&Variable::SeccId], "A");
        assert_eq!(of(2)[&Variable::SeccId], "B");
        assert_eq!(of(2)[&Variable::SeccOrganizationName], "Example CSO");
        let config =
            Config::parse(&format!("{GOOD}\n[iso15118]\ncombined_certificates = true")).expect("good");
        let iso15118 = config.iso15118_defaults().expect("a section");
        assert!(iso15118.combined_certificates);
        assert_eq!(iso15118.controllers[&None][&Variable::SeccId], "SN-0001");
    }
}
