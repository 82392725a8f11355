//! Why a certificate does not lead to a trusted root, or may not be used.

use der::asn1::ObjectIdentifier;

use crate::signature::BadSignature;
use crate::validity::OutsideValidity;

/// Why a certificate does not lead to a trusted root, or may not be used. Positions count from the
/// leaf, which is 0; the root has the highest position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// No trusted root issued it, directly or through the certificates that came with it.
    #[error("the certificate leads to no trusted root")]
    UnknownIssuer,
    /// A certificate with the issuer's name has another key.
    #[error("certificate {position} of the path is not signed by the key of its issuer")]
    Signature {
        /// Its position.
        position: usize,
        /// What is wrong with it.
        #[source]
        source: BadSignature,
    },
    /// Not valid at the time of the check.
    #[error("certificate {position} of the path is not valid")]
    Validity {
        /// Its position.
        position: usize,
        /// The end of its validity that was missed.
        #[source]
        source: OutsideValidity,
    },
    /// The leaf is the certificate of a certification authority.
    #[error("the certificate is that of a certification authority")]
    LeafIsAuthority,
    /// keyUsage of the leaf is present without digitalSignature (A00.FR.512).
    #[error("the certificate's keyUsage lacks digitalSignature, which TLS needs (A00.FR.512)")]
    LeafKeyUsage,
    /// extendedKeyUsage is present and does not allow the purpose.
    #[error("extendedKeyUsage of certificate {position} of the path does not allow {needed}")]
    Purpose {
        /// Its position.
        position: usize,
        /// The missing purpose, such as `clientAuth`.
        needed: &'static str,
    },
    /// An unknown critical extension (RFC 5280, 4.2).
    #[error("certificate {position} of the path has the critical extension {extension}, which is not known")]
    CriticalExtension {
        /// Its position.
        position: usize,
        /// The extension.
        extension: ObjectIdentifier,
    },
    /// An extension that restricts the certificate cannot be read.
    #[error("the extension {extension} of certificate {position} of the path cannot be read")]
    BrokenExtension {
        /// Its position.
        position: usize,
        /// The extension.
        extension: ObjectIdentifier,
    },
    /// An issuer that may not issue certificates.
    #[error("certificate {position} of the path may not sign certificates (basicConstraints, keyUsage)")]
    NotAuthority {
        /// Its position.
        position: usize,
    },
    /// More sub-CAs than an issuer allows.
    #[error("more sub-CAs follow certificate {position} of the path than it allows (pathLenConstraint)")]
    PathLength {
        /// The position of the issuer.
        position: usize,
    },
    /// A name that an issuer does not allow.
    #[error(
        "a name of certificate {position} of the path is not allowed by its issuers (nameConstraints): {name}"
    )]
    NameConstraint {
        /// The position of the certificate with the name.
        position: usize,
        /// The name, escaped.
        name: String,
    },
    /// A name of a kind that an issuer constrains and that cannot be compared.
    #[error(
        "the issuers of certificate {position} of the path constrain a kind of name that cannot be compared"
    )]
    UnknownNameConstraint {
        /// The position of the certificate with the name.
        position: usize,
    },
    /// An issuer requires a policy, and no policy is valid for the whole path.
    #[error("no certificate policy holds for the whole path, and an issuer demands one (policyConstraints)")]
    Policy,
    /// The certificates would need too much work; a peer may have made them for that purpose.
    #[error("verifying the path takes too much work: it has too many certificates or names")]
    TooExpensive,
}
