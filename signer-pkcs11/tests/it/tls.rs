//! TLS with keys in tokens on both ends, over pipes in memory. Each end verifies the other with
//! webpki.

use std::sync::Arc;

use rustls::{
    ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection,
    client::WebPkiServerVerifier,
    pki_types::{CertificateDer, ServerName as Host, pem::PemObject},
    server::WebPkiClientVerifier,
    sign::{CertifiedKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};
use signer_pkcs11::{
    CaSettings, CertificateAuthority, Key, KeyAlgorithm, KeyKind, KeyName, KeyRules, RsaPadding, ServerName,
    Subject, Token, csr,
};

use crate::{
    issuance::{Stage, key, request, station},
    openssl::Openssl,
    softhsm::token,
};

fn chain(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap).collect()
}

fn certified(pem: &str, key: &Key) -> Arc<SingleCertAndKey> {
    let certified = CertifiedKey::new(chain(pem), key.signing_key());
    certified.keys_match().expect("certificate and key belong together");
    Arc::new(SingleCertAndKey::from(certified))
}

/// Carries bytes in both directions until neither side has any left.
fn shake_hands(client: &mut Connection, server: &mut Connection) -> Result<(), rustls::Error> {
    while carry(client, server)? + carry(server, client)? > 0 {}
    Ok(())
}

/// Carries the bytes that one end has written to the other, and returns their number.
fn carry(from: &mut Connection, to: &mut Connection) -> Result<usize, rustls::Error> {
    let mut bytes = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut bytes).unwrap();
    }
    let mut left = &bytes[..];
    while !left.is_empty() {
        to.read_tls(&mut left).unwrap();
        to.process_new_packets()?;
    }
    Ok(bytes.len())
}

fn generate(token: &Token, algorithm: KeyAlgorithm) -> Key {
    token.generate_key(&KeyName::random(format!("tls-{algorithm}")).unwrap(), algorithm).unwrap()
}

#[test]
fn both_keys_in_tokens_tls_1_2_and_1_3() {
    let kinds = [KeyKind::P256, KeyKind::P384, KeyKind::P521, KeyKind::Ed25519, KeyKind::Rsa { bits: 2048 }];
    let stage = Stage::new(CaSettings::new("Example").keys(KeyRules::new().kinds(kinds)));
    let station_token = token("tls-stations");
    for algorithm in [
        KeyAlgorithm::EcdsaP256,
        KeyAlgorithm::EcdsaP384,
        KeyAlgorithm::EcdsaP521,
        KeyAlgorithm::Rsa2048,
        KeyAlgorithm::Ed25519,
    ] {
        check(&stage, &generate(&stage.csms, algorithm), &generate(&station_token, algorithm));
    }
}

/// Handshakes of both versions with these keys of the CSMS and of the station.
fn check(stage: &Stage, server_key: &Key, station_key: &Key) {
    let host = ServerName::new("localhost").unwrap();
    let server_certificate = stage
        .runtime
        .block_on(stage.authority.issue_server_certificate(&host, server_key.public_key()))
        .unwrap();
    let pem = csr::build(station_key, &Subject::new("SN-0001", "Example")).unwrap();
    let (_, pending) = stage.authority.answer(&request(&pem), &station());
    let station_certificate =
        stage.runtime.block_on(stage.authority.issue(pending.unwrap())).unwrap().certificate;

    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(chain(&stage.root_pem));
    let roots = Arc::new(roots);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    for version in [&TLS12, &TLS13] {
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
            .build()
            .unwrap();
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(certified(&server_certificate.chain_pem, server_key));
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
            .build()
            .unwrap();
        let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_webpki_verifier(verifier)
            .with_client_cert_resolver(certified(&station_certificate.chain_pem, station_key));
        let host = Host::try_from("localhost").unwrap();
        let mut client = Connection::from(ClientConnection::new(Arc::new(client), host).unwrap());
        let mut server = Connection::from(ServerConnection::new(Arc::new(server)).unwrap());
        shake_hands(&mut client, &mut server).unwrap();
        assert!(!client.is_handshaking() && !server.is_handshaking());
        assert_eq!(client.protocol_version(), Some(version.version));
        assert_eq!(server.peer_certificates().unwrap(), chain(&station_certificate.chain_pem));
    }
}

/// A handshake by TLS 1.3, with this chain and key of the server.
fn connect(root: &str, chain: &str, key: &Key) -> Result<(), rustls::Error> {
    let server = ServerConfig::builder().with_no_client_auth().with_cert_resolver(certified(chain, key));
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(self::chain(root));
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let host = Host::try_from("csms.example.com").unwrap();
    let mut client = Connection::from(ClientConnection::new(Arc::new(client), host).unwrap());
    let mut server = Connection::from(ServerConnection::new(Arc::new(server)).unwrap());
    shake_hands(&mut client, &mut server)
}

#[test]
fn a00_fr_505_a_chain_by_pss_as_we_sign_it_and_as_openssl_does_by_default() {
    let token = token("pss");
    let pss = |key: Key| key.with_rsa_padding(RsaPadding::Pss);
    let [sub, leaf] = ["sub", "leaf"].map(|label| {
        let name = KeyName::random(label).unwrap();
        pss(token.generate_key(&name, KeyAlgorithm::Rsa2048).unwrap())
    });
    let openssl = Openssl::new();
    openssl.run("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out root.key");
    openssl.run("req -x509 -new -key root.key -subj /O=Example/CN=Root -addext keyUsage=critical,keyCertSign -out root.pem");
    openssl.write("sub.csr", csr::build(&sub, &Subject::new("Sub", "Example")).unwrap());
    openssl.write("sub.cnf", "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\n");
    let root = openssl.read("root.pem");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let connect_below = |salt: &str| {
        openssl.run(&format!(
            "x509 -req -in sub.csr -CA root.pem -CAkey root.key -CAcreateserial -extfile sub.cnf -out sub.pem \
             -sigopt rsa_padding_mode:pss {salt}"
        ));
        // This crate reads requests and chains with salts of any length. Some peers refuse them.
        let above = openssl.read("sub.pem") + &root;
        let authority = CertificateAuthority::new(sub.clone(), &above, CaSettings::new("Example")).unwrap();
        let name = ServerName::new("csms.example.com").unwrap();
        let issued = runtime.block_on(authority.issue_server_certificate(&name, leaf.public_key())).unwrap();
        openssl.write("chain.pem", &issued.chain_pem);
        openssl.run("verify -x509_strict -CAfile root.pem -untrusted chain.pem chain.pem");
        connect(&root, &issued.chain_pem, &leaf)
    };
    connect_below("-sigopt rsa_pss_saltlen:digest").unwrap();
    let error = connect_below("").unwrap_err().to_string();
    assert!(error.contains("UnsupportedSignatureAlgorithm"), "{error}");
}

#[test]
fn a_handshake_fails_cleanly_when_the_token_is_shut_down() {
    let stage = Stage::new(CaSettings::new("Example"));
    let server_key = key(&stage.csms, "tls");
    let host = ServerName::new("localhost").unwrap();
    let certificate = stage
        .runtime
        .block_on(stage.authority.issue_server_certificate(&host, server_key.public_key()))
        .unwrap();
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_cert_resolver(certified(&certificate.chain_pem, &server_key));
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(chain(&stage.root_pem));
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let host = Host::try_from("localhost").unwrap();
    let mut client = Connection::from(ClientConnection::new(Arc::new(client), host).unwrap());
    let mut server = Connection::from(ServerConnection::new(Arc::new(server)).unwrap());
    stage.csms.shutdown();
    let error = shake_hands(&mut client, &mut server).unwrap_err();
    assert!(error.to_string().contains("shut down"), "{error}");
}
