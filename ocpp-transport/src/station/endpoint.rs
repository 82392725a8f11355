//! The endpoint of a CSMS.

use std::fmt;
use std::str::FromStr;

use certificates::StationIdentity;
use serde::de::{Deserialize, Deserializer, Error as _};
use url::Url;

use crate::upgrade::path_segment;

/// The endpoint of a CSMS (`OcppCsmsUrl`): `wss://host[:port]/path`, or `ws://…` without TLS.
///
/// It contains no secret, so it may be logged and shown. A URL with a user, a password, a query or
/// a fragment is refused while it is parsed: such a part may be a credential, which the station
/// would neither use nor protect.
///
/// ```
/// use ocpp_transport::Endpoint;
///
/// let endpoint: Endpoint = "wss://csms.example.com/ocpp".parse()?;
/// assert_eq!(endpoint.to_string(), "wss://csms.example.com/ocpp");
/// let error = "wss://user:hunter2@csms.example.com/ocpp".parse::<Endpoint>().unwrap_err();
/// assert!(!error.to_string().contains("hunter2"));
/// # Ok::<(), ocpp_transport::EndpointError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Endpoint(Url);

/// Why a text is not an endpoint. The error never repeats the text, which may contain a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// Not a URL.
    #[error("not a URL; write wss://host/path")]
    NotUrl,
    /// Another scheme.
    #[error("the URL has to begin with wss://, or ws:// without TLS")]
    Scheme,
    /// No host to connect to.
    #[error("the URL names no host")]
    Host,
    /// User or password in front of the host.
    #[error("the URL contains a user or a password; remove them, because URLs are logged and shown")]
    Credentials,
    /// `?…` or `#…`. The identity is appended to the path.
    #[error("the URL has to end with its path; remove the query and the fragment")]
    AfterPath,
}

impl Endpoint {
    /// Whether the connection uses TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.0.scheme() == "wss"
    }

    /// The host as the URL spells it. An IPv6 address is in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The port, or the default port of the scheme.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port().unwrap_or(if self.is_tls() { 443 } else { 80 })
    }

    /// The URL, without the identity.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Host and port for the Host header. The port is present only if the URL contains one.
    pub(crate) fn authority(&self) -> String {
        self.0.port().map_or_else(|| self.host().to_owned(), |port| format!("{}:{port}", self.host()))
    }

    /// The path for a station: endpoint, "/", percent-encoded identity (2.0.1 Part 4, 3.1.1).
    pub(crate) fn path_for(&self, identity: &StationIdentity) -> String {
        format!("{}/{}", self.0.path().trim_end_matches('/'), path_segment::write(identity))
    }
}

impl TryFrom<Url> for Endpoint {
    type Error = EndpointError;

    fn try_from(url: Url) -> Result<Self, EndpointError> {
        if !["ws", "wss"].contains(&url.scheme()) {
            return Err(EndpointError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(EndpointError::AfterPath);
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(EndpointError::Host);
        }
        Ok(Self(url))
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let url = Url::parse(text).map_err(|error| match error {
            url::ParseError::EmptyHost => EndpointError::Host,
            _ => EndpointError::NotUrl,
        })?;
        // `wss://@host`: the parser drops an empty user.
        let authority = text
            .split_once("//")
            .map_or("", |(_, rest)| rest.split(['/', '\\', '?', '#']).next().unwrap_or(""));
        if authority.contains('@') {
            return Err(EndpointError::Credentials);
        }
        Self::try_from(url)
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Endpoint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(&str, u16, &str), EndpointError>) {
        let endpoint = text.parse::<Endpoint>();
        let found = endpoint.as_ref().map(|found| (found.host(), found.port(), found.authority()));
        assert_eq!(
            found.map_err(|error| *error),
            expected.map(|(host, port, authority)| (host, port, authority.to_owned()))
        );
    }

    #[test]
    fn parts_of_an_endpoint() {
        check("wss://csms/ocpp", Ok(("csms", 443, "csms")));
        check("ws://csms", Ok(("csms", 80, "csms")));
        check("wss://csms:8443/", Ok(("csms", 8443, "csms:8443")));
        check("wss://[::1]:1/a@b", Ok(("[::1]", 1, "[::1]:1")));
        let endpoint: Endpoint = "wss://csms/a/".parse().unwrap();
        assert_eq!(endpoint.path_for(&"RDAM 1".parse().unwrap()), "/a/RDAM%201");
    }

    #[test]
    fn what_may_hold_a_secret_is_refused_without_the_text() {
        for (text, expected) in [
            ("wss://user:hunter2@csms/ocpp", EndpointError::Credentials),
            ("wss://hunter2@csms/ocpp", EndpointError::Credentials),
            ("wss://:hunter2@csms/ocpp", EndpointError::Credentials),
            ("wss://@csms/ocpp", EndpointError::Credentials),
            ("wss:user:hunter2@csms/ocpp", EndpointError::Credentials),
            ("wss://csms/ocpp?token=hunter2", EndpointError::AfterPath),
            ("wss://csms/ocpp?", EndpointError::AfterPath),
            ("wss://csms/ocpp#hunter2", EndpointError::AfterPath),
            ("https://hunter2.example/", EndpointError::Scheme),
            ("hunter2:1", EndpointError::Scheme),
            ("csms/hunter2", EndpointError::NotUrl),
            ("wss://hunter2:70000/", EndpointError::NotUrl),
            ("", EndpointError::NotUrl),
        ] {
            check(text, Err(expected));
            assert!(!format!("{expected} {expected:?}").contains("hunter2"));
        }
    }
}
