//! Why a chain is not taken into use.

use certificates::CertificateError;
use certificates::key_strength::WeakKey;
use certificates::path::PathError;
use certificates::signature::BadSignature;
use certificates::validity::OutsideValidity;

use crate::uses::{CertificateSigningUse, RootUse};

/// Why a chain in CertificateSigned is not taken into use. Positions count from the leaf, which is
/// 0.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainRefused {
    /// Longer than MaxCertificateChainSize (A02.FR.16).
    #[error("the chain has {characters} characters, at most {max} are allowed (A02.FR.16)")]
    TooLarge {
        /// Characters of the PEM text.
        characters: usize,
        /// The most that this station takes.
        max: usize,
    },
    /// Not a chain of PEM certificates.
    #[error("the chain cannot be read")]
    Certificate {
        /// What is wrong with it.
        #[source]
        source: CertificateError,
    },
    /// The leaf's key belongs to no pending CSR.
    #[error("the leaf's key is not that of a pending certificate signing request")]
    UnknownKey,
    /// No request with this requestId waits for a certificate (A02.FR.26).
    #[error("no certificate signing request has the requestId {request_id} (A02.FR.26)")]
    UnknownRequest {
        /// The number in CertificateSigned.
        request_id: i64,
    },
    /// The requestId belongs to another request than the leaf's key.
    #[error("the leaf's key was sent in another request than that with the requestId {request_id}")]
    OtherRequest {
        /// The number in CertificateSigned.
        request_id: i64,
    },
    /// certificateType differs from that of the CSR.
    #[error("the certificate was requested for another use than certificateType says")]
    OtherUse,
    /// A self-signed certificate in the chain.
    #[error("certificate {position} of the chain is a root; a chain ends below the root")]
    RootInChain {
        /// Where it stands.
        position: usize,
    },
    /// An issuer that is not a certification authority.
    #[error("certificate {position} of the chain is not that of a certification authority")]
    NotCa {
        /// Where it stands.
        position: usize,
    },
    /// The next certificate is not its issuer.
    #[error("certificate {position} of the chain is not followed by its issuer")]
    OutOfOrder {
        /// Where it stands.
        position: usize,
    },
    /// The next certificate's key did not sign it.
    #[error("certificate {position} of the chain was not signed by the one after it")]
    Signature {
        /// Where it stands.
        position: usize,
        /// What is wrong with the signature.
        #[source]
        source: BadSignature,
    },
    /// Not valid now (A02.FR.06).
    #[error("certificate {position} of the chain is not valid now")]
    Validity {
        /// Where it stands.
        position: usize,
        /// Which end of its validity.
        #[source]
        source: OutsideValidity,
    },
    /// No installed root issued the chain.
    #[error("the chain leads to no installed {}; install its root first", .use_.root_name())]
    UnknownIssuer {
        /// The hierarchy that was looked at.
        use_: RootUse,
    },
    /// More sub-CAs than the inventory can report.
    #[error("{children} sub-CAs stand in the chain, and the inventory has room for {MAX_CHILDREN}")]
    TooManyChildren {
        /// How many there are.
        children: usize,
    },
    /// A cross-signed certificate whose issuer is not installed, so that its hash data are unknown.
    #[error(
        "certificate {position} of the chain stands above an installed root, and its issuer is not installed"
    )]
    BeyondRoot {
        /// Where it stands.
        position: usize,
    },
    /// A rule of RFC 5280 is broken.
    #[error("the certification path is not valid")]
    Path {
        /// Which rule.
        #[source]
        source: PathError,
    },
    /// The root that issued the chain has expired.
    #[error("the root of the chain is not valid now")]
    RootValidity {
        /// Which end of its validity.
        #[source]
        source: OutsideValidity,
    },
    /// The leaf's CN is not what was asked for: the serial number (A00.FR.511), or the SeccId.
    #[error("the common name is not {expected}, as {} wants it", common_name_rule(*.use_))]
    CommonName {
        /// What was asked for.
        expected: String,
        /// What the certificate is for.
        use_: CertificateSigningUse,
    },
    /// The leaf's O is not what was asked for (A00.FR.509).
    #[error("the organization is not {expected} (A00.FR.509)")]
    Organization {
        /// What was asked for.
        expected: String,
    },
    /// The leaf's C is not what was asked for (`ISO15118Ctrlr.CountryName`).
    #[error("the country is not {expected}, as the request for this SECC wants it")]
    Country {
        /// What was asked for.
        expected: String,
    },
    /// The leaf of a V2GCertificate has not the DC by which vehicles know an SECC (ISO 15118-2,
    /// annex F).
    #[error("the domain component {expected} is missing, by which vehicles know an SECC (ISO 15118-2)")]
    DomainComponent {
        /// What it must be.
        expected: String,
    },
    /// A key that ISO 15118 does not use.
    #[error(
        "the key of a certificate for vehicles is one of ECDSA with 256 bits or more, or Ed448 (ISO 15118)"
    )]
    VehicleKey,
    /// Too weak a key.
    #[error("certificate {position} of the chain is too weak")]
    WeakKey {
        /// Where it stands.
        position: usize,
        /// How weak.
        #[source]
        source: WeakKey,
    },
}

impl ChainRefused {
    /// Whether the certificate itself is invalid, so that the security event
    /// `InvalidChargingStationCertificate` is due (A02.FR.07). It is not where the certificate was
    /// not looked at: too large a chain, an unknown requestId.
    pub fn is_invalid_certificate(&self) -> bool {
        !matches!(self, Self::TooLarge { .. } | Self::UnknownRequest { .. })
    }
}

fn common_name_rule(use_: CertificateSigningUse) -> &'static str {
    if use_.connects() { "A00.FR.511" } else { "the request for this SECC" }
}

/// `CertificateHashDataChainType.childCertificateHashData`.
pub(crate) const MAX_CHILDREN: usize = 4;
