//! Every operation of the store that writes, each with the state before it: the rows of the crash
//! matrix.

use std::sync::LazyLock;
use std::time::SystemTime;

use ocpp_types::v201::{
    CertificateSignedRequest, CertificateSignedStatusEnumType, DeleteCertificateRequest,
    DeleteCertificateStatusEnumType,
};
use rcgen::PublicKeyData;
use station_store::{
    AdditionalRootCheck, Certificate, CertificateId, CertificateSigningUse, HashAlgorithm, HashData,
    NewPending, RootUse, SendNote, Settings, Store,
};

use crate::ocsp::good_answer;
use crate::pki::{
    Authority, ca_params, hash_data, key, leaf, leaf_params, new_pending, now, root, secc_params, settings,
    sub_ca, sub_ca_of, uri, v2g_pending,
};

/// The certificates of this test, generated once.
pub(crate) struct Pki {
    csms: Authority,
    /// Signed by `csms`, as AdditionalRootCertificateCheck requires.
    next: Authority,
    /// Signed by `next`.
    last: Authority,
    v2g: Authority,
    keys: [rcgen::KeyPair; 7],
    /// Certificates for the connection with the keys 0 and 1, and another one with the key 1.
    station: [String; 3],
    /// Chains for vehicles with the keys 2, 3 and 5.
    vehicle: [String; 3],
    /// A chain for both uses with the key 6, below the CSMS root.
    both: String,
    /// Two answers of OpenSSL about the leaf of the first chain for vehicles.
    answers: [String; 2],
    /// The clock for these answers, which is OpenSSL's.
    pub(crate) ocsp_now: SystemTime,
}

pub(crate) static PKI: LazyLock<Pki> = LazyLock::new(|| {
    let (csms, v2g) = (root("CSMS"), root("V2G"));
    let next = sub_ca_of(&csms, ca_params("CSMS 2"));
    let last = sub_ca_of(&next, ca_params("CSMS 3"));
    let sub = sub_ca(&v2g, "Sub");
    let keys: [rcgen::KeyPair; 7] = std::array::from_fn(|_| key());
    let station = [0, 1, 1].map(|number| leaf(&csms, &keys[number], leaf_params()));
    let vehicle = [2, 3, 5].map(|number| leaf(&sub, &keys[number], secc_params("SECC-1")) + &sub.pem());
    let both = leaf(&csms, &keys[6], leaf_params());
    let end = "-----END CERTIFICATE-----\n";
    let first = vehicle[0].split_inclusive(end).next().expect("a leaf").to_owned();
    let answers = ["2", "3"].map(|days| good_answer(&first, &sub, days));
    let ocsp_now = SystemTime::now();
    Pki { csms, next, last, v2g, keys, station, vehicle, both, answers, ocsp_now }
});

/// One operation: the state before it, and a function that carries it out and returns whether it
/// was accepted.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) settings: fn() -> Settings,
    pub(crate) before: fn(&Store),
    pub(crate) run: fn(&Store) -> bool,
}

pub(crate) fn plain() -> Settings {
    settings()
}

fn with_check() -> Settings {
    settings().additional_root_check(AdditionalRootCheck::On)
}

fn provision(store: &Store, use_: RootUse, authority: &Authority) {
    store.provision_root(use_, &authority.pem(), now()).expect("provisioned");
}

fn request(store: &Store, number: usize, new: NewPending) {
    let id = store.begin_pending(&new).expect("announced");
    let spki = PKI.keys[number].subject_public_key_info();
    store.complete_pending(id, &spki, "a CSR").expect("completed");
}

fn signed(store: &Store, chain: &str) -> bool {
    let request = CertificateSignedRequest::new(chain.try_into().expect("short"));
    store.certificate_signed(&request, now()).response.status == CertificateSignedStatusEnumType::Accepted
}

pub(crate) fn delete(store: &Store, hash: HashData) -> bool {
    let response = store.delete(&DeleteCertificateRequest::new(hash_data(hash)));
    response.status == DeleteCertificateStatusEnumType::Accepted
}

/// Stores an answer about the leaf of the first chain for vehicles.
fn answered(store: &Store, number: usize) -> bool {
    let own = store.vehicle_certificates(now()).pop().expect("the oldest");
    let first = Certificate::from_der(own.chain[0].as_ref()).expect("a certificate");
    let issuer = Certificate::from_der(own.chain[1].as_ref()).expect("a certificate");
    let hash = CertificateId::new(&first, issuer.public_key()).hash_data(HashAlgorithm::Sha256);
    store.ocsp_answered(&hash, &PKI.answers[number], PKI.ocsp_now).is_ok()
}

/// A certificate for both uses in use, and a renewed one for the connection only.
fn combined(store: &Store) {
    provision(store, RootUse::Csms, &PKI.csms);
    provision(store, RootUse::V2g, &PKI.csms);
    request(store, 6, NewPending::new(uri("both"), CertificateSigningUse::Combined));
    assert!(signed(store, &PKI.both));
    store.confirm_own(store.own_certificates()[0].id).expect("confirmed");
    request(store, 0, new_pending("alone"));
    assert!(signed(store, &PKI.station[0]));
}

/// Roots, an own certificate in use and a renewed one, a chain for vehicles, a pending and a
/// condemned key.
fn full(store: &Store) {
    provision(store, RootUse::Csms, &PKI.csms);
    provision(store, RootUse::V2g, &PKI.v2g);
    provision(store, RootUse::MobilityOperator, &PKI.v2g);
    request(store, 0, new_pending("in-use"));
    assert!(signed(store, &PKI.station[0]));
    store.confirm_own(store.own_certificates()[0].id).expect("confirmed");
    request(store, 1, new_pending("renewed"));
    assert!(signed(store, &PKI.station[1]));
    request(store, 2, v2g_pending("vehicle", "SECC-1"));
    assert!(signed(store, &PKI.vehicle[0]));
    request(store, 3, v2g_pending("next", "SECC-1"));
    let id = store.begin_pending(&new_pending("given-up")).expect("announced");
    store.drop_pending(id).expect("dropped");
}

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "install",
        settings: plain,
        before: full,
        run: |store| store.provision_root(RootUse::Oem, &PKI.v2g.pem(), now()).is_ok(),
    },
    Operation {
        name: "install again",
        settings: plain,
        before: full,
        run: |store| store.provision_root(RootUse::Csms, &PKI.csms.pem(), now()).is_ok(),
    },
    Operation {
        name: "M05.FR.12 rotate the CSMS root",
        settings: with_check,
        before: full,
        run: |store| store.provision_root(RootUse::Csms, &PKI.next.pem(), now()).is_ok(),
    },
    Operation {
        name: "M05.FR.12 rotate the CSMS root again, before a connection",
        settings: with_check,
        before: |store| {
            full(store);
            provision(store, RootUse::Csms, &PKI.next);
        },
        run: |store| store.provision_root(RootUse::Csms, &PKI.last.pem(), now()).is_ok(),
    },
    Operation {
        name: "M04 delete the new root, so that the fallback is relied on again",
        settings: with_check,
        before: |store| {
            full(store);
            provision(store, RootUse::Csms, &PKI.next);
        },
        run: |store| delete(store, store.installed(&[RootUse::Csms]).remove(1).1),
    },
    Operation {
        name: "M05.FR.13 drop the fallback root",
        settings: with_check,
        before: |store| {
            full(store);
            provision(store, RootUse::Csms, &PKI.next);
        },
        run: |store| store.session(PKI.next.der()).1.is_ok(),
    },
    Operation {
        name: "delete a root that has two uses",
        settings: plain,
        before: full,
        run: |store| delete(store, store.installed(&[RootUse::V2g]).remove(0).1),
    },
    Operation {
        name: "delete a chain by its sub-CA",
        settings: plain,
        before: full,
        run: |store| delete(store, store.installed_chains().remove(0).remove(1)),
    },
    Operation {
        name: "delete a chain by its leaf, with its OCSP answer",
        settings: plain,
        before: |store| {
            full(store);
            assert!(answered(store, 0));
        },
        run: |store| delete(store, store.installed_chains().remove(0).remove(0)),
    },
    Operation {
        name: "M06.FR.06 keep an OCSP answer",
        settings: plain,
        before: full,
        run: |store| answered(store, 0),
    },
    Operation {
        name: "M06.FR.10 replace an OCSP answer",
        settings: plain,
        before: |store| {
            full(store);
            assert!(answered(store, 0));
        },
        run: |store| answered(store, 1),
    },
    Operation {
        name: "announce a key",
        settings: plain,
        before: full,
        run: |store| store.begin_pending(&new_pending("new")).is_ok(),
    },
    Operation {
        name: "complete a key",
        settings: plain,
        before: |store| {
            full(store);
            store.begin_pending(&new_pending("new")).expect("announced");
        },
        run: |store| {
            let id = store.pending().last().expect("announced").id;
            store.complete_pending(id, &PKI.keys[4].subject_public_key_info(), "a CSR").is_ok()
        },
    },
    Operation {
        name: "A02.FR.17 note a send",
        settings: plain,
        before: full,
        run: |store| {
            let id = store.pending()[0].id;
            store.note_send(id, SendNote { accepted: 1, due: Some(now()) }).is_ok()
        },
    },
    Operation {
        name: "give a key up",
        settings: plain,
        before: full,
        run: |store| store.drop_pending(store.pending()[0].id).is_ok(),
    },
    Operation {
        name: "name an announced key anew",
        settings: plain,
        before: |store| {
            full(store);
            store.begin_pending(&new_pending("announced")).expect("announced");
        },
        run: |store| {
            let id = store.pending().last().expect("announced").id;
            store.rename_pending(id, &uri("another")).is_ok()
        },
    },
    Operation {
        name: "give a key up that was only announced",
        settings: plain,
        before: |store| {
            full(store);
            store.begin_pending(&new_pending("announced")).expect("announced");
        },
        run: |store| store.drop_pending(store.pending().last().expect("announced").id).is_ok(),
    },
    Operation {
        name: "CertificateSigned for the connection",
        settings: plain,
        before: |store| {
            provision(store, RootUse::Csms, &PKI.csms);
            request(store, 0, new_pending("own"));
        },
        run: |store| signed(store, &PKI.station[0]),
    },
    Operation {
        name: "CertificateSigned for vehicles",
        settings: plain,
        before: full,
        run: |store| signed(store, &PKI.vehicle[1]),
    },
    Operation {
        name: "TC_A_23 CertificateSigned once more for the same key",
        settings: plain,
        before: full,
        run: |store| signed(store, &PKI.station[2]),
    },
    Operation {
        name: "A02.FR.15 CertificateSigned, and the oldest for vehicles goes with key and OCSP answer",
        settings: plain,
        before: |store| {
            full(store);
            assert!(answered(store, 0) && signed(store, &PKI.vehicle[1]));
            request(store, 5, v2g_pending("third", "SECC-1"));
        },
        run: |store| signed(store, &PKI.vehicle[2]),
    },
    Operation {
        name: "CertificateSigned for both the connection and vehicles",
        settings: plain,
        before: |store| {
            provision(store, RootUse::Csms, &PKI.csms);
            provision(store, RootUse::V2g, &PKI.csms);
            request(store, 6, NewPending::new(uri("both"), CertificateSigningUse::Combined));
        },
        run: |store| signed(store, &PKI.both),
    },
    Operation {
        name: "A02.FR.10 keep one for the connection; the one for both goes on to serve vehicles",
        settings: plain,
        before: combined,
        run: |store| store.confirm_own(store.own_certificates()[0].id).is_ok(),
    },
    Operation {
        name: "A02.FR.10 keep the renewed certificate",
        settings: plain,
        before: full,
        run: |store| store.confirm_own(store.own_certificates()[0].id).is_ok(),
    },
    Operation {
        name: "A02.FR.10 keep the old certificate",
        settings: plain,
        before: full,
        run: |store| store.confirm_own(store.own_certificates()[1].id).is_ok(),
    },
    Operation {
        name: "forget a destroyed key",
        settings: plain,
        before: full,
        run: |store| store.key_destroyed(&uri("given-up")).is_ok(),
    },
];
