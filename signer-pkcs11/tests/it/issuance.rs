//! All steps from the root to a certificate: root, request, answer, certificate. OpenSSL and webpki
//! verify them.

use std::time::{Duration, SystemTime};

use ocpp_types::{
    BoundedString,
    v201::{
        CertificateSignedRequest, CertificateSigningUseEnumType, GenericStatusEnumType,
        SignCertificateRequest,
    },
};
use signer_pkcs11::{
    Applicant, AuthorityError, CaSettings, CertificateAuthority, IssueError, Issued, IssuerError, Key,
    KeyAlgorithm, KeyName, ServerName, Subject, Token, csr,
};
use tokio::runtime::{Builder, Runtime};

use crate::{openssl::Openssl, softhsm::token};

pub(crate) const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// An authority with its root, and a station's key, each in its own token.
pub(crate) struct Stage {
    pub(crate) authority: CertificateAuthority,
    pub(crate) root_pem: String,
    pub(crate) station_key: Key,
    pub(crate) csms: Token,
    pub(crate) runtime: Runtime,
}

impl Stage {
    pub(crate) fn new(settings: CaSettings) -> Self {
        let csms = token("csms");
        let root_key = key(&csms, "root");
        let root = Subject::new("Example Root", &settings.organization);
        let root_pem =
            CertificateAuthority::create_root(&root_key, &root, 10 * YEAR, SystemTime::now()).unwrap();
        let authority = CertificateAuthority::new(root_key, &root_pem, settings).unwrap();
        let station_key = key(&token("station"), "cs");
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        Self { authority, root_pem, station_key, csms, runtime }
    }

    pub(crate) fn issue(&self) -> Issued {
        let pem = csr::build(&self.station_key, &Subject::new("SN-0001", "Example")).unwrap();
        let (response, pending) = self.authority.answer(&request(&pem), &station());
        assert_eq!(response.status, GenericStatusEnumType::Accepted);
        assert!(response.status_info.is_none());
        self.runtime.block_on(self.authority.issue(pending.unwrap())).unwrap()
    }
}

pub(crate) fn key(token: &Token, label: &str) -> Key {
    token.generate_key(&KeyName::random(label).unwrap(), KeyAlgorithm::EcdsaP256).unwrap()
}

pub(crate) fn station() -> Applicant {
    Applicant { identity: "CS001".parse().unwrap(), serial_number: "SN-0001".into() }
}

pub(crate) fn request(csr: &str) -> SignCertificateRequest {
    let mut request = SignCertificateRequest::new(BoundedString::try_from(csr).unwrap());
    request.certificate_type = Some(CertificateSigningUseEnumType::ChargingStationCertificate);
    request
}

#[test]
fn a02_a_station_certificate_from_request_to_openssl() {
    let stage = Stage::new(CaSettings::new("Example"));
    let issued = stage.issue();
    assert_eq!(issued.station, station());

    let openssl = Openssl::new();
    openssl.write("root.pem", &stage.root_pem);
    openssl.write("leaf.pem", &issued.certificate.chain_pem);
    let verdict =
        openssl.run("verify -x509_strict -check_ss_sig -purpose sslclient -CAfile root.pem leaf.pem");
    assert_eq!(verdict, "leaf.pem: OK\n");
    let text = openssl.run("x509 -in leaf.pem -noout -text");
    for expected in [
        "Version: 3 (0x2)",
        "Signature Algorithm: ecdsa-with-SHA256",
        "Issuer: O = Example, CN = Example Root",
        "Subject: O = Example, CN = SN-0001",
        "X509v3 Basic Constraints: critical\n                CA:FALSE",
        "X509v3 Key Usage: critical\n                Digital Signature\n",
        "X509v3 Subject Key Identifier",
        "X509v3 Authority Key Identifier",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    // A00.FR.511, A00.FR.514.
    for absent in ["Subject Alternative Name", "Extended Key Usage", "CA Issuers", "Netscape"] {
        assert!(!text.contains(absent), "{absent} in {text}");
    }
    assert_eq!(text.matches("X509v3 ").count(), 5, "four extensions and their heading: {text}");

    // A00.FR.508: positive, at most 20 octets, random.
    let serial = openssl.run("x509 -in leaf.pem -noout -serial");
    assert_eq!(serial.trim().to_lowercase(), format!("serial={}", issued.certificate.serial));
    assert_eq!(issued.certificate.serial.to_string().len(), 34);
    assert_ne!(stage.issue().certificate.serial, issued.certificate.serial);
}

#[test]
fn a02_fr_14_the_certificate_type_is_carried_through() {
    let stage = Stage::new(CaSettings::new("Example"));
    let signed = CertificateSignedRequest::from(&stage.issue());
    assert_eq!(signed.certificate_type, Some(CertificateSigningUseEnumType::ChargingStationCertificate));
    assert!(signed.certificate_chain.starts_with("-----BEGIN CERTIFICATE-----\n"));
    // The station has the root already: it is installed by InstallCertificate, never sent with a
    // chain.
    assert_eq!(signed.certificate_chain.matches("BEGIN").count(), 1);

    // Absent: for all connections. It stays absent in CertificateSigned.
    let pem = csr::build(&stage.station_key, &Subject::new("SN-0001", "Example")).unwrap();
    let mut combined = request(&pem);
    combined.certificate_type = None;
    let (_, pending) = stage.authority.answer(&combined, &station());
    let issued = stage.runtime.block_on(stage.authority.issue(pending.unwrap())).unwrap();
    assert_eq!(CertificateSignedRequest::from(&issued).certificate_type, None);
}

#[test]
fn a02_fr_06_validity_begins_in_the_past_and_ends_with_the_issuer() {
    let settings = CaSettings::new("Example").backdate(Duration::from_secs(600)).station_validity(20 * YEAR);
    let stage = Stage::new(settings);
    let certificate = stage.issue().certificate;
    let now = SystemTime::now();
    assert!(certificate.not_before <= now);
    assert_eq!(certificate.not_after, stage.authority.not_after(), "never longer than the issuer");
    let openssl = Openssl::new();
    openssl.write("root.pem", &stage.root_pem);
    openssl.write("leaf.pem", &certificate.chain_pem);
    let end = |file: &str| openssl.run(&format!("x509 -in {file} -noout -enddate"));
    assert_eq!(end("leaf.pem"), end("root.pem"));

    // With an issuer that has been valid for ten minutes or longer, the certificate is backdated by
    // the whole period.
    let root_key = stage.authority.key();
    let hour = Duration::from_secs(3600);
    let subject = Subject::new("Older Root", "Example");
    let older = CertificateAuthority::create_root(root_key, &subject, YEAR, now - hour).unwrap();
    let settings = CaSettings::new("Example").backdate(Duration::from_secs(600)).station_validity(hour);
    let authority = CertificateAuthority::new(root_key.clone(), &older, settings).unwrap();
    let pem = csr::build(&stage.station_key, &Subject::new("SN-0001", "Example")).unwrap();
    let (_, pending) = authority.answer(&request(&pem), &station());
    let certificate = stage.runtime.block_on(authority.issue(pending.unwrap())).unwrap().certificate;
    let length = certificate.not_after.duration_since(certificate.not_before).unwrap();
    assert_eq!(length, hour + Duration::from_secs(600));
}

#[test]
fn an_issuer_that_is_not_valid_now_issues_nothing() {
    let stage = Stage::new(CaSettings::new("Example"));
    let pem = csr::build(&stage.station_key, &Subject::new("SN-0001", "Example")).unwrap();
    let hour = Duration::from_secs(3600);
    for begin in [SystemTime::now() - 2 * hour, SystemTime::now() + hour] {
        let subject = Subject::new("Example Root", "Example");
        let key = stage.authority.key();
        let root = CertificateAuthority::create_root(key, &subject, hour, begin).unwrap();
        let authority = CertificateAuthority::new(key.clone(), &root, CaSettings::new("Example")).unwrap();
        let (_, pending) = authority.answer(&request(&pem), &station());
        let error = stage.runtime.block_on(authority.issue(pending.unwrap())).unwrap_err();
        assert!(matches!(error, IssueError::IssuerNotValid), "{error}");
    }
}

#[test]
fn a_root_as_openssl_and_rfc_5280_want_it() {
    let stage = Stage::new(CaSettings::new("Example"));
    let openssl = Openssl::new();
    openssl.write("root.pem", &stage.root_pem);
    openssl.run("verify -x509_strict -check_ss_sig -CAfile root.pem root.pem");
    let text = openssl.run("x509 -in root.pem -noout -text");
    for expected in [
        "X509v3 Basic Constraints: critical\n                CA:TRUE\n",
        "X509v3 Key Usage: critical\n                Certificate Sign, CRL Sign\n",
        "X509v3 Subject Key Identifier",
        "Subject: O = Example, CN = Example Root",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
}

#[test]
fn a00_fr_510_a_certificate_for_the_csms_itself() {
    let stage = Stage::new(CaSettings::new("Example"));
    let key = key(&stage.csms, "tls");
    let server = ServerName::new("csms.example.com").unwrap().with_dns_name("ocpp.example.com").unwrap();
    let issue = |server: &ServerName| {
        stage.runtime.block_on(stage.authority.issue_server_certificate(server, key.public_key())).unwrap()
    };
    let certificate = issue(&server);
    let length = certificate.not_after.duration_since(certificate.not_before).unwrap();
    assert!(length < Duration::from_secs(24 * 3600), "A00.FR.701");

    let openssl = Openssl::new();
    openssl.write("root.pem", &stage.root_pem);
    openssl.write("tls.pem", &certificate.chain_pem);
    for host in ["csms.example.com", "ocpp.example.com"] {
        openssl.run(&format!(
            "verify -x509_strict -purpose sslserver -verify_hostname {host} -CAfile root.pem tls.pem"
        ));
    }
    let text = openssl.run("x509 -in tls.pem -noout -text");
    assert!(text.contains("Subject: O = Example, CN = csms.example.com\n"), "{text}");
    assert!(text.contains("DNS:csms.example.com, DNS:ocpp.example.com"), "{text}");
    assert!(!text.contains("Extended Key Usage"), "{text}");

    openssl.write("cn.pem", &issue(&server.common_name_only()).chain_pem);
    assert!(!openssl.run("x509 -in cn.pem -noout -text").contains("Alternative"));
    openssl.run(
        "verify -x509_strict -purpose sslserver -verify_hostname csms.example.com -CAfile root.pem cn.pem",
    );

    let too_long = format!("{}.example", "a".repeat(60));
    for name in [
        "*.example.com",
        "192.0.2.1",
        "2001:db8::1",
        "",
        "a..b",
        "-a.example",
        "a_b.example",
        "x y",
        &too_long,
    ] {
        assert!(ServerName::new(name).is_err(), "{name}");
    }
    ServerName::new("localhost").unwrap();
}

#[test]
fn a00_fr_319_a_station_with_an_rsa_key_gets_its_certificate_too() {
    let stage = Stage::new(CaSettings::new("Example"));
    let openssl = Openssl::new();
    let csr = openssl.request("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048", "");
    let station = Applicant { identity: "CS001".parse().unwrap(), serial_number: "CS-0001".into() };
    let (_, pending) = stage.authority.answer(&request(&csr), &station);
    let issued = stage.runtime.block_on(stage.authority.issue(pending.unwrap())).unwrap();
    openssl.write("root.pem", &stage.root_pem);
    openssl.write("leaf.pem", &issued.certificate.chain_pem);
    openssl.run("verify -x509_strict -purpose sslclient -CAfile root.pem leaf.pem");
    let key = |command: &str| openssl.run(&format!("{command} -noout -pubkey"));
    assert_eq!(key("x509 -in leaf.pem"), key("req -in csr.pem"));
}

#[test]
fn a_sub_authority_is_sent_along_and_its_root_is_not() {
    let csms = token("sub-ca");
    let sub_key = key(&csms, "sub");
    let openssl = Openssl::new();
    // A foreign root, and a certificate for our key that this root has issued.
    openssl.run(
        "req -x509 -newkey rsa:2048 -nodes -keyout root.key -out root.pem -days 30 -subj /O=Example/CN=R -addext keyUsage=critical,keyCertSign",
    );
    openssl.write("sub.csr", csr::build(&sub_key, &Subject::new("Sub", "Example")).unwrap());
    openssl.write("ca.ext", "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n");
    openssl.run("x509 -req -in sub.csr -CA root.pem -CAkey root.key -days 20 -extfile ca.ext -out sub.pem");
    openssl.write("leaf.ext", "basicConstraints=critical,CA:FALSE\n");
    openssl
        .run("x509 -req -in sub.csr -CA root.pem -CAkey root.key -days 20 -extfile leaf.ext -out notca.pem");

    let (sub, root) = (openssl.read("sub.pem"), openssl.read("root.pem"));
    let new = |chain: &str| CertificateAuthority::new(sub_key.clone(), chain, CaSettings::new("Example"));
    let authority = new(&format!("{sub}{root}")).unwrap();
    let station_key = key(&token("station"), "cs");
    let pem = csr::build(&station_key, &Subject::new("SN-0001", "Example")).unwrap();
    let (_, pending) = authority.answer(&request(&pem), &station());
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let chain = runtime.block_on(authority.issue(pending.unwrap())).unwrap().certificate.chain_pem;
    assert_eq!(chain.matches("BEGIN CERTIFICATE").count(), 2);
    assert!(chain.ends_with(&sub), "the sub-authority follows the leaf");
    openssl.write("chain.pem", &chain);
    openssl.run("verify -x509_strict -purpose sslclient -CAfile root.pem -untrusted chain.pem chain.pem");

    let issuer_error = |chain: &str| match new(chain).unwrap_err() {
        AuthorityError::Issuer(error) => error,
        other => panic!("{other}"),
    };
    for organization in ["", &"x".repeat(65)] {
        let settings = CaSettings::new(organization);
        let error = CertificateAuthority::new(sub_key.clone(), &sub, settings).unwrap_err();
        assert!(matches!(error, AuthorityError::Organization(_)), "{error}");
    }
    assert!(matches!(issuer_error(""), IssuerError::Empty));
    assert!(matches!(issuer_error(&format!("{root}{sub}")), IssuerError::Chain { position: 1 }));
    assert!(matches!(issuer_error(&root), IssuerError::OtherKey));
    assert!(matches!(issuer_error(&openssl.read("notca.pem")), IssuerError::NotAnAuthority));
    let broken = sub.replacen('M', "N", 1);
    assert!(matches!(issuer_error(&broken), IssuerError::Malformed { position: 1, .. }));
}
