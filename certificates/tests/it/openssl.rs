//! The output of OpenSSL is read and understood.

use std::{fs, path::Path, process::Command, time::Duration, time::SystemTime};

use certificates::{
    Certificate, CertificateId, HashAlgorithm, HashData, RevocationList, SerialNumber,
    ocsp::{CertificateStatus, to_request, verify},
    pem,
};

fn openssl(folder: &Path, arguments: &str) -> String {
    let output = Command::new("openssl").current_dir(folder).args(arguments.split_whitespace()).output();
    let output = output.expect("openssl is missing; install it: sudo apt-get install openssl");
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).replace("\\\n", "")
}

struct Revoked {
    hash: HashData,
    issuer: Certificate,
    leaf: Certificate,
    request: Vec<u8>,
    response: Vec<u8>,
    /// PEM.
    list: Vec<u8>,
    printed_serial: String,
}

/// A response and a list that OpenSSL has signed for a revoked certificate.
fn revoked() -> Revoked {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let configuration = "[ca]\ndefault_ca = ca\n[ca]\ndatabase = index\nserial = serial\ncrlnumber = serial\n\
        new_certs_dir = .\ncertificate = ca.pem\nprivate_key = ca.key\ndefault_md = sha256\npolicy = any\n\
        crl_extensions = list\n[list]\nauthorityKeyIdentifier = keyid\n\
        [any]\ncommonName = supplied\n[req]\ndistinguished_name = any\n\
        [authority]\nbasicConstraints = critical, CA:true\nkeyUsage = critical, keyCertSign, cRLSign\n\
        subjectKeyIdentifier = hash\n\
        [leaf]\nkeyUsage = critical, digitalSignature\n";
    for (file, text) in [("ca.cnf", configuration), ("index", ""), ("serial", "1000\n")] {
        fs::write(folder.join(file), text).expect("writes");
    }
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -config ca.cnf -subj";
    openssl(
        folder,
        &format!("req -x509 -keyout ca.key -out ca.pem -days 9 -extensions authority {key} /CN=CA"),
    );
    openssl(folder, &format!("req -new -keyout leaf.key -out leaf.csr {key} /CN=leaf"));
    openssl(folder, "ca -batch -config ca.cnf -in leaf.csr -out leaf.pem -extensions leaf -days 5");
    openssl(folder, "ca -config ca.cnf -revoke leaf.pem -crl_reason keyCompromise");
    openssl(folder, "ca -config ca.cnf -gencrl -crldays 3 -out list.pem");
    let ask = "ocsp -issuer ca.pem -sha256 -cert leaf.pem -no_nonce -reqout request.der -req_text";
    let text = openssl(folder, ask);
    openssl(
        folder,
        "ocsp -index index -CA ca.pem -rsigner ca.pem -rkey ca.key -ndays 1 -reqin request.der -respout response.der",
    );
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(name));
        line.expect("a value").trim().to_owned()
    };
    let [name, key, serial] = ["Issuer Name Hash:", "Issuer Key Hash:", "Serial Number:"].map(value);
    let read = |file: &str| fs::read(folder.join(file)).expect("reads");
    // As `openssl ca` writes it: with the certificate as text before the block.
    let certificate = |file: &str| {
        let text = String::from_utf8(read(file)).expect("text");
        Certificate::from_pem(&text).expect("a certificate")
    };
    let printed = openssl(folder, "x509 -in leaf.pem -noout -serial");
    Revoked {
        hash: HashData::parse(HashAlgorithm::Sha256, &name, &key, &serial).expect("hash data"),
        issuer: certificate("ca.pem"),
        leaf: certificate("leaf.pem"),
        request: read("request.der"),
        response: read("response.der"),
        list: read("list.pem"),
        printed_serial: printed.trim().trim_start_matches("serial=").to_owned(),
    }
}

#[test]
fn hash_data_serial_number_and_request_are_openssls() {
    let Revoked { hash, issuer, leaf, request, printed_serial, .. } = revoked();
    let id = CertificateId::new(&leaf, issuer.public_key());
    assert_eq!(id.hash_data(HashAlgorithm::Sha256), hash);
    assert_eq!(to_request(&hash).expect("DER"), request);
    assert_eq!(printed_serial.parse(), Ok(leaf.serial_number()));
    assert_eq!(leaf.serial_number(), SerialNumber::from_hex("1000").expect("digits"));
}

#[test]
fn a_list_says_who_is_revoked_and_why() {
    let Revoked { issuer, leaf, list, .. } = revoked();
    let list = pem::revocation_lists(&list, 1).expect("a list").remove(0);
    let list = RevocationList::from_der(list.to_vec()).expect("a list");
    list.verify_signature(&issuer).expect("verifies");
    let [entry] = list.entries() else { panic!("one entry: {list:?}") };
    assert_eq!((entry.serial_number, entry.reason), (leaf.serial_number(), 1));
    assert!(entry.at <= list.this_update());
    assert_eq!(list.number(), Some(0x1001));
    assert!(list.authority_key_id().is_some());
    assert_eq!(list.authority_key_id(), issuer.subject_key_id());
}

#[test]
fn no_flipped_bit_changes_a_verdict() {
    let Revoked { hash, issuer, response, list, .. } = revoked();
    let list = pem::revocation_lists(&list, 1).expect("PEM").remove(0).to_vec();
    let (now, skew) = (SystemTime::now().into(), Duration::from_secs(300));
    let id = CertificateId::issued_by(&issuer, hash.serial_number());
    let by_response = |der: &[u8]| {
        verify(der, &id, &issuer, now, skew)
            .ok()
            .map(|verified| verified.status == CertificateStatus::Revoked)
    };
    let by_list = |der: &[u8]| {
        let list = RevocationList::from_der(der).ok()?;
        list.verify(&issuer, now, skew).ok()?;
        list.is_revoked(hash.serial_number(), None).ok()
    };
    type Judge<'a> = &'a dyn Fn(&[u8]) -> Option<bool>;
    for (bytes, judge) in [(&response, &by_response as Judge<'_>), (&list, &by_list)] {
        assert_eq!(judge(bytes), Some(true));
        for place in 0..bytes.len() {
            assert_eq!(judge(&bytes[..place]), None, "cut off at {place}");
            for bit in 0..8 {
                let mut changed = bytes.to_vec();
                changed[place] ^= 1 << bit;
                assert_ne!(judge(&changed), Some(false), "byte {place}, bit {bit}");
            }
        }
    }
}
