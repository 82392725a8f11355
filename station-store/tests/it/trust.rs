//! Trust bundles for neighbours that use OpenSSL.

use std::fs;
use std::path::Path;
use std::process::Command;

use ocpp_types::v201::InstallCertificateUseEnumType as Use;
use station_store::{AdditionalRootCheck, Certificate, RootUse};

use crate::pki::{Station, ca_params, leaf, leaf_params, now, root, root_of, settings, sub_ca};

fn bundle(directory: &Path, name: &str) -> Vec<Vec<u8>> {
    let text = fs::read_to_string(directory.join(name)).expect("a bundle");
    if text.is_empty() {
        return Vec::new();
    }
    let chain = Certificate::chain_from_pem(&text, 100).expect("PEM");
    chain.iter().map(|certificate| certificate.der().to_vec()).collect()
}

/// Each use has its own file, which follows every change.
#[test]
fn bundles_follow_the_store() {
    let station = Station::new();
    let (csms, second, v2g) = (root("CSMS"), root("CSMS 2"), root("V2G"));
    station.must_install(Use::CSMSRootCertificate, &csms.pem());
    let directory = tempfile::tempdir().expect("temporary directory");
    let directory = directory.path();
    station.store.write_trust_bundles(directory).expect("written");
    let der = |authority: &crate::pki::Authority| authority.der().to_vec();
    assert_eq!(bundle(directory, "csms.pem"), [der(&csms)]);
    for other in ["manufacturer.pem", "v2g.pem", "mo.pem", "oem.pem"] {
        assert!(bundle(directory, other).is_empty(), "{other}");
    }
    station.must_install(Use::CSMSRootCertificate, &second.pem());
    station.must_install(Use::V2GRootCertificate, &v2g.pem());
    assert_eq!(bundle(directory, "csms.pem"), [der(&csms), der(&second)]);
    assert_eq!(bundle(directory, "v2g.pem"), [der(&v2g)]);
    let (_, hash) = station.all().remove(0);
    station.delete(&hash);
    assert_eq!(bundle(directory, "csms.pem"), [der(&second)]);
    let names: Vec<_> =
        fs::read_dir(directory).expect("lists").map(|entry| entry.expect("entry").file_name()).collect();
    assert_eq!(names.len(), 5, "nothing is left beside them: {names:?}");
}

/// A crash leaves the old bundle or the new one. Bundles are replaced as a whole, and are derived
/// again at the next start, whatever a crash or another program has left in their place. Seen
/// elsewhere: half a bundle after a loss of power (libevse-security #115), a copy that was out of
/// date (#123).
#[test]
fn bundles_are_derived_and_never_read() {
    let station = Station::new();
    let csms = root("CSMS");
    station.must_install(Use::CSMSRootCertificate, &csms.pem());
    let directory = tempfile::tempdir().expect("temporary directory");
    let directory = directory.path();
    fs::write(directory.join("csms.pem"), "half a cert").expect("written");
    fs::write(directory.join(".csms.pem.new"), "half a cert").expect("written");
    fs::write(directory.join("v2g.pem"), root("Stranger").pem()).expect("written");
    let before = fs::File::open(directory.join("csms.pem")).expect("opens");
    station.store.write_trust_bundles(directory).expect("written");
    assert_eq!(bundle(directory, "csms.pem"), [csms.der().to_vec()]);
    assert!(bundle(directory, "v2g.pem").is_empty(), "the store knows no stranger");
    assert!(!directory.join(".csms.pem.new").exists());
    // A process that has the old file open still reads all of it.
    assert_eq!(std::io::read_to_string(before).expect("read"), "half a cert");
}

#[cfg(unix)]
#[test]
fn bundles_are_for_everybody_to_read() {
    use std::os::unix::fs::PermissionsExt;
    let station = Station::new();
    let directory = tempfile::tempdir().expect("temporary directory");
    station.store.write_trust_bundles(directory.path()).expect("written");
    station.must_install(Use::CSMSRootCertificate, &root("CSMS").pem());
    for entry in fs::read_dir(directory.path()).expect("lists") {
        let mode = entry.expect("entry").metadata().expect("metadata").permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
    }
}

/// The content of the store stays in force even if a bundle cannot be replaced. The replacement is
/// retried with the next change.
#[test]
fn a_bundle_that_cannot_be_replaced_undoes_nothing() {
    let station = Station::new();
    let parent = tempfile::tempdir().expect("temporary directory");
    let directory = parent.path().join("bundles");
    let error = station.store.write_trust_bundles(&directory).expect_err("there is no such directory");
    assert!(error.to_string().contains("csms.pem"), "{error}");
    fs::create_dir(&directory).expect("made");
    station.store.write_trust_bundles(&directory).expect("written");
    fs::remove_dir_all(&directory).expect("removed");
    let csms = root("CSMS");
    station.must_install(Use::CSMSRootCertificate, &csms.pem());
    assert_eq!(station.store.entries(), 1);
    fs::create_dir(&directory).expect("made");
    // A change of something else.
    station.store.begin_pending(&crate::pki::new_pending("key")).expect("announced");
    assert_eq!(bundle(&directory, "csms.pem"), [csms.der().to_vec()]);
}

/// A neighbour that verifies with OpenSSL trusts the same roots as the station, including the
/// fallback.
#[test]
fn openssl_verifies_with_a_bundle() {
    let station = Station::with(settings().additional_root_check(AdditionalRootCheck::On));
    let old = root_of(ca_params("CSMS"));
    let new = sub_ca(&old, "CSMS 2");
    for root in [&old, &new] {
        station.store.provision_root(RootUse::Csms, &root.pem(), now()).expect("provisioned");
    }
    let directory = tempfile::tempdir().expect("temporary directory");
    station.store.write_trust_bundles(directory.path()).expect("written");
    for issuer in [&old, &new] {
        let pem = leaf(issuer, &crate::pki::key(), leaf_params());
        fs::write(directory.path().join("leaf.pem"), pem).expect("written");
        let at = now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs().to_string();
        let output = Command::new("openssl")
            .args(["verify", "-partial_chain", "-attime", &at, "-CAfile", "csms.pem", "leaf.pem"])
            .current_dir(directory.path())
            .output()
            .expect("this test needs the openssl command; install the package openssl");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
