//! The names of a CSMS.

/// The names under which a CSMS is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerName {
    pub(crate) common_name: String,
    pub(crate) dns_names: Vec<String>,
}

/// A name that a server certificate cannot bear.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is not a fully qualified domain name of a CSMS; wildcards and addresses are not allowed (A00.FR.510)"
)]
pub struct ServerNameError(String);

impl ServerName {
    /// CN is the FQDN (A00.FR.510). It is repeated as dNSName for TLS clients that read nothing
    /// else.
    ///
    /// # Errors
    /// [`ServerNameError`] for a wildcard, an address, or another text that is not a host name.
    pub fn new(fqdn: impl Into<String>) -> Result<Self, ServerNameError> {
        let fqdn = fqdn.into();
        check_host(&fqdn)?;
        Ok(Self { dns_names: vec![fqdn.clone()], common_name: fqdn })
    }

    /// Adds a dNSName, for a CSMS with several names (A00.FR.511).
    ///
    /// # Errors
    /// As [`ServerName::new`].
    pub fn with_dns_name(mut self, name: impl Into<String>) -> Result<Self, ServerNameError> {
        let name = name.into();
        check_host(&name)?;
        if !self.dns_names.contains(&name) {
            self.dns_names.push(name);
        }
        Ok(self)
    }

    /// Omits the subject alternative name.
    #[must_use]
    pub fn common_name_only(mut self) -> Self {
        self.dns_names.clear();
        self
    }

    /// The FQDN.
    #[must_use]
    pub fn fqdn(&self) -> &str {
        &self.common_name
    }
}

/// RFC 1123 host names; no address, no wildcard.
fn check_host(name: &str) -> Result<(), ServerNameError> {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    let last_is_number = name.rsplit('.').next().is_none_or(is_number);
    if name.len() <= 64 && name.split('.').all(is_label) && !last_is_number {
        Ok(())
    } else {
        Err(ServerNameError(name.to_owned()))
    }
}
