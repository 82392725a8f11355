//! A list of revoked certificates in a file. A restored ledger is compared with it.

use std::path::PathBuf;

use certificates::{Certificate, CrlEntry, CrlError, CrlRefused, RevocationList, SerialNumber, UnixSeconds};
use signer_pkcs11::RevocationReason;

/// A list that an issuer of this service has signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListOnDisk {
    pub(crate) file: PathBuf,
    /// The issuer's subject key identifier, in hexadecimal.
    pub(crate) issuer_key_id: String,
    pub(crate) number: u64,
    pub(crate) revoked: Vec<Listed>,
}

/// A certificate on a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) serial: SerialNumber,
    pub(crate) at: UnixSeconds,
    pub(crate) reason: RevocationReason,
}

/// Why a file is not a list of this service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotOurList {
    #[error("it is not a list of revoked certificates")]
    Malformed(#[from] CrlError),
    #[error("it has no number")]
    NoNumber,
    #[error("no issuer of this service has signed it")]
    Issuer,
    #[error("its signature by the issuer of this service is not valid")]
    Refused(#[from] CrlRefused),
}

impl ListOnDisk {
    /// Reads a list in DER, and verifies its signature with the certificate of one of the issuers.
    pub(crate) fn read(file: PathBuf, der: &[u8], issuers: &[Certificate]) -> Result<Self, NotOurList> {
        let list = RevocationList::from_der(der)?;
        let key_id = list.authority_key_id().ok_or(NotOurList::Issuer)?;
        let has_id = |issuer: &&Certificate| issuer.subject_key_id() == Some(key_id);
        // One key may issue under two names.
        let mut verified = Err(NotOurList::Issuer);
        for issuer in issuers.iter().filter(has_id) {
            verified = verified.or_else(|_| Ok(list.verify_signature(issuer)?));
        }
        verified?;
        Ok(Self {
            file,
            issuer_key_id: hex::encode(key_id),
            number: list.number().ok_or(NotOurList::NoNumber)?,
            revoked: list.entries().iter().map(listed).collect(),
        })
    }
}

fn listed(entry: &CrlEntry) -> Listed {
    // RFC 5280, 5.3.1
    let reason = match entry.reason {
        1 => RevocationReason::KeyCompromise,
        3 => RevocationReason::AffiliationChanged,
        4 => RevocationReason::Superseded,
        5 => RevocationReason::CessationOfOperation,
        _ => RevocationReason::Unspecified,
    };
    Listed { serial: entry.serial_number, at: entry.at, reason }
}
