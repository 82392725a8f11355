//! The certificates that are installed on a station, as an operator manages them in the version of
//! its connection: M03, M04 and M05 for a CSMS.

use std::fs;

use serde_json::{Value, json};

use crate::{
    puppet::{Ocpp, Puppet},
    stage::Stage,
};

/// The uses of a root that an operator may name, and the test cases of their installation and
/// listing.
fn uses(ocpp: Ocpp) -> &'static [&'static str] {
    match ocpp {
        Ocpp::V16 => &["CentralSystemRootCertificate", "ManufacturerRootCertificate"],
        Ocpp::V201 => {
            &["CSMSRootCertificate", "ManufacturerRootCertificate", "V2GRootCertificate", "MORootCertificate"]
        }
        Ocpp::V21 => &[
            "CSMSRootCertificate",
            "ManufacturerRootCertificate",
            "V2GRootCertificate",
            "MORootCertificate",
            "OEMRootCertificate",
        ],
    }
}

/// A root with this serial number, made with OpenSSL.
fn root(stage: &Stage, serial_number: &str, options: &[&str]) -> Value {
    let request = ["req", "-x509", "-nodes", "-keyout", "any.key", "-out", "any.pem", "-days", "30"];
    let named = ["-subj", "/O=Somebody/CN=Some Root", "-set_serial", serial_number];
    stage.openssl(&[&request[..], &named, options].concat());
    json!(fs::read_to_string(stage.path("any.pem")).expect("reads"))
}

const EC: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

/// The payload that requests the certificates of one use.
fn list(ocpp: Ocpp, certificate_use: &str) -> Value {
    match ocpp {
        Ocpp::V16 => json!({ "certificateType": certificate_use }),
        _ => json!({ "certificateType": [certificate_use] }),
    }
}

/// The hash data in the response, in 2.x with their uses.
fn listed(response: &Value) -> Vec<(Option<&str>, &Value)> {
    let flat = response["certificateHashData"].as_array().into_iter().flatten().map(|data| (None, data));
    let chains = response["certificateHashDataChain"].as_array().into_iter().flatten();
    flat.chain(chains.map(|chain| (chain["certificateType"].as_str(), &chain["certificateHashData"])))
        .collect()
}

/// TC_M_01 to TC_M_04, TC_M_12, TC_M_13, TC_M_14, TC_M_16 and TC_M_19, each for the CSMS; TC_075 of
/// OCPP 1.6.
#[test]
fn tc_m_01_to_04_12_to_14_16_19_each_use_is_installed_and_listed_in_each_version() {
    for ocpp in Ocpp::ALL {
        let stage = Stage::start();
        let mut station = Puppet::new(&stage, "CS001");
        station.connect(ocpp);
        station.boot(ocpp, "SN-0001");
        for certificate_use in uses(ocpp) {
            let asked = list(ocpp, certificate_use);
            let nothing = stage.by_hand("CS001", "GetInstalledCertificateIds", &asked);
            assert_eq!(nothing, json!({ "status": "NotFound" }));
            assert_eq!(station.called("GetInstalledCertificateIds"), asked);

            let install = json!({ "certificateType": certificate_use, "certificate": root(&stage, "1", EC) });
            assert_eq!(stage.by_hand("CS001", "InstallCertificate", &install)["status"], "Accepted");
            assert_eq!(station.called("InstallCertificate"), install);
            let response = stage.by_hand("CS001", "GetInstalledCertificateIds", &asked);
            let expected = (ocpp != Ocpp::V16).then_some(*certificate_use);
            let found = listed(&response);
            assert_eq!(found.iter().map(|(use_, _)| *use_).collect::<Vec<_>>(), [expected], "{response}");
            station.called("GetInstalledCertificateIds");
        }
    }
}

/// TC_M_15, TC_M_17 and TC_M_18 for the CSMS.
#[test]
fn tc_m_15_17_18_chains_several_uses_and_all_of_them() {
    for ocpp in [Ocpp::V201, Ocpp::V21] {
        let stage = Stage::start();
        let mut station = Puppet::new(&stage, "CS001");
        station.connect(ocpp);
        station.boot(ocpp, "SN-0001");
        for certificate_use in ["CSMSRootCertificate", "ManufacturerRootCertificate"] {
            let install = json!({ "certificateType": certificate_use, "certificate": root(&stage, "7", EC) });
            stage.by_hand("CS001", "InstallCertificate", &install);
        }
        let count =
            |asked: Value| listed(&stage.by_hand("CS001", "GetInstalledCertificateIds", &asked)).len();
        assert_eq!(count(json!({})), 2);
        assert_eq!(
            count(json!({ "certificateType": ["CSMSRootCertificate", "ManufacturerRootCertificate"] })),
            2
        );
        // The `inventory` command reports the same.
        let all = stage.operator(&["inventory", "CS001"]).expect("listed");
        assert_eq!(listed(&all).len(), 2);

        let data = |number: usize| {
            json!({
                "hashAlgorithm": "SHA256", "issuerNameHash": "ab".repeat(32),
                "issuerKeyHash": "cd".repeat(32), "serialNumber": format!("{number:x}"),
            })
        };
        let chain = json!({ "status": "Accepted", "certificateHashDataChain": [{
            "certificateType": "V2GCertificateChain", "certificateHashData": data(0xfff),
            "childCertificateHashData": [data(2), data(1)],
        }] });
        station.answer("GetInstalledCertificateIds", chain.clone());
        let asked = list(ocpp, "V2GCertificateChain");
        assert_eq!(stage.by_hand("CS001", "GetInstalledCertificateIds", &asked), chain);
    }
}

/// TC_M_05 and TC_M_21 for the CSMS: a failure of the station is not an error of the CSMS.
#[test]
fn tc_m_05_tc_m_21_what_the_station_cannot_do_is_told() {
    for ocpp in Ocpp::ALL {
        let stage = Stage::start();
        let mut station = Puppet::new(&stage, "CS001");
        station.connect(ocpp);
        station.boot(ocpp, "SN-0001");
        let install =
            json!({ "certificateType": uses(ocpp)[0], "certificate": root(&stage, "0xabcdef", EC) });
        for status in ["Failed", "Rejected"] {
            station.answer("InstallCertificate", json!({ "status": status }));
            assert_eq!(stage.by_hand("CS001", "InstallCertificate", &install)["status"], status);
        }
        let data = json!({ "certificateHashData": {
            "hashAlgorithm": "SHA256", "issuerNameHash": "ab", "issuerKeyHash": "cd", "serialNumber": "1",
        } });
        assert_eq!(stage.by_hand("CS001", "DeleteCertificate", &data)["status"], "NotFound");
        station.answer("DeleteCertificate", json!({ "status": "Failed" }));
        assert_eq!(stage.by_hand("CS001", "DeleteCertificate", &data)["status"], "Failed");
        assert!(station.call("Heartbeat", json!({}))["currentTime"].is_string());
    }
}

/// TC_M_20 for the CSMS, TC_076 of OCPP 1.6: a listed certificate is deleted by exactly the hash
/// data that the station has reported (M04.FR.07), with each algorithm, and with serial numbers of
/// any form.
#[test]
fn tc_m_20_the_hash_data_of_the_station_comes_back_as_it_was() {
    for ocpp in Ocpp::ALL {
        let stage = Stage::start();
        let mut station = Puppet::new(&stage, "CS001");
        station.connect(ocpp);
        station.boot(ocpp, "SN-0001");
        let certificate_use = uses(ocpp)[0];
        for (algorithm, serial_number, key) in [
            ("SHA256", "4095", EC),
            ("SHA384", "0xff00112233445566778899aabbccddeeff001122", &["-newkey", "rsa:2048"]),
            ("SHA512", "0", EC),
        ] {
            station.command(json!({ "do": "algorithm", "name": algorithm }));
            let install = json!({ "certificateType": certificate_use, "certificate": root(&stage, serial_number, key) });
            assert_eq!(stage.by_hand("CS001", "InstallCertificate", &install)["status"], "Accepted");
            let response = stage.by_hand("CS001", "GetInstalledCertificateIds", &list(ocpp, certificate_use));
            let found = listed(&response);
            assert_eq!((found.len(), &found[0].1["hashAlgorithm"]), (1, &json!(algorithm)), "{response}");
            // With the operator's command.
            let status = stage.operator(&["delete", "CS001", "--hash-data", &found[0].1.to_string()]);
            let status = status.expect("deleted");
            assert_eq!(status["status"], "Accepted", "{algorithm}");
            assert_eq!(&station.called("DeleteCertificate")["certificateHashData"], found[0].1);
            let gone = stage.by_hand("CS001", "GetInstalledCertificateIds", &list(ocpp, certificate_use));
            assert_eq!(gone["status"], "NotFound");
        }
    }
}

/// One script works for stations of several versions.
#[test]
fn the_operators_commands_are_the_same_in_each_version() {
    for ocpp in Ocpp::ALL {
        let stage = Stage::start();
        let mut station = Puppet::new(&stage, "CS001");
        station.connect(ocpp);
        station.boot(ocpp, "SN-0001");
        let (action, payload) = ocpp.trigger();
        station.answer(action, json!({ "status": "Accepted" }));
        for word in ["SignChargingStationCertificate", "SignChargePointCertificate"] {
            assert_eq!(stage.operator(&["trigger", "CS001", word]).expect("asked")["status"], "Accepted");
            assert_eq!(station.called(action), payload);
        }
        let none = stage.operator(&["inventory", "CS001"]).expect("listed");
        assert_eq!(none, json!({ "status": "NotFound" }));
        for (certificate_use, own) in
            [("CSMSRootCertificate", uses(ocpp)[0]), ("ManufacturerRootCertificate", uses(ocpp)[1])]
        {
            root(&stage, "0x1234", EC);
            let installed = stage.operator(&["install", "CS001", certificate_use, "any.pem"]);
            assert_eq!(installed.expect("installed")["status"], "Accepted");
            assert_eq!(station.called("InstallCertificate")["certificateType"], own);
        }
        let all = stage.operator(&["inventory", "CS001"]).expect("listed");
        let found = listed(&all);
        let expected = [Some(uses(ocpp)[0]), Some(uses(ocpp)[1])];
        assert_eq!(found.iter().map(|(use_, _)| *use_).collect::<Vec<_>>(), expected, "{all}");
        assert!(found.iter().all(|(_, data)| data["serialNumber"] == "1234"), "{all}");
    }
}
