//! Behaviour that is the same in each version of OCPP. The station is on Python's `ocpp`, and
//! OpenSSL verifies the results.

use std::fs;

use serde_json::{Value, json};

use crate::{
    puppet::{Ocpp, Puppet},
    reload::{LONG_AGO, OpenSslCa},
    stage::{PASSWORD, Stage},
};

/// TC_A_11_CSMS, TC_074 of OCPP 1.6: the operator requests a renewal, and the station reconnects
/// afterwards.
fn renewal(ocpp: Ocpp) {
    let stage = Stage::start();
    let mut station = Puppet::new(&stage, "CS001");
    station.connect(ocpp);
    station.boot(ocpp, "SN-0001");

    let (action, payload) = ocpp.trigger();
    station.answer(action, json!({ "status": "Accepted" }));
    assert_eq!(stage.by_hand("CS001", action, &payload)["status"], "Accepted");
    assert_eq!(station.called(action), payload);

    let csr = station.request("SN-0001");
    let answer = station.call("SignCertificate", ocpp.sign(&csr));
    assert_eq!(answer["status"], "Accepted", "{answer}");
    let signed = station.called("CertificateSigned");
    match ocpp {
        Ocpp::V16 => assert_eq!(signed.as_object().expect("an object").len(), 1, "{signed}"),
        // A02.FR.14
        Ocpp::V201 => assert_eq!(signed["certificateType"], "ChargingStationCertificate"),
        Ocpp::V21 => {
            assert_eq!(signed["certificateType"], "ChargingStationCertificate");
            // A02.FR.25
            assert_eq!(signed["requestId"], 4711);
        }
    }
    response_first(&station);
    stage.await_states(&["Accepted"]);

    stage.openssl(&[
        "verify",
        "-x509_strict",
        "-purpose",
        "sslclient",
        "-CAfile",
        "root.pem",
        "puppet-chain.pem",
    ]);
    let text =
        stage.openssl(&["x509", "-in", "puppet-chain.pem", "-noout", "-subject", "-nameopt", "RFC2253"]);
    assert_eq!(text.trim(), "subject=CN=SN-0001,O=Test CSO");
    station.close();

    station.connect_with_certificate(ocpp);
    station.boot(ocpp, "SN-0001");
    let status = stage.status().expect("runs");
    assert_eq!(status["stations"][0]["security_profile"], 3, "{status}");
    station.close();

    // A05.FR.07, A05.FR.09 of the security whitepaper.
    let lower = json!({ "do": "connect", "subprotocols": [ocpp.subprotocol()], "password": PASSWORD });
    assert_eq!(station.command(lower)["refused"], 403);
}

#[test]
fn tc_074_renewal_in_1_6() {
    renewal(Ocpp::V16);
}

#[test]
fn tc_a_11_renewal_in_2_0_1() {
    renewal(Ocpp::V201);
}

#[test]
fn tc_a_11_renewal_in_2_1() {
    renewal(Ocpp::V21);
}

/// FR.05: the response to SignCertificate is sent first, and CertificateSigned after it.
fn response_first(station: &Puppet<'_>) {
    let place = |found: &dyn Fn(&Value) -> bool| station.frames().iter().position(found);
    let request = place(&|frame| frame["out"][2] == "SignCertificate").expect("sent");
    let id = &station.frames()[request]["out"][1];
    let response = place(&|frame| frame["in"][0] == 3 && frame["in"][1] == *id).expect("answered");
    let certificate = place(&|frame| frame["in"][2] == "CertificateSigned").expect("arrived");
    assert!(request < response && response < certificate, "{:#?}", station.frames());
}

#[test]
fn the_same_csr_again_gets_the_same_certificate() {
    for ocpp in Ocpp::ALL {
        let stage = Stage::start();
        let mut station = Puppet::new(&stage, "CS001");
        station.connect(ocpp);
        station.boot(ocpp, "SN-0001");
        let csr = station.request("SN-0001");
        // The station closes the connection. It is not known whether the certificate has arrived.
        station.answer("CertificateSigned", json!("hang up"));
        assert_eq!(station.call("SignCertificate", ocpp.sign(&csr))["status"], "Accepted");
        let first = station.called("CertificateSigned");
        station.command(json!({ "do": "closed" }));

        station.answer("CertificateSigned", Value::Null);
        station.connect(ocpp);
        let mut again = ocpp.sign(&csr);
        if ocpp == Ocpp::V21 {
            // A02.FR.17 with another id: CertificateSigned repeats the newest id (A02.FR.25).
            again["requestId"] = json!(4712);
        }
        assert_eq!(station.call("SignCertificate", again)["status"], "Accepted");
        let second = station.called("CertificateSigned");
        assert_eq!(second["certificateChain"], first["certificateChain"], "{ocpp:?}");
        if ocpp == Ocpp::V21 {
            assert_eq!((&first["requestId"], &second["requestId"]), (&json!(4711), &json!(4712)));
        }
        stage.await_states(&["Accepted"]);
    }
}

/// CertificateSigned has the version of the connection on which it is sent, in whichever version
/// the certificate was requested.
#[test]
fn what_was_issued_before_a_crash_is_delivered_in_the_version_of_the_new_connection() {
    let versions = [(Ocpp::V21, Ocpp::V16), (Ocpp::V16, Ocpp::V201), (Ocpp::V201, Ocpp::V21)];
    for (before, after) in versions {
        let mut stage = Stage::start();
        {
            let mut station = Puppet::new(&stage, "CS001");
            station.connect(before);
            station.boot(before, "SN-0001");
            let csr = station.request("SN-0001");
            station.answer("CertificateSigned", json!("hang up"));
            assert_eq!(station.call("SignCertificate", before.sign(&csr))["status"], "Accepted");
            station.called("CertificateSigned");
        }
        stage.kill();
        stage.launch();
        stage.await_states(&["Issued"]);

        let mut station = Puppet::new(&stage, "CS001");
        // The key was lost with the process. For this test the station accepts the certificate
        // anyway.
        station.answer("CertificateSigned", json!({ "status": "Accepted" }));
        station.connect(after);
        station.boot(after, "SN-0001");
        let signed = station.called("CertificateSigned");
        fs::write(stage.path("chain.pem"), signed["certificateChain"].as_str().expect("a chain"))
            .expect("writes");
        stage.openssl(&["verify", "-x509_strict", "-CAfile", "root.pem", "chain.pem"]);
        let certificate_type = match after {
            Ocpp::V16 => &Value::Null,
            _ => &json!("ChargingStationCertificate"),
        };
        assert_eq!(&signed["certificateType"], certificate_type, "{before:?} {after:?}");
        assert_eq!(signed["requestId"], Value::Null);
        stage.await_states(&["Accepted"]);
    }
}

/// A rejection by the station is final, the operator sees it, and the following security event is
/// confirmed.
#[test]
fn tc_a_14_a_rejected_certificate_is_final_and_visible_in_each_version() {
    for ocpp in Ocpp::ALL {
        let stage = Stage::start();
        let mut station = Puppet::new(&stage, "CS001");
        station.connect(ocpp);
        station.boot(ocpp, "SN-0001");
        let rejected = match ocpp {
            Ocpp::V16 => json!({ "status": "Rejected" }),
            _ => json!({ "status": "Rejected", "statusInfo": { "reasonCode": "InvalidCertificate" } }),
        };
        station.answer("CertificateSigned", rejected);
        let csr = station.request("SN-0001");
        assert_eq!(station.call("SignCertificate", ocpp.sign(&csr))["status"], "Accepted");
        let refused = station.called("CertificateSigned");
        let event = match ocpp {
            Ocpp::V16 => "InvalidChargePointCertificate",
            _ => "InvalidChargingStationCertificate",
        };
        // A04.FR.03
        let told = json!({ "type": event, "timestamp": "2026-01-01T00:00:00Z", "techInfo": "on purpose" });
        assert_eq!(station.call("SecurityEventNotification", told), json!({}));
        assert!(stage.log().contains(event) && stage.log().contains("on purpose"), "{}", stage.log());
        // OCPP 1.6 requires only ISO 8601. The other versions refuse a time without an offset, but
        // log the event.
        let local =
            json!({ "type": "ReconfigurationOfSecurityParameters", "timestamp": "2026-01-01T00:00:00" });
        let code = station.call_raw("SecurityEventNotification", local)[0].clone();
        assert_eq!(code, if matches!(ocpp, Ocpp::V16) { 3 } else { 4 });
        assert!(stage.log().contains("ReconfigurationOfSecurityParameters"), "{}", stage.log());
        stage.await_states(&["Rejected"]);
        let reason = match ocpp {
            Ocpp::V16 => Value::Null,
            _ => json!("InvalidCertificate"),
        };
        assert_eq!(stage.certificates()[0]["reason"], reason);
        station.close();

        // The certificate is not sent again. The next one is sent instead, and the oldest comes
        // first.
        station.answer("CertificateSigned", Value::Null);
        station.connect(ocpp);
        station.boot(ocpp, "SN-0001");
        let csr = station.request("SN-0001");
        assert_eq!(station.call("SignCertificate", ocpp.sign(&csr))["status"], "Accepted");
        assert_ne!(station.called("CertificateSigned")["certificateChain"], refused["certificateChain"]);
        stage.await_states(&["Accepted", "Rejected"]);
    }
}

#[test]
fn a02_fr_12_a_request_for_somebody_else_is_rejected_in_each_version() {
    for ocpp in Ocpp::ALL {
        let stage = Stage::start();
        let mut station = Puppet::new(&stage, "CS001");
        station.connect(ocpp);
        station.boot(ocpp, "SN-0001");
        let csr = station.request("SN-0002");
        let answer = station.call("SignCertificate", ocpp.sign(&csr));
        match ocpp {
            // The response has no field for a reason.
            Ocpp::V16 => assert_eq!(answer, json!({ "status": "Rejected" })),
            _ => {
                assert_eq!(answer["statusInfo"]["reasonCode"], "InvalidCSR", "{answer}");
                let info = answer["statusInfo"]["additionalInfo"].as_str().expect("a reason");
                assert!(info.contains("SN-0002"), "{info}");
            }
        }
        assert!(stage.log().contains("SN-0002"), "{}", stage.log());
        assert_eq!(stage.certificates(), Vec::<Value>::new());
    }
}

/// TC_B_30_CSMS.
#[test]
fn b01_fr_08_nothing_is_taken_before_the_boot_in_each_version() {
    for ocpp in Ocpp::ALL {
        let stage = Stage::start();
        let mut station = Puppet::new(&stage, "CS001");
        station.connect(ocpp);
        let csr = station.request("SN-0001");
        let answer = station.call_raw("SignCertificate", ocpp.sign(&csr));
        assert_eq!((&answer[0], &answer[2]), (&json!(4), &json!("SecurityError")), "{ocpp:?}: {answer}");
        assert_eq!(stage.certificates(), Vec::<Value>::new());
        station.boot(ocpp, "SN-0001");
        assert_eq!(station.call("SignCertificate", ocpp.sign(&csr))["status"], "Accepted");
        assert!(station.call("Heartbeat", json!({}))["currentTime"].is_string());
    }
}

/// A00.FR.405, B01.FR.11, B01.FR.12: under profile 3 the serial number has to be the one of the
/// certificate.
#[test]
fn b01_fr_12_another_serial_number_than_the_certificates_is_refused_in_each_version() {
    for ocpp in Ocpp::ALL {
        let stage = Stage::start();
        let mut station = Puppet::new(&stage, "CS001");
        station.connect(ocpp);
        station.boot(ocpp, "SN-0001");
        let csr = station.request("SN-0001");
        station.call("SignCertificate", ocpp.sign(&csr));
        station.called("CertificateSigned");
        stage.await_states(&["Accepted"]);
        station.close();

        station.connect_with_certificate(ocpp);
        assert_eq!(station.call("BootNotification", ocpp.boot("SN-0009"))["status"], "Rejected");
        // 1008: policy violation.
        assert_eq!(station.command(json!({ "do": "closed" })), 1008, "{ocpp:?}");
        if ocpp == Ocpp::V16 {
            // The charge box's number is used if the charge point's number is missing.
            let told = |point: Option<&str>, charge_box: &str| {
                let mut boot = ocpp.boot("");
                boot["chargePointSerialNumber"] = json!(point);
                boot["chargeBoxSerialNumber"] = json!(charge_box);
                boot.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
                boot
            };
            for (boot, expected) in [
                (told(None, "SN-0009"), "Rejected"),
                (told(None, "SN-0001"), "Accepted"),
                (told(Some("SN-0001"), "BOX-1"), "Accepted"),
            ] {
                station.connect_with_certificate(ocpp);
                assert_eq!(station.call("BootNotification", boot)["status"], expected);
                station.close();
            }
        }
    }
}

/// The station stays Pending, and is asked only for its new certificate.
#[test]
fn a00_fr_429_an_expired_certificate_is_renewed_in_each_version() {
    for ocpp in Ocpp::ALL {
        let stage = Stage::prepare();
        OpenSslCa::new(&stage).issue("expired", "/O=Test CSO/CN=SN-0001", &[], LONG_AGO);
        stage.configure("[[station]]", "client_roots_file = \"roots.pem\"\n[[station]]");
        stage.configure(
            "serial_number = \"SN-0001\"",
            "serial_number = \"SN-0001\"\nexpired_certificate_permitted = true",
        );
        let roots = ["ca.pem", "root.pem"].map(|file| fs::read_to_string(stage.path(file)).expect("reads"));
        fs::write(stage.path("roots.pem"), roots.concat()).expect("writes");
        let stage = stage.launched();
        let mut station = Puppet::new(&stage, "CS001");
        let (action, payload) = ocpp.trigger();
        station.answer(action, json!({ "status": "Accepted" }));
        let result = station.command(json!({
            "do": "connect", "subprotocols": [ocpp.subprotocol()],
            "client_chain": "expired.pem", "client_key": "expired.key",
        }));
        assert_eq!(result["connected"], ocpp.subprotocol(), "{result}\n{}", stage.log());
        let answer = station.call("BootNotification", ocpp.boot("SN-0001"));
        assert_eq!(answer["status"], "Pending", "{ocpp:?}");
        assert_eq!(station.called(action), payload);
        // B02.FR.02: messages that were not requested are refused.
        let answer = station.call_raw("Heartbeat", json!({}));
        assert_eq!((&answer[0], &answer[2]), (&json!(4), &json!("SecurityError")), "{answer}");
        let csr = station.request("SN-0001");
        assert_eq!(station.call("SignCertificate", ocpp.sign(&csr))["status"], "Accepted");
        station.called("CertificateSigned");
        stage.await_states(&["Accepted"]);
        station.close();
        station.connect_with_certificate(ocpp);
        station.boot(ocpp, "SN-0001");
    }
}

/// An issuer so far below its root that the chain has more than 5,600 characters, the length that
/// every station accepts.
fn deep_below_its_root() -> Stage {
    let stage = Stage::prepare();
    fs::write(
        stage.path("authority.cnf"),
        "basicConstraints = critical, CA:true\nkeyUsage = critical, keyCertSign, cRLSign\n\
         subjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\n",
    )
    .expect("writes");
    stage.openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096", "-out", "deep.key"]);
    let request =
        ["req", "-x509", "-new", "-key", "deep.key", "-days", "3650", "-subj", "/O=Test CSO/CN=Deep 0"];
    let authority = ["-addext", "keyUsage = critical, keyCertSign, cRLSign", "-out", "deep-0.pem"];
    stage.openssl(&[&request[..], &authority].concat());
    let sign = |public_key: &str, subject: &str, issuer: &str, out: &str| {
        let request = ["x509", "-new", "-force_pubkey", public_key, "-subj", subject, "-days", "3000"];
        let issuer = ["-CA", issuer, "-CAkey", "deep.key", "-extfile", "authority.cnf", "-out", out];
        stage.openssl(&[&request[..], &issuer].concat());
    };
    stage.openssl(&["pkey", "-in", "deep.key", "-pubout", "-out", "deep.pub"]);
    let own = stage.openssl(&["x509", "-in", "root.pem", "-noout", "-pubkey"]);
    fs::write(stage.path("own.pub"), own).expect("writes");
    sign("deep.pub", "/O=Test CSO/CN=Deep 1", "deep-0.pem", "deep-1.pem");
    sign("deep.pub", "/O=Test CSO/CN=Deep 2", "deep-1.pem", "deep-2.pem");
    sign("deep.pub", "/O=Test CSO/CN=Deep 3", "deep-2.pem", "deep-3.pem");
    sign("own.pub", "/O=Test CSO/CN=Test CSO Root", "deep-3.pem", "own.pem");
    let chain = ["own.pem", "deep-3.pem", "deep-2.pem", "deep-1.pem", "deep-0.pem"]
        .map(|file| fs::read_to_string(stage.path(file)).expect("reads"));
    fs::write(stage.path("deep-chain.pem"), chain.concat()).expect("writes");
    stage.configure("certificate_file = \"root.pem\"", "certificate_file = \"deep-chain.pem\"");
    stage.launched()
}

#[test]
fn a02_fr_16_no_longer_chain_is_sent_than_the_station_takes() {
    let stage = deep_below_its_root();
    let configuration = |value: &str| {
        json!({ "configurationKey": [
            { "key": "CertificateSignedMaxChainSize", "readonly": true, "value": value },
        ] })
    };
    let variable = |value: Value| {
        let status = if value.is_null() { "UnknownVariable" } else { "Accepted" };
        let mut result = json!({
            "attributeStatus": status, "attributeValue": value, "component": { "name": "SecurityCtrlr" },
            "variable": { "name": "MaxCertificateChainSize" },
        });
        result.as_object_mut().expect("an object").retain(|_, member| !member.is_null());
        json!({ "getVariableResult": [result] })
    };
    let mut states = Vec::new();
    for (ocpp, action, told, taken) in [
        (Ocpp::V16, "GetConfiguration", configuration("6000"), false),
        (Ocpp::V16, "GetConfiguration", configuration("10000"), true),
        // The station does not have this key.
        (Ocpp::V16, "GetConfiguration", json!({ "unknownKey": ["CertificateSignedMaxChainSize"] }), true),
        (Ocpp::V201, "GetVariables", variable(json!("6000")), false),
        (Ocpp::V201, "GetVariables", variable(Value::Null), true),
        (Ocpp::V21, "GetVariables", variable(json!("6000")), false),
        (Ocpp::V21, "GetVariables", variable(json!("10000")), true),
    ] {
        let mut station = Puppet::new(&stage, "CS001");
        station.connect(ocpp);
        station.boot(ocpp, "SN-0001");
        station.answer(action, told.clone());
        let csr = station.request("SN-0001");
        assert_eq!(station.call("SignCertificate", ocpp.sign(&csr))["status"], "Accepted");
        states.insert(0, if taken { "Accepted" } else { "Rejected" });
        stage.await_states(&states);
        station.called(action);
        if taken {
            station.called("CertificateSigned");
            stage.openssl(&[
                "verify",
                "-x509_strict",
                "-CAfile",
                "deep-0.pem",
                "-untrusted",
                "puppet-chain.pem",
                "puppet-chain.pem",
            ]);
        } else {
            let reason = stage.certificates()[0]["reason"].clone();
            assert!(reason.as_str().expect("a reason").contains("6000"), "{reason}");
            // The limit is known now. A certificate that cannot be sent is not signed again, and
            // the station is asked for its limit once.
            let csr = station.request("SN-0001");
            assert_eq!(station.call("SignCertificate", ocpp.sign(&csr))["status"], "Rejected");
            let asked = station.frames().iter().filter(|frame| frame["in"][2] == action).count();
            assert_eq!(asked, 1);
            let sent = station.frames().iter().filter(|frame| frame["in"][2] == "CertificateSigned").count();
            assert_eq!(sent, 0, "{ocpp:?} {told}");
        }
        station.close();
    }
}

/// TC_B_58_CSMS, TC_088_CSMS of OCPP 1.6.
#[test]
fn tc_b_58_the_station_gets_the_first_version_of_its_own_order_that_is_served() {
    let mut stage = Stage::start();
    let offers = |stage: &Stage, offered: &[&str]| {
        let mut station = Puppet::new(stage, "CS001");
        station.command(json!({ "do": "connect", "subprotocols": offered, "password": PASSWORD }))
    };
    for (offered, taken) in [
        (&["ocpp1.6", "ocpp2.0.1", "ocpp2.1"][..], "ocpp1.6"),
        (&["ocpp2.1", "ocpp1.6"], "ocpp2.1"),
        (&["ocpp2.0.1", "ocpp2.1"], "ocpp2.0.1"),
        (&["ocpp0.1", "ocpp1.6"], "ocpp1.6"),
        (&["ocpp0.1", "ocpp2.0.1"], "ocpp2.0.1"),
        (&["ocpp0.1", "ocpp2.1"], "ocpp2.1"),
    ] {
        assert_eq!(offers(&stage, offered)["connected"], taken, "{offered:?}");
    }
    assert_eq!(offers(&stage, &["ocpp0.1"])["refused"], 400);

    stage.kill();
    stage.configure("path = \"/ocpp\"", "path = \"/ocpp\"\nversions = [\"2.0.1\", \"2.1\"]");
    stage.launch();
    assert_eq!(offers(&stage, &["ocpp1.6"])["refused"], 400);
    assert_eq!(offers(&stage, &["ocpp1.6", "ocpp2.1"])["connected"], "ocpp2.1");
}
