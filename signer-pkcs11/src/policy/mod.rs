//! The operator's decisions: which station gets which certificate, and its content.

pub(crate) mod applicant;
pub(crate) mod certificate_use;
pub(crate) mod issuance;
pub(crate) mod key_rules;
pub(crate) mod profiles;
pub(crate) mod profiles_toml;
pub(crate) mod refused;
pub(crate) mod server_name;
pub(crate) mod settings;
pub(crate) mod subject;
