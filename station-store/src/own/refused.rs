//! Why a chain is not accepted.

use certificates::CertificateError;
use certificates::key_strength::WeakKey;
use certificates::path::PathError;
use certificates::signature::BadSignature;
use certificates::validity::OutsideValidity;

use crate::uses::{CertificateSigningUse, RootUse};

/// Why a chain in CertificateSigned is not accepted. Positions count from the leaf, which is 0.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainRefused {
    /// The chain is longer than MaxCertificateChainSize (A02.FR.16).
    #[error("the chain has {characters} characters, at most {max} are allowed (A02.FR.16)")]
    TooLarge {
        /// Characters of the PEM text.
        characters: usize,
        /// The maximum of this station.
        max: usize,
    },
    /// The text is not a chain of PEM certificates.
    #[error("the chain cannot be read")]
    Certificate {
        /// The fault of the text.
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
    #[error("the certificate was requested for another use than the one in certificateType")]
    OtherUse,
    /// There is a self-signed certificate in the chain.
    #[error("certificate {position} of the chain is a root; a chain ends below the root")]
    RootInChain {
        /// Its position.
        position: usize,
    },
    /// An issuer is not a certification authority.
    #[error("certificate {position} of the chain is not that of a certification authority")]
    NotCa {
        /// Its position.
        position: usize,
    },
    /// The next certificate is not the issuer.
    #[error("certificate {position} of the chain is not followed by its issuer")]
    OutOfOrder {
        /// The position of the certificate.
        position: usize,
    },
    /// The next certificate's key did not sign the certificate.
    #[error("certificate {position} of the chain was not signed by the one after it")]
    Signature {
        /// The position of the certificate.
        position: usize,
        /// The fault of the signature.
        #[source]
        source: BadSignature,
    },
    /// A certificate is not valid now (A02.FR.06).
    #[error("certificate {position} of the chain is not valid now")]
    Validity {
        /// Its position.
        position: usize,
        /// The end of its validity that is violated.
        #[source]
        source: OutsideValidity,
    },
    /// No installed root issued the chain.
    #[error("the chain leads to no installed {}; install its root first", .use_.root_name())]
    UnknownIssuer {
        /// The hierarchy that was searched.
        use_: RootUse,
    },
    /// The chain has more sub-CAs than the inventory can report.
    #[error("the chain has {children} sub-CAs, but the inventory has room for {MAX_CHILDREN}")]
    TooManyChildren {
        /// How many there are.
        children: usize,
    },
    /// The chain contains a cross-signed certificate whose issuer is not installed, so that its
    /// hash data are unknown.
    #[error(
        "certificate {position} of the chain is above an installed root, and its issuer is not installed"
    )]
    BeyondRoot {
        /// Its position.
        position: usize,
    },
    /// The chain violates a rule of RFC 5280.
    #[error("the certification path is not valid")]
    Path {
        /// The rule.
        #[source]
        source: PathError,
    },
    /// The root that issued the chain has expired.
    #[error("the root of the chain is not valid now")]
    RootValidity {
        /// The end of its validity that is violated.
        #[source]
        source: OutsideValidity,
    },
    /// The leaf's CN is not the requested one: the serial number (A00.FR.511), or the SeccId.
    #[error("the common name is not {expected}, as required by {}", common_name_rule(*.use_))]
    CommonName {
        /// The requested name.
        expected: String,
        /// The use of the certificate.
        use_: CertificateSigningUse,
    },
    /// The leaf's O is not the requested one (A00.FR.509).
    #[error("the organization is not {expected} (A00.FR.509)")]
    Organization {
        /// The requested name.
        expected: String,
    },
    /// The leaf's C is not the requested one (`ISO15118Ctrlr.CountryName`).
    #[error("the country is not {expected}, as required by the request for this SECC")]
    Country {
        /// The requested country.
        expected: String,
    },
    /// The leaf of a V2GCertificate lacks the DC by which vehicles recognize an SECC (ISO 15118-2,
    /// annex F).
    #[error("the domain component {expected} is missing, by which vehicles recognize an SECC (ISO 15118-2)")]
    DomainComponent {
        /// The required DC.
        expected: String,
    },
    /// The key is of a kind that ISO 15118 does not use.
    #[error(
        "the key of a certificate for vehicles is one of ECDSA with 256 bits or more, or Ed448 (ISO 15118)"
    )]
    VehicleKey,
    /// A key is too weak.
    #[error("certificate {position} of the chain is too weak")]
    WeakKey {
        /// The position of its certificate.
        position: usize,
        /// The weakness.
        #[source]
        source: WeakKey,
    },
}

impl ChainRefused {
    /// Whether the certificate itself is invalid, so that the security event
    /// `InvalidChargingStationCertificate` is due (A02.FR.07). False if the certificate was not
    /// checked: the chain was too large, or its requestId was unknown.
    pub fn is_invalid_certificate(&self) -> bool {
        !matches!(self, Self::TooLarge { .. } | Self::UnknownRequest { .. })
    }
}

fn common_name_rule(use_: CertificateSigningUse) -> &'static str {
    if use_.connects() { "A00.FR.511" } else { "the request for this SECC" }
}

/// `CertificateHashDataChainType.childCertificateHashData`.
pub(crate) const MAX_CHILDREN: usize = 4;
