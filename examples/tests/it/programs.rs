//! The examples that embed the agent and the service: they enrol with each other, and OpenSSL
//! verifies the certificate.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};

use signer_pkcs11::{
    CaSettings, CertificateAuthority, KeyAlgorithm, KeyName, ServerName, Subject, Token, TokenOptions, Uri,
    module_from_environment,
};

use crate::{Running, openssl, run, token::new_token};

#[test]
fn the_embedded_station_enrols_at_the_embedded_csms() {
    let (csms_folder, station_folder) =
        (tempfile::tempdir().expect("made"), tempfile::tempdir().expect("made"));
    let (csms_folder, station_folder) = (csms_folder.path(), station_folder.path());
    let token = new_token(csms_folder);
    make_authority(&token, csms_folder);
    let hash = csms::io::hash_password(PASSWORD).expect("hashes");
    let configuration = format!(
        "directory = \"data\"\norganization = \"Example CSO\"\n\
         [listen]\naddress = \"127.0.0.1:0\"\npath = \"/ocpp\"\n[token]\nuri = \"{token}\"\n\
         [ca]\nkey = \"pkcs11:object=root\"\ncertificate_file = \"root.pem\"\n\
         [tls]\nkey = \"pkcs11:object=tls\"\ncertificate_file = \"tls.pem\"\n\
         [[station]]\nidentity = \"CS001\"\nserial_number = \"SN-0001\"\npassword_hash = \"{hash}\"\n"
    );
    fs::write(csms_folder.join("csms.toml"), configuration).expect("writes");
    let mut csms = Command::new(env!("CARGO_BIN_EXE_embed_the_csms"));
    let mut csms = Running::start(csms.arg("csms.toml").current_dir(csms_folder));
    let url = csms.line();

    let token = new_token(station_folder);
    fs::write(station_folder.join("password"), PASSWORD).expect("writes");
    let configuration = format!(
        "directory = \"data\"\n[station]\nidentity = \"CS001\"\nserial_number = \"SN-0001\"\n\
         model = \"Example\"\nvendor = \"Example\"\norganization = \"Example CSO\"\n\
         [csms]\nurl = \"{url}\"\npassword_file = \"password\"\nretry_wait_minimum_s = 0\n\
         retry_random_range_s = 1\n[token]\nuri = \"{token}\"\n"
    );
    fs::write(station_folder.join("station.toml"), configuration).expect("writes");
    provision(station_folder, &fs::read_to_string(csms_folder.join("root.pem")).expect("reads"));
    let mut station = Command::new(env!("CARGO_BIN_EXE_embed_the_station"));
    let chain = run(station.arg("station.toml").current_dir(station_folder), "");
    fs::write(csms_folder.join("station.pem"), chain).expect("writes");
    let verify = "verify -x509_strict -purpose sslclient -CAfile root.pem station.pem";
    assert_eq!(openssl(csms_folder, verify), "station.pem: OK\n");
}

/// Puts the root of the CSMS into the station's store, as the factory does.
fn provision(folder: &Path, root: &str) {
    let data = folder.join("data");
    fs::create_dir_all(&data).expect("made");
    let settings = station_store::Settings::new("SN-0001");
    let store = station_store::Store::open(data.join("certificates.redb"), settings).expect("opens");
    let use_ = ocpp_types::v201::InstallCertificateUseEnumType::CSMSRootCertificate;
    store.provision_root(use_, root, SystemTime::now()).expect("a root");
}

fn make_authority(token: &str, folder: &Path) {
    let uri: Uri = token.parse().expect("a URI");
    let module = module_from_environment().expect("checked by the token");
    let token = Token::open(&uri, &TokenOptions::new().module(module)).expect("opens");
    let key = |label: &str| {
        token.generate_key(&KeyName::random(label).expect("a name"), KeyAlgorithm::EcdsaP256).expect("a key")
    };
    let (root_key, tls_key) = (key("root"), key("tls"));
    let subject = Subject::new("Example Root", "Example CSO");
    let root = CertificateAuthority::create_root(&root_key, &subject, YEAR, SystemTime::now()).expect("made");
    let authority = CertificateAuthority::new(root_key, &root, CaSettings::new("Example CSO")).expect("made");
    let name = ServerName::new("localhost").expect("a name");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(authority.issue_server_certificate(&name, tls_key.public_key()));
    fs::write(folder.join("root.pem"), root).expect("writes");
    fs::write(folder.join("tls.pem"), server.expect("issued").chain_pem).expect("writes");
}

const PASSWORD: &str = "correct-horse-battery";
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
