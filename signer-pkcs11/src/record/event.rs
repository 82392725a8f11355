//! The events in a record.

use std::{collections::BTreeMap, error::Error, str::FromStr};

use certificates::{KeyHash, SerialNumber, StationIdentity, UnixSeconds};
use serde::{Deserialize, Serialize};

/// An event: what an authority is about to do, or has done. Hashes and serial numbers are in
/// lower-case hexadecimal, times in seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum AuditEvent {
    /// A certificate is about to be signed.
    Signing(Intent),
    /// It was signed, and the signature verified.
    Signed {
        /// Number of the entry that announced it.
        entry: u64,
        /// SHA-256 over the certificate.
        certificate_sha256: String,
        /// SHA-256 over the PEM chain that is sent. Records of earlier versions do not contain it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        chain_sha256: Option<String>,
    },
    /// It was not signed.
    NotSigned {
        /// Number of the entry that announced it.
        entry: u64,
        /// The reason.
        reason: String,
    },
    /// A certificate was revoked.
    Revoked {
        /// The serial number.
        serial: SerialNumber,
        /// The time.
        at: UnixSeconds,
        /// The reason (RFC 5280 §5.3.1).
        reason: RevocationReason,
    },
    /// A revocation list is about to be signed.
    CrlSigning {
        /// The issuer's subject key identifier.
        issuer_key_id: String,
        /// CRL number.
        number: u64,
        /// How many certificates it lists.
        revoked: u64,
    },
    /// The record belongs to a ledger, from its first entry or, if an earlier version wrote the
    /// entries before, from this one.
    Ledger {
        /// Chosen at random when the ledger was created.
        id: String,
        /// The number of its certificates without an entry, which are older than the record.
        unrecorded: u64,
    },
    /// A station answered CertificateSigned.
    Answered {
        /// The certificate's serial number.
        serial: SerialNumber,
        /// Whether it accepted the certificate.
        accepted: bool,
    },
    /// The credentials that a station may use have changed.
    StationChanged {
        /// Its identity.
        station: StationIdentity,
        /// The change.
        change: StationChange,
    },
    /// An operator has added, changed or removed a station.
    StationEdited {
        /// Its identity.
        station: StationIdentity,
        /// Who changed it, such as `cli`.
        by: String,
        /// What was changed: `added`, `removed`, or the names of the changed fields.
        change: String,
    },
    /// An operator has imported stations.
    StationsImported {
        /// Who imported them, such as `cli`.
        by: String,
        /// The number of stations.
        count: u64,
        /// SHA-256 over the file, hexadecimal.
        file_sha256: String,
    },
    /// The ledger was replaced by an older one, and an operator accepted the loss. The entries
    /// before this one are those of the older ledger.
    Restored {
        /// The number of lost entries, as far as it is known.
        lost: u64,
        /// The hash of the last entry that is known to be lost; empty if none is known.
        lost_head: String,
        /// The highest known number of a revocation list, by the issuer's subject key identifier.
        /// The next list has a higher one.
        lists: BTreeMap<String, u64>,
        /// Whether passwords are accepted from stations for which the older ledger does not show
        /// the use of a certificate.
        keep_passwords: bool,
    },
    /// An operator has decided that passwords are accepted again after a restoration that lost
    /// entries.
    PasswordsAccepted,
    /// A step of a key ceremony.
    Ceremony {
        /// The step.
        step: String,
        /// The key's URI.
        key: String,
    },
}

/// A change of the credentials that a station may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum StationChange {
    /// It has used a certificate for the first time: its password is no longer accepted
    /// (A05.FR.07).
    CertificateUsed,
    /// It has another password (A01).
    PasswordChanged,
    /// An operator has released it: its password is accepted again.
    Released,
}

/// A certificate that is about to be signed: its receiver and its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Intent {
    /// The identity that the connection authenticated; `None` for the CSMS's own certificate.
    #[serde(with = "absent_as_empty")]
    pub station: Option<StationIdentity>,
    /// The subject.
    pub subject: String,
    /// `ChargingStationCertificate`, `V2GCertificate`, `V2G20Certificate`, `combined`, `server` or
    /// `authority`.
    pub profile: String,
    /// The certificate's serial number. `None` if another authority chooses it.
    #[serde(with = "absent_as_empty")]
    pub serial: Option<SerialNumber>,
    /// End of validity. `None` if another authority chooses it.
    #[serde(with = "absent_as_zero")]
    pub not_after: Option<UnixSeconds>,
    /// The key.
    pub spki_sha256: KeyHash,
    /// SHA-256 over the request; empty if there was none.
    pub csr_sha256: String,
    /// The issuer's subject key identifier. Empty for another authority.
    pub issuer_key_id: String,
}

/// Writes an absent text as an empty one, as records of all versions do.
mod absent_as_empty {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::IntoDeserializer as _};

    pub(super) fn serialize<T: Serialize, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => value.serialize(serializer),
            None => serializer.serialize_str(""),
        }
    }

    pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() { Ok(None) } else { T::deserialize(text.into_deserializer()).map(Some) }
    }
}

/// Writes an absent time as 0.
mod absent_as_zero {
    use certificates::UnixSeconds;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(
        time: &Option<UnixSeconds>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.unwrap_or_default().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<UnixSeconds>, D::Error> {
        let time = UnixSeconds::deserialize(deserializer)?;
        Ok(Some(time).filter(|time| *time != UnixSeconds::default()))
    }
}

/// Why a certificate was revoked (RFC 5280 §5.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RevocationReason {
    /// No reason is given.
    #[default]
    Unspecified,
    /// The private key is known to others.
    KeyCompromise,
    /// The station belongs to another operator now.
    AffiliationChanged,
    /// Another certificate has replaced it.
    Superseded,
    /// The station is out of service.
    CessationOfOperation,
}

/// The text names no reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is not a reason for a revocation: use one of unspecified, key-compromise, affiliation-changed, superseded or cessation-of-operation"
)]
pub struct UnknownRevocationReason(String);

/// An entry could not be written or read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read or write the record")]
pub struct RecordError(#[source] Box<dyn Error + Send + Sync>);

impl RecordError {
    /// Wraps the cause.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

impl RevocationReason {
    /// Every reason.
    pub const ALL: &[Self] = &[
        Self::Unspecified,
        Self::KeyCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
    ];

    /// The word in records and on command lines.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "key-compromise",
            Self::AffiliationChanged => "affiliation-changed",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation-of-operation",
        }
    }
}

impl FromStr for RevocationReason {
    type Err = UnknownRevocationReason;

    fn from_str(text: &str) -> Result<Self, UnknownRevocationReason> {
        let found = Self::ALL.iter().find(|reason| reason.as_str() == text);
        found.copied().ok_or_else(|| UnknownRevocationReason(text.to_owned()))
    }
}
