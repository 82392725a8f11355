//! OCPP 1.6 and 2.1: the same store with the messages of other versions.

use ocpp_types::{v16, v21, v201};
use rcgen::PublicKeyData;
use station_store::message::HashDataMessage as _;
use station_store::{
    Certificate, CertificateId, CertificateSigningUse, HashAlgorithm, NewPending, OcspDue, RootInUse,
    RootUse, SignedOutcome, Store,
};

use crate::pki::{
    Station, hash_data, key, leaf, leaf_params, new_pending, now, root, secc_params, settings, uri,
};

fn install_16(
    store: &Store,
    use_: v16::CertificateUseEnumType,
    pem: &str,
) -> v16::InstallCertificateStatusEnumType {
    let request = v16::InstallCertificateRequest::new(use_, pem.try_into().expect("short"));
    store.install(&request, now()).status
}

fn list_16(store: &Store, use_: v16::CertificateUseEnumType) -> v16::GetInstalledCertificateIdsResponse {
    store.installed_certificate_ids(&v16::GetInstalledCertificateIdsRequest::new(use_))
}

fn delete_16(store: &Store, hash: &v16::CertificateHashDataType) -> v16::DeleteCertificateStatusEnumType {
    store.delete(&v16::DeleteCertificateRequest::new(hash.clone())).status
}

/// The flat list of 1.6: one type, hash data without chains; left out if it is empty.
#[test]
fn v16_tc_075_tc_076_install_list_and_delete() {
    use v16::CertificateUseEnumType::{CentralSystemRootCertificate, ManufacturerRootCertificate};
    let station = Station::new();
    let (csms, manufacturer) = (root("CSMS"), root("Manufacturer"));
    let none = list_16(&station.store, CentralSystemRootCertificate);
    assert_eq!(none.status, v16::GetInstalledCertificateStatusEnumType::NotFound);
    assert_eq!(ocpp_types::encode(&none).expect("valid"), r#"{"status":"NotFound"}"#);

    let accepted = v16::InstallCertificateStatusEnumType::Accepted;
    assert_eq!(install_16(&station.store, CentralSystemRootCertificate, &csms.pem()), accepted);
    assert_eq!(install_16(&station.store, ManufacturerRootCertificate, &manufacturer.pem()), accepted);
    for (use_, root) in [(CentralSystemRootCertificate, &csms), (ManufacturerRootCertificate, &manufacturer)]
    {
        let listed = list_16(&station.store, use_);
        assert_eq!(listed.status, v16::GetInstalledCertificateStatusEnumType::Accepted);
        let id = CertificateId::of_root(&Certificate::from_pem(&root.pem()).expect("root"));
        let expected = v16::CertificateHashDataType::of_hash_data(&id.hash_data(HashAlgorithm::Sha256));
        assert_eq!(listed.certificate_hash_data.map(|all| all.to_vec()), Some(vec![expected]));
        for algorithm in HashAlgorithm::ALL {
            let hash = v16::CertificateHashDataType::of_hash_data(&id.hash_data(algorithm));
            assert_eq!(delete_16(&station.store, &hash), v16::DeleteCertificateStatusEnumType::Accepted);
            assert_eq!(delete_16(&station.store, &hash), v16::DeleteCertificateStatusEnumType::NotFound);
            assert_eq!(install_16(&station.store, use_, &root.pem()), accepted);
        }
    }
    let rejected = v16::InstallCertificateStatusEnumType::Rejected;
    assert_eq!(install_16(&station.store, CentralSystemRootCertificate, "no certificate"), rejected);
}

/// A root is in use if a live connection relies on it. 1.6 must refuse its deletion (M04.FR.06),
/// 2.x deletes it (TC_M_20), and the policy may specify otherwise. Seen elsewhere (open-ocpp): a
/// flag that was never set.
#[test]
fn v16_m04_fr_06_root_in_use_is_not_deleted() {
    let (used, unused) = (root("Used"), root("Unused"));
    for (policy, kept_16, kept_201) in [
        (RootInUse::AsVersionSays, true, false),
        (RootInUse::Keep, true, true),
        (RootInUse::Delete, false, false),
    ] {
        let station = Station::with(settings().root_in_use(policy));
        for version in [16, 201, 21] {
            for root in [&used, &unused] {
                station.must_install(v201::InstallCertificateUseEnumType::CSMSRootCertificate, &root.pem());
            }
            let hash = |root: &crate::pki::Authority| {
                CertificateId::of_root(&Certificate::from_pem(&root.pem()).expect("root"))
                    .hash_data(HashAlgorithm::Sha384)
            };
            let delete = |root| match version {
                16 => {
                    let hash = v16::CertificateHashDataType::of_hash_data(&hash(root));
                    delete_16(&station.store, &hash).to_string()
                }
                201 => station.delete(&hash_data(hash(root))).status.to_string(),
                _ => {
                    let request = v21::DeleteCertificateRequest::new(
                        v21::CertificateHashDataType::of_hash_data(&hash(root)),
                    );
                    station.store.delete(&request).status.to_string()
                }
            };
            let session = station.store.session(used.der()).0;
            let second = station.store.session(used.der()).0;
            assert_eq!(delete(&unused), "Accepted");
            drop(session);
            // One of two connections has ended; the other one is still up.
            let kept = if version == 16 { kept_16 } else { kept_201 };
            assert_eq!(delete(&used), if kept { "Failed" } else { "Accepted" }, "{policy:?} {version}");
            drop(second);
            assert_eq!(
                delete(&used),
                if kept { "Accepted" } else { "NotFound" },
                "no connection, not in use"
            );
        }
    }
}

#[test]
fn v16_tc_077_certificate_signed() {
    let station = Station::new();
    let csms = root("CSMS");
    station.must_install(v201::InstallCertificateUseEnumType::CSMSRootCertificate, &csms.pem());
    let ours = key();
    station.request("own", &ours);
    let sign = |chain: &str| -> SignedOutcome<v16::CertificateSignedResponse> {
        let request = v16::CertificateSignedRequest::new(chain.try_into().expect("short"));
        station.store.certificate_signed(&request, now())
    };
    let outcome = sign(&leaf(&csms, &key(), leaf_params()));
    assert_eq!(outcome.response.status, v16::CertificateSignedStatusEnumType::Rejected);
    assert!(outcome.refused.is_some(), "the event InvalidChargePointCertificate is due");
    let outcome = sign(&leaf(&csms, &ours, leaf_params()));
    assert_eq!(outcome.response.status, v16::CertificateSignedStatusEnumType::Accepted);
    assert!(outcome.installed.is_some());
}

/// OEM roots have a name in 2.1 only.
#[test]
fn v21_oem_roots_are_installed_listed_and_deleted() {
    let station = Station::new();
    let oem = root("OEM");
    let use_ = v21::InstallCertificateUseEnumType::OEMRootCertificate;
    let request = v21::InstallCertificateRequest::new(use_, oem.pem().as_str().try_into().expect("short"));
    let response = station.store.install(&request, now());
    assert_eq!(response.status, v21::InstallCertificateStatusEnumType::Accepted);
    let station = station.restart();
    assert_eq!(station.store.roots(RootUse::Oem), [oem.der().clone()]);
    let mut request = v21::GetInstalledCertificateIdsRequest::new();
    for filter in [None, Some(vec![v21::GetCertificateIdUseEnumType::OEMRootCertificate])] {
        request.certificate_type = filter.and_then(|types| types.try_into().ok());
        let listed = station.store.installed_certificate_ids(&request);
        let entries = listed.certificate_hash_data_chain.expect("listed");
        assert_eq!(entries[0].certificate_type, v21::GetCertificateIdUseEnumType::OEMRootCertificate);
    }
    assert!(station.all().is_empty(), "2.0.1 has no name for it");
    let hash = station.store.installed(&[RootUse::Oem]).remove(0).1;
    let response = station
        .store
        .delete(&v21::DeleteCertificateRequest::new(v21::CertificateHashDataType::of_hash_data(&hash)));
    assert_eq!(response.status, v21::DeleteCertificateStatusEnumType::Accepted);
}

/// A request of 2.1: CertificateSigned repeats its number.
fn signed_21(
    store: &Store,
    chain: &str,
    use_: v21::CertificateSigningUseEnumType,
    request_id: Option<i64>,
) -> SignedOutcome<v21::CertificateSignedResponse> {
    let mut request = v21::CertificateSignedRequest::new(chain.try_into().expect("short"));
    request.certificate_type = Some(use_);
    request.request_id = request_id;
    store.certificate_signed(&request, now())
}

#[test]
fn v21_a02_fr_26_unknown_request_id_is_rejected() {
    use v21::CertificateSigningUseEnumType::ChargingStationCertificate;
    let station = Station::new();
    let csms = root("CSMS");
    station.must_install(v201::InstallCertificateUseEnumType::CSMSRootCertificate, &csms.pem());
    let (one, two) = (key(), key());
    for (name, key, request_id) in [("one", &one, 1), ("two", &two, 2)] {
        station.request_for(&new_pending(name).request_id(request_id), key);
    }
    let chain = leaf(&csms, &one, leaf_params());
    for (request_id, code, event) in [(7, "unknown", false), (2, "other", true)] {
        let outcome = signed_21(&station.store, &chain, ChargingStationCertificate, Some(request_id));
        assert_eq!(outcome.response.status, v21::CertificateSignedStatusEnumType::Rejected, "{code}");
        let info = outcome.response.status_info.expect("a reason");
        assert_eq!(info.reason_code.as_str(), "InvalidValue");
        assert_eq!(outcome.refused.is_some(), event, "{code}");
    }
    let outcome = signed_21(&station.store, &chain, ChargingStationCertificate, Some(1));
    assert!(outcome.installed.is_some(), "{outcome:?}");
    // The same chain again, as long as the request is remembered with the certificate.
    let again = signed_21(&station.store, &chain, ChargingStationCertificate, Some(1));
    assert!(again.installed.is_some(), "{again:?}");
    // Without the number in the message, the request is found by the key.
    let outcome =
        signed_21(&station.store, &leaf(&csms, &two, leaf_params()), ChargingStationCertificate, None);
    assert!(outcome.installed.is_some(), "{outcome:?}");
    // Two concurrent requests have two numbers.
    let spare = station.store.begin_pending(&new_pending("three").request_id(3));
    assert!(spare.is_ok());
    assert!(station.store.begin_pending(&new_pending("four").request_id(3)).is_err());
}

/// A02.FR.23: ISO 15118-20 has a certificate of its own beside that of ISO 15118-2.
#[test]
fn v21_v2g20_certificates_are_their_own_kind() {
    let station = Station::new();
    let v2g = root("V2G");
    station.must_install(v201::InstallCertificateUseEnumType::V2GRootCertificate, &v2g.pem());
    for (name, use_) in [("two", CertificateSigningUse::V2g), ("twenty", CertificateSigningUse::V2g20)] {
        let key = key();
        let new = NewPending::new(uri(name), use_).common_name("SECC-1");
        let id = station.store.begin_pending(&new).expect("announced");
        station.store.complete_pending(id, &key.subject_public_key_info(), "CSR").expect("completed");
        let chain = leaf(&v2g, &key, secc_params("SECC-1"));
        let types = [
            v21::CertificateSigningUseEnumType::V2GCertificate,
            v21::CertificateSigningUseEnumType::V2G20Certificate,
        ];
        let (right, wrong) = if use_ == CertificateSigningUse::V2g { (0, 1) } else { (1, 0) };
        assert!(signed_21(&station.store, &chain, types[wrong], None).refused.is_some());
        assert!(signed_21(&station.store, &chain, types[right], None).installed.is_some());
    }
    // Neither replaces the other.
    assert_eq!(station.store.vehicle_certificates(now()).len(), 2);
    assert_eq!(station.list(&[]).certificate_hash_data_chain.map_or(0, |all| all.len()), 3);
}

/// Seen elsewhere (EVerest): a conversion dropped hashAlgorithm. The test converts each there and
/// back, in every version.
#[test]
fn hash_data_survive_every_conversion() {
    let id = CertificateId::of_root(&Certificate::from_pem(&root("Root").pem()).expect("root"));
    for algorithm in HashAlgorithm::ALL {
        let hash = id.hash_data(algorithm);
        let there = [
            v16::CertificateHashDataType::of_hash_data(&hash).hash_data(),
            v201::CertificateHashDataType::of_hash_data(&hash).hash_data(),
            v21::CertificateHashDataType::of_hash_data(&hash).hash_data(),
        ];
        assert!(there.iter().all(|back| *back == Ok(hash)), "{there:?}");
    }
}

/// `responderURL` has 512 characters in 2.0.1 and 2000 in 2.1.
#[test]
fn m06_ocsp_request_data_of_both_versions() {
    let hash = CertificateId::of_root(&Certificate::from_pem(&root("Root").pem()).expect("root"))
        .hash_data(HashAlgorithm::Sha512);
    let url = format!("http://ocsp.example.com/{}", "x".repeat(600));
    let due = OcspDue::new(hash, url.clone());
    assert!(v201::OCSPRequestDataType::try_from(due.clone()).is_err());
    let data = v21::OCSPRequestDataType::try_from(due).expect("long enough");
    assert_eq!(
        (data.responder_url.as_str(), data.hash_algorithm),
        (url.as_str(), v21::HashAlgorithmEnumType::SHA512)
    );
    assert_eq!(data.serial_number.as_str(), hash.serial_number().to_string());
}
