//! Where the ledger is kept: a SQLite file, or PostgreSQL.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::Deserialize;

use crate::config::error::ConfigError;

/// Where the ledger is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LedgerSection {
    /// PostgreSQL; `None`: the file `ledger.sqlite` in the folder of the configuration.
    pub url: Option<PostgresUrl>,
}

/// The members as they stand in the file.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLedger {
    url: Option<String>,
}

/// The database of a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerLocation {
    /// A SQLite file.
    File(PathBuf),
    /// PostgreSQL.
    Postgres(PostgresUrl),
}

/// The address of a PostgreSQL database:
/// `postgres://USER:PASSWORD@HOST:PORT/DATABASE?NAME=VALUE&…`.
///
/// The names are `host` (a folder for a local socket), `port`, `dbname`, `user`, `password`,
/// `sslmode`, `sslrootcert`, `sslcert`, `sslkey` and `application_name`. TLS with a verified
/// certificate (`sslmode=verify-full`) is the default, except for a local socket. `Debug` and
/// `Display` show no user, no password and no names.
///
/// ```
/// let url: csms::PostgresUrl = "postgres://csms@db.example.com/ledger".parse()?;
/// assert_eq!(url.to_string(), "postgres://db.example.com/ledger");
/// # Ok::<(), csms::PostgresUrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    text: String,
    /// Without what may be secret.
    shown: String,
}

/// Why a text is not the address of a PostgreSQL database. It does not repeat secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresUrlError {
    /// It has another shape.
    #[error(
        "has to be postgres://USER@HOST/DATABASE, or postgres:///DATABASE?host=FOLDER&user=USER; \
         write / ? # @ as %2F %3F %23 %40 in a user or a password"
    )]
    Shape,
    /// It sets something that is not known, which sqlx would ignore.
    #[error("does not know the parameter {name:?}; known are {}", PARAMETERS.join(", "))]
    Parameter {
        /// Its name.
        name: String,
    },
    /// It permits a connection without TLS, or asks for what is not implemented.
    #[error(
        "has sslmode {mode:?}; use verify-full, verify-ca or require, or disable for a connection without TLS"
    )]
    SslMode {
        /// As it stands there.
        mode: String,
    },
}

impl LedgerSection {
    /// Where the ledger is kept, for a service with this folder.
    #[must_use]
    pub fn location(&self, directory: &Path) -> LedgerLocation {
        match &self.url {
            Some(url) => LedgerLocation::Postgres(url.clone()),
            None => LedgerLocation::File(directory.join("ledger.sqlite")),
        }
    }
}

impl RawLedger {
    pub(super) fn parse(self) -> Result<LedgerSection, ConfigError> {
        let url = self.url.as_deref().map(str::parse).transpose();
        let url =
            url.map_err(|error: PostgresUrlError| ConfigError::value("ledger.url", error.to_string()))?;
        Ok(LedgerSection { url })
    }
}

impl LedgerLocation {
    /// The SQLite file; `None`: the ledger is in PostgreSQL.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Postgres(_) => None,
        }
    }
}

impl fmt::Display for LedgerLocation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(formatter, "{}", path.display()),
            Self::Postgres(url) => write!(formatter, "{url}"),
        }
    }
}

impl PostgresUrl {
    /// The whole address, with its secrets.
    pub(crate) fn with_secrets(&self) -> &str {
        &self.text
    }
}

impl FromStr for PostgresUrl {
    type Err = PostgresUrlError;

    fn from_str(text: &str) -> Result<Self, PostgresUrlError> {
        let rest = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"));
        let rest = rest.ok_or(PostgresUrlError::Shape)?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = place.split_once('/').ok_or(PostgresUrlError::Shape)?;
        // What follows would be read as a part of it: a password with a `/`, and then a host; or a
        // mode of TLS behind a `#`, which would not count.
        if text.contains('#') || database.contains('@') || query.contains('@') {
            return Err(PostgresUrlError::Shape);
        }
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (mut mode, mut socket) = (None, None);
        for (name, value) in
            query.split('&').filter(|part| !part.is_empty()).filter_map(|part| part.split_once('='))
        {
            match name {
                "sslmode" => mode = Some(value),
                "host" if value.starts_with('/') || value.to_ascii_lowercase().starts_with("%2f") => {
                    socket = Some(value);
                }
                name if PARAMETERS.contains(&name) => {}
                name => return Err(PostgresUrlError::Parameter { name: name.to_owned() }),
            }
        }
        let without_value = query.split('&').find(|part| !part.is_empty() && !part.contains('='));
        if let Some(name) = without_value {
            return Err(PostgresUrlError::Parameter { name: name.to_owned() });
        }
        let mut whole = text.to_owned();
        match mode {
            Some("verify-full" | "verify-ca" | "require" | "disable") => {}
            Some(mode) => return Err(PostgresUrlError::SslMode { mode: mode.to_owned() }),
            None => {
                whole.push(if query.is_empty() && !text.contains('?') { '?' } else { '&' });
                // A local socket has no TLS.
                whole += if socket.is_some() { "sslmode=disable" } else { "sslmode=verify-full" };
            }
        }
        let shown = format!("postgres://{}/{database}", socket.unwrap_or(host));
        Ok(Self { text: whole, shown })
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.shown)
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PostgresUrl({})", self.shown)
    }
}

/// sqlx ignores others, and writes their values into the log.
const PARAMETERS: &[&str] = &[
    "host",
    "port",
    "dbname",
    "user",
    "password",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "application_name",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_verified_unless_the_url_says_otherwise() {
        for (text, whole) in [
            ("postgres://u:p@db/l", "postgres://u:p@db/l?sslmode=verify-full"),
            ("postgres://u@db/l?sslmode=require", "postgres://u@db/l?sslmode=require"),
            ("postgres://db/l?user=u", "postgres://db/l?user=u&sslmode=verify-full"),
            ("postgres:///l?host=/run/postgresql", "postgres:///l?host=/run/postgresql&sslmode=disable"),
        ] {
            assert_eq!(text.parse::<PostgresUrl>().map(|url| url.text), Ok(whole.to_owned()));
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let url: PostgresUrl = "postgres://user:hunter2@db:5432/l?password=hunter3".parse().expect("good");
        assert_eq!(
            (url.to_string(), format!("{url:?}")),
            ("postgres://db:5432/l".into(), "PostgresUrl(postgres://db:5432/l)".into())
        );
    }

    #[test]
    fn what_would_be_ignored_is_refused() {
        for wrong in [
            "mysql://db/l",
            "db/l",
            "postgres://db",
            "postgres://db/l?sslmode=prefer",
            "postgres://db/l?sslmode=allow",
            "postgres://db/l?keepalives=1",
            "postgres://db/l?sslmode",
            // What is in front of the `/` would be the host, and the password would be shown.
            "postgres://csms:hunter/2@db/l",
            "postgres://csms:hunter/2?x@db/l",
            "postgres://db/l#?sslmode=verify-full",
        ] {
            let error = wrong.parse::<PostgresUrl>().expect_err(wrong);
            assert!(!error.to_string().contains("hunter"), "{error}");
        }
    }
}
