//! Why no certificate is issued.

use std::error::Error;

use certificates::{CertificateError, path::PathError};

use crate::{
    csr::name::SubjectError,
    issuing::certificate::plan::Lint,
    key::{
        error::{PublicKeyError, VerifyError},
        signer::SignError,
    },
    policy::{refused::Refused, server_name::ServerNameError},
    record::event::RecordError,
};

/// Why a certificate is not issued, although the request was accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// The issuer's certificate is not valid now.
    #[error("the issuer's certificate is not valid now: renew it")]
    IssuerNotValid,
    /// The clock was moved by more than the lifetime of the certificate, which would be invalid at
    /// one of the two times.
    #[error(
        "the clock was moved by more than the certificate would last: set the clock, or wait until it is trusted again"
    )]
    ClockInDoubt,
    /// The subject cannot be encoded.
    #[error("cannot encode the subject of the certificate")]
    Subject(#[source] SubjectError),
    /// The name cannot be that of a CSMS.
    #[error(transparent)]
    ServerName(#[from] ServerNameError),
    /// The public key is not on the allow-list.
    #[error("the public key is refused")]
    PublicKey(#[source] PublicKeyError),
    /// The encoder failed, which is a bug of this crate.
    #[error("cannot encode the certificate")]
    Encode(#[source] x509_cert::builder::Error),
    /// The encoded certificate differs from the plan, which is a bug of this crate. Nothing was
    /// signed.
    #[error("the certificate was not signed, because it differs from the plan")]
    Lint(#[source] Lint),
    /// There is no signature.
    #[error("cannot sign the certificate")]
    Sign(#[source] SignError),
    /// The token's signature does not verify. Nothing is returned.
    #[error("the token's signature over the certificate does not verify and is discarded")]
    OwnSignature(#[source] VerifyError),
    /// OCPP limits the length of the chain.
    #[error("the chain has {characters} characters; the station accepts at most {limit}")]
    ChainTooLong {
        /// The actual number.
        characters: usize,
        /// MaxCertificateChainSize, or the limit of CertificateSigned.
        limit: usize,
    },
    /// The issuer's certificate has no cRLSign.
    #[error("the issuer cannot sign revocation lists: its certificate needs the key usage cRLSign")]
    NoCrlSign,
    /// The issuer may not certify this subordinate authority.
    #[error(
        "the issuer's basicConstraints do not allow this subordinate authority: choose a smaller path length"
    )]
    PathLength,
    /// The request is refused after it was accepted.
    #[error("the request is refused")]
    Refused(#[source] Refused),
    /// No issuer of the hierarchy.
    #[error("there is no issuer for such certificates")]
    NoIssuer,
    /// The record could not be written. Nothing is signed or returned.
    #[error("cannot write the record, so nothing is issued")]
    Record(#[source] RecordError),
    /// The other authority issued no certificate, or a wrong one.
    #[error("the other authority did not issue the certificate")]
    External(#[source] ExternalError),
    /// The operating system provides no random bytes for a serial number.
    #[error("the operating system provides no random bytes")]
    Random,
}

/// Why there is no certificate from another authority, or why it is not sent to the station.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExternalError {
    /// The other authority did not answer or refused.
    #[error("it did not answer or refused")]
    Unanswered(#[source] Box<dyn Error + Send + Sync>),
    /// Not a chain of certificates.
    #[error("its answer is not a chain of certificates in PEM")]
    Malformed {
        /// What is wrong with it.
        #[source]
        source: CertificateError,
    },
    /// A certificate for another key.
    #[error("its certificate is for another key than the request's")]
    OtherKey,
    /// A certificate for another subject.
    #[error("its certificate has the subject \"{found}\"; it must be \"{expected}\"")]
    OtherSubject {
        /// The certified subject.
        found: String,
        /// The required subject.
        expected: String,
    },
    /// A certificate that the station must reject (A02.FR.06).
    #[error("its certificate is not valid now")]
    NotValidNow,
    /// A certificate with which the station could issue others.
    #[error("its certificate is that of an authority")]
    IsAuthority,
    /// The chain does not lead to a trusted root.
    #[error("its chain is broken at certificate {position}")]
    Chain {
        /// Counted from 1.
        position: usize,
    },
    /// The station or its CSMS would refuse it.
    #[error("its certificate cannot be used for what it was requested for")]
    Path {
        /// The rule that it breaks.
        #[source]
        source: PathError,
    },
}

impl ExternalError {
    /// Wraps the cause that the authority's protocol reports.
    pub fn unanswered(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unanswered(cause.into())
    }
}
