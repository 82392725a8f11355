//! A process is killed at the moment when it has reported Accepted. The report is true afterwards.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use ocpp_types::v201::InstallCertificateUseEnumType::CSMSRootCertificate;
use ocpp_types::v201::{
    CertificateSignedRequest, CertificateSignedStatusEnumType, DeleteCertificateRequest,
    DeleteCertificateStatusEnumType, InstallCertificateStatusEnumType,
};
use station_store::{RootUse, Store};

use crate::pki::{Station, hash_data, install, key, leaf, leaf_params, now, root, settings};

const STORE: &str = "STATION_STORE_CRASH_TEST_STORE";
const ACTION: &str = "STATION_STORE_CRASH_TEST_ACTION";
const INPUT: &str = "STATION_STORE_CRASH_TEST_INPUT";

/// In the child process: carries out one action, reports it, and waits to be killed. In the test
/// run itself: does nothing.
#[test]
fn child_does_one_thing_and_waits() {
    let Ok(path) = env::var(STORE) else { return };
    let input = env::var(INPUT).expect("set by the parent");
    let store = Store::open(path, settings()).expect("opens");
    let accepted = match env::var(ACTION).expect("set by the parent").as_str() {
        "install" => {
            install(&store, CSMSRootCertificate, &input).status == InstallCertificateStatusEnumType::Accepted
        }
        "delete" => {
            let (_, hash) = store.installed(&RootUse::ALL).remove(0);
            store.delete(&DeleteCertificateRequest::new(hash_data(hash))).status
                == DeleteCertificateStatusEnumType::Accepted
        }
        "signed" => {
            let request = CertificateSignedRequest::new(input.as_str().try_into().expect("short"));
            store.certificate_signed(&request, now()).response.status
                == CertificateSignedStatusEnumType::Accepted
        }
        other => panic!("no such action: {other}"),
    };
    // Bypasses the test harness, which captures the output of a test.
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", if accepted { "\nAccepted" } else { "\nrefused" }).expect("printed");
    out.flush().expect("flushed");
    std::thread::sleep(std::time::Duration::from_secs(60));
    panic!("nobody killed this process");
}

/// Runs `action` in a process of its own, and kills it (SIGKILL) as soon as it has reported
/// Accepted.
fn killed_after(station: Station, action: &str, input: &str) -> Station {
    let Station { directory, settings, store } = station;
    drop(store);
    let mut child = Command::new(env::current_exe().expect("this test"))
        .args(["--exact", "crash::child_does_one_thing_and_waits", "--nocapture", "--test-threads=1"])
        .env(STORE, directory.path().join("store.redb"))
        .env(ACTION, action)
        .env(INPUT, input)
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let output = BufReader::new(child.stdout.take().expect("piped"));
    let said = output.lines().map_while(Result::ok).find(|line| line == "Accepted" || line == "refused");
    child.kill().expect("killed");
    child.wait().expect("ended");
    assert_eq!(said.as_deref(), Some("Accepted"), "{action}");
    let store =
        Store::open(directory.path().join("store.redb"), settings.clone()).expect("opens after the kill");
    assert!(store.damaged().is_empty());
    Station { directory, settings, store }
}

#[test]
fn accepted_survives_sigkill() {
    let station = Station::new();
    let (first, second) = (root("First"), root("Second"));
    let station = killed_after(station, "install", &first.pem());
    assert_eq!(station.store.roots(CSMSRootCertificate), [first.der().clone()]);

    let station = killed_after(station, "install", &second.pem());
    assert_eq!(station.store.entries(), 2);

    let key = key();
    station.request("own", &key);
    let chain = leaf(&first, &key, leaf_params());
    let station = killed_after(station, "signed", &chain);
    let own = station.store.own_certificates();
    assert_eq!(own.len(), 1, "the new certificate is there");
    assert_eq!(own[0].chain[0].as_ref(), station_store::Certificate::from_pem(&chain).expect("leaf").der());
    assert!(station.store.pending().is_empty(), "and its key no longer waits: one transaction");

    let station = killed_after(station, "delete", "");
    assert_eq!(station.store.roots(CSMSRootCertificate), [second.der().clone()], "and stays away");
}
