//! The store.

use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail, ensure};
use ocpp_types::v201::{
    CertificateHashDataType, CertificateSignedRequest, DeleteCertificateRequest, DeleteCertificateStatusEnumType,
    GetInstalledCertificateIdsRequest, InstallCertificateRequest, InstallCertificateStatusEnumType,
    InstallCertificateUseEnumType,
};
use rcgen::PublicKeyData as _;
use station_store::{
    Certificate, CertificateId, CertificateSigningUse, HashAlgorithm, NewPending, RootUse, Settings, Store,
    message::HashDataMessage as _,
};

use crate::pki::{CHAINS, Pki};

pub(crate) fn open(path: &Path) -> Result<Store> {
    Ok(Store::open(path, Settings::new("CS-1").max_entries(200))?)
}

/// A store with 30 chains.
pub(crate) fn filled(path: &Path, pki: &Pki) -> Result<Store> {
    let store = open(path)?;
    store.provision_root(RootUse::V2g, &pki.root.pem(), SystemTime::now())?;
    for chain in &pki.chains {
        let uri = format!("pkcs11:object={}", chain.secc_id);
        let new = NewPending::new(uri, CertificateSigningUse::V2g).common_name(&chain.secc_id);
        let id = store.begin_pending(&new)?;
        store.complete_pending(id, &chain.key.subject_public_key_info(), "a CSR")?;
        let pem = format!("{}{}{}", chain.leaf, pki.sub_2.pem(), pki.sub_1.pem());
        let outcome =
            store.certificate_signed(&CertificateSignedRequest::new(pem.try_into()?), SystemTime::now());
        if outcome.installed.is_none() {
            bail!("a chain was refused: {:?}", outcome.response);
        }
    }
    Ok(store)
}

/// 30 chains of three certificates and 110 roots.
pub(crate) fn with_200_certificates(path: &Path, pki: &Pki) -> Result<Store> {
    let store = filled(path, pki)?;
    for root in &pki.roots[1..] {
        store.provision_root(RootUse::MobilityOperator, &root.pem(), SystemTime::now())?;
    }
    ensure!(store.entries() + 3 * CHAINS == 200, "not 200 certificates");
    Ok(store)
}

pub(crate) fn install(store: &Store, pki: &Pki) -> Result<()> {
    let use_ = InstallCertificateUseEnumType::CSMSRootCertificate;
    let request = InstallCertificateRequest::new(use_, pki.other.pem().try_into()?);
    let response = store.install(&request, SystemTime::now());
    ensure!(response.status == InstallCertificateStatusEnumType::Accepted, "{response:?}");
    Ok(())
}

pub(crate) fn delete(store: &Store, pki: &Pki) -> Result<()> {
    let id = CertificateId::of_root(&Certificate::from_der(pki.other.der().to_vec())?);
    let response = store.delete(&DeleteCertificateRequest::new(
        CertificateHashDataType::of_hash_data(&id.hash_data(HashAlgorithm::Sha256)),
    ));
    ensure!(response.status == DeleteCertificateStatusEnumType::Accepted, "{response:?}");
    Ok(())
}

pub(crate) fn list(store: &Store) -> Result<usize> {
    let response = store.installed_certificate_ids(&GetInstalledCertificateIdsRequest::new());
    let entries = response.certificate_hash_data_chain.context("nothing is listed")?;
    ensure!(entries.len() >= CHAINS, "{} entries", entries.len());
    Ok(entries.len())
}
