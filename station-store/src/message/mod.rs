//! The CSMS's certificate messages in every version of OCPP, and their answers.
//!
//! [`Store::install`], [`Store::installed_certificate_ids`], [`Store::delete`] and
//! [`Store::certificate_signed`] accept the messages of every version: those of
//! [`ocpp_types::v201`] always, those of `v16` and `v21` with the features of these names. A
//! firmware with message types of its own implements the four traits for them.
//!
//! This module decides nothing. It converts outcomes of the store into responses, with reason codes
//! from the official list only.

mod hash_data;
#[cfg(feature = "v16")]
mod v16;
mod v2;
mod v201;
#[cfg(feature = "v21")]
mod v21;

use std::error::Error;
use std::time::SystemTime;

use certificates::{HashAlgorithm, HashData, HashDataError};

use program::causes;

use crate::outcome::{DeleteError, InstallError, Signed, SignedError};
use crate::own::certificate::OwnCertificate;
use crate::own::refused::ChainRefused;
use crate::pending::matching::Answered;
use crate::roots::rules::RootRefused;
use crate::settings::RootInUse;
use crate::storage::StorageError;
use crate::store::Store;
use crate::uses::{CertificateSigningUse, RootUse};

/// InstallCertificate of one version of OCPP.
pub trait InstallMessage {
    /// The answer.
    type Response;
    /// `certificateType`
    fn root_use(&self) -> RootUse;
    /// `certificate`, PEM
    fn pem(&self) -> &str;
    /// Converts `answer` into the response.
    fn response(answer: InstallAnswer) -> Self::Response;
}

/// GetInstalledCertificateIds of one version of OCPP.
pub trait InventoryMessage {
    /// The answer.
    type Response;
    /// Whether `certificateType` selects `use_`, or is left out.
    fn asks_for(&self, use_: ListedUse) -> bool;
    /// The response that lists `entries`, which may be empty.
    fn response(entries: Vec<Listed>) -> Self::Response;
}

/// DeleteCertificate of one version of OCPP.
pub trait DeleteMessage {
    /// The rule of this version for a root on which the connection relies.
    const ROOT_IN_USE: RootInUse;
    /// The answer.
    type Response;
    /// `certificateHashData`
    ///
    /// # Errors
    /// [`HashDataError`] if it names no certificate.
    fn hash(&self) -> Result<HashData, HashDataError>;
    /// Converts `answer` into the response.
    fn response(answer: DeleteAnswer) -> Self::Response;
}

/// `CertificateHashDataType` of one version of OCPP.
pub trait HashDataMessage: Sized {
    /// `HashAlgorithmEnumType`
    type Algorithm;
    /// The hash data in the type of this version.
    fn of_hash_data(hash: &HashData) -> Self;
    /// The content as hash data.
    ///
    /// # Errors
    /// [`HashDataError`] if it names no certificate.
    fn hash_data(&self) -> Result<HashData, HashDataError>;
    /// The algorithm with this name.
    fn algorithm(name: Self::Algorithm) -> HashAlgorithm;
}

/// CertificateSigned of one version of OCPP.
pub trait SignedMessage {
    /// The answer.
    type Response;
    /// `certificateChain`, PEM, leaf first
    fn chain(&self) -> &str;
    /// `certificateType`, if it is present
    fn signing_use(&self) -> Option<CertificateSigningUse>;
    /// `requestId`, OCPP 2.1
    fn request_id(&self) -> Option<i64>;
    /// The response. `refusal` is the reason if it is `Rejected`.
    fn response(refusal: Option<Refusal>) -> Self::Response;
}

/// The outcome of InstallCertificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstallAnswer {
    /// Durable and listed (M05.FR.02).
    Accepted,
    /// The certificate is invalid or there is no room (M05.FR.06, .07).
    Rejected(Refusal),
    /// The disk failed (M05.FR.03).
    Failed(Refusal),
}

/// The outcome of DeleteCertificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeleteAnswer {
    /// The certificate is durably deleted (M04.FR.02).
    Accepted,
    /// The certificate stays (M04.FR.03, .06).
    Failed(Refusal),
    /// There is no such certificate (M04.FR.04).
    NotFound,
}

/// `statusInfo`
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// `reasonCode`, from the official list.
    pub reason_code: &'static str,
    /// `additionalInfo`: the error and its causes. It may be longer than the field.
    pub additional_info: String,
}

/// The types of the inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ListedUse {
    /// A root certificate.
    Root(RootUse),
    /// A certificate for vehicles with its sub-CAs: `V2GCertificateChain`.
    V2gChain,
}

/// An entry of the inventory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listed {
    /// Its type.
    pub use_: ListedUse,
    /// The root, or the leaf of the chain.
    pub hash: HashData,
    /// The sub-CAs of the chain, nearest to the leaf first, without the root; at most four.
    pub children: Vec<HashData>,
}

impl Store {
    /// Answers InstallCertificate (M05). Accepted means durable, listed, and deletable.
    ///
    /// The certificate must be a root: one self-signed certificate of a certification authority
    /// that is valid now within the permitted skew. With AdditionalRootCertificateCheck, the
    /// present CSMS root must have signed a new CSMS root instead. `Rejected` means that the
    /// certificate is not such a root, or that the store is full; `Failed` means that the disk
    /// failed. Blocks on the disk.
    ///
    /// If a CSMS root is refused as invalid, OCPP 1.6 requires the security event
    /// InvalidCentralSystemCertificate (TC_078).
    pub fn install<M: InstallMessage>(&self, request: &M, now: SystemTime) -> M::Response {
        M::response(match self.provision_root(request.root_use(), request.pem(), now) {
            // M05.FR.02
            Ok(_) => InstallAnswer::Accepted,
            Err(error) => match &error {
                // M05.FR.07
                InstallError::Refused { source: RootRefused::TooLarge { .. } } => {
                    InstallAnswer::Rejected(Reason::TooLargeElement.because(&error))
                }
                InstallError::Refused { .. } => {
                    InstallAnswer::Rejected(Reason::InvalidCertificate.because(&error))
                }
                // M05.FR.06
                InstallError::NoRoom { .. } => InstallAnswer::Rejected(Reason::OutOfStorage.because(&error)),
                // M05.FR.03
                InstallError::Storage { source } => {
                    InstallAnswer::Failed(Reason::of_storage(source).because(&error))
                }
            },
        })
    }

    /// Answers GetInstalledCertificateIds (M03) from memory.
    ///
    /// The answer lists the root certificates, including those that have expired since they were
    /// installed, and the chains for vehicles, leaf with sub-CAs. It does not list a certificate
    /// that serves the connection only: no version of OCPP has a type for it. Nor does it list a
    /// certificate for which the version of the request has no type (`OEMRootCertificate` before
    /// 2.1, all of ISO 15118 in 1.6).
    pub fn installed_certificate_ids<M: InventoryMessage>(&self, request: &M) -> M::Response {
        let uses: Vec<RootUse> =
            RootUse::ALL.into_iter().filter(|use_| request.asks_for(ListedUse::Root(*use_))).collect();
        // M03.FR.04
        let roots = self.installed(&uses).into_iter().map(|(use_, hash)| Listed {
            use_: ListedUse::Root(use_),
            hash,
            children: Vec::new(),
        });
        let mut entries: Vec<Listed> = roots.collect();
        if request.asks_for(ListedUse::V2gChain) {
            // M03.FR.05
            entries.extend(self.installed_chains().into_iter().filter_map(|mut chain| {
                let children = chain.split_off(1);
                let hash = chain.pop()?;
                Some(Listed { use_: ListedUse::V2gChain, hash, children })
            }));
        }
        M::response(entries)
    }

    /// Answers DeleteCertificate (M04). Accepted means that the certificate is gone across any
    /// crash.
    ///
    /// The hash may use any of the three algorithms, in either case, with or without leading zeros.
    /// A certificate that is installed for several uses is deleted for all of them, because the
    /// request does not name a use. If the hash names the leaf of a V2G chain or a sub-CA in it,
    /// the whole chain is deleted, and [`Store::condemned_keys`] names the keys to destroy in the
    /// token. A CSMS root on which the current connection relies is also deleted in OCPP 2.x
    /// (TC_M_20 expects it), and refused in 1.6, unless
    /// [`Settings::root_in_use`](crate::Settings::root_in_use) specifies otherwise. The station's
    /// own certificate for the connection is never deleted (M04.FR.06). Blocks on the disk.
    pub fn delete<M: DeleteMessage>(&self, request: &M) -> M::Response {
        // Text that is not hash data names no certificate (M04.FR.04).
        let Ok(hash) = request.hash() else { return M::response(DeleteAnswer::NotFound) };
        M::response(match self.delete_unless_in_use(&hash, M::ROOT_IN_USE) {
            // M04.FR.02
            Ok(_) => DeleteAnswer::Accepted,
            Err(error) => match &error {
                // M04.FR.04: the status is sufficient.
                DeleteError::NotFound => DeleteAnswer::NotFound,
                // M04.FR.06, TC_M_23
                DeleteError::Own | DeleteError::InUse | DeleteError::LastCsmsRoot => {
                    DeleteAnswer::Failed(Reason::UnsupportedRequest.because(&error))
                }
                // M04.FR.03
                DeleteError::Storage { source } => {
                    DeleteAnswer::Failed(Reason::of_storage(source).because(&error))
                }
            },
        })
    }

    /// Answers CertificateSigned (A02.FR.06–08, .16, .26). Accepted means that the chain is
    /// durable.
    ///
    /// The leaf is matched by its key with all pending keys. A chain for the connection must lead
    /// to an installed CSMSRootCertificate, a chain for vehicles to a V2GRootCertificate, a chain
    /// for both uses to both. The certificate with which the station has connected so far is kept
    /// until [`Store::confirm_own`]. A chain that was accepted before is accepted again as long as
    /// it is valid, because the CSMS may not have received the first answer. Blocks on the disk.
    pub fn certificate_signed<M: SignedMessage>(
        &self,
        request: &M,
        now: SystemTime,
    ) -> SignedOutcome<M::Response> {
        let answered = Answered { use_: request.signing_use(), request_id: request.request_id() };
        let error = match self.take_signed(request.chain(), answered, now) {
            Ok(signed) => {
                return SignedOutcome {
                    response: M::response(None),
                    installed: match signed {
                        Signed::Renewed(own) => Some(OwnCertificate::from(&own)),
                        Signed::AlreadyInUse => None,
                    },
                    refused: None,
                };
            }
            Err(error) => error,
        };
        let code = match &error {
            // A02.FR.16
            SignedError::Refused { source: ChainRefused::TooLarge { .. } } => Reason::TooLargeElement,
            // A02.FR.26
            SignedError::Refused {
                source:
                    ChainRefused::OtherUse
                    | ChainRefused::UnknownRequest { .. }
                    | ChainRefused::OtherRequest { .. },
            } => Reason::InvalidValue,
            SignedError::Refused { .. } => Reason::InvalidCertificate,
            SignedError::NoRoom => Reason::OutOfStorage,
            SignedError::Storage { source } => Reason::of_storage(source),
        };
        let response = M::response(Some(code.because(&error)));
        let refused = match error {
            SignedError::Refused { source } if source.is_invalid_certificate() => Some(source),
            SignedError::Refused { .. } | SignedError::NoRoom | SignedError::Storage { .. } => None,
        };
        SignedOutcome { response, installed: None, refused }
    }
}

/// The outcome of [`Store::certificate_signed`].
#[derive(Debug)]
#[non_exhaustive]
pub struct SignedOutcome<R> {
    /// The answer. Send it before the station reconnects.
    pub response: R,
    /// The certificate that was accepted. The station must now connect with a certificate for the
    /// connection (A02.FR.08), and request the status of a certificate for vehicles
    /// ([`Store::ocsp_due`], M06.FR.07). `None` if the certificate was refused, or if it is already
    /// in use.
    pub installed: Option<OwnCertificate>,
    /// Why the certificate is invalid: the security event `InvalidChargingStationCertificate` (1.6:
    /// `InvalidChargePointCertificate`) is due (A02.FR.07), and the same CSR is not sent again
    /// (A02.FR.20). `None` if the chain was not checked or the store failed, because the
    /// certificate is not at fault then.
    pub refused: Option<ChainRefused>,
}

/// The reason codes of OCPP 2.0.1, appendix v1.4, that this crate uses; 2.1 has all of them.
#[derive(Clone, Copy)]
enum Reason {
    InternalError,
    InvalidCertificate,
    InvalidValue,
    OutOfStorage,
    TooLargeElement,
    UnsupportedRequest,
}

impl Reason {
    fn of_storage(error: &StorageError) -> Self {
        match error {
            StorageError::Full { .. } => Self::OutOfStorage,
            _ => Self::InternalError,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::InternalError => "InternalError",
            Self::InvalidCertificate => "InvalidCertificate",
            Self::InvalidValue => "InvalidValue",
            Self::OutOfStorage => "OutOfStorage",
            Self::TooLargeElement => "TooLargeElement",
            Self::UnsupportedRequest => "UnsupportedRequest",
        }
    }

    /// Adds the error and its causes as additional information.
    fn because(self, error: &dyn Error) -> Refusal {
        Refusal { reason_code: self.as_str(), additional_info: causes(error).to_string() }
    }
}
