//! Hash data against the CertID that `openssl ocsp` computes, for certificates that `openssl` makes here.

use std::path::Path;
use std::process::Command;

use ocpp_types::v201::{DeleteCertificateStatusEnumType, InstallCertificateUseEnumType};
use station_store::{Certificate, CertificateId, HashAlgorithm, Settings};

use crate::pki::{Station, hash_data};

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

/// The three values that `openssl ocsp -req_text` prints, normalised as OCPP wants them.
fn cert_id(directory: &Path, digest: &str, issuer: &str, certificate: &str) -> [String; 3] {
    let text = openssl(
        directory,
        // The digest must stand before the certificate that it is for.
        &["ocsp", digest, "-issuer", issuer, "-cert", certificate, "-no_nonce", "-req_text"],
    );
    // OpenSSL breaks long values with a backslash at the end of the line.
    let text = text.replace("\\\n", "");
    ["Issuer Name Hash: ", "Issuer Key Hash: ", "Serial Number: "].map(|label| {
        let value = text.split(label).nth(1).and_then(|rest| rest.lines().next()).expect(label).trim();
        value.to_ascii_lowercase()
    })
}

/// Name options of `openssl req`, serial number, key algorithm.
const KINDS: &[(&str, &str, &[&str], &[&str])] = &[
    (
        "utf8-p256",
        "0x0fff",
        &["-utf8", "-subj", "/C=NL/O=Prüfstand/CN=Wurzel"],
        &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    ),
    ("p384-zero", "0x0", &["-subj", "/CN=zero"], &["ec", "-pkeyopt", "ec_paramgen_curve:P-384"]),
    ("p521-one", "0x1", &["-subj", "/CN=one"], &["ec", "-pkeyopt", "ec_paramgen_curve:P-521"]),
    ("rsa-high-bit", "0xc5000000000000000001", &["-subj", "/O=RSA/CN=high"], &["rsa:2048"]),
    ("ed25519-20-octets", "0x0a9f35410000000000000000000000000000beef", &["-subj", "/CN=long"], &["ed25519"]),
    (
        "multi-rdn",
        "0x7f",
        &["-subj", "/O=One+OU=Two/CN=multi"],
        &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    ),
    (
        "printable",
        "0xff",
        &["-subj", "/CN=printable", "-config", "printable.cnf"],
        &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    ),
    (
        "teletex",
        "0x80",
        &["-subj", "/CN=Gerät", "-config", "teletex.cnf", "-utf8"],
        &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    ),
];

const DIGESTS: [(HashAlgorithm, &str); 3] = [
    (HashAlgorithm::Sha256, "-sha256"),
    (HashAlgorithm::Sha384, "-sha384"),
    (HashAlgorithm::Sha512, "-sha512"),
];

#[test]
fn hash_data_equal_what_openssl_ocsp_computes() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let directory = directory.path();
    for (file, mask) in [("printable.cnf", "default"), ("teletex.cnf", "MASK:4")] {
        std::fs::write(
            directory.join(file),
            format!(
                "[req]\ndistinguished_name=dn\nstring_mask={mask}\nx509_extensions=ca\n[dn]\n[ca]\n\
                 basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"
            ),
        )
        .expect("written");
    }

    // Without an extension OpenSSL would make a certificate of version 1.
    std::fs::write(directory.join("leaf.ext"), "basicConstraints=CA:FALSE\n").expect("written");

    for (name, serial, naming, key) in KINDS {
        let root = format!("{name}-root.pem");
        let root_key = format!("{name}-root.key");
        let mut arguments = vec![
            "req",
            "-x509",
            "-nodes",
            "-days",
            "30",
            "-set_serial",
            serial,
            "-keyout",
            &root_key,
            "-out",
            &root,
            "-newkey",
        ];
        arguments.extend(*key);
        arguments.extend(*naming);
        openssl(directory, &arguments);

        // A leaf below it, whose issuer is not itself.
        let leaf = format!("{name}-leaf.pem");
        openssl(
            directory,
            &[
                "req",
                "-new",
                "-nodes",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-keyout",
                "leaf.key",
                "-out",
                "leaf.csr",
                "-subj",
                "/CN=leaf",
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
                &root_key,
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

        let read = |file: &str| {
            let text = std::fs::read_to_string(directory.join(file)).expect("made by openssl");
            Certificate::from_pem(&text).expect(file)
        };
        let issuer = read(&root);
        for (algorithm, digest) in DIGESTS {
            for file in [&root, &leaf] {
                let hash = CertificateId::new(&read(file), issuer.public_key()).hash(algorithm);
                let [name_hash, key_hash, serial] = cert_id(directory, digest, &root, file);
                assert_eq!(hash.issuer_name_hash.as_str(), name_hash, "{file} {digest}");
                assert_eq!(hash.issuer_key_hash.as_str(), key_hash, "{file} {digest}");
                let serial = serial.trim_start_matches('0');
                let serial = if serial.is_empty() { "0" } else { serial };
                assert_eq!(hash.serial_number.as_str(), serial, "{file} {digest}");
            }
        }

        // And each root can be installed, and deleted by what OpenSSL prints.
        let station = Station::with(Settings::new("any"));
        let pem = std::fs::read_to_string(directory.join(&root)).expect("made by openssl");
        let use_ = InstallCertificateUseEnumType::CSMSRootCertificate;
        station.store.provision_root(use_, &pem, std::time::SystemTime::now()).expect(name);
        let [name_hash, key_hash, serial] = cert_id(directory, "-sha512", &root, &root);
        let hash = station_store::CertificateHash {
            algorithm: HashAlgorithm::Sha512,
            issuer_name_hash: name_hash.try_into().expect("128 digits"),
            issuer_key_hash: key_hash.try_into().expect("128 digits"),
            serial_number: serial.try_into().expect("at most 40 digits"),
        };
        assert_eq!(
            station.delete(&hash_data(hash)).status,
            DeleteCertificateStatusEnumType::Accepted,
            "{name}"
        );
    }
}

/// The PEM that `openssl x509 -text` writes, with its text before the armour.
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

/// A00.FR.502: keys that rcgen would not make.
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
