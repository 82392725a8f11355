//! The subjects of certificates in the terms of the store, of the device model and of the renewal.

use std::time::SystemTime;

use station_store::{Certificate, CertificateSigningUse, OwnCertificate, PendingCsr, Store};

use crate::{
    device_model::{DeviceModel, Secc},
    renewal::{Schedule, Target, Validity},
};

/// The certificates to keep renewed (A03.FR.02).
pub(crate) fn held(store: &Store, model: &DeviceModel, now: SystemTime) -> Vec<(Target, Validity)> {
    // The newest certificate decides: it is about to replace an older one that is due.
    let newest = store.own_certificates().into_iter().next();
    let connection = newest.and_then(|own| {
        let combined = own.use_ == CertificateSigningUse::Combined && model.combined_certificates();
        let subject = if combined { Target::Combined } else { Target::Station };
        Some((subject, validity(&own)?))
    });
    let mut held = Vec::from_iter(connection);
    let seccs: Vec<Secc> = model.seccs().into_iter().filter(|secc| secc.certificate_installation).collect();
    for own in store.vehicle_certificates(now) {
        let Some(name) = common_name(&own) else { continue };
        // A certificate that is also for the connection is renewed as such. A certificate of an
        // SECC that no longer exists is not renewed.
        if own.use_ == CertificateSigningUse::Combined || !seccs.iter().any(|secc| secc.id == name) {
            continue;
        }
        let subject = vehicle(own.use_, name);
        // The preferred one comes first.
        if !held.iter().any(|(known, _)| *known == subject) {
            held.extend(validity(&own).map(|validity| (subject, validity)));
        }
    }
    held
}

pub(crate) fn schedule(model: &DeviceModel) -> Schedule {
    let (wait_minimum, repeat_times) = model.certificate_wait();
    Schedule::new(wait_minimum, repeat_times)
}

pub(crate) fn subject_of(pending: &PendingCsr) -> Target {
    let secc_id = pending.common_name.clone().unwrap_or_default();
    match pending.use_ {
        CertificateSigningUse::ChargingStation => Target::Station,
        CertificateSigningUse::Combined => Target::Combined,
        use_ => vehicle(use_, secc_id),
    }
}

pub(crate) fn vehicle(use_: CertificateSigningUse, secc_id: String) -> Target {
    match use_ {
        CertificateSigningUse::V2g20 => Target::Vehicle20 { secc_id },
        _ => Target::Vehicle { secc_id },
    }
}

pub(crate) fn use_of(subject: &Target) -> CertificateSigningUse {
    match subject {
        Target::Station => CertificateSigningUse::ChargingStation,
        Target::Combined => CertificateSigningUse::Combined,
        Target::Vehicle { .. } => CertificateSigningUse::V2g,
        Target::Vehicle20 { .. } => CertificateSigningUse::V2g20,
    }
}

fn leaf(own: &OwnCertificate) -> Option<Certificate> {
    Certificate::from_der(own.chain.first()?.as_ref()).ok()
}

/// The validity of the leaf of an own certificate.
pub(crate) fn validity(own: &OwnCertificate) -> Option<Validity> {
    let leaf = leaf(own)?;
    Some(Validity {
        not_before: leaf.not_before().to_system_time(),
        not_after: leaf.not_after().to_system_time(),
    })
}

fn common_name(own: &OwnCertificate) -> Option<String> {
    Some(ocpp_transport::name_rule::CertificateSubject::of(own.chain.first()?).ok()?.common_name)
}
