//! Why a configuration cannot be used.

use program::TomlError;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The text is not TOML, or a member is missing, unknown or of the wrong type.
    #[error("the configuration cannot be read")]
    Syntax(#[source] TomlError),
    /// A value breaks a bound of OCPP.
    #[error("{field}: {rule}")]
    Value {
        /// The name of the member in the file.
        field: &'static str,
        /// The rule that it breaks.
        rule: String,
    },
}
