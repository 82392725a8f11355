//! A01 and A05: new passwords and higher profiles, over an open connection.

use std::{fs, time::Duration};

use ocpp_transport::{
    CallError, Close, ConnectError, Connection, Password, Peer, Router, Security, StationConfig,
    StationIdentity, connect,
    tls::{ClientKey, software_key},
};
use ocpp_types::{
    Version,
    v201::{
        ResetRequest, ResetResponse, ResetStatusEnumType, SetNetworkProfileRequest,
        SetNetworkProfileResponse, SetNetworkProfileStatusEnumType, SetVariableResultType,
        SetVariableStatusEnumType, SetVariablesRequest, SetVariablesResponse,
    },
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use serde_json::json;
use tokio::{sync::mpsc, time::timeout};

use crate::{
    delivery::in_runtime,
    stage::{PASSWORD, Stage},
};

const NEW: &str = "battery-horse-correct-2";

fn root(stage: &Stage) -> Vec<CertificateDer<'static>> {
    vec![CertificateDer::from_pem_file(stage.path("root.pem")).expect("a root")]
}

async fn connect_with(stage: &Stage, security: Security, router: Router) -> Result<Connection, ConnectError> {
    let identity = StationIdentity::try_from("CS001").expect("an identity");
    let config = StationConfig::new(stage.url().parse().expect("a URL"), identity, security);
    timeout(Duration::from_secs(20), connect(&config, router)).await.expect("in time")
}

async fn with_password(stage: &Stage, password: &str, router: Router) -> Result<Connection, ConnectError> {
    connect_with(stage, Security::profile_2(password.into(), root(stage)).expect("a root"), router).await
}

/// Whether a password opens a connection. If it does not, the password has to be the reason.
async fn opens(stage: &Stage, password: &str) -> bool {
    match with_password(stage, password, Router::new(Version::V201)).await {
        Ok(connection) => {
            connection.close(Close::Normal).await;
            true
        }
        Err(ConnectError::Refused { status: 401, .. }) => false,
        Err(other) => panic!("{other:?}"),
    }
}

/// Answers SetVariables with one status, and passes the set values on.
fn answering(status: SetVariableStatusEnumType) -> (Router, mpsc::Receiver<String>) {
    let (told, values) = mpsc::channel(8);
    let router = Router::new(Version::V201).handle(move |_: Peer, request: SetVariablesRequest| {
        let data = &request.set_variable_data[0];
        assert_eq!(
            (data.component.name.as_str(), data.variable.name.as_str()),
            ("SecurityCtrlr", "BasicAuthPassword")
        );
        told.try_send(data.attribute_value.as_str().to_owned()).expect("the test listens");
        let result = SetVariableResultType::new(status, data.component.clone(), data.variable.clone());
        let results = vec![result].try_into().expect("one");
        async move { Ok::<_, CallError>(SetVariablesResponse::new(results)) }
    });
    (router, values)
}

#[test]
fn tc_a_09_a01_fr_03_the_old_password_ends_when_the_station_has_accepted_the_new_one() {
    let stage = Stage::start();
    fs::write(stage.path("new"), NEW).expect("writes");
    in_runtime(async {
        let (router, mut values) = answering(SetVariableStatusEnumType::Accepted);
        let connection = with_password(&stage, PASSWORD, router).await.expect("connects");
        stage.operate(&["set-password", "CS001", "--file", "new"]).await.expect("changed");
        assert_eq!(values.recv().await.as_deref(), Some(NEW));
        // The station reconnects, as the specification requires.
        connection.close(Close::Normal).await;
        assert!(!opens(&stage, PASSWORD).await, "{}", stage.log());
        assert!(opens(&stage, NEW).await, "{}", stage.log());
    });
    assert!(!stage.log().contains(NEW), "A01.FR.12");
}

#[test]
fn a01_fr_04_a_station_that_has_to_reboot_first_keeps_its_old_password_until_then() {
    let stage = Stage::start();
    fs::write(stage.path("new"), NEW).expect("writes");
    in_runtime(async {
        let (router, mut values) = answering(SetVariableStatusEnumType::RebootRequired);
        let connection = with_password(&stage, PASSWORD, router).await.expect("connects");
        stage.operate(&["set-password", "CS001", "--file", "new"]).await.expect("sent");
        assert_eq!(values.recv().await.as_deref(), Some(NEW));
        // A further password would replace the record of the one that the station is about to use.
        let error = stage.operate(&["set-password", "CS001"]).await.expect_err("one is pending");
        assert!(error.contains("until it connects again"), "{error}");
        assert!(values.try_recv().is_err());
        // The station loses its connection before it reboots.
        connection.close(Close::Normal).await;
        assert!(opens(&stage, PASSWORD).await, "{}", stage.log());
        assert!(opens(&stage, NEW).await, "{}", stage.log());
        assert!(!opens(&stage, PASSWORD).await, "it has shown that it has the new one");
    });
}

#[test]
fn tc_a_10_a01_fr_04_the_old_password_stays_when_the_station_rejects_the_new_one() {
    let stage = Stage::start();
    fs::write(stage.path("new"), NEW).expect("writes");
    in_runtime(async {
        let (router, mut values) = answering(SetVariableStatusEnumType::Rejected);
        let connection = with_password(&stage, PASSWORD, router).await.expect("connects");
        let error = stage.operate(&["set-password", "CS001", "--file", "new"]).await.expect_err("rejected");
        assert!(error.contains("Rejected") && error.contains("keeps its old password"), "{error}");
        assert_eq!(values.recv().await.as_deref(), Some(NEW));
        connection.close(Close::Normal).await;
        assert!(!opens(&stage, NEW).await);
        assert!(opens(&stage, PASSWORD).await);
        // A00.FR.205: a password of fewer than 16 characters is not sent.
        fs::write(stage.path("new"), "too-short").expect("writes");
        let (router, mut values) = answering(SetVariableStatusEnumType::Accepted);
        let _connection = with_password(&stage, PASSWORD, router).await.expect("connects");
        let error = stage.operate(&["set-password", "CS001", "--file", "new"]).await.expect_err("too short");
        assert!(error.contains("16 to 64"), "{error}");
        assert!(values.try_recv().is_err());
    });
}

/// A password that the ledger cannot store is not sent, and does not prevent the next one.
#[test]
fn a01_a_password_that_was_not_recorded_is_not_pending() {
    let stage = Stage::start();
    fs::write(stage.path("new"), NEW).expect("writes");
    in_runtime(async {
        let (router, mut values) = answering(SetVariableStatusEnumType::Accepted);
        let connection = with_password(&stage, PASSWORD, router).await.expect("connects");
        stage.refuse_changes();
        let error =
            stage.operate(&["set-password", "CS001", "--file", "new"]).await.expect_err("not recorded");
        assert!(error.contains("the ledger failed to record a password"), "{error}");
        stage.accept_changes();
        assert!(values.try_recv().is_err(), "nothing was sent");
        stage.operate(&["set-password", "CS001", "--file", "new"]).await.expect("changed");
        assert_eq!(values.recv().await.as_deref(), Some(NEW));
        connection.close(Close::Normal).await;
        assert!(opens(&stage, NEW).await, "{}", stage.log());
    });
}

/// By the security whitepaper of 1.6 a station sends the bytes of its key; by its certification
/// test (TC_085) it sends the text.
#[test]
fn the_key_of_1_6_is_accepted_as_bytes_and_as_text() {
    let key = "0001020304050607FFFFFFFFFFFFFFFFFFFFFFFF";
    let bytes = [&[0, 1, 2, 3, 4, 5, 6, 7][..], &[0xff; 12]].concat();
    let stage = Stage::start();
    fs::write(stage.path("new"), key).expect("writes");
    in_runtime(async {
        let (router, _values) = answering(SetVariableStatusEnumType::Accepted);
        let connection = with_password(&stage, PASSWORD, router).await.expect("connects");
        stage.operate(&["set-password", "CS001", "--file", "new"]).await.expect("changed");
        connection.close(Close::Normal).await;
        assert!(opens(&stage, key).await);
        assert!(opens(&stage, &key.to_lowercase()).await);
        for (sent, expected) in
            [(bytes.clone(), true), (bytes[..19].to_vec(), false), ([0xff; 20].to_vec(), false)]
        {
            let security = Security::profile_2(Password::new(sent), root(&stage)).expect("a root");
            let opened = connect_with(&stage, security, Router::new(Version::V201)).await.is_ok();
            assert_eq!(opened, expected);
        }
    });
}

#[test]
fn a_password_without_an_answer_is_accepted_beside_the_old_one_until_it_is_used() {
    let stage = Stage::start();
    in_runtime(async {
        // The station closes the connection instead of answering. It is not known whether it has
        // stored the password.
        let (told, mut values) = mpsc::channel(8);
        let router = Router::new(Version::V201).handle(move |_: Peer, request: SetVariablesRequest| {
            told.try_send(request.set_variable_data[0].attribute_value.as_str().to_owned())
                .expect("the test listens");
            std::future::pending::<Result<SetVariablesResponse, CallError>>()
        });
        let connection = with_password(&stage, PASSWORD, router).await.expect("connects");
        let (command, random) = tokio::join!(stage.operate(&["set-password", "CS001"]), async {
            let random = values.recv().await.expect("a password");
            drop(connection);
            random
        });
        assert!(command.expect_err("no answer").contains("either password"));
        // A01.FR.07: the password is random, and long enough.
        assert_eq!(random.chars().count(), 40);
        assert!(opens(&stage, PASSWORD).await);
        assert!(opens(&stage, &random).await);
        assert!(!opens(&stage, PASSWORD).await, "the station has shown which one it has");
        assert!(!stage.log().contains(&random));
    });
}

#[test]
fn tc_a_19_a05_fr_07_a_station_that_was_moved_to_profile_3_is_refused_on_profile_2() {
    let stage = Stage::start();
    let csr = stage.request("/O=Test CSO/CN=SN-0001", &[]);
    let arguments = ["--serial-number", "SN-0001", "--csr", csr, "--chain-out", "chain.pem"];
    stage.station_with_password("CS001", &arguments).step("finished");
    in_runtime(async {
        let (told, mut slots) = mpsc::channel(8);
        let router = Router::new(Version::V201)
            .handle(move |_: Peer, request: SetNetworkProfileRequest| {
                let profile = &request.connection_data;
                told.try_send((request.configuration_slot, profile.security_profile))
                    .expect("the test listens");
                let status = SetNetworkProfileStatusEnumType::Accepted;
                async move { Ok::<_, CallError>(SetNetworkProfileResponse::new(status)) }
            })
            .handle(|_: Peer, request: SetVariablesRequest| {
                let data = &request.set_variable_data[0];
                assert_eq!(data.variable.name.as_str(), "NetworkConfigurationPriority");
                let status = SetVariableStatusEnumType::Accepted;
                let result =
                    SetVariableResultType::new(status, data.component.clone(), data.variable.clone());
                let results = vec![result].try_into().expect("one");
                async move { Ok::<_, CallError>(SetVariablesResponse::new(results)) }
            })
            .handle(|_: Peer, _: ResetRequest| async {
                Ok::<_, CallError>(ResetResponse::new(ResetStatusEnumType::Scheduled))
            });
        let connection = with_password(&stage, PASSWORD, router).await.expect("connects");
        let profile = json!({
            "configurationSlot": 2,
            "connectionData": {
                "ocppVersion": "OCPP20", "ocppTransport": "JSON", "ocppCsmsUrl": stage.url(),
                "messageTimeout": 30, "securityProfile": 3, "ocppInterface": "Wired0",
            },
        });
        let priority = json!({ "setVariableData": [{
            "attributeValue": "2,1", "component": { "name": "OCPPCommCtrlr" },
            "variable": { "name": "NetworkConfigurationPriority" },
        }] });
        for (action, payload) in [
            ("SetNetworkProfile", profile),
            ("SetVariables", priority),
            ("Reset", json!({ "type": "OnIdle" })),
        ] {
            stage.operate(&["call", "CS001", action, &payload.to_string()]).await.expect(action);
        }
        assert_eq!(slots.recv().await, Some((2, 3)));
        connection.close(Close::Normal).await;

        // Until the station has used the new profile, it may return to the old one (A05.FR.08 of
        // 1.6, B10.FR.07).
        assert!(opens(&stage, PASSWORD).await);
        let chain = CertificateDer::pem_file_iter(stage.path("chain.pem")).expect("opens");
        let chain = chain.collect::<Result<Vec<_>, _>>().expect("certificates");
        let key = PrivateKeyDer::from_pem_file(stage.path("key.pem")).expect("a key");
        let key = ClientKey { chain, key: software_key(key).expect("a key") };
        let security = Security::profile_3(key, root(&stage)).expect("fits");
        let connection = connect_with(&stage, security, Router::new(Version::V201)).await.expect("connects");
        connection.close(Close::Normal).await;

        let error = with_password(&stage, PASSWORD, Router::new(Version::V201)).await.expect_err("lower");
        assert!(matches!(error, ConnectError::Refused { status: 403, .. }), "{error:?}");
    });
}
