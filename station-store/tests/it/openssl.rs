//! Compares hash data with the CertID that `openssl ocsp` computes, for certificates that `openssl`
//! generates here.

use std::path::Path;
use std::process::Command;

use ocpp_types::v201::InstallCertificateUseEnumType;
use station_store::{Certificate, CertificateId, HashAlgorithm, HashData, Settings, Store};

use crate::memory::Memory;
use crate::pki::Station;

fn openssl(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("this test needs the openssl command; install the package openssl");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments:?}: {text}");
    text
}

/// The three values that `openssl ocsp -req_text` prints, normalised as OCPP defines them.
fn cert_id(directory: &Path, digest: &str, issuer: &str, certificate: &str) -> [String; 3] {
    let text = openssl(
        directory,
        // The digest must precede the certificate to which it applies.
        &["ocsp", digest, "-issuer", issuer, "-cert", certificate, "-no_nonce", "-req_text"],
    );
    // OpenSSL breaks long values with a backslash at the end of the line.
    let text = text.replace("\\\n", "");
    ["Issuer Name Hash: ", "Issuer Key Hash: ", "Serial Number: "].map(|label| {
        let value = text.split(label).nth(1).and_then(|rest| rest.lines().next()).expect(label).trim();
        value.to_ascii_lowercase()
    })
}

/// A string type, the configuration with which OpenSSL writes it, a name, and the tag that the name
/// must then contain.
struct Naming {
    name: &'static str,
    string_mask: &'static str,
    subject: &'static str,
    tag: u8,
}

const NAMINGS: [Naming; 4] = [
    Naming { name: "utf8", string_mask: "utf8only", subject: "/C=NL/O=Prüfstand/CN=Wurzel", tag: 0x0c },
    Naming { name: "printable", string_mask: "default", subject: "/O=Printable/CN=name", tag: 0x13 },
    Naming { name: "teletex", string_mask: "MASK:4", subject: "/O=Gerät/CN=Prüfer", tag: 0x14 },
    // Two attributes in one set, which is a SET OF and therefore sorted: re-encoding it would be an
    // error.
    Naming { name: "multi-rdn", string_mask: "utf8only", subject: "/O=Zwei+OU=Eins+CN=multi", tag: 0x31 },
];

const KEYS: [(&str, &[&str]); 4] = [
    ("p256", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
    ("p521", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"]),
    ("rsa", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
    ("ed25519", &["-algorithm", "ED25519"]),
];

/// Zero, one, an odd count of digits, the high bit set (one more octet in DER), 20 octets, and 20
/// octets with the high bit.
const SERIALS: [&str; 6] = [
    "0x0",
    "0x1",
    "0x0fff",
    "0xc5000000000000000001",
    "0x0a9f35410000000000000000000000000000beef",
    "0xffeeddccbbaa99887766554433221100ffeeddcc",
];

const DIGESTS: [(HashAlgorithm, &str); 3] = [
    (HashAlgorithm::Sha256, "-sha256"),
    (HashAlgorithm::Sha384, "-sha384"),
    (HashAlgorithm::Sha512, "-sha512"),
];

/// Generates a root and a leaf below it, both with `serial`; returns the names of their files.
fn make(directory: &Path, naming: &Naming, key: &str, serial: &str) -> [String; 2] {
    let config = format!("{}.cnf", naming.name);
    std::fs::write(
        directory.join(&config),
        format!(
            "[req]\ndistinguished_name=dn\nstring_mask={}\nutf8=yes\nx509_extensions=ca\n[dn]\n[ca]\n\
             basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n",
            naming.string_mask
        ),
    )
    .expect("written");
    let (root, leaf, key) = ("root.pem".to_owned(), "leaf.pem".to_owned(), format!("{key}.key"));
    openssl(
        directory,
        &[
            "req",
            "-x509",
            "-new",
            "-utf8",
            "-config",
            &config,
            "-key",
            &key,
            "-subj",
            naming.subject,
            "-set_serial",
            serial,
            "-days",
            "30",
            "-out",
            &root,
        ],
    );
    openssl(
        directory,
        &[
            "x509",
            "-req",
            "-in",
            "leaf.csr",
            "-CA",
            &root,
            "-CAkey",
            &key,
            "-set_serial",
            serial,
            "-days",
            "20",
            "-extfile",
            "leaf.ext",
            "-out",
            &leaf,
        ],
    );
    [root, leaf]
}

/// Seen elsewhere: the sub-CA's own key hashed (libevse-security #11), another digest (#37), the
/// Name as text (open-ocpp #145), the whole SubjectPublicKeyInfo (SAP simulator), the serial as a
/// number (citrineos #1074) or with its leading zeros (open-ocpp). The test covers every string
/// type, key and serial number, with every algorithm, for roots and the certificates that they
/// issued.
#[test]
fn hash_data_equal_what_openssl_ocsp_computes() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let directory = directory.path();
    // Without an extension OpenSSL would generate a certificate of version 1.
    std::fs::write(directory.join("leaf.ext"), "basicConstraints=CA:FALSE\n").expect("written");
    for (name, options) in KEYS {
        let file = format!("{name}.key");
        let mut arguments = vec!["genpkey", "-out", &file];
        arguments.extend(options);
        openssl(directory, &arguments);
    }
    openssl(directory, &["req", "-new", "-key", "p256.key", "-subj", "/CN=leaf", "-out", "leaf.csr"]);

    let mut compared = 0;
    for naming in &NAMINGS {
        for (key, _) in KEYS {
            for serial in SERIALS {
                let kind = format!("{} {key} {serial}", naming.name);
                let [root, leaf] = make(directory, naming, key, serial);
                let read = |file: &str| {
                    let text = std::fs::read_to_string(directory.join(file)).expect("made by openssl");
                    Certificate::from_pem(&text).expect(file)
                };
                let issuer = read(&root);
                assert!(
                    issuer.issuer().as_der().contains(&naming.tag),
                    "{kind}: not the string type that is wanted"
                );
                for (algorithm, digest) in DIGESTS {
                    for file in [&root, &leaf] {
                        let id = CertificateId::new(&read(file), issuer.public_key());
                        let hash = id.hash_data(algorithm).to_text();
                        let [name_hash, key_hash, serial] = cert_id(directory, digest, &root, file);
                        assert_eq!(hash.issuer_name_hash, name_hash, "{kind} {file} {digest}");
                        assert_eq!(hash.issuer_key_hash, key_hash, "{kind} {file} {digest}");
                        let serial = serial.trim_start_matches('0');
                        let serial = if serial.is_empty() { "0" } else { serial };
                        assert_eq!(hash.serial_number, serial, "{kind} {file} {digest}");
                        compared += 1;
                    }
                }
                check_deletable(directory, &root, &kind);
            }
        }
    }
    println!("{compared} CertIDs compared");
    assert_eq!(compared, NAMINGS.len() * KEYS.len() * SERIALS.len() * 6);
}

/// A root can be installed, and deleted by the values that OpenSSL prints.
fn check_deletable(directory: &Path, root: &str, kind: &str) {
    let store = Store::with_storage(Memory::default(), Settings::new("any")).expect("opens");
    let pem = std::fs::read_to_string(directory.join(root)).expect("made by openssl");
    let use_ = InstallCertificateUseEnumType::CSMSRootCertificate;
    store.provision_root(use_, &pem, std::time::SystemTime::now()).expect(kind);
    let [name_hash, key_hash, serial] = cert_id(directory, "-sha512", root, root);
    let hash = HashData::parse(HashAlgorithm::Sha512, &name_hash, &key_hash, &serial).expect("hash data");
    assert_eq!(store.delete_by_hash(&hash).expect(kind), 1);
}

/// The PEM that `openssl x509 -text` writes, with its text before the block.
#[test]
fn text_around_the_armour_is_let_through() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let directory = directory.path();
    openssl(
        directory,
        &[
            "req",
            "-x509",
            "-nodes",
            "-days",
            "30",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-keyout",
            "k",
            "-out",
            "c",
            "-subj",
            "/CN=text",
        ],
    );
    let text = openssl(directory, &["x509", "-in", "c", "-text"]);
    let plain = std::fs::read_to_string(directory.join("c")).expect("made by openssl");
    assert!(text.len() > plain.len());
    assert_eq!(
        Certificate::from_pem(&text).expect("with text").der(),
        Certificate::from_pem(&plain).expect("without").der()
    );
}

/// A00.FR.502: keys that rcgen cannot generate.
#[test]
fn a00_fr_502_weak_keys_and_sha1_are_refused() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let directory = directory.path();
    for (key, digest, expected) in [
        (&["rsa:1024"][..], "-sha256", "its RSA key has 1024 bits"),
        (&["ec", "-pkeyopt", "ec_paramgen_curve:prime192v1"], "-sha256", "its EC key has 192 bits"),
        (&["rsa:2048"], "-sha1", "the signature algorithm does not fit the key, or is not supported"),
    ] {
        let mut arguments = vec![
            "req", "-x509", "-nodes", "-days", "30", digest, "-keyout", "k", "-out", "c", "-subj",
            "/CN=weak", "-newkey",
        ];
        arguments.extend(key);
        openssl(directory, &arguments);
        let pem = std::fs::read_to_string(directory.join("c")).expect("made by openssl");
        let station = Station::new();
        let request = ocpp_types::v201::InstallCertificateRequest::new(
            InstallCertificateUseEnumType::CSMSRootCertificate,
            pem.as_str().try_into().expect("short"),
        );
        let response = station.store.install(&request, std::time::SystemTime::now());
        assert_eq!(crate::pki::reason(&response.status_info), "InvalidCertificate");
        let detail = crate::pki::detail(&response.status_info);
        assert!(detail.contains(expected), "{detail}");
    }
}
