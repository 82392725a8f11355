//! Why a configuration cannot be used.

use program::TomlError;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The text is not TOML, or a member is missing, unknown or of the wrong type.
    #[error("the configuration cannot be read")]
    Syntax(#[source] TomlError),
    /// A value breaks a rule.
    #[error("{field}: {rule}")]
    Value {
        /// The member, as it is written in the file.
        field: String,
        /// The rule that it breaks.
        rule: String,
    },
}

impl ConfigError {
    /// The member with this name breaks a rule.
    pub(super) fn value(field: impl Into<String>, rule: impl ToString) -> Self {
        Self::Value { field: field.into(), rule: rule.to_string() }
    }
}
