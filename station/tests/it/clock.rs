//! Short-lived certificates, and a wrong clock.

use serde_json::{Value, json};

use crate::{
    reusable::{booted, csr, signed},
    stage::{PythonCsms, Stage},
};

const HOUR: i64 = 3600;

/// Issues a certificate that expires in `seconds`, by the right clock, and returns it with the
/// station's answer.
fn answer(stage: &Stage, csms: &mut PythonCsms, request: &Value, seconds: i64) -> (Value, Value) {
    let issued =
        csms.issue(stage, json!({ "csr": request["csr"], "issuer": "ca", "from": -300, "to": seconds }));
    let answer = signed(stage, csms, &issued, "ChargingStationCertificate");
    (issued, answer)
}

#[test]
fn clock_right_certificates_that_live_for_seconds_are_renewed_in_time() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    let mut request = csr(&stage, &mut csms, "SignChargingStationCertificate");
    for _ in 0..2 {
        let (issued, answer) = answer(&stage, &mut csms, &request, 36);
        assert_eq!(answer["status"], "Accepted", "{answer}");
        assert_eq!(csms.wait_for(&stage, "connection")["serial"], issued["serial"]);
        // The station asks by itself, while the certificate is valid.
        request = csms.wait_for(&stage, "SignCertificate");
        stage.openssl(&["x509", "-in", "ca.pem", "-noout", "-checkend", "0"]);
    }
    station.terminate();
}

/// A certificate that is checked by a wrong clock is refused (A02.FR.06). After the clock is
/// corrected, the renewal continues without a trigger.
#[test]
fn clock_ahead_for_a_while_the_renewal_goes_on_when_it_is_right_again() {
    let stage = Stage::prepare();
    let mut csms = stage.operator();
    stage.configure(csms.port);
    let station = stage.station_with_clock(0);
    assert_eq!(csms.wait_for(&stage, "connection")["profile"], 2);
    csms.wait_for(&stage, "BootNotification");
    let request = csr(&stage, &mut csms, "SignChargingStationCertificate");
    let (issued, accepted) = answer(&stage, &mut csms, &request, 600);
    assert_eq!(accepted["status"], "Accepted", "{accepted}");
    assert_eq!(csms.wait_for(&stage, "connection")["serial"], issued["serial"]);

    // By this clock the certificate has expired, and the next one has expired on arrival.
    stage.set_clock(48 * HOUR);
    let request = csms.wait_for(&stage, "SignCertificate");
    stage.wait_for_log("the system's clock was moved");
    let (_, refused) = answer(&stage, &mut csms, &request, 600);
    assert_eq!(refused["status"], "Rejected", "{refused}");

    // By this clock the certificate is still valid, and due.
    stage.set_clock(590);
    let request = csms.wait_for(&stage, "SignCertificate");
    let (issued, accepted) = answer(&stage, &mut csms, &request, 86_400);
    assert_eq!(accepted["status"], "Accepted", "{accepted}\n{}", stage.log());
    assert_eq!(csms.wait_for(&stage, "connection")["serial"], issued["serial"]);
    station.terminate();
}
