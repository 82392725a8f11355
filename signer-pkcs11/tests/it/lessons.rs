//! Mistakes of other stacks at signing. Each test shows that this crate does not make the mistake.
//! The numbers are those of the table in `station-store/tests/it/main.rs`. The tests of `csms` and
//! `ocpp-transport` show that the certificate is never sent before the response to its request
//! (lesson 42: SteVe, Citrine).

use std::time::{Duration, SystemTime};

use base64ct::{Base64, Encoding as _};
use ocpp_types::v201::{CertificateSigningUseEnumType, GenericStatusEnumType};
use signer_pkcs11::{
    Applicant, CaSettings, CertificateAuthority, CommonNameRule, Csr, Key, KeyAlgorithm, Profiles, Refused,
    RsaPadding, Subject, csr,
};

use crate::{
    issuance::{Stage, YEAR, key, request, station},
    openssl::{Openssl, P256},
    softhsm::token,
};

const V2G: &str = "[v2g]\nhierarchy = \"cso\"\ncountry = \"DE\"\ncommon_name = \"serial-number\"";

/// Issues a certificate for a request, and returns the text that OpenSSL prints for it.
fn issued(stage: &Stage, pem: &str, certificate_type: Option<CertificateSigningUseEnumType>) -> String {
    let mut request = request(pem);
    request.certificate_type = certificate_type;
    let (response, pending) = stage.authority.answer(&request, &station());
    assert_eq!(response.status, GenericStatusEnumType::Accepted, "{response:?}");
    let issued = stage.runtime.block_on(stage.authority.issue(pending.unwrap())).unwrap();
    let openssl = Openssl::new();
    openssl.write("leaf.pem", &issued.certificate.chain_pem);
    openssl.run("x509 -in leaf.pem -noout -text")
}

/// A request of the station by OpenSSL, with any extensions.
fn wish(openssl: &Openssl, subject: &str, extensions: &str) -> String {
    openssl.write(
        "wish.cnf",
        format!(
            "[req]\nprompt=no\ndistinguished_name=dn\nreq_extensions=ex\n[dn]\n{subject}O=Example\nCN=SN-0001\n\
             [ex]\n{extensions}"
        ),
    );
    openssl.run(&format!("{P256} -out key.pem"));
    openssl.run("req -new -key key.pem -config wish.cnf -out csr.pem");
    openssl.read("csr.pem")
}

/// libevse-security #106: keyAgreement in a request that CAs copied; EVerest #2096: a keyUsage that
/// was not critical; #2119: a DC that was not checked.
#[test]
fn lesson_35_key_usage_and_dc_are_the_profiles_whatever_is_asked_for() {
    let stage = Stage::new(CaSettings::new("Example").profiles(Profiles::from_toml(V2G).unwrap()));
    let openssl = Openssl::new();
    let pem = wish(&openssl, "DC=MO\nC=FR\n", "keyUsage=keyAgreement,keyEncipherment\n");
    let station_type = Some(CertificateSigningUseEnumType::ChargingStationCertificate);
    let text = issued(&stage, &pem, station_type);
    assert!(text.contains("Subject: O = Example, CN = SN-0001\n"), "{text}");
    assert!(text.contains("X509v3 Key Usage: critical\n                Digital Signature\n"), "{text}");
    let text = issued(&stage, &pem, Some(CertificateSigningUseEnumType::V2GCertificate));
    assert!(text.contains("Subject: DC = CPO, C = DE, O = Example, CN = SN-0001\n"), "{text}");
    assert!(
        text.contains("Key Usage: critical\n                Digital Signature, Key Agreement\n"),
        "{text}"
    );
    // The requests of this crate ask only for digitalSignature, as critical.
    openssl.write("ours.pem", csr::build(&stage.station_key, &Subject::new("SN-0001", "Example")).unwrap());
    let text = openssl.run("req -in ours.pem -noout -text");
    assert!(text.contains("X509v3 Key Usage: critical\n                    Digital Signature\n"), "{text}");
}

/// open-ocpp #269, MaEVe 4d6ec70 and 17576e5: the label of older tools, DER in base64, the version
/// of a request.
#[test]
fn lesson_36_requests_come_by_two_labels_and_as_der_and_ours_by_the_standard_one() {
    let stage = Stage::new(CaSettings::new("Example"));
    let ours = csr::build(&stage.station_key, &Subject::new("SN-0001", "Example")).unwrap();
    assert!(ours.starts_with("-----BEGIN CERTIFICATE REQUEST-----\n"), "{ours}");
    let der = Csr::parse(&ours).unwrap().der().to_vec();
    // SEQUENCE { SEQUENCE { INTEGER 0, …
    assert!(der.windows(3).take(8).any(|window| window == [2, 1, 0]), "version 0");
    for text in [
        ours.clone(),
        ours.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"),
        Base64::encode_string(&der),
    ] {
        let (response, _) = stage.authority.answer(&request(&text), &station());
        assert_eq!(response.status, GenericStatusEnumType::Accepted, "{text}");
    }
}

/// MaEVe 54f55eb: certificates that lasted a minute, because a duration had no unit.
#[test]
fn lesson_37_a_certificate_lasts_as_long_as_is_said() {
    for (profiles, lifetime) in [("", YEAR), ("[station]\nvalidity = \"90d\"", YEAR / 365 * 90)] {
        let stage = Stage::new(CaSettings::new("Example").profiles(Profiles::from_toml(profiles).unwrap()));
        let begin = SystemTime::now();
        let certificate = stage.issue().certificate;
        let lasts = certificate.not_after.duration_since(begin).unwrap();
        // Times in certificates have no fractions of a second.
        assert!(lasts + Duration::from_secs(2) > lifetime, "{lasts:?}");
        assert!(certificate.not_after <= SystemTime::now() + lifetime);
    }
    let error = Profiles::from_toml("[station]\nvalidity = \"365\"").unwrap_err();
    assert!(error.to_string().contains("write days or hours"), "{error}");
}

/// MaEVe added a check of the CN and removed it again, because it was one rule for all operators.
#[test]
fn lesson_38_the_rule_for_names_is_strict_and_can_be_chosen() {
    let named = |stage: &Stage, name: &str| {
        let pem = csr::build(&stage.station_key, &Subject::new(name, "Example")).unwrap();
        stage.authority.answer(&request(&pem), &station()).1
    };
    let strict = Stage::new(CaSettings::new("Example"));
    named(&strict, "SN-0001").unwrap();
    for name in ["CS001", "SN-0001X", "SN-000", "sn-0001"] {
        assert!(matches!(named(&strict, name), Err(Refused::CommonName { .. })), "{name}");
    }
    let by_identity = Stage::new(CaSettings::new("Example").common_name(CommonNameRule::Identity));
    named(&by_identity, "CS001").unwrap();
    assert!(matches!(named(&by_identity, "SN-0001"), Err(Refused::CommonName { .. })));
}

/// citrineos #976: stations' certificates were signed by the issuer of the server's own
/// certificate.
#[test]
fn lesson_39_the_signing_authority_is_named_by_itself() {
    let stage = Stage::new(CaSettings::new("Example"));
    // A public authority has issued the CSMS's own certificate; here it is another root.
    let other = key(&token("public"), "public");
    let subject = Subject::new("Public Root", "Somebody");
    let public = CertificateAuthority::create_root(&other, &subject, YEAR, SystemTime::now()).unwrap();
    let openssl = Openssl::new();
    openssl.write("public.pem", &public);
    openssl.write("own.pem", &stage.root_pem);
    openssl.write("leaf.pem", &stage.issue().certificate.chain_pem);
    openssl.run("verify -x509_strict -CAfile own.pem leaf.pem");
    assert!(!openssl.output("verify -CAfile public.pem leaf.pem").status.success());
    // A chain of another key is refused at once, not at the first request of a station.
    let error = CertificateAuthority::new(stage.authority.key().clone(), &public, CaSettings::new("Example"));
    assert!(format!("{:#}", anyhow::Error::from(error.unwrap_err())).contains("another key"));
}

/// citrineos #1054, libocpp #514: a request without a type was never signed.
#[test]
fn lesson_40_a_request_without_a_type_is_signed_for_all_connections() {
    let combined = V2G.replace("[v2g]", "[combined]");
    for (profiles, expected) in [("", "Subject: O = Example,"), (&combined, "Subject: DC = CPO, C = DE,")] {
        let stage = Stage::new(CaSettings::new("Example").profiles(Profiles::from_toml(profiles).unwrap()));
        let pem = csr::build(&stage.station_key, &Subject::new("SN-0001", "Example")).unwrap();
        let text = issued(&stage, &pem, None);
        assert!(text.contains(expected), "{text}");
    }
}

/// steve #2093: RSA-PSS, which the certification tool could not read.
#[test]
fn lesson_41_signatures_are_ecdsa_unless_asked_for_and_pss_only_where_it_is() {
    assert_eq!(KeyAlgorithm::default(), KeyAlgorithm::EcdsaP256);
    assert_eq!(RsaPadding::default(), RsaPadding::Pkcs1);
    let token = token("lesson-41");
    let rsa: Key =
        token.generate_key(&signer_pkcs11::KeyName::random("rsa").unwrap(), KeyAlgorithm::Rsa2048).unwrap();
    let openssl = Openssl::new();
    for (key, expected) in [
        (rsa.clone(), "Signature Algorithm: sha256WithRSAEncryption"),
        (rsa.with_rsa_padding(RsaPadding::Pss), "Signature Algorithm: rsassaPss"),
    ] {
        openssl.write("csr.pem", csr::build(&key, &Subject::new("SN-0001", "Example")).unwrap());
        let text = openssl.run("req -in csr.pem -noout -text -verify");
        assert!(text.contains(expected), "{text}");
    }
}

/// Citrine, open-ocpp: the requested content was copied into the certificate.
#[test]
fn lesson_43_nothing_of_a_request_but_its_key_comes_into_the_certificate() {
    let stage = Stage::new(CaSettings::new("Example"));
    let openssl = Openssl::new();
    let pem = wish(
        &openssl,
        "OU=Fleet\nserialNumber=4711\nemailAddress=a@example.com\n",
        "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign,cRLSign\nextendedKeyUsage=serverAuth\n\
         subjectAltName=DNS:csms.example.com\n1.2.3.4=ASN1:UTF8String:anything\n",
    );
    let text = issued(&stage, &pem, Some(CertificateSigningUseEnumType::ChargingStationCertificate));
    assert!(text.contains("Subject: O = Example, CN = SN-0001\n") && text.contains("CA:FALSE"), "{text}");
    for absent in
        ["Certificate Sign", "CRL Sign", "Extended", "Alternative", "1.2.3.4", "4711", "Fleet", "a@"]
    {
        assert!(!text.contains(absent), "{absent} in {text}");
    }
    // A request does not decide either which station the certificate is for.
    let other = Applicant { identity: "CS002".parse().unwrap(), serial_number: "SN-0002".into() };
    let (_, refused) = stage.authority.answer(&request(&pem), &other);
    assert!(matches!(refused.unwrap_err(), Refused::CommonName { .. }));
}
