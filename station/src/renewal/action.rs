//! What the renewal asks for, and what is reported back to it.

use super::series::Note;

/// What a certificate is for; each has a series of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// The connection to the CSMS: `ChargingStationCertificate`.
    Station,
    /// The connection and vehicles: `certificateType` left out.
    Combined,
    /// Vehicles, by ISO 15118-2: `V2GCertificate`. One for each SeccId, however many EVSEs share
    /// it.
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

/// Something to be done. `P` names a pending key in the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action<P> {
    /// Write down that a key is to be made for this subject; then `Renewal::handle_announced`, or
    /// `Renewal::handle_not_announced`.
    Announce {
        /// For what.
        subject: Target,
    },
    /// Make the key and its CSR, and write the CSR down; then `Renewal::handle_key`.
    MakeKey {
        /// For what.
        subject: Target,
        /// Under which name.
        pending: P,
    },
    /// Write `note` down, then send SignCertificate with the CSR; then `Renewal::handle_answer`.
    Send {
        /// For what.
        subject: Target,
        /// Whose CSR.
        pending: P,
        /// What a restart needs to go on from here.
        note: Note,
    },
    /// Write `note` down. Nothing is to be reported.
    Note {
        /// Of which key.
        pending: P,
        /// What a restart needs.
        note: Note,
    },
    /// Give this key up: nothing will be signed for it. Nothing is to be reported.
    Drop {
        /// Which.
        pending: P,
    },
    /// Say that a series has ended. Nothing is to be reported.
    Ended {
        /// Of what.
        subject: Target,
        /// How.
        end: End,
    },
}

/// How a series ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum End {
    /// A certificate was accepted.
    Certificate,
    /// The CSMS rejected the CSR (A02.FR.12). For vehicles: turn `ISO15118Ctrlr.PnCEnabled` off
    /// (A02.FR.21).
    Rejected,
    /// This CSMS cannot be asked: its version has no such request, or the CSR is too long for it.
    /// The CSMS rejected nothing.
    NotAskable,
    /// The certificate was invalid: nothing is sent again before a trigger (A02.FR.20).
    Invalid,
    /// All sends are used up (A02.FR.19). A late certificate is accepted all the same.
    Exhausted,
    /// The token has no keys of a kind that is allowed.
    NoSuchKey,
    /// The token or the disk failed; tried again in a while where an expiry was the cause.
    NoKey,
    /// A newer trigger began another series.
    Replaced,
}

/// The answer to SignCertificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignAnswer {
    /// The certificate will follow (A02.FR.11).
    Accepted,
    /// It will not (A02.FR.12); a CALLERROR means the same.
    Rejected,
    /// The request could not be made of this CSMS.
    NotAskable,
    /// None came: it may have been accepted or not.
    None,
}

/// What became of a certificate in CertificateSigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignedVerdict {
    /// It is durable.
    Accepted,
    /// It was refused (A02.FR.07).
    Invalid,
}

/// A pending key as the store remembers it over a restart, the oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record<P> {
    /// Its name.
    pub pending: P,
    /// For what.
    pub subject: Target,
    /// `None`: announced, and the token may hold the key or not. `Some` without a note: the CSR was
    /// never sent.
    pub csr: Option<Option<Note>>,
}
