//! The form of certificates, and their issuers: profiles, several issuers, and the CSMS's own
//! certificate.

use std::{
    fs,
    time::{Duration, Instant, SystemTime},
};

use ocpp_transport::{CallError, Peer};
use ocpp_types::v201::{
    CertificateSignedRequest, CertificateSignedResponse, CertificateSignedStatusEnumType,
    CertificateSigningUseEnumType, GenericStatusEnumType, HeartbeatRequest, SignCertificateRequest,
};
use serde_json::json;
use signer_pkcs11::{
    CaSettings, CertificateAuthority, Csr, Key, KeyAlgorithm, KeyName, Pin, SubAuthority, Subject, Token,
    TokenOptions, csr,
};
use tokio::{sync::mpsc, time::timeout};

use crate::{
    delivery::{boot, in_runtime},
    reload::{nothing, profile_2, profile_3, station},
    stage::{ORGANIZATION, Stage},
};

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

const PROFILES: &str = r#"
[station]
validity = "90d"
crl_urls = ["http://pki.example.com/cso.crl"]
ocsp_urls = ["http://ocsp.example.com"]
[v2g]
country = "DE"
[v2g.common_names]
CS001 = ["DE*ABC*S0001"]
[combined]
country = "DE"
domain_component = ""
hierarchy = "cso"
keys = ["ecdsa-p256"]
"#;

fn open_token(stage: &Stage) -> Token {
    let folder = stage.path("pin");
    let label = folder.parent().and_then(|folder| folder.file_name()).expect("a folder").to_string_lossy();
    let module = std::env::var_os("PKCS11_MODULE").expect("run the tests with `cargo xtask test`");
    let options = TokenOptions::new().module(module).pin(Pin::new("test-pin"));
    Token::open(&format!("pkcs11:token={label}").parse().expect("a URI"), &options).expect("opens")
}

fn key(token: &Token, name: &str, algorithm: KeyAlgorithm) -> Key {
    token.generate_key(&KeyName::random(name).expect("a name"), algorithm).expect("a key")
}

fn root(key: &Key, name: &str) -> String {
    CertificateAuthority::create_root(key, &Subject::new(name, ORGANIZATION), YEAR, SystemTime::now())
        .expect("a root")
}

/// The certificate of an authority below the one with this chain, followed by that chain.
async fn below(above: Key, chain: &str, key: &Key, name: &str, path_len: u8) -> String {
    let authority = CertificateAuthority::new(above, chain, CaSettings::new(ORGANIZATION)).expect("fits");
    let subject = Subject::new(name, ORGANIZATION);
    let request = Csr::parse(&csr::build(key, &subject).expect("builds")).expect("a request");
    let profile = SubAuthority::new(YEAR).path_len(Some(path_len));
    let issued = authority.issue_sub_authority(&request, &subject, &profile).await.expect("issues");
    let leaf_end = issued.chain_pem.find("-----END CERTIFICATE-----\n").expect("PEM") + 26;
    format!("{}{chain}", &issued.chain_pem[..leaf_end])
}

/// Issuers of both key algorithms, and of the hierarchy of ISO 15118 below two sub-CAs.
fn prepare() -> Stage {
    let stage = Stage::prepare();
    let token = open_token(&stage);
    let rsa = key(&token, "rsa-root", KeyAlgorithm::Rsa2048);
    fs::write(stage.path("rsa-root.pem"), root(&rsa, "RSA Root")).expect("writes");
    in_runtime(async {
        let [top, middle, bottom] =
            ["v2g-root", "v2g-sub1", "v2g-sub2"].map(|name| key(&token, name, KeyAlgorithm::EcdsaP256));
        let top_pem = root(&top, "V2G Root");
        fs::write(stage.path("v2g-root.pem"), &top_pem).expect("writes");
        let chain = below(top, &top_pem, &middle, "V2G Sub 1", 1).await;
        let chain = below(middle, &chain, &bottom, "V2G Sub 2", 0).await;
        fs::write(stage.path("v2g-chain.pem"), chain).expect("writes");
    });
    fs::write(stage.path("profiles.toml"), PROFILES).expect("writes");
    stage.configure(
        "[tls]",
        r#"profiles_file = "profiles.toml"
        crl_file = "cso.crl"
        [[ca.issuer]]
        key = "pkcs11:object=rsa-root"
        rsa_padding = "pss"
        certificate_file = "rsa-root.pem"
        crl_file = "rsa.crl"
        [[ca.issuer]]
        hierarchy = "v2g"
        key = "pkcs11:object=v2g-sub2"
        certificate_file = "v2g-chain.pem"
        crl_file = "v2g.crl"
        [tls]"#,
    );
    stage
}

/// Requests a certificate with the request in a file, and writes the received chain to `NAME.pem`.
async fn enrol(
    stage: &Stage,
    name: &str,
    certificate_type: Option<CertificateSigningUseEnumType>,
) -> GenericStatusEnumType {
    let (received, mut chains) = mpsc::channel(1);
    let router = nothing().handle(move |_: Peer, request: CertificateSignedRequest| {
        assert_eq!(request.certificate_type, certificate_type, "A02.FR.14");
        received.try_send(request.certificate_chain.as_str().to_owned()).expect("the test listens");
        async move {
            let status = CertificateSignedStatusEnumType::Accepted;
            Ok::<_, CallError>(CertificateSignedResponse::new(status))
        }
    });
    let connection = station(stage, "CS001", profile_2(stage, "root.pem"), router).await.expect("connects");
    boot(connection.peer()).await;
    let csr = fs::read_to_string(stage.path("request.pem")).expect("reads");
    let mut request = SignCertificateRequest::new(csr.as_str().try_into().expect("short enough"));
    request.certificate_type = certificate_type;
    let answer = connection.peer().call(request).await.expect("an answer");
    if answer.status == GenericStatusEnumType::Accepted {
        let chain = timeout(Duration::from_secs(20), chains.recv()).await.expect("in time").expect("a chain");
        fs::write(stage.path(&format!("{name}.pem")), chain).expect("writes");
        fs::rename(stage.path("key.pem"), stage.path(&format!("{name}.key"))).expect("renames");
    }
    answer.status
}

fn text(stage: &Stage, name: &str) -> String {
    let file = format!("{name}.pem");
    stage.openssl(&["x509", "-in", &file, "-noout", "-text", "-nameopt", "RFC2253"])
}

fn verify(stage: &Stage, name: &str, root: &str) {
    let file = format!("{name}.pem");
    stage.openssl(&["verify", "-x509_strict", "-CAfile", root, "-untrusted", &file, &file]);
}

#[test]
fn each_use_and_each_family_of_keys_has_its_profile_and_its_issuer() {
    let stage = prepare().launched();
    let own = Some(CertificateSigningUseEnumType::ChargingStationCertificate);
    let v2g = Some(CertificateSigningUseEnumType::V2GCertificate);
    in_runtime(async {
        stage.request("/O=Test CSO/CN=SN-0001", &[]);
        assert_eq!(enrol(&stage, "ecdsa", own).await, GenericStatusEnumType::Accepted);
        stage.request("/O=Test CSO/CN=SN-0001", &["-newkey", "rsa:2048"]);
        assert_eq!(enrol(&stage, "rsa", own).await, GenericStatusEnumType::Accepted);
        stage.request("/DC=CPO/C=DE/O=Test CSO/CN=DE*ABC*S0001", &[]);
        assert_eq!(enrol(&stage, "v2g", v2g).await, GenericStatusEnumType::Accepted);
        stage.request("/C=DE/O=Test CSO/CN=SN-0001", &[]);
        assert_eq!(enrol(&stage, "combined", None).await, GenericStatusEnumType::Accepted);
        // The profile for vehicles accepts only keys on curves, and only names of its table.
        stage.request("/DC=CPO/C=DE/O=Test CSO/CN=DE*ABC*S0001", &["-newkey", "rsa:2048"]);
        assert_eq!(enrol(&stage, "no", v2g).await, GenericStatusEnumType::Rejected);
        stage.request("/DC=CPO/C=DE/O=Test CSO/CN=DE*ABC*S0002", &[]);
        assert_eq!(enrol(&stage, "no", v2g).await, GenericStatusEnumType::Rejected);
    });

    for (name, root, algorithm, subject) in [
        ("ecdsa", "root.pem", "ecdsa-with-SHA256", "CN=SN-0001,O=Test CSO"),
        ("rsa", "rsa-root.pem", "rsassaPss", "CN=SN-0001,O=Test CSO"),
        ("v2g", "v2g-root.pem", "ecdsa-with-SHA256", "DE*ABC*S0001"),
        ("combined", "root.pem", "ecdsa-with-SHA256", "C=DE"),
    ] {
        verify(&stage, name, root);
        let text = text(&stage, name);
        assert!(text.contains(&format!("Signature Algorithm: {algorithm}")), "{text}");
        let line = text.lines().find(|line| line.contains("Subject:")).expect("a subject");
        assert!(line.contains(subject), "{line}");
        // A00.FR.514
        assert!(!text.contains("Extended Key Usage"), "{text}");
        let named = text.contains("URI:http://pki.example.com/cso.crl") && text.contains("ocsp.example.com");
        assert_eq!(named, matches!(name, "ecdsa" | "rsa"), "{text}");
    }
    let chain = fs::read_to_string(stage.path("v2g.pem")).expect("reads");
    assert_eq!(chain.matches("BEGIN CERTIFICATE").count(), 3, "leaf, sub 2, sub 1");
    let end = stage.openssl(&["x509", "-in", "ecdsa.pem", "-noout", "-checkend", "7689600"]);
    assert!(end.contains("will not expire"), "89 days: {end}");
    stage.openssl_in_vain(&["x509", "-in", "ecdsa.pem", "-noout", "-checkend", "7862400"]);

    // Each issuer has its list.
    for (list, root) in [("cso.crl", "root.pem"), ("rsa.crl", "rsa-root.pem"), ("v2g.crl", "v2g-chain.pem")] {
        let arguments = ["crl", "-inform", "DER", "-in", list, "-CAfile", root, "-noout"];
        assert!(stage.openssl(&arguments).contains("verify OK"), "{list}");
    }
    in_runtime(async {
        // Certificates of both algorithms open security profile 3.
        for name in ["ecdsa", "rsa"] {
            station(&stage, "CS001", profile_3(&stage, name), nothing()).await.expect(name);
        }
        // A revoked certificate is on the list of its own issuer only.
        let serial = stage.openssl(&["x509", "-in", "rsa.pem", "-noout", "-serial"]);
        let serial = serial.trim().trim_start_matches("serial=");
        let revoked = stage.operate(&["revoke", "--serial", serial]).await.expect("revokes");
        let counts = revoked["lists"].as_array().expect("lists").iter().map(|list| &list["revoked"]);
        assert_eq!(counts.collect::<Vec<_>>(), [&json!(0), &json!(1), &json!(0)]);
        station(&stage, "CS001", profile_3(&stage, "ecdsa"), nothing()).await.expect("is not revoked");
        station(&stage, "CS001", profile_3(&stage, "rsa"), nothing()).await.expect_err("is revoked");
    });
}

/// The serial number of the served certificate.
fn served(stage: &Stage) -> String {
    let address = stage.url().trim_start_matches("wss://").trim_end_matches("/ocpp").to_owned();
    let arguments = ["s_client", "-connect", &address, "-CAfile", "root.pem", "-verify_return_error"];
    let text = stage.openssl(&[&arguments[..], &["-verify_hostname", "localhost"]].concat());
    let (_, pem) = text.split_once("-----BEGIN CERTIFICATE-----").expect("a certificate");
    let (pem, _) = pem.split_once("-----END CERTIFICATE-----").expect("whole");
    pem.to_owned()
}

#[test]
fn a00_fr_701_the_csms_renews_its_own_short_lived_certificate() {
    let mut stage = Stage::prepare();
    fs::remove_file(stage.path("tls.pem")).expect("removes");
    stage.configure("[tls]", "[ca.profiles.server]\nvalidity = \"24s\"\n[tls]\nnames = [\"localhost\"]");
    // There is no certificate before the first start, and no service runs.
    let output = stage.command(&["issue-server-certificate"]).output().expect("starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let alone = fs::read_to_string(stage.path("tls.pem")).expect("issued");
    fs::remove_file(stage.path("tls.pem")).expect("removes");
    stage.launch();
    let first = served(&stage);
    assert!(!alone.contains(&first), "issued again, because it was missing");
    // A00.FR.510
    let text = text(&stage, "tls");
    assert!(text.contains("Subject: CN=localhost,O=Test CSO") && text.contains("DNS:localhost"), "{text}");
    in_runtime(async {
        let old = station(&stage, "CS001", profile_2(&stage, "root.pem"), nothing()).await.expect("connects");
        boot(old.peer()).await;
        let deadline = Instant::now() + Duration::from_secs(60);
        while served(&stage) == first {
            assert!(Instant::now() < deadline, "{}", stage.log());
        }
        // An operator's command issues one too.
        let second = served(&stage);
        let files = stage.operate(&["issue-server-certificate"]).await.expect("issues");
        assert!(files[0].as_str().is_some_and(|file| file.ends_with("tls.pem")), "{files}");
        assert_ne!(served(&stage), second);
        station(&stage, "CS002", profile_2(&stage, "root.pem"), nothing()).await.expect("connects");
        old.peer().call(HeartbeatRequest::new()).await.expect("A00.FR.701: an open connection lives on");
    });
    // Each of them is recorded.
    let output = stage.command(&["audit", "export"]).output().expect("starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.matches("\"profile\":\"server\"").count() >= 4, "{text}");
    assert_eq!(stage.certificates(), [serde_json::Value::Null; 0], "no station's");
}

#[test]
fn two_issuers_with_one_name_are_refused() {
    let mut stage = Stage::prepare();
    let token = open_token(&stage);
    let other = key(&token, "other", KeyAlgorithm::EcdsaP256);
    fs::write(stage.path("other.pem"), root(&other, "Test CSO Root")).expect("writes");
    stage.configure(
        "[tls]",
        "[[ca.issuer]]\nkey = \"pkcs11:object=other\"\ncertificate_file = \"other.pem\"\n[tls]",
    );
    let text = stage.launch_in_vain();
    assert!(text.contains("other.pem") && text.contains("a name of its own"), "{text}");
}

#[test]
fn profiles_that_cannot_be_used_are_named() {
    let mut stage = Stage::prepare();
    stage.configure("[tls]", "profiles_file = \"profiles.toml\"\n[tls]");
    fs::write(stage.path("profiles.toml"), "[station]\nvalidity = \"1y\"").expect("writes");
    let text = stage.launch_in_vain();
    assert!(text.contains("profiles.toml") && text.contains("is not a duration"), "{text}");
    fs::remove_file(stage.path("profiles.toml")).expect("removes");
    let text = stage.launch_in_vain();
    assert!(text.contains("profiles.toml"), "{text}");
}
