//! OCPP 1.6 with its security extension: a flat list, one type for each request, no reasons.

use certificates::{HashData, HashDataError};
use ocpp_types::v16::{
    CertificateHashDataType, CertificateSignedRequest, CertificateSignedResponse,
    CertificateSignedStatusEnumType, CertificateUseEnumType, DeleteCertificateRequest,
    DeleteCertificateResponse, DeleteCertificateStatusEnumType, GetInstalledCertificateIdsRequest,
    GetInstalledCertificateIdsResponse, GetInstalledCertificateStatusEnumType, HashAlgorithmEnumType,
    InstallCertificateRequest, InstallCertificateResponse, InstallCertificateStatusEnumType,
};

use crate::message::hash_data::hash_data_message;
use crate::message::{
    DeleteAnswer, DeleteMessage, HashDataMessage as _, InstallAnswer, InstallMessage, InventoryMessage,
    Listed, ListedUse, Refusal, SignedMessage,
};
use crate::settings::RootInUse;
use crate::uses::{CertificateSigningUse, RootUse};

hash_data_message!(CertificateHashDataType, HashAlgorithmEnumType);

impl From<CertificateUseEnumType> for RootUse {
    fn from(use_: CertificateUseEnumType) -> Self {
        match use_ {
            CertificateUseEnumType::CentralSystemRootCertificate => Self::Csms,
            CertificateUseEnumType::ManufacturerRootCertificate => Self::Manufacturer,
        }
    }
}

impl InstallMessage for InstallCertificateRequest {
    type Response = InstallCertificateResponse;

    fn root_use(&self) -> RootUse {
        self.certificate_type.into()
    }

    fn pem(&self) -> &str {
        &self.certificate
    }

    fn response(answer: InstallAnswer) -> InstallCertificateResponse {
        InstallCertificateResponse::new(match answer {
            InstallAnswer::Accepted => InstallCertificateStatusEnumType::Accepted,
            InstallAnswer::Rejected(_) => InstallCertificateStatusEnumType::Rejected,
            InstallAnswer::Failed(_) => InstallCertificateStatusEnumType::Failed,
        })
    }
}

impl InventoryMessage for GetInstalledCertificateIdsRequest {
    type Response = GetInstalledCertificateIdsResponse;

    fn asks_for(&self, use_: ListedUse) -> bool {
        use_ == ListedUse::Root(self.certificate_type.into())
    }

    fn response(entries: Vec<Listed>) -> GetInstalledCertificateIdsResponse {
        let entries: Vec<CertificateHashDataType> =
            entries.iter().map(|entry| CertificateHashDataType::of_hash_data(&entry.hash)).collect();
        // The list has at least one item, or is left out.
        match entries.try_into() {
            Ok(entries) => GetInstalledCertificateIdsResponse {
                certificate_hash_data: Some(entries),
                ..GetInstalledCertificateIdsResponse::new(GetInstalledCertificateStatusEnumType::Accepted)
            },
            Err(_) => {
                GetInstalledCertificateIdsResponse::new(GetInstalledCertificateStatusEnumType::NotFound)
            }
        }
    }
}

impl DeleteMessage for DeleteCertificateRequest {
    // M04.FR.06 of the whitepaper.
    const ROOT_IN_USE: RootInUse = RootInUse::Keep;
    type Response = DeleteCertificateResponse;

    fn hash(&self) -> Result<HashData, HashDataError> {
        self.certificate_hash_data.hash_data()
    }

    fn response(answer: DeleteAnswer) -> DeleteCertificateResponse {
        DeleteCertificateResponse::new(match answer {
            DeleteAnswer::Accepted => DeleteCertificateStatusEnumType::Accepted,
            DeleteAnswer::Failed(_) => DeleteCertificateStatusEnumType::Failed,
            DeleteAnswer::NotFound => DeleteCertificateStatusEnumType::NotFound,
        })
    }
}

impl SignedMessage for CertificateSignedRequest {
    type Response = CertificateSignedResponse;

    fn chain(&self) -> &str {
        &self.certificate_chain
    }

    /// 1.6 has certificates for the connection only.
    fn signing_use(&self) -> Option<CertificateSigningUse> {
        Some(CertificateSigningUse::ChargingStation)
    }

    fn request_id(&self) -> Option<i64> {
        None
    }

    fn response(refusal: Option<Refusal>) -> CertificateSignedResponse {
        CertificateSignedResponse::new(match refusal {
            None => CertificateSignedStatusEnumType::Accepted,
            Some(_) => CertificateSignedStatusEnumType::Rejected,
        })
    }
}
