//! Certificates that are generated at test time, around a fixed clock, and a station for them.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ocpp_types::v201::{
    CertificateHashDataType, CertificateSignedRequest, CertificateSignedResponse,
    CertificateSigningUseEnumType, DeleteCertificateRequest, DeleteCertificateResponse,
    GetCertificateIdUseEnumType, GetInstalledCertificateIdsRequest, GetInstalledCertificateIdsResponse,
    InstallCertificateRequest, InstallCertificateResponse, InstallCertificateStatusEnumType,
    InstallCertificateUseEnumType, StatusInfoType,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, DnValue, IsCa, KeyPair,
    KeyUsagePurpose, PublicKeyData, date_time_ymd,
};
use station_store::message::HashDataMessage as _;
use station_store::{
    CertificateSigningUse, HashAlgorithm, HashData, NewPending, PendingId, RootUse, Settings, SignedOutcome,
    Store,
};

pub(crate) type Authority = CertifiedIssuer<'static, KeyPair>;

/// The station's clock: within the validity of every certificate here, unless a test sets
/// another validity.
pub(crate) fn now() -> SystemTime {
    // 2030-06-15T00:00:00Z
    UNIX_EPOCH + Duration::from_secs(1_907_712_000)
}

pub(crate) const SERIAL_NUMBER: &str = "CS-0042";
pub(crate) const ORGANIZATION: &str = "Example CSO";

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, ORGANIZATION);
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2030, 1, 1);
    params.not_after = date_time_ymd(2031, 1, 1);
    params
}

pub(crate) fn ca_params(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

pub(crate) fn leaf_params() -> CertificateParams {
    let mut params = params(SERIAL_NUMBER);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params
}

/// The leaf of the SECC named `secc_id` for vehicles, by ISO 15118-2.
pub(crate) fn secc_params(secc_id: &str) -> CertificateParams {
    let mut params = params(secc_id);
    let domain_component = DnType::CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 25]);
    params.distinguished_name.push(domain_component, DnValue::Ia5String("CPO".try_into().expect("ASCII")));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyAgreement];
    params
}

pub(crate) fn key() -> KeyPair {
    KeyPair::generate().expect("P-256 key")
}

pub(crate) fn root(name: &str) -> Authority {
    root_of(ca_params(name))
}

pub(crate) fn root_of(params: CertificateParams) -> Authority {
    CertifiedIssuer::self_signed(params, key()).expect("root")
}

pub(crate) fn sub_ca(issuer: &Authority, name: &str) -> Authority {
    sub_ca_of(issuer, ca_params(name))
}

pub(crate) fn sub_ca_of(issuer: &Authority, params: CertificateParams) -> Authority {
    CertifiedIssuer::signed_by(params, key(), issuer).expect("sub-CA")
}

pub(crate) fn leaf(issuer: &Authority, key: &KeyPair, params: CertificateParams) -> String {
    params.signed_by(key, issuer).expect("leaf").pem()
}

/// A store in a directory of its own, and the messages of a CSMS to it.
pub(crate) struct Station {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) settings: Settings,
    pub(crate) store: Store,
}

impl Station {
    pub(crate) fn new() -> Self {
        Self::with(settings())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        let store = Store::open(directory.path().join("store.redb"), settings.clone()).expect("new store");
        Self { directory, settings, store }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("store.redb")
    }

    /// Closes the store and opens it again, like a restart.
    pub(crate) fn restart(self) -> Self {
        let Self { directory, settings, store } = self;
        drop(store);
        let store =
            Store::open(directory.path().join("store.redb"), settings.clone()).expect("store opens again");
        Self { directory, settings, store }
    }

    pub(crate) fn install(
        &self,
        use_: InstallCertificateUseEnumType,
        pem: &str,
    ) -> InstallCertificateResponse {
        install(&self.store, use_, pem)
    }

    #[track_caller]
    pub(crate) fn must_install(&self, use_: InstallCertificateUseEnumType, pem: &str) {
        let response = self.install(use_, pem);
        assert_eq!(response.status, InstallCertificateStatusEnumType::Accepted, "{response:?}");
    }

    pub(crate) fn list(&self, types: &[GetCertificateIdUseEnumType]) -> GetInstalledCertificateIdsResponse {
        let mut request = GetInstalledCertificateIdsRequest::new();
        request.certificate_type = types.to_vec().try_into().ok();
        self.store.installed_certificate_ids(&request)
    }

    /// The content of the inventory, without filter.
    pub(crate) fn all(&self) -> Vec<(GetCertificateIdUseEnumType, CertificateHashDataType)> {
        entries(&self.list(&[]))
    }

    /// The hash data of the roots that the inventory reports.
    pub(crate) fn all_roots(&self) -> Vec<CertificateHashDataType> {
        self.store.installed(&RootUse::ALL).into_iter().map(|(_, hash)| hash_data(hash)).collect()
    }

    /// The content of the inventory, each entry with its children, from a store that is set to
    /// `algorithm`.
    pub(crate) fn listed_with(self, algorithm: HashAlgorithm) -> (Self, Vec<Vec<CertificateHashDataType>>) {
        let settings = self.settings.clone();
        let mut station = Self { settings: settings.clone().hash_algorithm(algorithm), ..self }.restart();
        let listed = entries_with_children(&station.list(&[]));
        station.settings = settings;
        (station.restart(), listed)
    }

    pub(crate) fn delete(&self, hash: &CertificateHashDataType) -> DeleteCertificateResponse {
        self.store.delete(&DeleteCertificateRequest::new(hash.clone()))
    }

    /// Announces a key, and completes it with the public half of `key`.
    pub(crate) fn request(&self, name: &str, key: &KeyPair) -> PendingId {
        self.request_for(&new_pending(name), key)
    }

    pub(crate) fn request_for(&self, new: &NewPending, key: &KeyPair) -> PendingId {
        let id = self.store.begin_pending(new).expect("announced");
        self.store.complete_pending(id, &key.subject_public_key_info(), "a CSR").expect("completed");
        id
    }

    pub(crate) fn signed(&self, chain: &str) -> SignedOutcome<CertificateSignedResponse> {
        self.signed_as(chain, Some(CertificateSigningUseEnumType::ChargingStationCertificate))
    }

    pub(crate) fn signed_as(
        &self,
        chain: &str,
        type_: Option<CertificateSigningUseEnumType>,
    ) -> SignedOutcome<CertificateSignedResponse> {
        let mut request = CertificateSignedRequest::new(chain.try_into().expect("at most 10000 characters"));
        request.certificate_type = type_;
        self.store.certificate_signed(&request, now())
    }
}

pub(crate) fn install(
    store: &Store,
    use_: InstallCertificateUseEnumType,
    pem: &str,
) -> InstallCertificateResponse {
    let request = InstallCertificateRequest::new(use_, pem.try_into().expect("at most 5500 characters"));
    store.install(&request, now())
}

pub(crate) fn settings() -> Settings {
    Settings::new(SERIAL_NUMBER).organization(ORGANIZATION)
}

pub(crate) fn new_pending(name: &str) -> NewPending {
    NewPending::new(uri(name), CertificateSigningUse::ChargingStation)
}

pub(crate) fn v2g_pending(name: &str, secc_id: &str) -> NewPending {
    NewPending::new(uri(name), CertificateSigningUse::V2g).common_name(secc_id)
}

pub(crate) fn uri(name: &str) -> String {
    format!("pkcs11:token=station;object={name};type=private")
}

pub(crate) fn entries(
    response: &GetInstalledCertificateIdsResponse,
) -> Vec<(GetCertificateIdUseEnumType, CertificateHashDataType)> {
    response
        .certificate_hash_data_chain
        .iter()
        .flat_map(|chains| chains.iter())
        .map(|chain| {
            assert_eq!(chain.child_certificate_hash_data, None, "a root has no children");
            (chain.certificate_type, chain.certificate_hash_data.clone())
        })
        .collect()
}

fn entries_with_children(response: &GetInstalledCertificateIdsResponse) -> Vec<Vec<CertificateHashDataType>> {
    let chains = response.certificate_hash_data_chain.iter().flat_map(|chains| chains.iter());
    chains
        .map(|chain| {
            let children = chain.child_certificate_hash_data.iter().flat_map(|children| children.iter());
            std::iter::once(&chain.certificate_hash_data).chain(children).cloned().collect()
        })
        .collect()
}

pub(crate) fn hash_data(hash: HashData) -> CertificateHashDataType {
    CertificateHashDataType::of_hash_data(&hash)
}

pub(crate) fn reason(status_info: &Option<StatusInfoType>) -> &str {
    status_info.as_ref().map_or("", |info| info.reason_code.as_str())
}

pub(crate) fn detail(status_info: &Option<StatusInfoType>) -> &str {
    status_info.as_ref().and_then(|info| info.additional_info.as_ref()).map_or("", |text| text.as_str())
}
