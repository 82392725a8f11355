//! Compares path validation with OpenSSL: valid chains, and chains with one fault each.
//!
//! Both verify the same certificates at the same time. Every chain here satisfies the rules of this
//! crate beyond RFC 5280 (names, order, no root in the chain, a leaf that is not a CA). The tests
//! for those rules are in `signed.rs`.

use std::fs;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use ocpp_types::v201::CertificateSignedStatusEnumType;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519, PKCS_RSA_SHA256, PKCS_RSA_SHA512, SanType,
    SignatureAlgorithm, date_time_ymd,
};
use station_store::{Certificate, RootUse, Store};

use crate::memory::Memory;
use crate::pki::{Authority, ca_params, leaf_params, now, settings};

/// Changes a certificate by its position: 0 is the leaf, then come the sub-CAs, the root is last.
type Edit = fn(usize, &mut CertificateParams);

/// A change of the finished chain.
#[derive(Clone, Copy)]
enum Damage {
    None,
    /// A bit of the signature of this certificate.
    Signature(usize),
    /// A bit of the content of this certificate, in its validity.
    Content(usize),
    /// This sub-CA is left out.
    Missing(usize),
    /// A CA of the same name with another key replaces this one.
    Twin(usize),
    /// The station has another root.
    OtherRoot,
}

struct Case {
    name: &'static str,
    valid: bool,
    sub_cas: usize,
    /// The algorithm of the CAs' keys and signatures.
    algorithm: &'static SignatureAlgorithm,
    edit: Edit,
    damage: Damage,
}

const fn good(name: &'static str, sub_cas: usize, edit: Edit) -> Case {
    Case { name, valid: true, sub_cas, algorithm: &PKCS_ECDSA_P256_SHA256, edit, damage: Damage::None }
}

const fn bad(name: &'static str, sub_cas: usize, edit: Edit) -> Case {
    Case { valid: false, ..good(name, sub_cas, edit) }
}

const fn signed_with(name: &'static str, algorithm: &'static SignatureAlgorithm) -> Case {
    Case { algorithm, ..good(name, 1, |_, _| {}) }
}

const fn damaged(name: &'static str, sub_cas: usize, damage: Damage) -> Case {
    Case { damage, ..bad(name, sub_cas, |_, _| {}) }
}

fn path_length(params: &mut CertificateParams, length: u8) {
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(length));
}

fn extension(params: &mut CertificateParams, critical: bool) {
    let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![0x05, 0x00]);
    extension.set_criticality(critical);
    params.custom_extensions.push(extension);
}

fn dns(name: &str) -> Vec<SanType> {
    vec![SanType::DnsName(name.try_into().expect("a name"))]
}

fn constraints(permitted: &[&str], excluded: &[&str]) -> Option<NameConstraints> {
    let subtrees =
        |names: &[&str]| names.iter().map(|name| GeneralSubtree::DnsName((*name).to_owned())).collect();
    Some(NameConstraints { permitted_subtrees: subtrees(permitted), excluded_subtrees: subtrees(excluded) })
}

const EARLY: fn(&mut CertificateParams) = |params| params.not_after = date_time_ymd(2030, 6, 1);
const LATE: fn(&mut CertificateParams) = |params| params.not_before = date_time_ymd(2030, 7, 1);

const CASES: &[Case] = &[
    // Valid chains.
    good("leaf below the root", 0, |_, _| {}),
    good("one sub-CA", 1, |_, _| {}),
    good("two sub-CAs", 2, |_, _| {}),
    good("four sub-CAs", 4, |_, _| {}),
    good("six sub-CAs", 6, |_, _| {}),
    signed_with("P-384", &PKCS_ECDSA_P384_SHA384),
    signed_with("P-521", &PKCS_ECDSA_P521_SHA512),
    signed_with("Ed25519", &PKCS_ED25519),
    signed_with("RSA with SHA-256", &PKCS_RSA_SHA256),
    signed_with("RSA with SHA-512", &PKCS_RSA_SHA512),
    good("pathLen 0 of the root, no sub-CA", 0, |at, params| {
        if at == 1 {
            path_length(params, 0)
        }
    }),
    good("pathLen 1 of the root, one sub-CA", 1, |at, params| {
        if at == 2 {
            path_length(params, 1)
        }
    }),
    good("pathLen 0 of the last sub-CA", 2, |at, params| {
        if at == 1 {
            path_length(params, 0)
        }
    }),
    good("pathLen 1 and 0", 2, |at, params| match at {
        1 => path_length(params, 0),
        2 => path_length(params, 1),
        _ => {}
    }),
    good("no keyUsage in the leaf", 1, |at, params| {
        if at == 0 {
            params.key_usages.clear()
        }
    }),
    good("clientAuth in the leaf", 1, |at, params| {
        if at == 0 {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]
        }
    }),
    good("clientAuth and serverAuth in the leaf", 1, |at, params| {
        if at == 0 {
            params.extended_key_usages =
                vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        }
    }),
    good("clientAuth in leaf and sub-CA", 1, |at, params| {
        if at < 2 {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]
        }
    }),
    good("an unknown extension in the leaf", 1, |at, params| {
        if at == 0 {
            extension(params, false)
        }
    }),
    good("an unknown extension in the sub-CA", 1, |at, params| {
        if at == 1 {
            extension(params, false)
        }
    }),
    good("valid since this second", 1, |at, params| {
        if at == 0 {
            params.not_before = date_time_ymd(2030, 6, 15)
        }
    }),
    // RFC 5280 includes the last second, OpenSSL does not.
    good("valid for one more second", 1, |at, params| {
        if at == 1 {
            params.not_after = date_time_ymd(2030, 6, 15) + Duration::from_secs(1)
        }
    }),
    good("a leaf that outlives its CA", 1, |at, params| {
        if at == 0 {
            params.not_after = date_time_ymd(2050, 1, 1)
        }
    }),
    good("a permitted name", 1, |at, params| match at {
        0 => params.subject_alt_names = dns("cs.example.com"),
        1 => params.name_constraints = constraints(&["example.com"], &[]),
        _ => {}
    }),
    good("a name that is not excluded", 1, |at, params| match at {
        0 => params.subject_alt_names = dns("cs.example.com"),
        1 => params.name_constraints = constraints(&[], &["example.org"]),
        _ => {}
    }),
    good("constraints on names of which the leaf has none", 1, |at, params| {
        if at == 1 {
            params.name_constraints = constraints(&["example.com"], &[])
        }
    }),
    // Validity.
    bad("an expired leaf", 0, |at, params| {
        if at == 0 {
            EARLY(params)
        }
    }),
    bad("a leaf of the future", 0, |at, params| {
        if at == 0 {
            LATE(params)
        }
    }),
    bad("expired since a day", 1, |at, params| {
        if at == 0 {
            params.not_after = date_time_ymd(2030, 6, 14)
        }
    }),
    bad("an expired sub-CA", 1, |at, params| {
        if at == 1 {
            EARLY(params)
        }
    }),
    bad("a sub-CA of the future", 1, |at, params| {
        if at == 1 {
            LATE(params)
        }
    }),
    bad("the upper sub-CA is expired", 2, |at, params| {
        if at == 2 {
            EARLY(params)
        }
    }),
    bad("an expired root", 1, |at, params| {
        if at == 2 {
            EARLY(params)
        }
    }),
    // basicConstraints and keyUsage.
    bad("a sub-CA that is none", 1, |at, params| {
        if at == 1 {
            params.is_ca = IsCa::ExplicitNoCa
        }
    }),
    bad("a sub-CA without basicConstraints", 1, |at, params| {
        if at == 1 {
            params.is_ca = IsCa::NoCa
        }
    }),
    bad("the upper sub-CA is none", 2, |at, params| {
        if at == 2 {
            params.is_ca = IsCa::ExplicitNoCa
        }
    }),
    bad("a sub-CA that may sign CRLs only", 1, |at, params| {
        if at == 1 {
            params.key_usages = vec![KeyUsagePurpose::CrlSign]
        }
    }),
    bad("the upper sub-CA may sign CRLs only", 2, |at, params| {
        if at == 2 {
            params.key_usages = vec![KeyUsagePurpose::CrlSign]
        }
    }),
    bad("pathLen 0 of the root, one sub-CA", 1, |at, params| {
        if at == 2 {
            path_length(params, 0)
        }
    }),
    bad("pathLen 1 of the root, two sub-CAs", 2, |at, params| {
        if at == 3 {
            path_length(params, 1)
        }
    }),
    bad("pathLen 0 of a sub-CA, another below", 2, |at, params| {
        if at == 2 {
            path_length(params, 0)
        }
    }),
    bad("pathLen 1 of a sub-CA, two below", 3, |at, params| {
        if at == 3 {
            path_length(params, 1)
        }
    }),
    bad("a leaf that may encipher keys only", 1, |at, params| {
        if at == 0 {
            params.key_usages = vec![KeyUsagePurpose::KeyEncipherment]
        }
    }),
    bad("serverAuth in the leaf", 1, |at, params| {
        if at == 0 {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]
        }
    }),
    bad("codeSigning in the leaf", 1, |at, params| {
        if at == 0 {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning]
        }
    }),
    bad("serverAuth in the sub-CA", 1, |at, params| {
        if at == 1 {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]
        }
    }),
    // Critical extensions.
    bad("an unknown critical extension in the leaf", 1, |at, params| {
        if at == 0 {
            extension(params, true)
        }
    }),
    bad("an unknown critical extension in the sub-CA", 1, |at, params| {
        if at == 1 {
            extension(params, true)
        }
    }),
    // Names.
    bad("a name that is not permitted", 1, |at, params| match at {
        0 => params.subject_alt_names = dns("cs.example.org"),
        1 => params.name_constraints = constraints(&["example.com"], &[]),
        _ => {}
    }),
    bad("an excluded name", 1, |at, params| match at {
        0 => params.subject_alt_names = dns("cs.example.org"),
        1 => params.name_constraints = constraints(&[], &["example.org"]),
        _ => {}
    }),
    bad("a name that the upper sub-CA excludes", 2, |at, params| match at {
        0 => params.subject_alt_names = dns("cs.example.org"),
        2 => params.name_constraints = constraints(&[], &["example.org"]),
        _ => {}
    }),
    // Signatures and links.
    damaged("the leaf's signature", 1, Damage::Signature(0)),
    damaged("the sub-CA's signature", 1, Damage::Signature(1)),
    damaged("the upper sub-CA's signature", 2, Damage::Signature(2)),
    damaged("the leaf's content", 1, Damage::Content(0)),
    damaged("the sub-CA's content", 1, Damage::Content(1)),
    damaged("a missing sub-CA", 1, Damage::Missing(1)),
    damaged("a missing lower sub-CA", 2, Damage::Missing(1)),
    damaged("a missing upper sub-CA", 2, Damage::Missing(2)),
    damaged("a twin of the sub-CA", 1, Damage::Twin(1)),
    damaged("a twin of the upper sub-CA", 2, Damage::Twin(2)),
    damaged("a twin of the root", 1, Damage::Twin(2)),
    damaged("another root", 1, Damage::OtherRoot),
];

/// The chain, leaf first, as DER; the root; and the leaf's key.
struct Built {
    chain: Vec<Vec<u8>>,
    root: Vec<u8>,
    key: KeyPair,
}

impl Case {
    fn build(&self) -> Built {
        let new_key = || KeyPair::generate_for(self.algorithm).expect("a key");
        let params = |at: usize| {
            let mut params = match at {
                0 => leaf_params(),
                at if at > self.sub_cas => ca_params("Root"),
                at => ca_params(&format!("Sub {at}")),
            };
            params.use_authority_key_identifier_extension = at <= self.sub_cas;
            (self.edit)(at, &mut params);
            params
        };
        let top = self.sub_cas + 1;
        let mut authorities: Vec<Authority> =
            vec![CertifiedIssuer::self_signed(params(top), new_key()).expect("root")];
        for at in (1..top).rev() {
            let issuer = &authorities[authorities.len() - 1];
            authorities.push(CertifiedIssuer::signed_by(params(at), new_key(), issuer).expect("sub-CA"));
        }
        let key = KeyPair::generate().expect("a key");
        let leaf = params(0).signed_by(&key, &authorities[authorities.len() - 1]).expect("leaf");
        let mut chain = vec![leaf.der().to_vec()];
        chain.extend(authorities.iter().rev().map(|authority| authority.der().to_vec()));
        match self.damage {
            Damage::None => {}
            Damage::Signature(at) => {
                let last = chain[at].len() - 1;
                chain[at][last] ^= 1;
            }
            Damage::Content(at) => {
                // 300101… to 300102…: still a date.
                let place = chain[at].windows(6).position(|window| window == b"300101").expect("notBefore");
                chain[at][place + 5] ^= 3;
            }
            Damage::Missing(at) => {
                chain.remove(at);
            }
            Damage::Twin(at) => {
                let twin = if at == top {
                    CertifiedIssuer::self_signed(params(at), new_key()).expect("root")
                } else {
                    let issuer = &authorities[top - at - 1];
                    CertifiedIssuer::signed_by(params(at), new_key(), issuer).expect("sub-CA")
                };
                chain[at] = twin.der().to_vec();
            }
            Damage::OtherRoot => {
                let other = CertifiedIssuer::self_signed(ca_params("Other"), new_key()).expect("root");
                chain[top] = other.der().to_vec();
            }
        }
        let root = chain.pop().expect("a root");
        Built { chain, root, key }
    }
}

impl Built {
    /// Whether the store accepts the chain.
    fn ours(&self) -> Result<(), String> {
        use rcgen::PublicKeyData;
        // OpenSSL's clock is exact.
        let settings = settings().skew(Duration::ZERO);
        let store = Store::with_storage(Memory::default(), settings).expect("opens");
        let root = Certificate::from_der(self.root.clone()).expect("root");
        // A time at which every root here was valid.
        let then = now() - Duration::from_secs(40 * 86_400);
        store.provision_root(RootUse::Csms, &root.to_pem(), then).expect("installed");
        let id = store.begin_pending(&crate::pki::new_pending("own")).expect("announced");
        store.complete_pending(id, &self.key.subject_public_key_info(), "CSR").expect("completed");
        let pem: String = self.chain.iter().map(|der| pem(der)).collect();
        let request =
            ocpp_types::v201::CertificateSignedRequest::new(pem.as_str().try_into().expect("short"));
        let outcome = store.certificate_signed(&request, now());
        match outcome.response.status {
            CertificateSignedStatusEnumType::Accepted => Ok(()),
            CertificateSignedStatusEnumType::Rejected => {
                Err(crate::pki::detail(&outcome.response.status_info).to_owned())
            }
        }
    }

    /// Whether OpenSSL verifies the chain, strictly by RFC 5280, for a TLS client.
    fn openssl(&self) -> Result<(), String> {
        let directory = tempfile::tempdir().expect("temporary directory");
        let write = |name: &str, ders: &[Vec<u8>]| {
            let text: String = ders.iter().map(|der| pem(der)).collect();
            fs::write(directory.path().join(name), text).expect("written");
        };
        write("root.pem", std::slice::from_ref(&self.root));
        write("leaf.pem", &self.chain[..1]);
        write("subs.pem", &self.chain[1..]);
        let at = now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs().to_string();
        let mut arguments = vec![
            "verify",
            "-x509_strict",
            "-attime",
            &at,
            "-purpose",
            "sslclient",
            "-auth_level",
            "2",
            "-CAfile",
            "root.pem",
        ];
        if self.chain.len() > 1 {
            arguments.extend(["-untrusted", "subs.pem"]);
        }
        arguments.push("leaf.pem");
        let output = Command::new("openssl")
            .args(arguments)
            .current_dir(directory.path())
            .output()
            .expect("this test needs the openssl command; install the package openssl");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(text) }
    }
}

fn pem(der: &[u8]) -> String {
    Certificate::from_der(der).expect("still a certificate").to_pem()
}

#[test]
fn a02_fr_06_openssl_agrees_on_every_chain() {
    assert!(CASES.len() >= 40, "{}", CASES.len());
    let mut disagreements = Vec::new();
    for case in CASES {
        let built = case.build();
        let (ours, openssl) = (built.ours(), built.openssl());
        if (ours.is_ok(), openssl.is_ok()) != (case.valid, case.valid) {
            disagreements.push(format!("{}: ours {ours:?}, OpenSSL {openssl:?}", case.name));
        }
    }
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n"));
    let valid = CASES.iter().filter(|case| case.valid).count();
    println!("{} chains, {valid} of them valid, the others broken in one way each", CASES.len());
}
