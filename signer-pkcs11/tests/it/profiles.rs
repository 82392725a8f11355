//! Every profile with every kind of issuer, verified by OpenSSL, Python's cryptography and pkilint.

use std::{sync::Arc, time::SystemTime};

use certificates::UnixSeconds;
use ocpp_types::{
    BoundedString,
    v201::{CertificateSigningUseEnumType, SignCertificateRequest},
};
use signer_pkcs11::{
    AuditEvent, CaSettings, CertificateAuthority, Csr, FileRecord, Hierarchy, IssueError, Key, KeyAlgorithm,
    KeyFamily, KeyKind, KeyName, KeyRules, Profiles, Refused, RevocationReason, RsaPadding, ServerName,
    SubAuthority, Subject, Token, csr,
};
use tokio::runtime::{Builder, Runtime};

use crate::{
    issuance::{YEAR, station},
    openssl::Openssl,
    python,
    softhsm::token,
};

const PROFILES: &str = r#"
    [station]
    crl_urls = ["http://pki.example.com/cso.crl"]
    ocsp_urls = ["http://ocsp.example.com/"]
    [v2g]
    country = "DE"
    crl_urls = ["http://pki.example.com/v2g.crl"]
    [v2g.common_names]
    CS001 = ["DE*ABC*S0001", "DE*ABC*S0002"]
    [combined]
    country = "DE"
    [combined.common_names]
    CS001 = ["DE*ABC*S0001"]
"#;

fn generate(token: &Token, algorithm: KeyAlgorithm) -> Key {
    token
        .generate_key(&KeyName::random(format!("k-{:?}", std::time::Instant::now())).unwrap(), algorithm)
        .unwrap()
}

fn settings() -> CaSettings {
    let kinds = [KeyKind::P256, KeyKind::P384, KeyKind::P521, KeyKind::Ed25519, KeyKind::Rsa { bits: 2048 }];
    CaSettings::new("Example")
        .profiles(Profiles::from_toml(PROFILES).unwrap())
        .keys(KeyRules::new().kinds(kinds))
}

fn request(csr: &str, certificate_type: Option<CertificateSigningUseEnumType>) -> SignCertificateRequest {
    let mut request = SignCertificateRequest::new(BoundedString::try_from(csr).unwrap());
    request.certificate_type = certificate_type;
    request
}

/// A root, a sub-authority below it, and the authority that issues with the sub-authority's key in
/// both hierarchies.
struct Ceremony {
    authority: CertificateAuthority,
    record: FileRecord,
    root: String,
    runtime: Runtime,
    folder: tempfile::TempDir,
}

impl Ceremony {
    fn new(root_key: &Key, sub_key: &Key) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let subject = Subject::new("Example Root", "Example");
        let root =
            CertificateAuthority::create_root(root_key, &subject, 10 * YEAR, SystemTime::now()).unwrap();
        let above = CertificateAuthority::new(root_key.clone(), &root, settings()).unwrap();
        let subject = Subject::new("Example Sub-CA", "Example");
        let csr = Csr::parse(&csr::build(sub_key, &subject).unwrap()).unwrap();
        let wanted = SubAuthority::new(5 * YEAR);
        let made = above.issue_sub_authority(&csr, &subject, &wanted);
        let chain = runtime.block_on(made).unwrap().chain_pem + &root;

        let folder = tempfile::tempdir().unwrap();
        let record = FileRecord::open(folder.path().join("record")).unwrap();
        let authority = CertificateAuthority::new(sub_key.clone(), &chain, settings())
            .unwrap()
            .with_issuer(Hierarchy::V2g, sub_key.clone(), &chain)
            .unwrap()
            .with_record(Arc::new(record.clone()));
        // RFC 5280 §4.2.1.9: below a path length of 0 there is no authority.
        let none = runtime
            .block_on(authority.issue_sub_authority(&csr, &subject, &SubAuthority::new(YEAR)))
            .unwrap_err();
        assert!(matches!(none, IssueError::PathLength), "{none}");
        Self { authority, record, root, runtime, folder }
    }

    /// Issues a certificate for a request according to its profile, and returns the chain.
    fn issue(&self, csr: &str, certificate_type: Option<CertificateSigningUseEnumType>) -> String {
        let (_, pending) = self.authority.answer(&request(csr, certificate_type), &station());
        let pending = pending.unwrap_or_else(|refused| panic!("{certificate_type:?}: {refused}"));
        self.runtime.block_on(self.authority.issue(pending)).unwrap().certificate.chain_pem
    }
}

/// Writes everything that one kind of issuer issues into the folder of the verifiers.
fn issue_all(openssl: &Openssl, title: &str, root_key: &Key, sub_key: &Key, stations: &[Key]) {
    let ceremony = Ceremony::new(root_key, sub_key);
    let write = |name: &str, chain: &str| {
        let name = format!("{title}-{name}");
        openssl.write(&format!("{name}.root.pem"), &ceremony.root);
        openssl.write(&format!("{name}.chain.pem"), chain);
        let file = format!("{name}.chain.pem");
        let verify = format!("verify -x509_strict -check_ss_sig -CAfile {name}.root.pem -untrusted {file}");
        openssl.run(&format!("{verify} {file}"));
        openssl.run(&format!("x509 -in {file} -noout -text"))
    };
    for key in stations {
        let kind = key.algorithm().to_string();
        let build = |name: &str| csr::build(key, &Subject::new(name, "Example")).unwrap();
        let station_csr = build("SN-0001");
        openssl.write(&format!("{title}-{kind}.csr.pem"), &station_csr);
        openssl.run(&format!("req -in {title}-{kind}.csr.pem -verify -noout"));
        let station_type = Some(CertificateSigningUseEnumType::ChargingStationCertificate);
        let text = write(&format!("station-{kind}"), &ceremony.issue(&station_csr, station_type));
        assert!(text.contains("X509v3 Key Usage: critical\n                Digital Signature\n"), "{text}");
        assert!(text.contains("URI:http://pki.example.com/cso.crl"), "{text}");
        assert!(text.contains("OCSP - URI:http://ocsp.example.com/"), "{text}");
        assert!(!text.contains("Alternative") && !text.contains("Extended"), "{text}");

        let v2g_csr = build("DE*ABC*S0001");
        let v2g = Some(CertificateSigningUseEnumType::V2GCertificate);
        let on_a_curve = key.algorithm().family() == KeyFamily::Ecdsa;
        for (name, certificate_type) in [("v2g", v2g), ("combined", None)] {
            if on_a_curve {
                let chain = ceremony.issue(&v2g_csr, certificate_type);
                let text = write(&format!("{name}-{kind}"), &chain);
                assert!(text.contains("Digital Signature, Key Agreement\n"), "{text}");
                assert!(text.contains("Subject: DC = CPO, C = DE, O = Example, CN = DE*ABC*S0001"), "{text}");
            } else {
                let (_, refused) =
                    ceremony.authority.answer(&request(&v2g_csr, certificate_type), &station());
                assert!(matches!(refused.unwrap_err(), Refused::Csr(_)), "{name} {kind}");
            }
        }
        let server = ServerName::new("csms.example.com").unwrap();
        let made = ceremony.authority.issue_server_certificate(&server, key.public_key());
        let text = write(&format!("server-{kind}"), &ceremony.runtime.block_on(made).unwrap().chain_pem);
        let is_rsa = key.algorithm() == KeyAlgorithm::Rsa2048;
        assert_eq!(text.contains("Digital Signature, Key Encipherment\n"), is_rsa, "A00.FR.318: {text}");
        assert!(text.contains("DNS:csms.example.com"), "{text}");
    }

    // The first certificate of the station is revoked, and OpenSSL refuses it because of the list.
    let first = stations[0].algorithm().to_string();
    let chain = ceremony.record.chain();
    let serial = chain.index().valid_of_station(&"CS001".parse().unwrap(), SystemTime::now())[0];
    let serial = serial.serial.unwrap();
    let revoked = AuditEvent::Revoked {
        serial,
        at: UnixSeconds::new(1_800_000_000),
        reason: RevocationReason::KeyCompromise,
    };
    ceremony.record.append_blocking(&revoked).unwrap();
    let lists = |number: u64| {
        let chain = ceremony.record.chain();
        let url = Some("http://pki.example.com/cso.crl");
        let made = ceremony.authority.issue_crls(chain.index(), url, YEAR / 52);
        let lists = ceremony.runtime.block_on(made).unwrap();
        assert_eq!((lists[0].number, lists[0].revoked), (number, 1));
        lists[0].pem.clone()
    };
    lists(1);
    openssl.write(&format!("{title}-station-{first}.crl.pem"), lists(2));
    let text = openssl.run(&format!("crl -in {title}-station-{first}.crl.pem -noout -text"));
    for expected in ["X509v3 Issuing Distribution Point: critical", "X509v3 CRL Number", "Key Compromise"] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    assert!(text.to_lowercase().contains(&serial.to_string()), "{serial} in {text}");
    let name = format!("{title}-station-{first}");
    let output = openssl.output(&format!(
        "verify -crl_check -CAfile {name}.root.pem -untrusted {name}.chain.pem -CRLfile {name}.crl.pem {name}.chain.pem"
    ));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("certificate revoked"), "{text}");
    drop(ceremony.folder);
}

fn judge(roots: &[(KeyAlgorithm, RsaPadding)]) {
    let openssl = Openssl::new();
    let station_token = token("stations");
    let stations = [
        KeyAlgorithm::EcdsaP256,
        KeyAlgorithm::EcdsaP384,
        KeyAlgorithm::EcdsaP521,
        KeyAlgorithm::Ed25519,
        KeyAlgorithm::Rsa2048,
    ]
    .map(|algorithm| generate(&station_token, algorithm));
    let token = token("authorities");
    for (algorithm, padding) in roots {
        let [root, sub] = [(); 2].map(|()| generate(&token, *algorithm).with_rsa_padding(*padding));
        issue_all(&openssl, &format!("{algorithm}-{padding:?}"), &root, &sub, &stations);
    }
    let mut script = python::script("judge.py");
    script.arg(openssl.path(""));
    let text = python::run(script);
    // Of 5 kinds of station key, three get all four profiles and two get two of them.
    let (chains, requests) = (roots.len() * 16, roots.len() * 5);
    let expected = format!(
        "{} certificates, {} signatures, {} lists, {requests} requests\n",
        chains * 3,
        chains * 2,
        roots.len()
    );
    assert_eq!(text, expected);
}

#[test]
fn a00_fr_505_every_profile_by_issuers_on_curves() {
    use KeyAlgorithm::{EcdsaP256, EcdsaP384, EcdsaP521, Ed25519};
    judge(&[EcdsaP256, EcdsaP384, EcdsaP521, Ed25519].map(|algorithm| (algorithm, RsaPadding::Pkcs1)));
}

#[test]
fn a00_fr_505_every_profile_by_rsa_issuers() {
    judge(&[(KeyAlgorithm::Rsa2048, RsaPadding::Pkcs1), (KeyAlgorithm::Rsa3072, RsaPadding::Pss)]);
}

#[test]
fn a00_fr_505_every_profile_by_an_issuer_of_4096_bits() {
    judge(&[(KeyAlgorithm::Rsa4096, RsaPadding::Pss)]);
}

#[test]
fn a00_fr_601_two_issuers_each_certifies_keys_of_its_family() {
    let token = token("families");
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let [ec, rsa] =
        [KeyAlgorithm::EcdsaP256, KeyAlgorithm::Rsa2048].map(|algorithm| generate(&token, algorithm));
    let root = |key: &Key, name: &str| {
        let subject = Subject::new(name, "Example");
        CertificateAuthority::create_root(key, &subject, YEAR, SystemTime::now()).unwrap()
    };
    let (ec_root, rsa_root) = (root(&ec, "EC Root"), root(&rsa, "RSA Root"));
    let authority = CertificateAuthority::new(ec, &ec_root, CaSettings::new("Example"))
        .unwrap()
        .with_issuer(Hierarchy::Cso, rsa, &rsa_root)
        .unwrap();
    let openssl = Openssl::new();
    openssl.write("ec.pem", &ec_root);
    openssl.write("rsa.pem", &rsa_root);
    for (algorithm, file) in [
        (KeyAlgorithm::EcdsaP384, "ec.pem"),
        (KeyAlgorithm::Rsa2048, "rsa.pem"),
        (KeyAlgorithm::EcdsaP256, "ec.pem"),
    ] {
        let pem = csr::build(&generate(&token, algorithm), &Subject::new("SN-0001", "Example")).unwrap();
        let (_, pending) = authority.answer(&request(&pem, None), &station());
        let issued = runtime.block_on(authority.issue(pending.unwrap())).unwrap();
        openssl.write("leaf.pem", &issued.certificate.chain_pem);
        openssl.run(&format!("verify -x509_strict -CAfile {file} leaf.pem"));
    }
}
