//! The actions that the renewal requests, and the results that are passed back to it.

use super::series::Note;

/// The purpose of a certificate; each has a series of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// The connection to the CSMS: `ChargingStationCertificate`.
    Station,
    /// The connection and vehicles: `certificateType` left out.
    Combined,
    /// Vehicles, by ISO 15118-2: `V2GCertificate`. There is one for each SeccId, however many EVSEs
    /// share it.
    Vehicle {
        /// `ISO15118Ctrlr.SeccId`, the common name.
        secc_id: String,
    },
    /// Vehicles, by ISO 15118-20: `V2G20Certificate`, OCPP 2.1.
    Vehicle20 {
        /// `ISO15118Ctrlr.SeccId`, the common name.
        secc_id: String,
    },
}

impl Target {
    /// The SECC whose certificate it is.
    #[must_use]
    pub fn secc_id(&self) -> Option<&str> {
        match self {
            Self::Station | Self::Combined => None,
            Self::Vehicle { secc_id } | Self::Vehicle20 { secc_id } => Some(secc_id),
        }
    }
}

/// An action for the caller. `P` names a pending key in the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action<P> {
    /// Record that a key will be generated for this subject, then call `Renewal::handle_announced`
    /// or `Renewal::handle_not_announced`.
    Announce {
        /// The subject of the key.
        subject: Target,
    },
    /// Generate the key and its CSR, and store the CSR, then call `Renewal::handle_key`.
    MakeKey {
        /// The subject of the key.
        subject: Target,
        /// The pending key.
        pending: P,
    },
    /// Store `note`, send SignCertificate with the CSR, then call `Renewal::handle_answer`.
    Send {
        /// The subject of the CSR.
        subject: Target,
        /// The pending key of the CSR.
        pending: P,
        /// The data with which a restart continues from here.
        note: Note,
    },
    /// Store `note`. There is no result to pass back.
    Note {
        /// The pending key of the note.
        pending: P,
        /// The data for a restart.
        note: Note,
    },
    /// Drop this key: no certificate will be issued for it. There is no result to pass back.
    Drop {
        /// The pending key.
        pending: P,
    },
    /// Report that a series has ended. There is no result to pass back.
    Ended {
        /// The subject of the series.
        subject: Target,
        /// The reason for the end.
        end: End,
    },
}

/// The reason why a series ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum End {
    /// A certificate was accepted.
    Certificate,
    /// The CSMS rejected the CSR (A02.FR.12). For vehicles: turn `ISO15118Ctrlr.PnCEnabled` off
    /// (A02.FR.21).
    Rejected,
    /// This CSMS cannot be asked: its version has no such request, or the CSR is too long for it.
    /// The CSMS has not rejected anything.
    NotAskable,
    /// The certificate was invalid: nothing is sent again before a trigger (A02.FR.20).
    Invalid,
    /// All sends are used up (A02.FR.19). A late certificate is still accepted.
    Exhausted,
    /// The token cannot generate a key of an allowed kind.
    NoSuchKey,
    /// The token or the disk failed. If the series began for an expiry, the renewal is retried
    /// after a while.
    NoKey,
    /// A newer trigger began another series.
    Replaced,
}

/// The answer to SignCertificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignAnswer {
    /// The certificate will follow (A02.FR.11).
    Accepted,
    /// No certificate will follow (A02.FR.12); a CALLERROR means the same.
    Rejected,
    /// The request could not be sent to this CSMS.
    NotAskable,
    /// No answer came: the CSMS may or may not have accepted the request.
    None,
}

/// The result for a certificate in CertificateSigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignedVerdict {
    /// It was stored durably.
    Accepted,
    /// It was refused (A02.FR.07).
    Invalid,
}

/// A pending key as the store remembers it across a restart, the oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record<P> {
    /// Its name.
    pub pending: P,
    /// The subject of the key.
    pub subject: Target,
    /// `None`: the key is announced, and the token may or may not hold it. `Some` without a note:
    /// the CSR was never sent.
    pub csr: Option<Option<Note>>,
}
