//! The source of a PIN.

use std::{fmt, path::PathBuf, str::FromStr};

use crate::token::uri::error::UriError;

/// The source of the PIN (`pin-source=`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PinSource {
    /// `file:/path` or a plain absolute path: the file's text without the line end.
    File(PathBuf),
    /// `env:NAME`: an environment variable.
    Environment(String),
    /// `fd:NUMBER`: a file descriptor that the process inherited, read to its end.
    Descriptor(u32),
    /// `prompt:`: asks at the terminal, without echo.
    Prompt,
    /// `credential:NAME`: a credential of the systemd service (`LoadCredential=`).
    Credential(String),
}

impl PinSource {
    pub(crate) fn parse(text: &str) -> Result<Self, UriError> {
        if let Some(name) = text.strip_prefix("env:").filter(|name| !name.is_empty()) {
            return Ok(Self::Environment(name.to_owned()));
        }
        if let Some(number) = text.strip_prefix("fd:") {
            let digits = number.bytes().all(|byte| byte.is_ascii_digit());
            return number.parse().ok().filter(|_| digits).map(Self::Descriptor).ok_or(UriError::PinSource);
        }
        if text == "prompt:" || text == "prompt" {
            return Ok(Self::Prompt);
        }
        if let Some(name) = text.strip_prefix("credential:") {
            // A name, never a path: it is searched only in the service's credentials directory.
            let is_name = !name.is_empty() && !name.contains('/') && !name.starts_with('.');
            return if is_name { Ok(Self::Credential(name.to_owned())) } else { Err(UriError::PinSource) };
        }
        let path = text.strip_prefix("file:").unwrap_or(text);
        let path = path.strip_prefix("//").filter(|rest| rest.starts_with('/')).unwrap_or(path);
        // "|command" (RFC 7512 §2.4) would run a program that a configuration names: not supported.
        let is_path = text.starts_with("file:") && !path.is_empty() || path.starts_with('/');
        if is_path { Ok(Self::File(path.into())) } else { Err(UriError::PinSource) }
    }
}

impl fmt::Display for PinSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Environment(name) => write!(f, "env:{name}"),
            Self::Descriptor(number) => write!(f, "fd:{number}"),
            Self::Prompt => f.write_str("prompt:"),
            Self::Credential(name) => write!(f, "credential:{name}"),
        }
    }
}

impl FromStr for PinSource {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::PinSource;
    use crate::token::uri::Uri;

    #[test]
    fn pin_sources() {
        for (text, source) in [
            ("file:/run/pin", PinSource::File("/run/pin".into())),
            ("env:HSM_PIN", PinSource::Environment("HSM_PIN".into())),
            ("fd:3", PinSource::Descriptor(3)),
            ("prompt:", PinSource::Prompt),
            ("credential:hsm-pin", PinSource::Credential("hsm-pin".into())),
        ] {
            let uri: Uri = format!("pkcs11:?pin-source={text}").parse().unwrap();
            assert_eq!(uri.pin_source(), Some(&source));
            assert_eq!(uri.to_string(), format!("pkcs11:?pin-source={text}"));
        }
    }
}
