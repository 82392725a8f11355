//! The CSMS's certificate messages, in whatever version of OCPP, and their answers.
//!
//! [`Store::install`], [`Store::installed_certificate_ids`], [`Store::delete`] and
//! [`Store::certificate_signed`] take the messages of every version: those of [`ocpp_types::v201`]
//! always, those of `v16` and `v21` with the features of these names. A firmware with message types
//! of its own implements the four traits for them.
//!
//! Nothing is decided here: outcomes of the store become responses, with reason codes from the
//! official list only.

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

/// InstallCertificate of some version of OCPP.
pub trait InstallMessage {
    /// The answer.
    type Response;
    /// `certificateType`
    fn root_use(&self) -> RootUse;
    /// `certificate`, PEM
    fn pem(&self) -> &str;
    /// The answer that says `answer`.
    fn response(answer: InstallAnswer) -> Self::Response;
}

/// GetInstalledCertificateIds of some version of OCPP.
pub trait InventoryMessage {
    /// The answer.
    type Response;
    /// Whether `certificateType` asks for these, or is left out.
    fn asks_for(&self, use_: ListedUse) -> bool;
    /// The answer that lists `entries`, which may be none.
    fn response(entries: Vec<Listed>) -> Self::Response;
}

/// DeleteCertificate of some version of OCPP.
pub trait DeleteMessage {
    /// What this version wants of a root that the connection relies on.
    const ROOT_IN_USE: RootInUse;
    /// The answer.
    type Response;
    /// `certificateHashData`
    ///
    /// # Errors
    /// [`HashDataError`] if it names no certificate.
    fn hash(&self) -> Result<HashData, HashDataError>;
    /// The answer that says `answer`.
    fn response(answer: DeleteAnswer) -> Self::Response;
}

/// `CertificateHashDataType` of some version of OCPP.
pub trait HashDataMessage: Sized {
    /// `HashAlgorithmEnumType`
    type Algorithm;
    /// The hash data as this version carries it.
    fn of_hash_data(hash: &HashData) -> Self;
    /// What it says.
    ///
    /// # Errors
    /// [`HashDataError`] if it names no certificate.
    fn hash_data(&self) -> Result<HashData, HashDataError>;
    /// The algorithm of this name.
    fn algorithm(name: Self::Algorithm) -> HashAlgorithm;
}

/// CertificateSigned of some version of OCPP.
pub trait SignedMessage {
    /// The answer.
    type Response;
    /// `certificateChain`, PEM, leaf first
    fn chain(&self) -> &str;
    /// `certificateType`, if it is not left out
    fn signing_use(&self) -> Option<CertificateSigningUse>;
    /// `requestId`, OCPP 2.1
    fn request_id(&self) -> Option<i64>;
    /// The answer; `refusal` says why it is `Rejected`.
    fn response(refusal: Option<Refusal>) -> Self::Response;
}

/// What InstallCertificate came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstallAnswer {
    /// Durable and listed (M05.FR.02).
    Accepted,
    /// The certificate is invalid or there is no room (M05.FR.06, .07).
    Rejected(Refusal),
    /// The disk failed (M05.FR.03).
    Failed(Refusal),
}

/// What DeleteCertificate came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeleteAnswer {
    /// Durably gone (M04.FR.02).
    Accepted,
    /// It stays (M04.FR.03, .06).
    Failed(Refusal),
    /// There is none (M04.FR.04).
    NotFound,
}

/// `statusInfo`
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// `reasonCode`, one of the official list.
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
    /// The certificate must be a root: one certificate, self-signed, of a certification authority,
    /// valid now within the permitted skew; with AdditionalRootCertificateCheck a CSMS root must be
    /// signed by the one before it instead. `Rejected` says that it is not, or that the store is
    /// full; `Failed` that the disk failed. Blocks on the disk.
    ///
    /// Where a CSMS root is refused as invalid, OCPP 1.6 wants the security event
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
    /// Reported are the root certificates, also those that have expired since they were installed,
    /// and the chains that vehicles see, leaf with sub-CAs. A certificate that serves the
    /// connection only is not: no version of OCPP has a type for it. Neither is what the version of
    /// the request has no type for (`OEMRootCertificate` before 2.1, all of ISO 15118 in 1.6).
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
    /// The hash may be by any of the three algorithms, in either case, with or without leading
    /// zeros. A certificate that is installed for several uses is deleted for all of them, because
    /// the request names none. Where the hash names the leaf of a V2G chain or a sub-CA in it, the
    /// whole chain goes, and [`Store::condemned_keys`] says which keys are to be destroyed in the
    /// token. A CSMS root that the current connection relies on is deleted too in OCPP 2.x (TC_M_20
    /// expects it) and refused in 1.6, unless
    /// [`Settings::root_in_use`](crate::Settings::root_in_use) says otherwise. The station's own
    /// certificate for the connection is never deleted (M04.FR.06). Blocks on the disk.
    pub fn delete<M: DeleteMessage>(&self, request: &M) -> M::Response {
        // Text that is no hash data names nothing (M04.FR.04).
        let Ok(hash) = request.hash() else { return M::response(DeleteAnswer::NotFound) };
        M::response(match self.delete_unless_in_use(&hash, M::ROOT_IN_USE) {
            // M04.FR.02
            Ok(_) => DeleteAnswer::Accepted,
            Err(error) => match &error {
                // M04.FR.04: the status says all.
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
    /// The leaf is recognised by its key among all that are pending. A chain for the connection
    /// must lead to an installed CSMSRootCertificate, one for vehicles to a V2GRootCertificate, one
    /// for both to both. The certificate that the station has connected with so far is kept until
    /// [`Store::confirm_own`]. A chain that was accepted before is accepted again as long as it is
    /// valid, for the CSMS may not have seen the first answer. Blocks on the disk.
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

/// What [`Store::certificate_signed`] comes to.
#[derive(Debug)]
#[non_exhaustive]
pub struct SignedOutcome<R> {
    /// The answer. It must have left before the station reconnects.
    pub response: R,
    /// The certificate that was taken in. One for the connection is to be connected with now
    /// (A02.FR.08); of one for vehicles the status is to be asked for ([`Store::ocsp_due`],
    /// M06.FR.07). `None` when it was refused, and when this very certificate is in use already.
    pub installed: Option<OwnCertificate>,
    /// Why the certificate is invalid: the security event `InvalidChargingStationCertificate` (1.6:
    /// `InvalidChargePointCertificate`) is due (A02.FR.07), and the same CSR is not sent again
    /// (A02.FR.20). `None` when the chain was not looked at or the store failed, for then nothing
    /// is wrong with the certificate.
    pub refused: Option<ChainRefused>,
}

/// Reason codes of OCPP 2.0.1, appendix v1.4, as far as this crate uses them; 2.1 has them all.
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

    /// With the error and its causes as additional information.
    fn because(self, error: &dyn Error) -> Refusal {
        Refusal { reason_code: self.as_str(), additional_info: causes(error).to_string() }
    }
}
