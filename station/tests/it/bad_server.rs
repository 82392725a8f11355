//! Servers to which a station must not connect.

use crate::stage::{Stage, Validity};

/// The station connects to a CSMS that presents `server`. It must not boot, and must log the
/// reason.
#[track_caller]
fn check(stage: &Stage, server: &str, told: &str) {
    let csms = stage.operator_presenting(server);
    refuses(stage, csms.port, "InvalidCsmsCertificate");
    assert_eq!(csms.count("connection"), 0);
    assert!(stage.log().contains(told), "{}", stage.log());
    csms.kill();
}

/// The station raises `event` instead of connecting.
#[track_caller]
fn refuses(stage: &Stage, port: u64, event: &str) {
    stage.configure(port);
    let station = stage.station();
    stage.wait_for_log(event);
    station.terminate();
}

#[test]
fn tc_a_05_a00_fr_309_wrong_common_name() {
    let stage = Stage::prepare();
    stage.server_certificate("bad", "ca", "/O=Test CSO/CN=csms.example.com", Validity::Now);
    check(&stage, "bad", "csms.example.com");
}

#[test]
fn tc_a_05_a00_fr_308_another_authority() {
    let stage = Stage::prepare();
    stage.server_certificate("bad", "manufacturer", "/O=Test CSO/CN=localhost", Validity::Now);
    check(&stage, "bad", "not issued under an installed root");
}

#[test]
fn tc_a_05_not_yet_valid() {
    let stage = Stage::prepare();
    stage.server_certificate("bad", "ca", "/O=Test CSO/CN=localhost", Validity::Future);
    check(&stage, "bad", "not valid before");
}

/// See also libocpp #494, #516: the comparison of hosts and wildcards.
#[test]
fn tc_a_05_wildcard() {
    let stage = Stage::prepare();
    stage.server_certificate("bad", "ca", "/O=Test CSO/CN=*.localhost", Validity::Now);
    check(&stage, "bad", "wildcard");
}

#[test]
fn tc_a_05_expired() {
    let stage = Stage::prepare();
    stage.server_certificate("bad", "ca", "/O=Test CSO/CN=localhost", Validity::Past);
    check(&stage, "bad", "expired");
}

#[test]
fn tc_a_06_a00_fr_317_tls_that_is_too_old() {
    let stage = Stage::prepare();
    let (_server, port) = stage.openssl_server(&["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]);
    refuses(&stage, port, "InvalidTLSVersion");
}

#[test]
fn a00_fr_323_no_permitted_cipher_suite() {
    let stage = Stage::prepare();
    let (_server, port) = stage.openssl_server(&["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"]);
    refuses(&stage, port, "InvalidTLSCipherSuite");
}
