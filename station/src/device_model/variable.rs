//! The variables, and the values that each may have.

/// A variable of the device model that concerns security or the connection to the CSMS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Variable {
    /// `SecurityCtrlr.BasicAuthPassword` (A01.FR.01).
    BasicAuthPassword,
    /// `SecurityCtrlr.Identity`.
    Identity,
    /// `SecurityCtrlr.OrganizationName`: O of the station's certificate (A00.FR.509).
    OrganizationName,
    /// `SecurityCtrlr.CertificateEntries`: how many certificates are installed. Its limit is how
    /// many may be installed (M05.FR.06).
    CertificateEntries,
    /// `SecurityCtrlr.SecurityProfile`: the security profile of the connection.
    SecurityProfile,
    /// `SecurityCtrlr.AdditionalRootCertificateCheck` (M05.FR.09).
    AdditionalRootCertificateCheck,
    /// `SecurityCtrlr.MaxCertificateChainSize`, in characters.
    MaxCertificateChainSize,
    /// `SecurityCtrlr.CertSigningWaitMinimum`, in seconds (A02.FR.17).
    CertSigningWaitMinimum,
    /// `SecurityCtrlr.CertSigningRepeatTimes` (A02.FR.18).
    CertSigningRepeatTimes,
    /// `SecurityCtrlr.AllowSecurityProfileDowngrade`: whether profile 2 may follow profile 3
    /// (A05.FR.08).
    AllowSecurityProfileDowngrade,
    /// `SecurityCtrlr.AllowCSMSTLSWildcards`: whether the CSMS's certificate may name a wildcard.
    AllowCsmsTlsWildcards,
    /// `OCPPCommCtrlr.ActiveNetworkProfile`: the slot of the connection.
    ActiveNetworkProfile,
    /// `OCPPCommCtrlr.MessageTimeout[Default]`, in seconds.
    MessageTimeout,
    /// `OCPPCommCtrlr.NetworkConfigurationPriority`: slots in the order in which they are tried
    /// (B10).
    NetworkConfigurationPriority,
    /// `OCPPCommCtrlr.NetworkProfileConnectionAttempts`: attempts for each slot (B10.FR.03).
    NetworkProfileConnectionAttempts,
    /// `OCPPCommCtrlr.OfflineThreshold`, in seconds.
    OfflineThreshold,
    /// `OCPPCommCtrlr.HeartbeatInterval`, in seconds.
    HeartbeatInterval,
    /// `OCPPCommCtrlr.RetryBackOffRepeatTimes`.
    RetryBackOffRepeatTimes,
    /// `OCPPCommCtrlr.RetryBackOffRandomRange`, in seconds.
    RetryBackOffRandomRange,
    /// `OCPPCommCtrlr.RetryBackOffWaitMinimum`, in seconds.
    RetryBackOffWaitMinimum,
    /// `OCPPCommCtrlr.WebSocketPingInterval`, in seconds; 0 disables pings.
    WebSocketPingInterval,
    /// `ISO15118Ctrlr.SeccId`: CN of the certificate for vehicles. EVSEs that share a controller
    /// have the same one.
    SeccId,
    /// `ISO15118Ctrlr.CountryName`: C of the certificate for vehicles, two letters (ISO 3166-1).
    CountryName,
    /// `ISO15118Ctrlr.OrganizationName`: O of the certificate for vehicles.
    SeccOrganizationName,
    /// `ISO15118Ctrlr.PnCEnabled`: whether vehicles may identify themselves by contract.
    PncEnabled,
    /// `ISO15118Ctrlr.V2GCertificateInstallationEnabled`: whether the station requests certificates
    /// for vehicles (A02, A03).
    V2gCertificateInstallationEnabled,
    /// `ISO15118Ctrlr.ContractCertificateInstallationEnabled`: whether vehicles may have contract
    /// certificates installed (M01, M02).
    ContractCertificateInstallationEnabled,
    /// `ISO15118Ctrlr.CentralContractValidationAllowed`: whether the CSMS may validate a contract
    /// certificate (C07).
    CentralContractValidationAllowed,
    /// `ISO15118Ctrlr.ContractValidationOffline`: whether the station validates a contract
    /// certificate while it is offline (C07).
    ContractValidationOffline,
}

impl Variable {
    /// All of them, in the order of a report.
    pub const ALL: [Self; 29] = [
        Self::BasicAuthPassword,
        Self::Identity,
        Self::OrganizationName,
        Self::CertificateEntries,
        Self::SecurityProfile,
        Self::AdditionalRootCertificateCheck,
        Self::MaxCertificateChainSize,
        Self::CertSigningWaitMinimum,
        Self::CertSigningRepeatTimes,
        Self::AllowSecurityProfileDowngrade,
        Self::AllowCsmsTlsWildcards,
        Self::ActiveNetworkProfile,
        Self::MessageTimeout,
        Self::NetworkConfigurationPriority,
        Self::NetworkProfileConnectionAttempts,
        Self::OfflineThreshold,
        Self::HeartbeatInterval,
        Self::RetryBackOffRepeatTimes,
        Self::RetryBackOffRandomRange,
        Self::RetryBackOffWaitMinimum,
        Self::WebSocketPingInterval,
        Self::SeccId,
        Self::CountryName,
        Self::SeccOrganizationName,
        Self::PncEnabled,
        Self::V2gCertificateInstallationEnabled,
        Self::ContractCertificateInstallationEnabled,
        Self::CentralContractValidationAllowed,
        Self::ContractValidationOffline,
    ];

    /// The component that it belongs to.
    #[must_use]
    pub fn component(self) -> &'static str {
        use Variable as V;
        match self {
            V::BasicAuthPassword
            | V::Identity
            | V::OrganizationName
            | V::CertificateEntries
            | V::SecurityProfile
            | V::AdditionalRootCertificateCheck
            | V::MaxCertificateChainSize
            | V::CertSigningWaitMinimum
            | V::CertSigningRepeatTimes
            | V::AllowSecurityProfileDowngrade
            | V::AllowCsmsTlsWildcards => SECURITY,
            V::ActiveNetworkProfile
            | V::MessageTimeout
            | V::NetworkConfigurationPriority
            | V::NetworkProfileConnectionAttempts
            | V::OfflineThreshold
            | V::HeartbeatInterval
            | V::RetryBackOffRepeatTimes
            | V::RetryBackOffRandomRange
            | V::RetryBackOffWaitMinimum
            | V::WebSocketPingInterval => COMMUNICATION,
            V::SeccId
            | V::CountryName
            | V::SeccOrganizationName
            | V::PncEnabled
            | V::V2gCertificateInstallationEnabled
            | V::ContractCertificateInstallationEnabled
            | V::CentralContractValidationAllowed
            | V::ContractValidationOffline => ISO15118,
        }
    }

    /// Its name in the device model.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BasicAuthPassword => "BasicAuthPassword",
            Self::Identity => "Identity",
            Self::OrganizationName => "OrganizationName",
            Self::CertificateEntries => "CertificateEntries",
            Self::SecurityProfile => "SecurityProfile",
            Self::AdditionalRootCertificateCheck => "AdditionalRootCertificateCheck",
            Self::MaxCertificateChainSize => "MaxCertificateChainSize",
            Self::CertSigningWaitMinimum => "CertSigningWaitMinimum",
            Self::CertSigningRepeatTimes => "CertSigningRepeatTimes",
            Self::AllowSecurityProfileDowngrade => "AllowSecurityProfileDowngrade",
            Self::AllowCsmsTlsWildcards => "AllowCSMSTLSWildcards",
            Self::ActiveNetworkProfile => "ActiveNetworkProfile",
            Self::MessageTimeout => "MessageTimeout",
            Self::NetworkConfigurationPriority => "NetworkConfigurationPriority",
            Self::NetworkProfileConnectionAttempts => "NetworkProfileConnectionAttempts",
            Self::OfflineThreshold => "OfflineThreshold",
            Self::HeartbeatInterval => "HeartbeatInterval",
            Self::RetryBackOffRepeatTimes => "RetryBackOffRepeatTimes",
            Self::RetryBackOffRandomRange => "RetryBackOffRandomRange",
            Self::RetryBackOffWaitMinimum => "RetryBackOffWaitMinimum",
            Self::WebSocketPingInterval => "WebSocketPingInterval",
            Self::SeccId => "SeccId",
            Self::CountryName => "CountryName",
            Self::SeccOrganizationName => "OrganizationName",
            Self::PncEnabled => "PnCEnabled",
            Self::V2gCertificateInstallationEnabled => "V2GCertificateInstallationEnabled",
            Self::ContractCertificateInstallationEnabled => "ContractCertificateInstallationEnabled",
            Self::CentralContractValidationAllowed => "CentralContractValidationAllowed",
            Self::ContractValidationOffline => "ContractValidationOffline",
        }
    }

    /// Its instance; only `MessageTimeout` has one.
    #[must_use]
    pub fn instance(self) -> Option<&'static str> {
        (self == Self::MessageTimeout).then_some("Default")
    }

    /// Who may read it and who may write it.
    #[must_use]
    pub fn mutability(self) -> Mutability {
        match self {
            Self::BasicAuthPassword => Mutability::WriteOnly,
            Self::Identity
            | Self::CertificateEntries
            | Self::SecurityProfile
            | Self::AdditionalRootCertificateCheck
            | Self::MaxCertificateChainSize
            | Self::AllowSecurityProfileDowngrade
            | Self::ActiveNetworkProfile
            | Self::MessageTimeout => Mutability::ReadOnly,
            _ => Mutability::ReadWrite,
        }
    }

    /// Checks a text by the variable's own rule. The reason of a refusal does not contain the text.
    pub(crate) fn check(self, value: &str) -> Result<(), String> {
        self.rule().check(value).map_err(|refusal| refusal.info)
    }

    /// When a new value takes effect.
    pub(super) fn effect(self) -> Effect {
        match self {
            // The store and the pending requests have the former value.
            Self::OrganizationName => Effect::AfterRestart,
            _ => Effect::AtOnce,
        }
    }

    /// The values that it may have.
    pub(super) fn rule(self) -> Rule {
        match self {
            Self::BasicAuthPassword => Rule::Password,
            Self::Identity => Rule::Text { max: 48 },
            // The upper bound of O in a certificate (RFC 5280, ub-organization-name).
            Self::OrganizationName | Self::SeccOrganizationName => Rule::Text { max: 64 },
            // The bound of 2.1, and of CN in a certificate (RFC 5280, ub-common-name).
            Self::SeccId => Rule::Text { max: 64 },
            Self::CountryName => Rule::Country,
            Self::CertificateEntries => Rule::Integer { min: 0, max: i64::MAX, unit: None },
            Self::SecurityProfile => Rule::Integer { min: 1, max: 3, unit: None },
            Self::AdditionalRootCertificateCheck
            | Self::AllowSecurityProfileDowngrade
            | Self::AllowCsmsTlsWildcards
            | Self::PncEnabled
            | Self::V2gCertificateInstallationEnabled
            | Self::ContractCertificateInstallationEnabled
            | Self::CentralContractValidationAllowed
            | Self::ContractValidationOffline => Rule::Boolean,
            Self::MaxCertificateChainSize => Rule::Integer { min: 0, max: 10_000, unit: None },
            Self::CertSigningWaitMinimum => Rule::Integer { min: 1, max: DAY, unit: Some("s") },
            // Doubled this often, a wait of one day becomes 89 years.
            Self::CertSigningRepeatTimes => Rule::Integer { min: 0, max: 15, unit: None },
            Self::ActiveNetworkProfile => Rule::Integer { min: 1, max: i64::MAX, unit: None },
            Self::MessageTimeout => Rule::Integer { min: 1, max: 3600, unit: Some("s") },
            Self::NetworkConfigurationPriority => Rule::Slots,
            Self::NetworkProfileConnectionAttempts => Rule::Integer { min: 1, max: 100, unit: None },
            Self::OfflineThreshold => Rule::Integer { min: 0, max: 365 * DAY, unit: Some("s") },
            Self::HeartbeatInterval => Rule::Integer { min: 1, max: 7 * DAY, unit: Some("s") },
            Self::RetryBackOffRepeatTimes => Rule::Integer { min: 0, max: 15, unit: None },
            Self::RetryBackOffRandomRange => Rule::Integer { min: 0, max: DAY, unit: Some("s") },
            Self::RetryBackOffWaitMinimum => Rule::Integer { min: 1, max: DAY, unit: Some("s") },
            // 0: the station sends no ping.
            Self::WebSocketPingInterval => Rule::Integer { min: 0, max: DAY, unit: Some("s") },
        }
    }

    /// Whether each ISO 15118 controller has one of its own.
    #[must_use]
    pub fn is_of_iso15118(self) -> bool {
        self.component() == ISO15118
    }

    /// The variable with these names, compared without regard to case.
    pub(super) fn find(component: &str, name: &str, instance: Option<&str>) -> Option<Self> {
        Self::ALL.into_iter().find(|variable| {
            variable.component().eq_ignore_ascii_case(component)
                && variable.name().eq_ignore_ascii_case(name)
                && match (variable.instance(), instance) {
                    (None, None) => true,
                    (Some(own), Some(asked)) => own.eq_ignore_ascii_case(asked),
                    _ => false,
                }
        })
    }
}

/// Who may read a variable and who may write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutability {
    /// The CSMS reads it.
    ReadOnly,
    /// The CSMS sets it and cannot read it.
    WriteOnly,
    /// The CSMS reads and sets it.
    ReadWrite,
}

/// What kind of value a variable has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DataType {
    Text,
    Integer,
    Boolean,
    SequenceList,
}

/// When a new value takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// At once, or with the next connection.
    AtOnce,
    /// After the next start: the answer to SetVariables is RebootRequired.
    AfterRestart,
}

/// A variable of one component: of the station's, or of the controller of an EVSE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) variable: Variable,
    /// `None`: of the station as a whole.
    pub(super) evse: Option<u32>,
}

impl From<Variable> for Place {
    fn from(variable: Variable) -> Self {
        Self { variable, evse: None }
    }
}

/// The values that a variable may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    Text {
        max: usize,
    },
    Integer {
        min: i64,
        max: i64,
        unit: Option<&'static str>,
    },
    Boolean,
    /// ISO 3166-1 alpha-2, as C of a certificate has it.
    Country,
    /// A passwordString of 16 to 64 characters (A00.FR.205, A00.FR.304; the upper bound is this
    /// station's).
    Password,
    /// Numbers of slots, separated by commas; checked together with the slots themselves.
    Slots,
}

/// Why a value is refused: a reason from OCPP's list, and a text for people that does not repeat
/// the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reason: &'static str,
    pub(super) info: String,
}

impl Refusal {
    pub(super) fn new(reason: &'static str, info: impl Into<String>) -> Self {
        Self { reason, info: info.into() }
    }
}

impl Rule {
    pub(super) fn data_type(self) -> DataType {
        match self {
            Self::Text { .. } | Self::Country | Self::Password => DataType::Text,
            Self::Integer { .. } => DataType::Integer,
            Self::Boolean => DataType::Boolean,
            Self::Slots => DataType::SequenceList,
        }
    }

    pub(super) fn check(self, value: &str) -> Result<(), Refusal> {
        let count = value.chars().count();
        match self {
            Self::Text { max } if count > max => {
                Err(Refusal::new("InvalidValue", format!("{count} characters, at most {max}")))
            }
            // A text that fits in OCPP 2.1 but not in 2.0.1.
            _ if count > MAX_VALUE => {
                Err(Refusal::new("InvalidValue", format!("{count} characters, at most {MAX_VALUE}")))
            }
            Self::Text { .. } if value.trim().is_empty() => Err(Refusal::new("InvalidValue", "empty")),
            Self::Text { .. } | Self::Slots => Ok(()),
            Self::Integer { min, max, .. } => {
                let number: i64 =
                    value.parse().map_err(|_| Refusal::new("InvalidValue", "not a whole number"))?;
                match number {
                    _ if number < 0 && min >= 0 => {
                        Err(Refusal::new("ValuePositiveOnly", format!("at least {min}")))
                    }
                    0 if min > 0 => Err(Refusal::new("ValueZeroNotAllowed", format!("at least {min}"))),
                    _ if number < min => Err(Refusal::new("ValueTooLow", format!("at least {min}"))),
                    _ if number > max => Err(Refusal::new("ValueTooHigh", format!("at most {max}"))),
                    _ => Ok(()),
                }
            }
            Self::Boolean => match value {
                "true" | "false" => Ok(()),
                _ => Err(Refusal::new("InvalidValue", "neither true nor false")),
            },
            Self::Country if count == 2 && value.chars().all(|letter| letter.is_ascii_alphabetic()) => Ok(()),
            Self::Country => Err(Refusal::new("InvalidValue", "two letters (ISO 3166-1)")),
            // A01.FR.12: the reason reveals nothing of the value, not even which character is
            // wrong.
            Self::Password if !(PASSWORD_MIN..=PASSWORD_MAX).contains(&count) => {
                Err(Refusal::new("InvalidValue", format!("{PASSWORD_MIN} to {PASSWORD_MAX} characters")))
            }
            Self::Password if !value.chars().all(is_password_character) => {
                Err(Refusal::new("InvalidValue", "letters, digits and * - _ = : + | @ . only"))
            }
            Self::Password => Ok(()),
        }
    }
}

/// OCPP's passwordString.
fn is_password_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || "*-_=:+|@.".contains(character)
}

/// TC_A_10: a password shorter than 16 characters is rejected.
const PASSWORD_MIN: usize = 16;

/// `SecurityCtrlr.BasicAuthPassword.maxLimit`, which the errata require between 40 and 64.
pub(super) const PASSWORD_MAX: usize = 64;

/// The length of `attributeValue` in OCPP 2.0.1. No variable of this station needs more.
const MAX_VALUE: usize = 1000;

const DAY: i64 = 24 * 3600;
pub(super) const SECURITY: &str = "SecurityCtrlr";
pub(super) const COMMUNICATION: &str = "OCPPCommCtrlr";
pub(super) const ISO15118: &str = "ISO15118Ctrlr";
