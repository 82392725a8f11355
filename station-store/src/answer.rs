//! The answers to the CSMS's certificate messages, OCPP 2.0.1.
//!
//! Nothing is decided here: outcomes of the store become responses, with reason codes from the official list only.

use std::error::Error;
use std::time::SystemTime;

use ocpp_types::BoundedString;
use ocpp_types::v201::{
    CertificateHashDataChainType, CertificateHashDataType, CertificateSignedRequest,
    CertificateSignedResponse, CertificateSignedStatusEnumType, CertificateSigningUseEnumType,
    DeleteCertificateRequest, DeleteCertificateResponse, DeleteCertificateStatusEnumType,
    GetCertificateIdUseEnumType, GetInstalledCertificateIdsRequest, GetInstalledCertificateIdsResponse,
    GetInstalledCertificateStatusEnumType, HashAlgorithmEnumType, InstallCertificateRequest,
    InstallCertificateResponse, InstallCertificateStatusEnumType, InstallCertificateUseEnumType,
    StatusInfoType,
};

use crate::catalog::RootUse;
use crate::chain::ChainRefused;
use crate::hash::{CertificateHash, HashAlgorithm};
use crate::pending::{CertificateSigningUse, OwnCertificate};
use crate::rules::RootRefused;
use crate::storage::StorageError;
use crate::store::{DeleteError, InstallError, Signed, SignedError, Store};

impl Store {
    /// Answers InstallCertificate (M05). Accepted means durable, listed, and deletable.
    ///
    /// The certificate must be a root: one certificate, self-signed, of a certification authority, valid now within the
    /// permitted skew. `Rejected` says that it is not, or that the store is full; `Failed` that the disk failed. Blocks on
    /// the disk.
    pub fn install(
        &self,
        request: &InstallCertificateRequest,
        now: SystemTime,
    ) -> InstallCertificateResponse {
        use InstallCertificateStatusEnumType::{Accepted, Failed, Rejected};
        let (status, code) = match self.provision_root(request.certificate_type, &request.certificate, now) {
            // M05.FR.02
            Ok(_) => return InstallCertificateResponse::new(Accepted),
            Err(error) => {
                let (status, code) = match &error {
                    // M05.FR.07
                    InstallError::Refused { source: RootRefused::TooLarge { .. } } => {
                        (Rejected, Reason::TooLargeElement)
                    }
                    InstallError::Refused { .. } => (Rejected, Reason::InvalidCertificate),
                    // M05.FR.06
                    InstallError::NoRoom { .. } => (Rejected, Reason::OutOfStorage),
                    // M05.FR.03
                    InstallError::Storage { source } => (Failed, Reason::of_storage(source)),
                };
                (status, code.because(&error))
            }
        };
        InstallCertificateResponse { status_info: Some(code), ..InstallCertificateResponse::new(status) }
    }

    /// Answers GetInstalledCertificateIds (M03) from memory.
    ///
    /// Reported are the root certificates, also those that have expired since they were installed. The station's own
    /// certificate is not: `GetCertificateIdUseEnumType` has no value for it.
    pub fn installed_certificate_ids(
        &self,
        request: &GetInstalledCertificateIdsRequest,
    ) -> GetInstalledCertificateIdsResponse {
        let uses: Vec<RootUse> = match &request.certificate_type {
            // Without a filter, every type.
            None => RootUse::ALL.to_vec(),
            Some(types) => types.iter().filter_map(|asked| root_use(*asked)).collect(),
        };
        let entries: Vec<_> = self
            .installed(&uses)
            .into_iter()
            // A root has no children; an empty list would break the schema.
            .map(|(use_, hash)| CertificateHashDataChainType::new(hash.into(), use_.into()))
            .collect();
        // The list has at least one item, or is left out (TC_M_19).
        match entries.try_into() {
            // M03.FR.03, .04
            Ok(chains) => GetInstalledCertificateIdsResponse {
                certificate_hash_data_chain: Some(chains),
                ..GetInstalledCertificateIdsResponse::new(GetInstalledCertificateStatusEnumType::Accepted)
            },
            // M03.FR.02
            Err(_) => GetInstalledCertificateIdsResponse {
                status_info: Some(Reason::NotFound.alone()),
                ..GetInstalledCertificateIdsResponse::new(GetInstalledCertificateStatusEnumType::NotFound)
            },
        }
    }

    /// Answers DeleteCertificate (M04). Accepted means that no crash brings the certificate back.
    ///
    /// The hash may be by any of the three algorithms, in either case, with or without leading zeros. A certificate that is
    /// installed for several uses is deleted for all of them, because the request names none. A root that the current
    /// connection relies on, or the last one, is deleted too (2.0.1 permits it, TC_M_20 expects it); the station's own
    /// certificate is not (M04.FR.06). Blocks on the disk.
    pub fn delete(&self, request: &DeleteCertificateRequest) -> DeleteCertificateResponse {
        use DeleteCertificateStatusEnumType::{Accepted, Failed, NotFound};
        let error = match self.delete_by_hash(&(&request.certificate_hash_data).into()) {
            // M04.FR.02
            Ok(_) => return DeleteCertificateResponse::new(Accepted),
            Err(error) => error,
        };
        let (status, status_info) = match &error {
            // M04.FR.04: the status says all.
            DeleteError::NotFound => (NotFound, None),
            // M04.FR.06, TC_M_23
            DeleteError::Own => (Failed, Some(Reason::UnsupportedRequest.because(&error))),
            // M04.FR.03
            DeleteError::Storage { source } => (Failed, Some(Reason::of_storage(source).because(&error))),
        };
        DeleteCertificateResponse { status_info, ..DeleteCertificateResponse::new(status) }
    }

    /// Answers CertificateSigned (A02.FR.06–08, .16). Accepted means that the chain is durable.
    ///
    /// The leaf is recognised by its key among all that are pending. Its chain must lead to an installed
    /// CSMSRootCertificate. The certificate that the station has used so far is kept until [`Store::confirm_own`]. A chain
    /// that was accepted before is accepted again as long as it is valid, for the CSMS may not have seen the first answer.
    /// Blocks on the disk.
    pub fn certificate_signed(&self, request: &CertificateSignedRequest, now: SystemTime) -> SignedOutcome {
        use CertificateSignedStatusEnumType::{Accepted, Rejected};
        let taken = match request.certificate_type {
            // Left out it means "the use that was asked for": the request may be matched by its key alone.
            None | Some(CertificateSigningUseEnumType::ChargingStationCertificate) => {
                self.take_signed(&request.certificate_chain, CertificateSigningUse::ChargingStation, now)
            }
            Some(CertificateSigningUseEnumType::V2GCertificate) => {
                Err(SignedError::Refused { source: ChainRefused::OtherUse })
            }
        };
        let error = match taken {
            Ok(signed) => {
                return SignedOutcome {
                    response: CertificateSignedResponse::new(Accepted),
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
            SignedError::Refused { source: ChainRefused::OtherUse } => Reason::InvalidValue,
            SignedError::Refused { .. } => Reason::InvalidCertificate,
            SignedError::NoRoom => Reason::OutOfStorage,
            SignedError::Storage { source } => Reason::of_storage(source),
        };
        let response = CertificateSignedResponse {
            status_info: Some(code.because(&error)),
            ..CertificateSignedResponse::new(Rejected)
        };
        let refused = match error {
            // Too large is refused unread: nothing is known of the certificate.
            SignedError::Refused { source: ChainRefused::TooLarge { .. } } => None,
            SignedError::Refused { source } => Some(source),
            SignedError::NoRoom | SignedError::Storage { .. } => None,
        };
        SignedOutcome { response, installed: None, refused }
    }
}

/// What [`Store::certificate_signed`] comes to.
#[derive(Debug)]
#[non_exhaustive]
pub struct SignedOutcome {
    /// The answer. It must have left before the station reconnects.
    pub response: CertificateSignedResponse,
    /// The certificate to connect with now (A02.FR.08). `None` when it was refused, and when the station has connected with
    /// this very certificate already.
    pub installed: Option<OwnCertificate>,
    /// Why the certificate is invalid: the security event `InvalidChargingStationCertificate` is due (A02.FR.07). `None`
    /// when the chain was too large to be read or the store failed, for then nothing is wrong with the certificate.
    pub refused: Option<ChainRefused>,
}

/// Reason codes of OCPP 2.0.1, appendix v1.4, as far as this crate uses them.
#[derive(Clone, Copy)]
enum Reason {
    InternalError,
    InvalidCertificate,
    InvalidValue,
    NotFound,
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
            Self::NotFound => "NotFound",
            Self::OutOfStorage => "OutOfStorage",
            Self::TooLargeElement => "TooLargeElement",
            Self::UnsupportedRequest => "UnsupportedRequest",
        }
    }

    fn alone(self) -> StatusInfoType {
        StatusInfoType::new(bounded(self.as_str()))
    }

    /// With the error and its causes as additional information.
    fn because(self, error: &dyn Error) -> StatusInfoType {
        StatusInfoType { additional_info: Some(bounded(&explain(error))), ..self.alone() }
    }
}

/// An error and its causes in one line.
fn explain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// The first `MAX` characters of a text.
fn bounded<const MAX: usize>(text: &str) -> BoundedString<MAX> {
    let short: String = text.chars().take(MAX).collect();
    BoundedString::try_from(short).expect("at most MAX characters were taken")
}

/// V2GCertificateChain has no root use: such chains are not installed by InstallCertificate.
fn root_use(asked: GetCertificateIdUseEnumType) -> Option<RootUse> {
    match asked {
        GetCertificateIdUseEnumType::CSMSRootCertificate => Some(RootUse::Csms),
        GetCertificateIdUseEnumType::ManufacturerRootCertificate => Some(RootUse::Manufacturer),
        GetCertificateIdUseEnumType::V2GRootCertificate => Some(RootUse::V2g),
        GetCertificateIdUseEnumType::MORootCertificate => Some(RootUse::MobilityOperator),
        GetCertificateIdUseEnumType::V2GCertificateChain => None,
    }
}

impl From<InstallCertificateUseEnumType> for RootUse {
    fn from(use_: InstallCertificateUseEnumType) -> Self {
        match use_ {
            InstallCertificateUseEnumType::CSMSRootCertificate => Self::Csms,
            InstallCertificateUseEnumType::ManufacturerRootCertificate => Self::Manufacturer,
            InstallCertificateUseEnumType::V2GRootCertificate => Self::V2g,
            InstallCertificateUseEnumType::MORootCertificate => Self::MobilityOperator,
        }
    }
}

impl From<RootUse> for GetCertificateIdUseEnumType {
    fn from(use_: RootUse) -> Self {
        match use_ {
            RootUse::Csms => Self::CSMSRootCertificate,
            RootUse::Manufacturer => Self::ManufacturerRootCertificate,
            RootUse::V2g => Self::V2GRootCertificate,
            RootUse::MobilityOperator => Self::MORootCertificate,
        }
    }
}

impl From<HashAlgorithmEnumType> for HashAlgorithm {
    fn from(algorithm: HashAlgorithmEnumType) -> Self {
        match algorithm {
            HashAlgorithmEnumType::SHA256 => Self::Sha256,
            HashAlgorithmEnumType::SHA384 => Self::Sha384,
            HashAlgorithmEnumType::SHA512 => Self::Sha512,
        }
    }
}

impl From<HashAlgorithm> for HashAlgorithmEnumType {
    fn from(algorithm: HashAlgorithm) -> Self {
        match algorithm {
            HashAlgorithm::Sha256 => Self::SHA256,
            HashAlgorithm::Sha384 => Self::SHA384,
            HashAlgorithm::Sha512 => Self::SHA512,
        }
    }
}

impl From<&CertificateHashDataType> for CertificateHash {
    fn from(data: &CertificateHashDataType) -> Self {
        Self {
            algorithm: data.hash_algorithm.into(),
            issuer_name_hash: data.issuer_name_hash.clone(),
            issuer_key_hash: data.issuer_key_hash.clone(),
            serial_number: data.serial_number.clone(),
        }
    }
}

impl From<CertificateHash> for CertificateHashDataType {
    fn from(hash: CertificateHash) -> Self {
        Self::new(hash.algorithm.into(), hash.issuer_name_hash, hash.issuer_key_hash, hash.serial_number)
    }
}
