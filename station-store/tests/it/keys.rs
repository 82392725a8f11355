//! The names of the station's keys, from announcement to destruction.

use ocpp_types::v201::InstallCertificateUseEnumType;
use rcgen::PublicKeyData;
use station_store::{
    CertificateSigningUse, MAX_PENDING, NewPending, OwnState, PendingError, PendingState, SendNote,
};

use crate::pki::{Station, key, leaf, leaf_params, new_pending, root, uri};

#[test]
fn a_key_is_named_before_it_exists() {
    let station = Station::new();
    let id = station.store.begin_pending(&new_pending("new")).expect("announced");
    // A crash at this point: the token may hold the key, and its name is known.
    let station = station.restart();
    let pending = station.store.pending();
    assert_eq!(pending.len(), 1);
    assert_eq!((pending[0].id, &pending[0].key_uri), (id, &uri("new")));
    assert_eq!(pending[0].state, PendingState::KeyAnnounced);

    let spki = key().subject_public_key_info();
    station.store.complete_pending(id, &spki, "the CSR").expect("completed");
    station.store.complete_pending(id, &spki, "the CSR").expect("the same again");
    let other = station.store.complete_pending(id, &spki, "another CSR");
    assert!(matches!(other, Err(PendingError::Completed { .. })), "{other:?}");
    let station = station.restart();
    let csr_pem = "the CSR".to_owned();
    assert_eq!(station.store.pending()[0].state, PendingState::CsrReady { spki_der: spki, csr_pem });
}

/// Seen elsewhere (libevse-security #111, #112): chain and key left behind.
#[test]
fn a_dropped_key_is_remembered_until_it_is_destroyed() {
    let station = Station::new();
    let id = station.store.begin_pending(&new_pending("one")).expect("announced");
    assert_eq!(station.store.drop_pending(id).expect("dropped"), uri("one"));
    let station = station.restart();
    assert!(station.store.pending().is_empty());
    assert_eq!(station.store.condemned_keys(), [uri("one")]);
    assert!(matches!(station.store.drop_pending(id), Err(PendingError::UnknownPending { .. })));
    // Its name cannot be used again while the key may still exist.
    assert!(matches!(station.store.begin_pending(&new_pending("one")), Err(PendingError::KeyKnown)));
    station.store.key_destroyed(&uri("one")).expect("forgotten");
    station.store.key_destroyed(&uri("one")).expect("again");
    station.store.key_destroyed(&uri("unknown")).expect("never known");
    let station = station.restart();
    assert!(station.store.condemned_keys().is_empty());
    let next = station.store.begin_pending(&new_pending("one")).expect("free again");
    assert!(next > id, "numbers are not used twice");
}

/// Seen elsewhere (libevse-security #65): the cleanup destroyed keys of certificates in use. This
/// store counts references to keys.
#[test]
fn a02_fr_10_the_certificate_that_did_not_connect_is_discarded() {
    for new_one_connects in [true, false] {
        let station = Station::new();
        let root = root("CSMS");
        station.must_install(InstallCertificateUseEnumType::CSMSRootCertificate, &root.pem());
        let (old_key, new_key) = (key(), key());
        station.request("old", &old_key);
        let old = station.signed(&leaf(&root, &old_key, leaf_params())).installed.expect("accepted");
        assert!(station.store.confirm_own(old.id).expect("the first one has no rival").is_empty());
        station.request("new", &new_key);
        let new = station.signed(&leaf(&root, &new_key, leaf_params())).installed.expect("accepted");

        // A02.FR.28: both exist until the station has connected with one of them.
        let station = station.restart();
        let own = station.store.own_certificates();
        assert_eq!(own.iter().map(|own| own.id).collect::<Vec<_>>(), [new.id, old.id]);
        assert_eq!(own.iter().map(|own| own.state).collect::<Vec<_>>(), [OwnState::Renewed, OwnState::InUse]);

        let (kept, lost) = if new_one_connects { (&new, "old") } else { (&old, "new") };
        assert_eq!(station.store.confirm_own(kept.id).expect("confirmed"), [uri(lost)]);
        assert!(station.store.confirm_own(kept.id).expect("again").is_empty());
        let station = station.restart();
        let own = station.store.own_certificates();
        assert_eq!(own.len(), 1);
        assert_eq!((own[0].id, own[0].state), (kept.id, OwnState::InUse));
        assert_eq!(own[0].chain, kept.chain);
        assert_eq!(station.store.condemned_keys(), [uri(lost)]);
        let lost_id = if new_one_connects { old.id } else { new.id };
        assert!(matches!(station.store.confirm_own(lost_id), Err(PendingError::UnknownOwn { .. })));
    }
}

/// After a restart, the interrupted wait continues.
#[test]
fn a02_fr_18_sends_are_noted_over_a_restart() {
    let station = Station::new();
    let announced = station.store.begin_pending(&new_pending("announced")).expect("announced");
    let due = crate::pki::now() + std::time::Duration::from_nanos(1_000_001);
    let note = SendNote { accepted: 2, due: Some(due) };
    let error = station.store.note_send(announced, note);
    assert!(matches!(error, Err(PendingError::UnknownPending { .. })), "there is no CSR to send");
    let id = station.request("ready", &key());
    assert_eq!(station.store.pending()[1].sent, None);
    station.store.note_send(id, note).expect("noted");
    let station = station.restart();
    let sent = station.store.pending()[1].sent.expect("noted");
    assert_eq!(sent.accepted, 2);
    let late = sent.due.expect("due").duration_since(due).expect("not earlier than it was");
    assert!(late < std::time::Duration::from_millis(1));
    station.store.note_send(id, SendNote { accepted: 3, due: None }).expect("the last one");
    assert_eq!(station.restart().store.pending()[1].sent, Some(SendNote { accepted: 3, due: None }));
}

/// The token may still be generating a key for a former process: its name is not used again.
#[test]
fn f06_fr_10_an_announced_key_is_named_anew_after_a_restart() {
    let station = Station::new();
    let id = station.store.begin_pending(&new_pending("old")).expect("announced");
    assert!(matches!(station.store.rename_pending(id, &uri("old")), Err(PendingError::KeyKnown)));
    assert!(matches!(station.store.rename_pending(id, "file:/key"), Err(PendingError::KeyUri)));
    station.store.rename_pending(id, &uri("new")).expect("named");
    let station = station.restart();
    assert_eq!(station.store.pending()[0].key_uri, uri("new"));
    assert_eq!(station.store.condemned_keys(), [uri("old")]);
    let ready = station.request("ready", &key());
    let error = station.store.rename_pending(ready, &uri("other"));
    assert!(matches!(error, Err(PendingError::UnknownPending { .. })), "its request may be known");
}

#[test]
fn names_of_keys_are_checked() {
    let station = Station::new();
    let begin = |uri: &str| {
        station.store.begin_pending(&NewPending::new(uri, CertificateSigningUse::ChargingStation))
    };
    for wrong in [
        "",
        "file:/etc/key.pem",
        "pkcs11:object=k?pin-value=1234",
        &format!("pkcs11:object={}", "k".repeat(1100)),
    ] {
        assert!(matches!(begin(wrong), Err(PendingError::KeyUri)), "{wrong}");
    }
    begin("pkcs11:object=k").expect("announced");
    assert!(matches!(begin("pkcs11:object=k"), Err(PendingError::KeyKnown)));
}

#[test]
fn one_public_key_belongs_to_one_name() {
    let station = Station::new();
    let key = key();
    station.request("one", &key);
    let second = station.store.begin_pending(&new_pending("two")).expect("announced");
    let spki = key.subject_public_key_info();
    assert!(matches!(station.store.complete_pending(second, &spki, "CSR"), Err(PendingError::KeyKnown)));
    let broken = station.store.complete_pending(second, &spki[1..], "CSR");
    assert!(matches!(broken, Err(PendingError::PublicKey { .. })), "{broken:?}");
    let long = station.store.complete_pending(second, &spki, &"x".repeat(5501));
    assert!(matches!(long, Err(PendingError::CsrTooLong { characters: 5501 })), "{long:?}");
}

#[test]
fn pending_and_condemned_keys_are_bounded() {
    let station = Station::new();
    let mut number = 0;
    let mut begin = || {
        number += 1;
        station.store.begin_pending(&new_pending(&format!("key-{number}")))
    };
    for _ in 0..MAX_PENDING {
        begin().expect("room");
    }
    assert!(matches!(begin(), Err(PendingError::TooManyPending)));
    loop {
        let oldest = station.store.pending().remove(0);
        station.store.drop_pending(oldest.id).expect("dropped");
        if let Err(error) = begin() {
            assert!(matches!(error, PendingError::TooManyCondemned), "{error}");
            break;
        }
    }
    assert_eq!(station.store.condemned_keys().len(), 64);
}
