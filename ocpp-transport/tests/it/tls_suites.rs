//! Versions and cipher suites of the CSMS on both TLS libraries, judged by OpenSSL's client and by
//! hand-written hellos.

use ocpp_transport::tls::SecurityEventKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::lab::{Engine, Lab, heartbeats, nothing, on_both, within};
use crate::pki::{Authority, Leaf};
use crate::s_client::SClient;

/// The four that a CSMS must serve, by OpenSSL's names; the last two are without forward secrecy.
const DEMANDED: [&str; 4] = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
];

on_both! {
    async fn tc_a_04_a00_fr_318_the_four_suites_and_tls_1_3(engine: Engine) {
        let root = Authority::root("CSO root");
        let mut lab = Lab::on(engine, &root, heartbeats()).await;
        let client = SClient::new(&lab);
        for suite in DEMANDED {
            let outcome = client.run(&["-tls1_2", "-cipher", suite]).await;
            if engine == Engine::Rustls && !suite.starts_with("ECDHE") {
                // The feature `openssl` closes this gap.
                outcome.assert_refused_with("alert handshake failure");
            } else {
                outcome.assert_upgraded_with(suite);
                lab.connected_again().await;
            }
        }
        if engine == Engine::Rustls {
            assert_eq!(lab.event().await, SecurityEventKind::InvalidTlsCipherSuite);
        }
        for suite in ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"] {
            client.run(&["-tls1_3", "-ciphersuites", suite]).await.assert_upgraded_with(suite);
        }
    }

    async fn a00_fr_319_forward_secrecy_comes_first(engine: Engine) {
        let root = Authority::root("CSO root");
        let lab = Lab::on(engine, &root, nothing()).await;
        let all = "AES128-GCM-SHA256:AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384";
        let outcome = SClient::new(&lab).run(&["-tls1_2", "-cipher", all]).await;
        outcome.assert_upgraded_with("ECDHE-ECDSA-AES256-GCM-SHA384");
        let outcome = SClient::new(&lab).run(&[]).await;
        outcome.assert_upgraded_with("TLS_AES_256_GCM_SHA384");
    }

    async fn tc_a_06_a00_fr_313_tls_1_1_and_1_0_are_refused(engine: Engine) {
        let root = Authority::root("CSO root");
        let mut lab = Lab::on(engine, &root, nothing()).await;
        let client = SClient::new(&lab);
        for version in ["-tls1_1", "-tls1"] {
            // Without the lower security level OpenSSL would not offer them.
            let outcome = client.run(&[version, "-cipher", "ALL:@SECLEVEL=0"]).await;
            outcome.assert_refused_with("alert protocol version");
        }
        assert_eq!(lab.event().await, SecurityEventKind::InvalidTlsVersion);
        assert!(lab.log.try_recv().is_err(), "A00.FR.419: one event for one episode");
        // The episode ends when a station from there connects, so the next failure is reported
        // again.
        client.run(&[]).await.assert_upgraded_with("TLS_AES_256_GCM_SHA384");
        lab.connected_again().await;
        client.run(&["-tls1", "-cipher", "ALL:@SECLEVEL=0"]).await.assert_refused_with("alert protocol version");
        assert_eq!(lab.event().await, SecurityEventKind::InvalidTlsVersion);
    }

    async fn a00_fr_320_a00_fr_322_weak_suites_are_refused(engine: Engine) {
        let root = Authority::root("CSO root");
        let mut lab = Lab::on(engine, &root, nothing()).await;
        let client = SClient::new(&lab);
        for suites in ["eNULL:@SECLEVEL=0", "aNULL:@SECLEVEL=0", "AES128-SHA:AES256-SHA256:ECDHE-ECDSA-AES128-SHA"] {
            client.run(&["-tls1_2", "-cipher", suites]).await.assert_refused_with("alert handshake failure");
        }
        assert_eq!(lab.event().await, SecurityEventKind::InvalidTlsCipherSuite);
        // Suites that no current library can offer: RC4, DES, export, and the rest of the first
        // registry.
        for suite in (0x0000..=0x003d).chain([0x0084, 0xc006, 0xc007, 0xc008, 0xc010, 0xc011, 0xc015, 0xc016]) {
            assert_eq!(alert(&lab, 0x0303, suite).await, HANDSHAKE_FAILURE, "{suite:#06x}");
        }
    }

    async fn a00_fr_313_old_hellos_made_by_hand_are_refused(engine: Engine) {
        let root = Authority::root("CSO root");
        let lab = Lab::on(engine, &root, nothing()).await;
        for version in [0x0300, 0x0301, 0x0302] {
            assert_eq!(alert(&lab, version, 0xc02b).await, PROTOCOL_VERSION, "{version:#06x}");
        }
    }

    async fn a00_fr_321_nothing_is_compressed_resumed_or_renegotiated(engine: Engine) {
        let root = Authority::root("CSO root");
        let lab = Lab::on(engine, &root, nothing()).await;
        let client = SClient::new(&lab);
        for version in ["-tls1_2", "-tls1_3"] {
            let outcome = client.run(&[version]).await;
            assert!(outcome.upgraded() && outcome.text.contains("Compression: NONE"), "{}", outcome.text);
            assert!(!outcome.text.contains("TLS session ticket:"), "{}", outcome.text);
        }
        // Five more connections with the session of the first.
        let outcome = client.run(&["-tls1_2", "-reconnect"]).await;
        assert!(outcome.text.matches("New, TLSv1.2").count() >= 5, "{}", outcome.text);
        assert!(!outcome.text.contains("Reused"), "{}", outcome.text);
    }

    async fn tc_a_07_a_client_certificate_is_taken_from_another_library(engine: Engine) {
        let root = Authority::root("CSO root");
        let sub = root.sub("CSO sub-CA");
        let mut lab = Lab::on(engine, &root, nothing()).await;
        let leaves = [
            root.issue(&Leaf::new("SN-1")),
            root.issue(&Leaf::new("SN-1").rsa()),
            sub.issue(&Leaf::new("SN-1")).with_intermediate(&sub),
        ];
        for key in &leaves {
            for version in ["-tls1_2", "-tls1_3"] {
                let outcome = SClient::new(&lab).with_certificate(key).run(&[version]).await;
                assert!(outcome.upgraded(), "{}", outcome.text);
                let station = lab.connected_again().await;
                assert_eq!(station.profile().number(), 3);
                // The station also sends the root, which does no harm.
                assert!(station.client_certificate().unwrap().starts_with(&key.chain));
            }
        }
    }
}

const HANDSHAKE_FAILURE: u8 = 40;
const PROTOCOL_VERSION: u8 = 70;

/// The alert that answers a hello of one version with one cipher suite.
async fn alert(lab: &Lab, version: u16, suite: u16) -> u8 {
    let mut tcp = TcpStream::connect(lab.address).await.unwrap();
    tcp.write_all(&hello(version, suite)).await.unwrap();
    let mut answer = Vec::new();
    // The server may reset the connection after it has sent everything.
    let _ = within(tcp.read_to_end(&mut answer)).await;
    match answer.as_slice() {
        // A record of type alert with two bytes, of level fatal.
        [21, _, _, 0, 2, 2, description, ..] => *description,
        other => panic!("no alert: {other:02x?}"),
    }
}

/// A ClientHello according to RFC 5246, with the extensions that elliptic curves need.
fn hello(version: u16, suite: u16) -> Vec<u8> {
    let extensions = [
        // supported_groups: X25519, P-256
        &[0, 10, 0, 6, 0, 4, 0, 29, 0, 23][..],
        // ec_point_formats: uncompressed
        &[0, 11, 0, 2, 1, 0],
        // signature_algorithms: ECDSA and RSA with SHA-256
        &[0, 13, 0, 6, 0, 4, 4, 3, 4, 1],
        // extended_master_secret
        &[0, 23, 0, 0],
    ]
    .concat();
    let mut body = version.to_be_bytes().to_vec();
    body.extend([7; 32]);
    body.extend([0, 0, 2]);
    body.extend(suite.to_be_bytes());
    body.extend([1, 0]);
    body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    body.extend(extensions);
    let length = u16::try_from(body.len()).unwrap();
    let mut record = vec![22, 3, 1];
    record.extend((length + 4).to_be_bytes());
    record.extend([1, 0]);
    record.extend(length.to_be_bytes());
    record.extend(body);
    record
}
