//! Mistakes of other stacks that no other file here tests. The whole list is in `main.rs`.

use std::fs;
use std::path::Path;

use ocpp_types::v201::InstallCertificateUseEnumType as Use;
use ocpp_types::v201::{
    CertificateSigningUseEnumType, DeleteCertificateStatusEnumType, InstallCertificateStatusEnumType,
};
use rcgen::{SerialNumber, date_time_ymd};
use station_store::{ChainRefused, RootUse};

use crate::memory::{Fault, Memory};
use crate::pki::{
    Station, ca_params, hash_data, key, leaf, leaf_params, now, reason, root, root_of, secc_params, settings,
    sub_ca, v2g_pending,
};

const V2G: Option<CertificateSigningUseEnumType> = Some(CertificateSigningUseEnumType::V2GCertificate);

/// libevse-security #71, #56: a sub-CA from an accepted chain counted as an anchor from then on.
#[test]
fn lesson_20_sub_cas_of_accepted_chains_are_no_anchors() {
    let station = Station::new();
    let csms = root("CSMS");
    let sub = sub_ca(&csms, "Sub");
    station.must_install(Use::CSMSRootCertificate, &csms.pem());
    let (first, second) = (key(), key());
    station.request("first", &first);
    station.request("second", &second);
    assert!(station.signed(&(leaf(&sub, &first, leaf_params()) + &sub.pem())).installed.is_some());
    let bare = leaf(&sub, &second, leaf_params());
    let refused = station.signed(&bare).refused;
    assert!(matches!(refused, Some(ChainRefused::UnknownIssuer { .. })), "{refused:?}");
    // A deleted root is not an anchor either, although a certificate below it was accepted before.
    let hash = station.all_roots().remove(0);
    assert_eq!(station.delete(&hash).status, DeleteCertificateStatusEnumType::Accepted);
    let refused = station.signed(&(bare + &sub.pem())).refused;
    assert!(matches!(refused, Some(ChainRefused::UnknownIssuer { .. })), "{refused:?}");
}

/// Hubject's audit, HUB20-42-002: one chain for each V2G root, side by side, also for the same
/// SECC.
#[test]
fn lesson_24_one_chain_for_each_root() {
    let station = Station::new();
    let roots = ["V2G 1", "V2G 2", "V2G 3"].map(root);
    for (number, root) in roots.iter().enumerate() {
        station.must_install(Use::V2GRootCertificate, &root.pem());
        // Twice: the certificate before the newest stays for sessions under way, and does not take
        // the room of another root.
        for round in 0..3 {
            let key = key();
            station.request_for(&v2g_pending(&format!("{number}-{round}"), "SECC-1"), &key);
            assert!(station.signed_as(&leaf(root, &key, secc_params("SECC-1")), V2G).installed.is_some());
        }
    }
    let station = station.restart();
    assert_eq!(station.store.installed_chains().len(), 6);
    let own = station.store.vehicle_certificates(now());
    for root in &roots {
        let issuer = station_store::Certificate::from_pem(&root.pem()).expect("a root");
        let below = own.iter().filter(|own| {
            let leaf = station_store::Certificate::from_der(own.chain[0].as_ref()).expect("a leaf");
            leaf.issuer() == issuer.subject()
        });
        assert_eq!(below.count(), 2);
    }
}

/// EVerest #2606: an invented reason code. Here every reason code is from the official list, and
/// every answer is valid against its schema.
#[test]
fn lesson_44_reason_codes_are_of_the_official_list() {
    const NAMED: [&str; 6] = [
        "InternalError",
        "InvalidCertificate",
        "InvalidValue",
        "OutOfStorage",
        "TooLargeElement",
        "UnsupportedRequest",
    ];
    let station = Station::with(settings().max_entries(1).max_chain_size(3000));
    let csms = root("CSMS");
    station.must_install(Use::CSMSRootCertificate, &csms.pem());
    let key = key();
    station.request("own", &key);
    let own = leaf(&csms, &key, leaf_params());
    let mut found = Vec::new();
    let mut note = |code: &str, json: Result<String, _>| {
        let json: String = json.map_err(|error: ocpp_types::EncodeError| error.to_string()).expect("valid");
        assert!(json.contains(code), "{json}");
        found.push(code.to_owned());
    };
    for pem in ["nonsense", &root("Second").pem(), &sub_ca(&csms, "Sub").pem()] {
        let answer = station.install(Use::V2GRootCertificate, pem);
        assert_eq!(answer.status, InstallCertificateStatusEnumType::Rejected);
        note(reason(&answer.status_info), ocpp_types::encode(&answer));
    }
    for (chain, type_) in [("nonsense", None), (own.as_str(), V2G), (&"\n".repeat(3001), None)] {
        let answer = station.signed_as(chain, type_).response;
        note(reason(&answer.status_info), ocpp_types::encode(&answer));
    }
    assert!(station.signed(&own).installed.is_some());
    let id = station_store::CertificateId::new(
        &station_store::Certificate::from_pem(&own).expect("a leaf"),
        station_store::Certificate::from_pem(&csms.pem()).expect("a root").public_key(),
    );
    let answer = station.delete(&hash_data(id.hash_data(station_store::HashAlgorithm::Sha256)));
    note(reason(&answer.status_info), ocpp_types::encode(&answer));
    let disk = Memory::default();
    let store = station_store::Store::with_storage(disk.clone(), settings()).expect("opens");
    disk.break_down(Fault::Full);
    for _ in 0..2 {
        let answer = crate::pki::install(&store, Use::CSMSRootCertificate, &csms.pem());
        note(reason(&answer.status_info), ocpp_types::encode(&answer));
    }
    found.sort();
    found.dedup();
    assert_eq!(found, NAMED, "each was seen, and no other");
}

/// libevse-security #24, #108, #110: certificates that are not valid yet were accepted, and their
/// status was requested.
#[test]
fn lesson_45_no_certificate_of_the_future_and_no_ocsp_for_it() {
    let station = Station::new();
    let v2g = root("V2G");
    station.must_install(Use::V2GRootCertificate, &v2g.pem());
    let key = key();
    station.request_for(&v2g_pending("v2g", "SECC-1"), &key);
    let mut params = secc_params("SECC-1");
    params.not_before = date_time_ymd(2030, 6, 16);
    let mut params = crate::ocsp::with_responder(params, "http://ocsp.example.com");
    let refused = station.signed_as(&leaf(&v2g, &key, params.clone()), V2G).refused;
    assert!(matches!(refused, Some(ChainRefused::Validity { .. })), "{refused:?}");
    assert!(station.store.ocsp_due(now()).is_empty());
    params.not_before = date_time_ymd(2030, 6, 14);
    assert!(station.signed_as(&leaf(&v2g, &key, params), V2G).installed.is_some());
    assert_eq!(station.store.ocsp_due(now()).len(), 1);
}

/// SmartEVSE-3.5 #363: there was room for one root only, so its rotation cut off the fleet. Here
/// several roots are trusted at once, and a chain may be below any of them.
#[test]
fn lesson_52_old_and_new_root_are_trusted_side_by_side() {
    let station = Station::new();
    let roots = ["Old", "New"].map(root);
    for root in &roots {
        station.must_install(Use::CSMSRootCertificate, &root.pem());
    }
    assert_eq!(station.store.roots(RootUse::Csms).len(), 2);
    for (root, name) in roots.iter().zip(["old", "new"]) {
        let key = key();
        station.request(name, &key);
        assert!(station.signed(&leaf(root, &key, leaf_params())).installed.is_some());
    }
}

/// libevse-security #36, #47, EVerest #1961: a limit in files and megabytes, and a sum that kept
/// only its last part. This store counts entries, of all uses together and of each use.
#[test]
fn lesson_54_55_limits_count_entries_over_all_uses_and_for_each() {
    let limits = settings().max_entries(4).max_entries_for(RootUse::V2g, 2).max_entries_for(RootUse::Csms, 3);
    let station = Station::with(limits);
    let rejected = |use_, name: &str| {
        let answer = station.install(use_, &root(name).pem());
        assert_eq!(answer.status, InstallCertificateStatusEnumType::Rejected, "{name}");
        assert_eq!(reason(&answer.status_info), "OutOfStorage");
    };
    station.must_install(Use::V2GRootCertificate, &root("V2G 1").pem());
    let second = root("V2G 2").pem();
    station.must_install(Use::V2GRootCertificate, &second);
    rejected(Use::V2GRootCertificate, "V2G 3");
    // The same certificate again needs no room, and one use takes no room from the other.
    station.must_install(Use::V2GRootCertificate, &second);
    station.must_install(Use::CSMSRootCertificate, &root("CSMS 1").pem());
    station.must_install(Use::CSMSRootCertificate, &root("CSMS 2").pem());
    rejected(Use::CSMSRootCertificate, "the fifth of all, the third of its use");
    rejected(Use::MORootCertificate, "the fifth of all, the first of its use");
    let hash = station.all_roots().remove(0);
    station.delete(&hash);
    assert_eq!(station.store.entries(), 3);
    station.must_install(Use::MORootCertificate, &root("MO").pem());
    let station = station.restart();
    assert_eq!(station.store.entries(), 4);
    let answer = station.install(Use::MORootCertificate, &root("MO 2").pem());
    assert_eq!(reason(&answer.status_info), "OutOfStorage", "counted anew after a restart");
}

/// SAP's simulator: the serial number was the file name. So certificates of two issuers replaced
/// each other, and a serial number could lead out of the folder.
#[test]
fn lesson_60_serial_numbers_name_no_files_and_need_not_differ() {
    let station = Station::new();
    let bundles = station.directory.path().join("bundles");
    fs::create_dir(&bundles).expect("made");
    station.store.write_trust_bundles(&bundles).expect("written");
    // In ASCII: ../../../../tmp/x
    for serial in [&b"../../../../tmp/x"[..], b"/etc/passwd", &[0x2e, 0x2e]] {
        let mut pems = Vec::new();
        for name in ["One", "Two"] {
            let mut params = ca_params(&format!("{name} {}", serial.len()));
            params.serial_number = Some(SerialNumber::from_slice(serial));
            pems.push(root_of(params).pem());
        }
        for pem in &pems {
            station.must_install(Use::CSMSRootCertificate, pem);
        }
    }
    let station = station.restart();
    let all = station.all_roots();
    assert_eq!(all.len(), 6, "the same serial number twice, and both are there");
    for hash in &all {
        let named = all.iter().filter(|other| other.serial_number == hash.serial_number).count();
        assert_eq!(named, 2);
        assert_eq!(station.delete(hash).status, DeleteCertificateStatusEnumType::Accepted);
    }
    assert!(station.all_roots().is_empty());
    let names = |folder: &Path| -> Vec<String> {
        let entries = fs::read_dir(folder).expect("lists").map(|entry| entry.expect("an entry").file_name());
        entries.map(|name| name.to_string_lossy().into_owned()).collect()
    };
    assert_eq!(names(&bundles).len(), 5);
    let mut there = names(station.directory.path());
    there.sort();
    assert_eq!(there, ["bundles", "store.redb"], "nothing beside them");
}

/// The tests in the list of `main.rs` exist, in the files that the list names.
#[test]
fn the_list_names_tests_that_there_are() {
    let mut checked = 0;
    for item in items(include_str!("main.rs")) {
        let (about, tests) = item.split_once(": `").expect("what it is about, and tests");
        assert!(about.contains(" (seen in "), "{about}");
        for test in tests.split(", ") {
            let (file, name) = test.trim_matches('`').split_once("::").expect("file::test");
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/{file}.rs"));
            let text =
                fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert!(text.contains(&format!("#[test]\nfn {name}() {{")), "there is no test {test}");
            checked += 1;
        }
    }
    assert!(checked > 50, "{checked}");
}

/// The items of the list in the documentation of a module, one line each.
fn items(text: &str) -> Vec<String> {
    let mut items: Vec<String> = Vec::new();
    for line in text.lines() {
        if let Some(begin) = line.strip_prefix("//! * ") {
            items.push(begin.to_owned());
        } else if let (Some(more), Some(item)) = (line.strip_prefix("//!   "), items.last_mut()) {
            item.push(' ');
            item.push_str(more);
        }
    }
    items
}
