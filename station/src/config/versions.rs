//! The versions of OCPP that a station offers.

use ocpp_types::Version;
use serde::Deserialize;

/// The versions of OCPP that the station offers to its CSMS, the preferred one first: at least one,
/// without duplicates. The CSMS chooses one of them by the subprotocol of the WebSocket.
///
/// In the file: `versions = ["2.1", "2.0.1", "1.6"]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Versions {
    preferred: Version,
    others: Vec<Version>,
}

/// Why a list of versions cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VersionsError {
    /// The list is empty.
    #[error("is empty; a station speaks 2.1, 2.0.1 or 1.6, or several of them")]
    Empty,
    /// An entry is not a version of OCPP.
    #[error("the station speaks 2.1, 2.0.1 and 1.6 only")]
    Unknown {
        /// The entry.
        name: String,
    },
    /// The list names a version twice.
    #[error("{version} stands twice")]
    Twice {
        /// The version.
        version: Version,
    },
}

impl Versions {
    /// The version that the station prefers.
    #[must_use]
    pub fn preferred(&self) -> Version {
        self.preferred
    }

    /// The other versions that it speaks, in the order in which it offers them.
    #[must_use]
    pub fn others(&self) -> &[Version] {
        &self.others
    }
}

impl Default for Versions {
    /// OCPP 2.0.1 alone.
    fn default() -> Self {
        Self { preferred: Version::V201, others: Vec::new() }
    }
}

impl TryFrom<Vec<String>> for Versions {
    type Error = VersionsError;

    fn try_from(names: Vec<String>) -> Result<Self, VersionsError> {
        let mut versions = Vec::new();
        for name in names {
            let version = match name.as_str() {
                "1.6" => Version::V16,
                "2.0.1" => Version::V201,
                "2.1" => Version::V21,
                _ => return Err(VersionsError::Unknown { name }),
            };
            if versions.contains(&version) {
                return Err(VersionsError::Twice { version });
            }
            versions.push(version);
        }
        let mut versions = versions.into_iter();
        let preferred = versions.next().ok_or(VersionsError::Empty)?;
        Ok(Self { preferred, others: versions.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_the_file_and_each_stands_once() {
        let read =
            |names: &[&str]| Versions::try_from(names.iter().map(ToString::to_string).collect::<Vec<_>>());
        let versions = read(&["2.1", "1.6", "2.0.1"]).expect("good");
        assert_eq!(versions.preferred(), Version::V21);
        assert_eq!(versions.others(), [Version::V16, Version::V201]);
        assert_eq!(read(&[]), Err(VersionsError::Empty));
        assert_eq!(read(&["2.1", "2.1"]), Err(VersionsError::Twice { version: Version::V21 }));
        assert!(matches!(read(&["2.0"]), Err(VersionsError::Unknown { name }) if name == "2.0"));
    }
}
