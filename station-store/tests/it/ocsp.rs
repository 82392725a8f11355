//! The revocation status of V2G certificates (M06), with OpenSSL as the responder.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use base64ct::{Base64, Encoding};
use certificates::ocsp::NoAnswer;
use ocpp_types::v201::InstallCertificateUseEnumType::V2GRootCertificate;
use ocpp_types::v201::{CertificateSigningUseEnumType, DeleteCertificateStatusEnumType};
use rcgen::{
    CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, KeyPair, PublicKeyData as _, SerialNumber,
};
use station_store::{
    Certificate, CertificateStatus, HashData, OcspDue, OcspError, OcspRefused, OwnId, Settings, Store,
};

use crate::memory::{Fault, Memory};
use crate::pki::{
    Authority, Station, ca_params, hash_data, key, leaf, root_of, secc_params, settings, sub_ca_of,
    v2g_pending,
};

const DAY: Duration = Duration::from_secs(86_400);

/// A V2G hierarchy in files that is valid by OpenSSL's clock, and a station that holds its chain.
struct Scene {
    directory: tempfile::TempDir,
    station: Station,
    own: OwnId,
    root: Authority,
    sub: Authority,
}

/// authorityInfoAccess: id-ad-ocsp, the URL.
pub(crate) fn with_responder(mut params: CertificateParams, url: &str) -> CertificateParams {
    let oid = [0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01];
    let length = |length: usize| u8::try_from(length).expect("short");
    let mut description = oid.to_vec();
    description.extend([0x86, length(url.len())]);
    description.extend(url.as_bytes());
    let mut value = vec![0x30, length(description.len() + 2), 0x30, length(description.len())];
    value.extend(description);
    params.custom_extensions.push(CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], value));
    params
}

fn valid_now(mut params: CertificateParams) -> CertificateParams {
    params.not_before = (SystemTime::now() - DAY).into();
    params.not_after = (SystemTime::now() + 300 * DAY).into();
    params
}

impl Scene {
    fn new() -> Self {
        let root = root_of(valid_now(ca_params("V2G Root")));
        let mut params = with_responder(valid_now(ca_params("Sub")), "http://ocsp.example.com/root");
        params.serial_number = Some(SerialNumber::from(0xabc));
        let sub = sub_ca_of(&root, params);
        let station = Station::new();
        station.store.provision_root(V2GRootCertificate, &root.pem(), SystemTime::now()).expect("root");
        let key = key();
        station.request_for(&v2g_pending("v2g", "SECC-1"), &key);
        let mut params = with_responder(valid_now(secc_params("SECC-1")), "http://ocsp.example.com/sub");
        params.serial_number = Some(SerialNumber::from(0x1234));
        let pem = leaf(&sub, &key, params);
        let mut request = ocpp_types::v201::CertificateSignedRequest::new(
            (pem.clone() + &sub.pem()).try_into().expect("short"),
        );
        request.certificate_type = Some(CertificateSigningUseEnumType::V2GCertificate);
        let outcome = station.store.certificate_signed(&request, SystemTime::now());
        let own = outcome.installed.as_ref().unwrap_or_else(|| panic!("{outcome:?}")).id;

        let directory = tempfile::tempdir().expect("temporary directory");
        let write = |name: &str, text: String| fs::write(directory.path().join(name), text).expect("written");
        write("leaf.pem", pem);
        for (name, authority) in [("root", &root), ("sub", &sub)] {
            write(&format!("{name}.pem"), authority.pem());
            write(&format!("{name}.key"), authority.key().serialize_pem());
        }
        Self { directory, station, own, root, sub }
    }

    fn due(&self, now: SystemTime) -> Vec<OcspDue> {
        self.station.store.ocsp_due(now)
    }

    fn answered(&self, due: &OcspDue, response: &[u8]) -> Result<CertificateStatus, OcspError> {
        self.station.store.ocsp_answered(&due.hash, &Base64::encode_string(response), SystemTime::now())
    }

    /// OpenSSL's answer about `certificate`, which `issuer` issued, signed by `signer`.
    fn response(&self, certificate: &str, issuer: &str, signer: &str, more: Answer<'_>) -> Vec<u8> {
        let directory = self.directory.path();
        let index = match more.status {
            "V" => {
                "V\t491231235959Z\t\t1234\tunknown\t/CN=SECC-1\nV\t491231235959Z\t\t0ABC\tunknown\t/CN=Sub\n"
            }
            "R" => "R\t491231235959Z\t250101000000Z\t1234\tunknown\t/CN=SECC-1\n",
            _ => "",
        };
        fs::write(directory.join("index.txt"), index).expect("written");
        fs::write(directory.join("index.txt.attr"), "unique_subject = no\n").expect("written");
        let (certificate, issuer) = (format!("{certificate}.pem"), format!("{issuer}.pem"));
        let (signer_pem, signer_key) = (format!("{signer}.pem"), format!("{signer}.key"));
        openssl(
            directory,
            &[
                "ocsp",
                more.digest,
                "-issuer",
                &issuer,
                "-cert",
                &certificate,
                "-no_nonce",
                "-reqout",
                "request.der",
            ],
        );
        let mut arguments = vec![
            "ocsp",
            "-index",
            "index.txt",
            "-CA",
            &issuer,
            "-rsigner",
            &signer_pem,
            "-rkey",
            &signer_key,
            "-reqin",
            "request.der",
            "-respout",
            "response.der",
        ];
        arguments.extend(more.arguments);
        openssl(directory, &arguments);
        fs::read(directory.join("response.der")).expect("written by openssl")
    }

    /// A responder's certificate that `issuer` issued, in files under `name`.
    fn responder(&self, name: &str, issuer: &Authority, change: impl FnOnce(&mut CertificateParams)) {
        let mut params = valid_now(secc_params("OCSP responder"));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
        change(&mut params);
        let key: KeyPair = key();
        let directory = self.directory.path();
        fs::write(directory.join(format!("{name}.pem")), leaf(issuer, &key, params)).expect("written");
        fs::write(directory.join(format!("{name}.key")), key.serialize_pem()).expect("written");
    }
}

/// The options of OpenSSL's answer.
#[derive(Clone, Copy)]
struct Answer<'a> {
    status: &'a str,
    digest: &'a str,
    arguments: &'a [&'a str],
}

const GOOD: Answer<'_> = Answer { status: "V", digest: "-sha256", arguments: &["-ndays", "3"] };

/// OpenSSL's answer about the certificate in `pem`, signed by its issuer `issuer`: base64 as in
/// `ocspResult`. The status is Good, and is valid for `days` from now on.
pub(crate) fn good_answer(pem: &str, issuer: &Authority, days: &str) -> String {
    let folder = tempfile::tempdir().expect("temporary directory");
    let directory = folder.path();
    let write = |name: &str, text: &str| fs::write(directory.join(name), text).expect("written");
    let serial =
        hex::encode_upper(Certificate::from_pem(pem).expect("a certificate").serial_number().octets());
    write("index.txt", &format!("V\t491231235959Z\t\t{serial}\tunknown\t/CN=any\n"));
    write("index.txt.attr", "unique_subject = no\n");
    write("certificate.pem", pem);
    write("issuer.pem", &issuer.pem());
    write("issuer.key", &issuer.key().serialize_pem());
    let ask =
        ["ocsp", "-issuer", "issuer.pem", "-cert", "certificate.pem", "-no_nonce", "-reqout", "request"];
    openssl(directory, &ask);
    let sign = ["ocsp", "-index", "index.txt", "-CA", "issuer.pem", "-rsigner", "issuer.pem"];
    let answer = ["-rkey", "issuer.key", "-reqin", "request", "-respout", "response", "-ndays", days];
    openssl(directory, &[&sign[..], &answer].concat());
    Base64::encode_string(&fs::read(directory.join("response")).expect("written by openssl"))
}

fn openssl(directory: &Path, arguments: &[&str]) {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("this test needs the openssl command; install the package openssl");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments:?}: {text}");
}

/// Hash data of a certificate that does not exist.
fn other_serial(hash: &HashData) -> HashData {
    let text = hash.to_text();
    HashData::parse(hash.algorithm(), &text.issuer_name_hash, &text.issuer_key_hash, "77").expect("hash data")
}

fn refused(result: Result<CertificateStatus, OcspError>) -> OcspRefused {
    match result {
        Err(OcspError::Refused { source }) => source,
        other => panic!("refused is expected, not {other:?}"),
    }
}

/// M06.FR.06, .07, errata: the status of the leaf and each sub-CA is requested at once. Each answer
/// is verified before it is kept.
#[test]
fn tc_m_24_leaf_and_sub_cas_are_asked_about_and_answers_are_kept() {
    let scene = Scene::new();
    let now = SystemTime::now();
    let due = scene.due(now);
    let urls: Vec<_> = due.iter().map(|due| due.responder_url.as_str()).collect();
    assert_eq!(urls, ["http://ocsp.example.com/sub", "http://ocsp.example.com/root"]);
    assert_eq!(scene.station.store.ocsp_answers(scene.own, now), [None, None]);
    for (due, (certificate, issuer)) in due.iter().zip([("leaf", "sub"), ("sub", "root")]) {
        let response = scene.response(certificate, issuer, issuer, GOOD);
        assert_eq!(scene.answered(due, &response).expect("valid"), CertificateStatus::Good);
    }
    assert!(scene.due(now).is_empty());
    let Scene { station, own, .. } = scene;
    let station = station.restart();
    let answers = station.store.ocsp_answers(own, now);
    assert!(
        answers.iter().all(|answer| answer.as_ref().is_some_and(|one| one.status == CertificateStatus::Good))
    );
    assert!(station.store.ocsp_due(now).is_empty(), "kept over a restart");
    // The answers are valid for three days. After that they are due again, and are not passed to
    // vehicles.
    assert!(station.store.ocsp_due(now + 2 * DAY).is_empty());
    assert_eq!(station.store.ocsp_due(now + 4 * DAY).len(), 2);
    assert_eq!(station.store.ocsp_answers(own, now + 4 * DAY), [None, None]);
    // If the clock was set back, the age of an answer is unknown.
    assert_eq!(station.store.ocsp_due(now - DAY).len(), 2);
}

/// An answer that cannot be stored counts as a failure: a store with a failed disk does not make
/// the station ask the responders every minute.
#[test]
fn tc_m_25_an_answer_that_the_disk_does_not_take_is_asked_for_later_and_later() {
    let (disk, now) = (Memory::default(), SystemTime::now());
    let store = Store::with_storage(disk.clone(), settings()).expect("opens");
    let root = root_of(valid_now(ca_params("V2G Root")));
    store.provision_root(V2GRootCertificate, &root.pem(), now).expect("root");
    let key = key();
    let id = store.begin_pending(&v2g_pending("v2g", "SECC-1")).expect("announced");
    store.complete_pending(id, &key.subject_public_key_info(), "a CSR").expect("completed");
    let pem =
        leaf(&root, &key, with_responder(valid_now(secc_params("SECC-1")), "http://ocsp.example.com/root"));
    let request = ocpp_types::v201::CertificateSignedRequest::new(pem.as_str().try_into().expect("short"));
    assert!(store.certificate_signed(&request, now).installed.is_some());
    let due = store.ocsp_due(now).remove(0);
    let answer = good_answer(&pem, &root, "3");
    disk.break_down(Fault::Full);
    let minute = Duration::from_secs(60);
    for (at, wait) in [(now, minute), (now + minute, 2 * minute)] {
        let kept = store.ocsp_answered(&due.hash, &answer, at);
        assert!(matches!(kept, Err(OcspError::Storage { .. })), "{kept:?}");
        assert!(store.ocsp_due(at + wait / 2).is_empty());
        assert_eq!(store.ocsp_due(at + wait).len(), 1);
    }
}

/// The errata to TC_M_24: the status of leaf, sub-CA 2 and sub-CA 1 is requested, from the
/// responder of each, and again after a renewal.
#[test]
fn tc_m_24_leaf_and_both_sub_cas_are_due() {
    let root = root_of(valid_now(ca_params("V2G Root")));
    let params = |name: &str, url: &str| with_responder(valid_now(ca_params(name)), url);
    let one = sub_ca_of(&root, params("Sub 1", "http://ocsp.example.com/root"));
    let two = sub_ca_of(&one, params("Sub 2", "http://ocsp.example.com/one"));
    let station = Station::new();
    let now = SystemTime::now();
    station.store.provision_root(V2GRootCertificate, &root.pem(), now).expect("root");
    let sign = |name: &str| {
        let key = key();
        station.request_for(&v2g_pending(name, "SECC-1"), &key);
        let params = with_responder(valid_now(secc_params("SECC-1")), "http://ocsp.example.com/two");
        let leaf = leaf(&two, &key, params);
        let chain = leaf.clone() + &two.pem() + &one.pem();
        let request =
            ocpp_types::v201::CertificateSignedRequest::new(chain.as_str().try_into().expect("short"));
        assert!(station.store.certificate_signed(&request, now).installed.is_some());
        leaf
    };
    let urls = || -> Vec<String> {
        let due = station.store.ocsp_due(now).into_iter();
        due.map(|due| due.responder_url.trim_start_matches("http://ocsp.example.com/").to_owned()).collect()
    };
    let first = sign("first");
    assert_eq!(urls(), ["two", "one", "root"]);
    for (due, (pem, issuer)) in
        station.store.ocsp_due(now).iter().zip([(first, &two), (two.pem(), &one), (one.pem(), &root)])
    {
        let answer = good_answer(&pem, issuer, "3");
        assert_eq!(
            station.store.ocsp_answered(&due.hash, &answer, now).expect("valid"),
            CertificateStatus::Good
        );
    }
    assert!(urls().is_empty());
    // M06.FR.07: after a renewal the status of the new leaf is due; the answers for the shared
    // sub-CAs are still valid.
    sign("second");
    assert_eq!(urls(), ["two"]);
}

/// TC_M_25: GetCertificateStatus is answered with Failed. Nothing is stored, no known status is
/// lost, and the status is requested again, with growing waits, at least once a day.
#[test]
fn tc_m_25_failed_is_asked_again_later_and_never_kept() {
    let scene = Scene::new();
    let start = SystemTime::now();
    let [leaf, sub] = <[_; 2]>::try_from(scene.due(start)).expect("leaf and sub-CA");
    let store = &scene.station.store;
    let mut at = start;
    let mut waits = Vec::new();
    for _ in 0..14 {
        store.ocsp_failed(&leaf.hash, at);
        assert_eq!(store.ocsp_answers(scene.own, at), [None, None], "nothing is kept");
        assert_eq!(store.ocsp_due(at), std::slice::from_ref(&sub), "others do not wait with it");
        let minutes = (1..=2000_u32).map(|minute| minute * Duration::from_secs(60));
        let wait =
            minutes.clone().find(|wait| store.ocsp_due(at + *wait).contains(&leaf)).expect("within a day");
        waits.push(wait.as_secs() / 60);
        at += wait;
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1440, 1440, 1440], "minutes");
    // A clock that was set back does not make the wait longer.
    assert!(store.ocsp_due(start - DAY).contains(&leaf));
    // A restart does not make it longer either.
    let Scene { station, .. } = scene;
    let station = station.restart();
    assert_eq!(station.store.ocsp_due(at), [leaf.clone(), sub]);

    // Unknown hash data belong to no certificate.
    let unknown = other_serial(&leaf.hash);
    station.store.ocsp_failed(&unknown, at);
    assert_eq!(station.store.ocsp_due(at).len(), 2);
}

/// TC_M_25 after a success: the former answer stays valid until its end, and the next success ends
/// the wait.
#[test]
fn tc_m_25_what_was_known_stays_and_an_answer_ends_the_wait() {
    let scene = Scene::new();
    let store = &scene.station.store;
    let now = SystemTime::now();
    let leaf = scene.due(now).remove(0);
    let weeks = Answer { arguments: &["-ndays", "30"], ..GOOD };
    scene.answered(&leaf, &scene.response("leaf", "sub", "sub", weeks)).expect("valid");
    let later = now + 8 * DAY;
    for _ in 0..5 {
        store.ocsp_failed(&leaf.hash, later);
        // Bytes that are not an answer count as a failure too.
        assert!(store.ocsp_answered(&leaf.hash, "AAAA", later).is_err());
    }
    assert!(!store.ocsp_due(later).contains(&leaf));
    assert!(store.ocsp_answers(scene.own, later)[0].is_some(), "vehicles still get what holds");
    store
        .ocsp_answered(
            &leaf.hash,
            &Base64::encode_string(&scene.response("leaf", "sub", "sub", weeks)),
            later,
        )
        .expect("valid");
    store.ocsp_failed(&leaf.hash, later + 8 * DAY);
    let minute = Duration::from_secs(60);
    assert!(!store.ocsp_due(later + 8 * DAY).contains(&leaf));
    assert!(store.ocsp_due(later + 8 * DAY + minute).contains(&leaf), "the waits begin anew");
}

/// M06.FR.10: weekly, even if an answer is valid for longer or without end.
#[test]
fn m06_fr_10_asked_again_weekly() {
    for arguments in [&["-ndays", "300"][..], &[]] {
        let scene = Scene::new();
        let due = scene.due(SystemTime::now()).remove(0);
        let response = scene.response("leaf", "sub", "sub", Answer { arguments, ..GOOD });
        scene.answered(&due, &response).expect("valid");
        let leaf_due = |after| scene.due(SystemTime::now() + after).contains(&due);
        assert!(!leaf_due(6 * DAY));
        assert!(leaf_due(7 * DAY));
    }
}

/// Seen elsewhere (libocpp #652): the certificates of real hierarchies name no responder. There is
/// no request for them.
#[test]
fn m06_certificates_without_responder_are_left_out() {
    let root = root_of(valid_now(ca_params("V2G Root")));
    let station = Station::with(Settings::new("any"));
    station.store.provision_root(V2GRootCertificate, &root.pem(), SystemTime::now()).expect("root");
    let key = key();
    for (name, params) in [
        ("none", valid_now(secc_params("SECC-1"))),
        ("ldap", with_responder(valid_now(secc_params("SECC-1")), "ldap://directory.example.com")),
    ] {
        let key = if name == "none" { &key } else { &crate::pki::key() };
        station.request_for(&v2g_pending(name, "SECC-1"), key);
        let chain = leaf(&root, key, params);
        let request =
            ocpp_types::v201::CertificateSignedRequest::new(chain.as_str().try_into().expect("short"));
        assert!(station.store.certificate_signed(&request, SystemTime::now()).installed.is_some());
    }
    assert!(station.store.ocsp_due(SystemTime::now()).is_empty());
}

/// Revoked and unknown are answers too: they are verified and stored, so that they are not
/// requested again and again.
#[test]
fn m06_revoked_and_unknown_are_kept() {
    for (status, expected) in [("R", CertificateStatus::Revoked), ("none", CertificateStatus::Unknown)] {
        let scene = Scene::new();
        let due = scene.due(SystemTime::now()).remove(0);
        let response = scene.response("leaf", "sub", "sub", Answer { status, ..GOOD });
        assert_eq!(scene.answered(&due, &response).expect("valid"), expected);
        let answers = scene.station.store.ocsp_answers(scene.own, SystemTime::now());
        assert_eq!(answers[0].as_ref().map(|answer| answer.status), Some(expected));
    }
}

/// RFC 6960, 4.2.2.2: the issuer signs, or a responder that the issuer has authorised. The
/// responder is named by name or by key, and the request uses any digest.
#[test]
fn m06_fr_08_signers_that_count() {
    let scene = Scene::new();
    let due = scene.due(SystemTime::now()).remove(0);
    scene.responder("delegate", &scene.sub, |_| {});
    for signer in ["sub", "delegate"] {
        for digest in ["-sha1", "-sha256", "-sha384", "-sha512"] {
            for arguments in [&["-ndays", "1"][..], &["-ndays", "1", "-resp_key_id"]] {
                let response = scene.response("leaf", "sub", signer, Answer { digest, arguments, ..GOOD });
                let status = scene.answered(&due, &response);
                assert_eq!(status.expect(signer), CertificateStatus::Good, "{digest} {arguments:?}");
            }
        }
    }
}

#[test]
fn m06_fr_08_signers_that_do_not_count() {
    let scene = Scene::new();
    let due = scene.due(SystemTime::now()).remove(0);
    let from = |signer: &str| refused(scene.answered(&due, &scene.response("leaf", "sub", signer, GOOD)));

    scene.responder("no-purpose", &scene.sub, |params| params.extended_key_usages = Vec::new());
    assert!(matches!(from("no-purpose"), OcspRefused::UnauthorizedSigner));
    scene.responder("other-purpose", &scene.sub, |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    assert!(matches!(from("other-purpose"), OcspRefused::UnauthorizedSigner));
    // Issued by the root, not by the CA that issued the leaf.
    scene.responder("other-issuer", &scene.root, |_| {});
    assert!(matches!(from("other-issuer"), OcspRefused::UnauthorizedSigner));
    let stranger = root_of(valid_now(ca_params("Sub")));
    scene.responder("stranger", &stranger, |_| {});
    assert!(matches!(from("stranger"), OcspRefused::UnauthorizedSigner));
    scene.responder("expired", &scene.sub, |params| params.not_after = (SystemTime::now() - DAY / 2).into());
    assert!(matches!(from("expired"), OcspRefused::SignerValidity { .. }));
    // Another CA of the same name.
    fs::write(scene.directory.path().join("twin.pem"), stranger.pem()).expect("written");
    fs::write(scene.directory.path().join("twin.key"), stranger.key().serialize_pem()).expect("written");
    assert!(matches!(from("twin"), OcspRefused::Signature { .. }));
    // The delegate's certificate is not part of the answer.
    scene.responder("delegate", &scene.sub, |_| {});
    let bare = Answer { arguments: &["-ndays", "1", "-resp_no_certs"], ..GOOD };
    let response = scene.response("leaf", "sub", "delegate", bare);
    assert!(matches!(refused(scene.answered(&due, &response)), OcspRefused::UnknownSigner));
    assert!(scene.due(SystemTime::now() + DAY).contains(&due), "it is asked for again");
}

/// An answer about another certificate, and an answer that came too late. Seen elsewhere
/// (libevse-security #58): stored under a wrong hash, and a crash.
#[test]
fn m06_fr_08_answers_that_do_not_fit() {
    let scene = Scene::new();
    let due = scene.due(SystemTime::now());
    let about_leaf = scene.response("leaf", "sub", "sub", GOOD);
    assert!(matches!(
        refused(scene.answered(&due[1], &about_leaf)),
        OcspRefused::NoAnswer { source: NoAnswer::OtherCertificate }
    ));
    let at = |now| {
        let base64 = Base64::encode_string(&about_leaf);
        refused(scene.station.store.ocsp_answered(&due[0].hash, &base64, now))
    };
    assert!(matches!(at(SystemTime::now() + 4 * DAY), OcspRefused::Stale));
    assert!(matches!(at(SystemTime::now() - DAY / 2), OcspRefused::Future));
    let error = scene.station.store.ocsp_answered(&due[0].hash, "not base64!", SystemTime::now());
    assert!(matches!(error, Err(OcspError::Base64)), "{error:?}");
    // RFC 6960, 4.2.1: an error of the responder, here tryLater.
    let error = scene.answered(&due[0], &[0x30, 0x03, 0x0a, 0x01, 0x03]);
    assert!(matches!(refused(error), OcspRefused::NoAnswer { source: NoAnswer::Status { code: 3 } }));
    let error = scene.answered(&due[0], &[0; 20_000]);
    assert!(matches!(error, Err(OcspError::TooLarge { octets: 20_000 })), "{error:?}");
    let unknown = other_serial(&due[0].hash);
    let error = scene.station.store.ocsp_answered(&unknown, "MAMKAQM=", SystemTime::now());
    assert!(matches!(error, Err(OcspError::UnknownCertificate)), "{error:?}");
}

/// Every octet of an answer is changed or cut off: the answer is refused, or its content is
/// unchanged.
#[test]
fn m06_fr_08_changed_answers_are_refused() {
    let scene = Scene::new();
    let due = scene.due(SystemTime::now()).remove(0);
    scene.responder("delegate", &scene.sub, |_| {});
    let revoked = Answer { status: "R", ..GOOD };
    let response = scene.response("leaf", "sub", "delegate", revoked);
    for length in 0..response.len() {
        assert!(scene.answered(&due, &response[..length]).is_err(), "cut at {length}");
    }
    let mut accepted = 0;
    for position in 0..response.len() {
        for change in [0x01, 0x80] {
            let mut changed = response.clone();
            changed[position] ^= change;
            if let Ok(status) = scene.answered(&due, &changed) {
                assert_eq!(status, CertificateStatus::Revoked, "octet {position}");
                accepted += 1;
            }
        }
    }
    // Only the tags of optional parts of the envelope may be changed without an error.
    assert!(accepted < 10, "{accepted} changes went unnoticed");
}

/// Answers are removed with their chain. Without the root, no signature for the sub-CA can be
/// verified.
#[test]
fn m06_answers_go_with_the_chain() {
    let scene = Scene::new();
    let due = scene.due(SystemTime::now());
    scene.answered(&due[0], &scene.response("leaf", "sub", "sub", GOOD)).expect("valid");
    let about_sub = scene.response("sub", "root", "root", GOOD);
    let root = scene.station.all_roots().remove(0);
    assert_eq!(scene.station.delete(&root).status, DeleteCertificateStatusEnumType::Accepted);
    let error = scene.answered(&due[1], &about_sub);
    assert!(matches!(error, Err(OcspError::IssuerNotInstalled)), "{error:?}");
    let hash = hash_data(due[0].hash);
    assert_eq!(scene.station.delete(&hash).status, DeleteCertificateStatusEnumType::Accepted);
    assert!(scene.due(SystemTime::now()).is_empty());
    assert!(scene.station.restart().store.ocsp_answers(scene.own, SystemTime::now()).is_empty());
}
