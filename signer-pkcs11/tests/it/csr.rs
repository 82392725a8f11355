//! Requests of this crate, verified by OpenSSL, and requests of OpenSSL, verified by this crate.

use base64ct::{Base64, Encoding};
use signer_pkcs11::{Csr, CsrError, KeyAlgorithm, KeyKind, KeyName, PublicKeyError, csr};

use crate::{
    openssl::{Openssl, P256},
    softhsm::token,
};

#[test]
fn our_request_is_verified_by_openssl() {
    let token = token("csr");
    let key = token.generate_key(&KeyName::random("cs").unwrap(), KeyAlgorithm::EcdsaP256).unwrap();
    let subject = csr::Subject::new("CS-0001", "Example").country("DE").domain_component("CPO");
    let pem = csr::build(&key, &subject).unwrap();
    assert!(pem.starts_with("-----BEGIN CERTIFICATE REQUEST-----\n"), "{pem}");
    assert!(pem.len() <= csr::MAX_CSR_CHARACTERS);

    let openssl = Openssl::new();
    openssl.write("csr.pem", &pem);
    let text = openssl.run("req -in csr.pem -verify -noout -text");
    for expected in [
        "verify OK",
        "Version: 1 (0x0)",
        "Subject: DC = CPO, C = DE, O = Example, CN = CS-0001",
        "ASN1 OID: prime256v1",
        "X509v3 Key Usage: critical\n                    Digital Signature\n",
        "Signature Algorithm: ecdsa-with-SHA256",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    let parsed = Csr::parse(&pem).unwrap();
    assert_eq!(parsed.public_key(), key.public_key());
    assert_eq!((parsed.common_name(), parsed.organization()), (Some("CS-0001"), Some("Example")));
}

#[test]
fn the_asynchronous_form_makes_the_same_request() {
    let token = token("csr-async");
    let key = token.generate_key(&KeyName::random("cs").unwrap(), KeyAlgorithm::EcdsaP256).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let pem = runtime.block_on(key.csr(&csr::Subject::new("CS-0001", "Example"))).unwrap();
    assert_eq!(Csr::parse(&pem).unwrap().spki_der(), key.public_key().spki_der());
}

#[test]
fn requests_of_other_stations_are_accepted() {
    let openssl = Openssl::new();
    let accepted = |key: &str, request: &str, kind: KeyKind| {
        let text = openssl.request(key, request);
        let csr = Csr::parse(&text).unwrap_or_else(|error| panic!("{key} {request}: {error}\n{text}"));
        assert_eq!(csr.public_key().kind(), kind, "{key} {request}");
        assert_eq!((csr.common_name(), csr.organization()), (Some("CS-0001"), Some("Example")));
        text
    };
    let rsa = "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048";
    let p384 = "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384";
    accepted(P256, "", KeyKind::P256);
    accepted(P256, "-sha512", KeyKind::P256);
    accepted(p384, "-sha384", KeyKind::P384);
    accepted(rsa, "", KeyKind::Rsa { bits: 2048 });
    accepted(rsa, "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32", KeyKind::Rsa { bits: 2048 });
    // OpenSSL's default: the longest salt that fits.
    accepted(rsa, "-sigopt rsa_padding_mode:pss", KeyKind::Rsa { bits: 2048 });
    for hash in ["-sha256", "-sha384", "-sha512"] {
        // As long as the hash (-1), none, shorter, the default of RFC 4055, and longer.
        for salt_bytes in ["-1", "0", "1", "19", "20", "21", "33", "100"] {
            let options = format!("{hash} -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:{salt_bytes}");
            accepted(rsa, &options, KeyKind::Rsa { bits: 2048 });
        }
    }
    accepted("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521", "-sha512", KeyKind::P521);
    accepted("genpkey -algorithm ED25519", "", KeyKind::Ed25519);
    // The label of older tools, which some peers send, with text around the block.
    let old = accepted(P256, "-newhdr -text", KeyKind::P256);
    assert!(
        old.contains("-----BEGIN NEW CERTIFICATE REQUEST-----") && old.starts_with("Certificate Request:")
    );
    // Windows line ends, and no line end after the last line.
    let plain = accepted(P256, "-addext keyUsage=digitalSignature", KeyKind::P256);
    Csr::parse(plain.replace('\n', "\r\n").trim_end()).unwrap();
    // DER in base64, in one line.
    let der = Csr::parse(&plain).unwrap().der().to_vec();
    let csr = Csr::parse(&Base64::encode_string(&der)).unwrap();
    assert_eq!(Csr::parse(&csr.to_pem()).unwrap().der(), der);
}

/// Mbed TLS before 3.5 writes NULL parameters for ECDSA. Other encoders omit them for RSA. OpenSSL
/// verifies both.
#[test]
fn absent_parameters_and_null_are_the_same() {
    let openssl = Openssl::new();
    let check = |key: &str, from: &[u8], to: &[u8]| {
        let mut der = Csr::parse(&openssl.request(key, "")).unwrap().der().to_vec();
        let at = der.windows(from.len()).rposition(|window| window == from).unwrap();
        der.splice(at..at + from.len(), to.iter().copied());
        // The outer length: short, or of two octets.
        let length = der.len() - if der[1] < 0x80 { 2 } else { 1 + 1 + usize::from(der[1] & 0x7f) };
        match der[1] {
            0x82 => der[2..4].copy_from_slice(&u16::try_from(length).unwrap().to_be_bytes()),
            0x81 => der[2] = u8::try_from(length).unwrap(),
            _ => der[1] = u8::try_from(length).unwrap(),
        }
        std::fs::write(openssl.path("changed.der"), &der).unwrap();
        openssl.run("req -inform DER -in changed.der -verify -noout");
        Csr::from_der(&der).unwrap();
        *der.last_mut().unwrap() ^= 1;
        assert_eq!(Csr::from_der(&der).unwrap_err(), CsrError::Signature);
    };
    const ECDSA_SHA256: [u8; 12] = [0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    const ECDSA_SHA256_NULL: [u8; 14] = [0x30, 12, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2, 5, 0];
    check(P256, &ECDSA_SHA256, &ECDSA_SHA256_NULL);
    const RSA_SHA256: [u8; 13] = [0x30, 11, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11];
    const RSA_SHA256_NULL: [u8; 15] = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11, 5, 0];
    check("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048", &RSA_SHA256_NULL, &RSA_SHA256);
}

/// A value of DER.
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut der = match length {
        0..0x80 => vec![tag, u8::try_from(length).unwrap()],
        0x80..0x100 => vec![tag, 0x81, u8::try_from(length).unwrap()],
        _ => [&[tag, 0x82], &u16::try_from(length).unwrap().to_be_bytes()[..]].concat(),
    };
    der.extend(content);
    der
}

/// The values in a SEQUENCE or SET, each with tag and length.
fn parts(der: &[u8]) -> Vec<Vec<u8>> {
    use der::{Decode as _, Reader as _, SliceReader, asn1::AnyRef};
    let mut reader = SliceReader::new(AnyRef::from_der(der).unwrap().value()).unwrap();
    let mut parts = Vec::new();
    while !reader.is_finished() {
        parts.push(reader.tlv_bytes().unwrap().to_vec());
    }
    parts
}

/// RFC 4055 §3.1: a SEQUENCE, whose signature is the same in any order.
#[test]
fn pss_parameters_out_of_order_are_refused() {
    let openssl = Openssl::new();
    let rsa = "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048";
    let text = openssl.request(rsa, "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:21");
    let der = Csr::parse(&text).unwrap().der().to_vec();
    let [info, algorithm, signature] = <[_; 3]>::try_from(parts(&der)).unwrap();
    let [oid, parameters] = <[_; 2]>::try_from(parts(&algorithm)).unwrap();
    let [hash, mask, salt] = <[_; 3]>::try_from(parts(&parameters)).unwrap();
    let request = |fields: &[&[u8]]| {
        let parameters = tlv(0x30, &fields.concat());
        let algorithm = tlv(0x30, &[&oid[..], &parameters].concat());
        Csr::from_der(&tlv(0x30, &[&info[..], &algorithm, &signature].concat()))
    };
    request(&[&hash, &mask, &salt]).unwrap();
    // The trailer's only value, which DER omits and some encoders write.
    let trailer = tlv(0xa3, &[2, 1, 1]);
    request(&[&hash, &mask, &salt, &trailer]).unwrap();
    for fields in [
        [&hash, &salt, &mask, &trailer].map(|field| &field[..]),
        [&mask, &hash, &salt, &trailer].map(|field| &field[..]),
        [&trailer, &hash, &mask, &salt].map(|field| &field[..]),
        [&hash, &hash, &mask, &salt].map(|field| &field[..]),
        [&hash, &mask, &salt, &salt].map(|field| &field[..]),
    ] {
        let error = request(&fields).unwrap_err();
        assert!(matches!(error, CsrError::SignatureAlgorithm(_)), "{error}");
    }
}

/// RFC 5280 §4.1.2.4: RelativeDistinguishedName is SET SIZE (1..MAX).
#[test]
fn an_empty_set_in_the_subject_is_refused() {
    let openssl = Openssl::new();
    let der = Csr::parse(&openssl.request(P256, "")).unwrap().der().to_vec();
    let [info, algorithm, _] = <[_; 3]>::try_from(parts(&der)).unwrap();
    let info = parts(&info);
    let names = parts(&info[1]);
    let empty = tlv(0x31, &[]);
    let request = |names: &[&[u8]]| {
        let mut info = info.clone();
        info[1] = tlv(0x30, &names.concat());
        let info = tlv(0x30, &info.concat());
        openssl.write("info.der", &info);
        openssl.run("dgst -sha256 -sign key.pem -out signature info.der");
        let signature = std::fs::read(openssl.path("signature")).unwrap();
        let signature = tlv(3, &[&[0], &signature[..]].concat());
        Csr::from_der(&tlv(0x30, &[&info[..], &algorithm, &signature].concat()))
    };
    request(&[&names[0], &names[1]]).unwrap();
    for at in 0..3 {
        let mut names: Vec<&[u8]> = names.iter().map(|name| &name[..]).collect();
        names.insert(at, &empty);
        assert_eq!(request(&names).unwrap_err(), CsrError::Malformed, "at {at}");
    }
}

#[test]
fn attributes_are_of_no_interest() {
    let openssl = Openssl::new();
    openssl.write(
        "req.cnf",
        "[req]\nprompt=no\ndistinguished_name=dn\nattributes=at\nreq_extensions=ex\n[dn]\nO=Example\nCN=CS-0001\n\
         [at]\nchallengePassword=a password\nunstructuredName=some name\n\
         [ex]\nbasicConstraints=CA:TRUE\nsubjectAltName=DNS:csms.example.com\n1.2.3.4=ASN1:UTF8String:hello\n",
    );
    openssl.run(&format!("{P256} -out key.pem"));
    openssl.run("req -new -key key.pem -config req.cnf -out csr.pem");
    Csr::parse(&openssl.read("csr.pem")).unwrap();
}

#[test]
fn weak_keys_are_refused() {
    let openssl = Openssl::new();
    let refused = |key: &str, request: &str| Csr::parse(&openssl.request(key, request)).unwrap_err();
    let curve = |name: &str| format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:{name}");
    let public_key = |error: CsrError| match error {
        CsrError::PublicKey(error) => error,
        other => panic!("{other}"),
    };
    // A00.FR.501: at least 112 bits of security.
    let rsa_1024 = refused("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024", "");
    assert_eq!(public_key(rsa_1024), PublicKeyError::Weak { bits: 1024 });
    let rsa_2047 = refused("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2047", "");
    assert_eq!(public_key(rsa_2047), PublicKeyError::Weak { bits: 2047 });
    let explicit = refused("ecparam -name prime256v1 -genkey -noout -param_enc explicit", "");
    assert_eq!(public_key(explicit), PublicKeyError::ExplicitCurve);
    for name in ["secp256k1", "brainpoolP256r1", "P-192"] {
        let error = public_key(refused(&curve(name), ""));
        assert!(matches!(error, PublicKeyError::Curve(_)), "{name}: {error}");
    }
    let ed448 = public_key(refused("genpkey -algorithm ED448", ""));
    assert!(matches!(ed448, PublicKeyError::Algorithm(_)), "{ed448}");
    let compressed = format!("{} -pkeyopt ec_param_enc:named_curve", curve("P-256"));
    openssl.run(&format!("{compressed} -out long.pem"));
    let compressed = refused("ec -in long.pem -conv_form compressed", "");
    assert_eq!(public_key(compressed), PublicKeyError::Point);
}

#[test]
fn weak_and_foreign_signatures_are_refused() {
    let openssl = Openssl::new();
    let refused = |key: &str, request: &str| Csr::parse(&openssl.request(key, request)).unwrap_err();
    let rsa = "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048";
    assert_eq!(refused(P256, "-sha1"), CsrError::WeakHash("ECDSA with SHA-1"));
    assert_eq!(refused(rsa, "-sha1"), CsrError::WeakHash("RSA with SHA-1"));
    assert_eq!(refused(rsa, "-md5"), CsrError::WeakHash("RSA with MD5"));
    assert!(matches!(refused(P256, "-sha224"), CsrError::SignatureAlgorithm(_)));
    assert!(matches!(refused(P256, "-sha3-256"), CsrError::SignatureAlgorithm(_)));
    // PSS with another hash for the mask than for the message: the parameters are part of the
    // algorithm.
    let odd = refused(rsa, "-sigopt rsa_padding_mode:pss -sigopt rsa_mgf1_md:sha1");
    assert!(matches!(odd, CsrError::SignatureAlgorithm(_)), "{odd}");
}

#[test]
fn subjects_that_two_readers_may_read_differently() {
    let openssl = Openssl::new();
    openssl.run(&format!("{P256} -out key.pem"));
    let refused = |subject: &str, more: &str| {
        openssl.run(&format!("req -new -key key.pem -subj {subject} -out csr.pem {more}"));
        Csr::parse(&openssl.read("csr.pem")).unwrap_err()
    };
    assert_eq!(refused("/O=Example/CN=CS-0001/CN=CS-0002", ""), CsrError::SubjectTwice("CN"));
    assert_eq!(refused("/O=Example/O=Other/CN=CS-0001", ""), CsrError::SubjectTwice("O"));
    assert_eq!(refused("/O=Example+O=Other/CN=CS-0001", "-multivalue-rdn"), CsrError::SubjectTwice("O"));
}

#[test]
fn subjects_in_the_string_types_of_x_520() {
    let openssl = Openssl::new();
    openssl.run(&format!("{P256} -out key.pem"));
    let request = |mask: &str, common_name: &str| {
        openssl.write(
            "types.cnf",
            format!(
                "[req]\nprompt=no\nutf8=yes\nstring_mask=MASK:{mask}\ndistinguished_name=dn\n[dn]\nO=Example\nCN={common_name}\n"
            ),
        );
        openssl.run("req -new -key key.pem -config types.cnf -out csr.pem");
        Csr::parse(&openssl.read("csr.pem")).map(|csr| csr.common_name().map(str::to_owned))
    };
    const PRINTABLE: &str = "0x2";
    const TELETEX: &str = "0x4";
    const BMP: &str = "0x800";
    const UTF8: &str = "0x2000";
    for (mask, name) in
        [(PRINTABLE, "PRINTABLESTRING"), (TELETEX, "T61STRING"), (BMP, "BMPSTRING"), (UTF8, "UTF8STRING")]
    {
        assert_eq!(request(mask, "CS-0001"), Ok(Some("CS-0001".into())), "{mask}");
        assert!(openssl.run("asn1parse -in csr.pem").contains(name), "{name}");
    }
    for mask in [BMP, UTF8] {
        assert_eq!(request(mask, "Säule 7"), Ok(Some("Säule 7".into())), "{mask}");
    }
    // Some encoders write Latin-1 into it and some T.61, so two readers may read it differently.
    assert_eq!(request(TELETEX, "Säule 7"), Err(CsrError::SubjectText("CN")));
    // Several attributes in one part of the name.
    openssl.run("req -new -key key.pem -subj /O=Example+CN=CS-0001 -multivalue-rdn -out csr.pem");
    let csr = Csr::parse(&openssl.read("csr.pem")).unwrap();
    assert_eq!((csr.common_name(), csr.organization()), (Some("CS-0001"), Some("Example")));
}

#[test]
fn every_flipped_bit_is_noticed() {
    let openssl = Openssl::new();
    let der = Csr::parse(&openssl.request(P256, "")).unwrap().der().to_vec();
    for byte in 0..der.len() {
        for bit in [0x01, 0x80] {
            let mut broken = der.clone();
            broken[byte] ^= bit;
            assert!(Csr::from_der(&broken).is_err(), "byte {byte}, bit {bit:#x}");
        }
    }
    let mut broken = der.clone();
    *broken.last_mut().unwrap() ^= 1;
    assert_eq!(Csr::from_der(&broken).unwrap_err(), CsrError::Signature);
}

#[test]
fn bytes_too_many_and_too_few() {
    let openssl = Openssl::new();
    let der = Csr::parse(&openssl.request(P256, "")).unwrap().der().to_vec();
    let longer = [&der[..], &[0, 0, 0]].concat();
    assert_eq!(Csr::from_der(&longer).unwrap_err(), CsrError::TrailingBytes { bytes: 3 });
    assert_eq!(
        Csr::parse(&Base64::encode_string(&longer)).unwrap_err(),
        CsrError::TrailingBytes { bytes: 3 }
    );
    for length in 0..der.len() {
        assert_eq!(Csr::from_der(&der[..length]).unwrap_err(), CsrError::Malformed, "{length}");
    }
    // A certificate is not a request.
    openssl.run("req -x509 -key key.pem -subj /CN=x -outform DER -out cert.der");
    assert_eq!(
        Csr::from_der(&std::fs::read(openssl.path("cert.der")).unwrap()).unwrap_err(),
        CsrError::Malformed
    );
}
