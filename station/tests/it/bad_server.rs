//! Servers that a station must not talk to.

use crate::stage::{Stage, Validity};

/// The station meets a CSMS that presents `server`; it must not boot, and must say why.
#[track_caller]
fn check(stage: &Stage, server: &str, told: &str) {
    let csms = stage.csms(server, &[]);
    stage.configure(csms.port);
    let station = stage.station();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !stage.log().contains("InvalidCsmsCertificate") {
        assert!(std::time::Instant::now() < deadline, "the event was not raised:\n{}", stage.log());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    station.terminate();
    assert_eq!(csms.count("connected"), 0);
    assert!(stage.log().contains(told), "{}", stage.log());
    csms.kill();
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
fn tc_a_05_expired() {
    let stage = Stage::prepare();
    stage.server_certificate("bad", "ca", "/O=Test CSO/CN=localhost", Validity::Past);
    check(&stage, "bad", "expired");
}
