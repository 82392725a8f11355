//! M06 and M07: the status that the CSMS fetches for its stations from OpenSSL's responder and
//! OpenSSL's revocation lists.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    puppet::{Ocpp, Puppet},
    reload::{ALWAYS, OpenSslCa},
    stage::Stage,
};

/// `openssl ocsp` as a responder.
struct Responder {
    process: Child,
    url: String,
}

impl Responder {
    /// Answers for `ca.pem` from `index.txt`, with signatures of `NAME.pem`.
    fn start(stage: &Stage, signer: &str, options: &[&str]) -> Self {
        let mut process = Command::new("openssl")
            .current_dir(stage.path(""))
            .args(["ocsp", "-port", "0", "-index", "index.txt", "-CA", "ca.pem", "-ndays", "1"])
            .args(["-rsigner", &format!("{signer}.pem"), "-rkey", &format!("{signer}.key")])
            .args(options)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("piped")).read_line(&mut line).expect("reads");
        // ACCEPT [::]:34321 PID=8845
        let port = line.split_whitespace().nth(1).and_then(|address| address.rsplit(':').next());
        let url = format!("http://127.0.0.1:{}/", port.unwrap_or_else(|| panic!("{line}")));
        Self { process, url }
    }

    fn host(&self) -> &str {
        self.url.trim_start_matches("http://").trim_end_matches('/')
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A server that answers each connection with the same bytes, and reports the requests.
fn server(answer: Vec<u8>) -> (String, Receiver<String>) {
    server_of(move |_| answer.clone())
}

/// A server whose answer is a function of the request, and that reports the requests.
fn server_of(answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let host = listener.local_addr().expect("an address").to_string();
    let (asked, requests) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            stream.set_read_timeout(Some(Duration::from_secs(10))).expect("sets");
            let mut request = Vec::new();
            let mut piece = [0; 4096];
            while !is_whole(&request) {
                match stream.read(&mut piece) {
                    Ok(count) if count > 0 => request.extend_from_slice(&piece[..count]),
                    _ => break,
                }
            }
            let told = asked.send(String::from_utf8_lossy(&request).into_owned());
            let answer = answer(&request);
            if answer.is_empty() {
                // It never answers; the client has to give up.
                let _ = stream.read_to_end(&mut request);
            } else {
                let _ = stream.write_all(&answer);
            }
            if told.is_err() {
                return;
            }
        }
    });
    (host, requests)
}

/// Whether an HTTP request has arrived with its head and its body.
fn is_whole(request: &[u8]) -> bool {
    let Some(end) = request.windows(4).position(|end| end == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    request.len() >= end + 4 + length.map_or(0, |length| length.trim().parse().expect("a number"))
}

fn http(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// An authority with a valid certificate, a revoked one, and one that its index does not contain.
fn authority(stage: &Stage) {
    let ca = OpenSslCa::new(stage);
    for name in ["good", "revoked"] {
        ca.issue(name, &format!("/O=Somebody/CN={name}"), &[], ALWAYS);
    }
    ca.revoke("revoked");
    let index = fs::read(stage.path("index.txt")).expect("reads");
    ca.issue("unknown", "/O=Somebody/CN=unknown", &[], ALWAYS);
    fs::write(stage.path("index.txt"), index).expect("writes");
}

/// A stage whose CSMS may connect to these hosts.
fn stage_with(hosts: &[&str]) -> Stage {
    let stage = Stage::prepare();
    authority(&stage);
    stage.configure("[[station]]", &format!("{}\n[[station]]", ocsp_section(hosts)));
    stage.launched()
}

fn ocsp_section(hosts: &[&str]) -> String {
    format!("[ocsp]\nallowed_hosts = {hosts:?}\nauthorities_file = \"ca.pem\"")
}

/// Allows the CSMS to connect to other hosts from now on.
fn allow(stage: &Stage, before: &[&str], hosts: &[&str]) {
    stage.configure(&ocsp_section(before), &ocsp_section(hosts));
    stage.operator(&["reload"]).expect("read");
}

fn connected<'a>(stage: &'a Stage, ocpp: Ocpp) -> Puppet<'a> {
    let mut station = Puppet::new(stage, "CS001");
    station.connect(ocpp);
    station.boot(ocpp, "SN-0001");
    station
}

fn question(stage: &Stage, certificate: &str, digest: &str, url: &str) -> Value {
    let mut data = stage.hash_data("ca.pem", &format!("{certificate}.pem"), digest);
    data["responderURL"] = json!(url);
    json!({ "ocspRequestData": data })
}

/// TC_M_24_CSMS: the station receives the unchanged bytes of the responder, whatever they contain,
/// with each algorithm (M06.FR.02, .08, .09).
#[test]
fn tc_m_24_m06_fr_02_the_responders_answer_is_passed_on() {
    let stage = stage_with(&[]);
    let responder = Responder::start(&stage, "ca", &[]);
    allow(&stage, &[], &[responder.host()]);
    for ocpp in [Ocpp::V201, Ocpp::V21] {
        let mut station = connected(&stage, ocpp);
        for (certificate, digest) in
            [("good", "sha256"), ("good", "sha384"), ("revoked", "sha512"), ("unknown", "sha256")]
        {
            let asked = question(&stage, certificate, digest, &responder.url);
            let answer = station.call("GetCertificateStatus", asked);
            assert_eq!(answer["status"], "Accepted", "{answer}\n{}", stage.log());
            fs::write(stage.path("answer.b64"), answer["ocspResult"].as_str().expect("an answer"))
                .expect("writes");
            stage.openssl(&["base64", "-d", "-A", "-in", "answer.b64", "-out", "answer.der"]);
            let judged = stage.openssl(&[
                "ocsp",
                "-respin",
                "answer.der",
                "-CAfile",
                "ca.pem",
                "-issuer",
                "ca.pem",
                &format!("-{digest}"),
                "-cert",
                &format!("{certificate}.pem"),
                "-no_nonce",
            ]);
            assert!(judged.contains("Response verify OK"), "{judged}");
            assert!(judged.contains(&format!("{certificate}.pem: {certificate}")), "{judged}");
        }
    }
}

/// A responder that supports only SHA-1, as many do (RFC 5019, 2.1.1), is asked again if the CSMS
/// knows the issuer. OpenSSL made its answer.
#[test]
fn m06_fr_02_a_responder_that_knows_sha_1_only() {
    let stage = stage_with(&[]);
    let openssl = ["ocsp", "-issuer", "ca.pem", "-sha1", "-cert", "good.pem", "-no_nonce"];
    stage.openssl(&[&openssl[..], &["-reqout", "sha1.req"]].concat());
    let openssl = ["ocsp", "-index", "index.txt", "-CA", "ca.pem", "-rsigner", "ca.pem", "-rkey", "ca.key"];
    stage.openssl(&[&openssl[..], &["-ndays", "1", "-reqin", "sha1.req", "-respout", "sha1.der"]].concat());
    let [request, response] = ["sha1.req", "sha1.der"].map(|file| fs::read(stage.path(file)).expect("reads"));
    let (host, _asked) = server_of(move |asked| {
        // unauthorized
        let refusal: &[u8] = &[0x30, 0x03, 0x0a, 0x01, 0x06];
        let is_known = asked.windows(request.len()).any(|part| part == request);
        http("200 OK", "", if is_known { &response } else { refusal })
    });
    allow(&stage, &[], &[&host]);
    let url = format!("http://{host}/");
    for ocpp in [Ocpp::V201, Ocpp::V21] {
        let mut station = connected(&stage, ocpp);
        let answer = station.call("GetCertificateStatus", question(&stage, "good", "sha256", &url));
        assert_eq!(answer["status"], "Accepted", "{answer}\n{}", stage.log());
        // A request for another certificate has no answer, with any algorithm.
        let answer = station.call("GetCertificateStatus", question(&stage, "revoked", "sha256", &url));
        assert_eq!(answer["status"], "Failed", "{answer}");
    }
    let asked = chain_question(&stage, "good", "sha384", "OCSP", &[&url]);
    let request = json!({ "certificateStatusRequests": [asked] });
    let answer = connected(&stage, Ocpp::V21).call("GetCertificateChainStatus", request);
    assert_eq!(statuses(&answer), ["Good"], "{}", stage.log());
}

/// A station gets no access to the operator's network.
#[test]
fn m06_fr_04_a_host_that_is_not_allowed_is_never_asked() {
    let stage = stage_with(&["ocsp.example.com"]);
    let (host, requests) = server(http("200 OK", "", b"secret"));
    for ocpp in [Ocpp::V201, Ocpp::V21] {
        let mut station = connected(&stage, ocpp);
        for url in [
            format!("http://{host}/"),
            format!("http://ocsp.example.com@{host}/"),
            format!("https://{host}/"),
            "file:///etc/passwd".to_owned(),
            "no URL".to_owned(),
        ] {
            let answer = station.call("GetCertificateStatus", question(&stage, "good", "sha256", &url));
            assert_eq!(
                (&answer["status"], &answer["statusInfo"]["reasonCode"]),
                (&json!("Failed"), &json!("InvalidURL")),
                "{url}: {answer}"
            );
            assert_eq!(answer["ocspResult"], Value::Null);
        }
    }
    assert!(requests.try_recv().is_err(), "it was asked");
}

/// M06.FR.04: a wrong answer leads to Failed with a reason, and the connection stays open.
#[test]
fn tc_m_25_m06_fr_04_what_is_no_answer_is_failed() {
    let stage = stage_with(&[]);
    let responder = Responder::start(&stage, "ca", &[]);
    let (elsewhere, not_asked) = server(http("200 OK", "", b"secret"));
    let (html, asked) = server(http("200 OK", "Content-Type: text/html\r\n", b"<html>Sign in</html>"));
    let (long, _long) = server(http("200 OK", "", &vec![0; 100_000]));
    let (broken, _broken) = server(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort".to_vec());
    let (noise, _noise) = server(b"SSH-2.0-OpenSSH\r\n".to_vec());
    let (moved, _moved) = server(http("302 Found", &format!("Location: http://{elsewhere}/\r\n"), b""));
    // tryLater
    let (later, _later) = server(http("200 OK", "", &[0x30, 0x03, 0x0a, 0x01, 0x03]));
    let (silent, _silent) = server(Vec::new());
    // No program listens there any more.
    let gone = TcpListener::bind("127.0.0.1:0").expect("binds").local_addr().expect("bound").to_string();
    let hosts =
        [&elsewhere, &html, &long, &broken, &noise, &moved, &later, &silent, &gone].map(String::as_str);
    allow(&stage, &[], &[&hosts[..], &[responder.host()]].concat());
    let mut station = connected(&stage, Ocpp::V201);
    for (host, code, told) in [
        (&html, "Unspecified", "not an OCSPResponse"),
        (&long, "TooLargeElement", "longer than"),
        (&broken, "TooLargeElement", "broke off"),
        (&noise, "Unspecified", "exchange failed"),
        (&moved, "Unspecified", "HTTP 302"),
        (&later, "Unspecified", "status 3"),
        (&silent, "Unspecified", "no answer within"),
        (&gone, "Unspecified", "connection failed"),
    ] {
        let asked = question(&stage, "good", "sha256", &format!("http://{host}/"));
        let answer = station.call("GetCertificateStatus", asked);
        assert_eq!(
            (&answer["status"], &answer["statusInfo"]["reasonCode"]),
            (&json!("Failed"), &json!(code)),
            "{told}: {answer}"
        );
        let info = answer["statusInfo"]["additionalInfo"].as_str().expect("a reason");
        assert!(info.contains(told), "{info}");
    }
    assert!(not_asked.try_recv().is_err(), "a redirect was followed");
    // RFC 6960, appendix A.1.
    let request = asked.recv_timeout(Duration::from_secs(10)).expect("asked").to_ascii_lowercase();
    assert!(request.starts_with("post / http/1.1\r\n"), "{request}");
    assert!(request.contains("content-type: application/ocsp-request\r\n"), "{request}");
    assert!(request.contains(&format!("host: {html}\r\n")), "{request}");

    // Hash data that name no certificate.
    let mut asked = question(&stage, "good", "sha256", &responder.url);
    asked["ocspRequestData"]["issuerKeyHash"] = json!("abcd");
    let answer = station.call("GetCertificateStatus", asked);
    assert_eq!(answer["statusInfo"]["reasonCode"], "InvalidValue", "{answer}");
    let answer = station.call("GetCertificateStatus", question(&stage, "good", "sha256", &responder.url));
    assert_eq!(answer["status"], "Accepted", "{answer}");
}

/// Lesson 63a: an answer with the responder's chain may be longer than the field of 2.0.1 (5,500
/// characters).
#[test]
fn an_answer_that_ocsp_result_cannot_hold_is_failed_and_not_sent() {
    let stage = stage_with(&[]);
    for name in ["more-1", "more-2", "more-3"] {
        let request = ["req", "-x509", "-newkey", "rsa:4096", "-nodes", "-keyout", "more.key", "-days", "9"];
        let out = format!("{name}.pem");
        stage.openssl(&[&request[..], &["-subj", "/CN=more", "-out", &out]].concat());
    }
    let more = ["more-1.pem", "more-2.pem", "more-3.pem"]
        .map(|file| fs::read_to_string(stage.path(file)).expect("reads"));
    fs::write(stage.path("more.pem"), more.concat()).expect("writes");
    let responder = Responder::start(&stage, "ca", &["-rother", "more.pem"]);
    allow(&stage, &[], &[responder.host()]);
    let asked = question(&stage, "good", "sha256", &responder.url);

    let answer = connected(&stage, Ocpp::V201).call("GetCertificateStatus", asked.clone());
    assert_eq!(
        (&answer["status"], &answer["statusInfo"]["reasonCode"]),
        (&json!("Failed"), &json!("TooLargeElement")),
        "{answer}"
    );
    let answer = connected(&stage, Ocpp::V21).call("GetCertificateStatus", asked);
    assert_eq!(answer["status"], "Accepted", "{answer}");
    assert!(answer["ocspResult"].as_str().expect("an answer").len() > 5_500);
}

#[test]
fn a_responder_that_hangs_is_given_up_and_other_stations_are_served_meanwhile() {
    let stage = stage_with(&[]);
    let (silent, asked) = server(Vec::new());
    allow(&stage, &[], &[&silent]);
    let mut first = connected(&stage, Ocpp::V21);
    let mut second = Puppet::new(&stage, "CS002");
    second.connect(Ocpp::V201);
    let asks = question(&stage, "good", "sha256", &format!("http://{silent}/"));
    first.begin_call("GetCertificateStatus", asks);
    asked.recv_timeout(Duration::from_secs(20)).expect("asked");
    second.boot(Ocpp::V201, "SN-0002");
    let answer = first.end_call();
    assert_eq!(answer[2]["status"], "Failed", "{answer}");
    let why = answer[2]["statusInfo"]["additionalInfo"].as_str().expect("why");
    assert!(why.contains("no answer within"), "{why}");
}

fn chain_question(stage: &Stage, certificate: &str, digest: &str, source: &str, urls: &[&str]) -> Value {
    let data = stage.hash_data("ca.pem", &format!("{certificate}.pem"), digest);
    json!({ "certificateHashData": data, "source": source, "urls": urls })
}

/// The statuses in the response.
fn statuses(response: &Value) -> Vec<&str> {
    let list = response["certificateStatus"].as_array().expect("a list");
    list.iter().map(|entry| entry["status"].as_str().expect("a status")).collect()
}

#[test]
fn m07_fr_03_m07_fr_07_verdicts_of_responders_and_lists() {
    let stage = stage_with(&[]);
    let own = Responder::start(&stage, "ca", &[]);
    // A responder that the issuer has authorised.
    let configuration = fs::read_to_string(stage.path("ca.cnf")).expect("reads");
    let sections = "[responder]\nkeyUsage = critical, digitalSignature\nextendedKeyUsage = OCSPSigning\n";
    fs::write(stage.path("ca.cnf"), format!("{configuration}\n{sections}")).expect("writes");
    for (name, extensions) in [("delegate", "responder"), ("impostor", "leaf")] {
        let (key, csr, out) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
        let ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-config", "ca.cnf"];
        let request = ["req", "-new", "-nodes", "-keyout", &key, "-out", &csr, "-subj", "/CN=responder"];
        stage.openssl(&[&request[..], &ec].concat());
        let sign = ["ca", "-batch", "-config", "ca.cnf", "-extensions", extensions, "-days", "30", "-notext"];
        stage.openssl(&[&sign[..], &["-in", &csr, "-out", &out]].concat());
    }
    let delegate = Responder::start(&stage, "delegate", &[]);
    let impostor = Responder::start(&stage, "impostor", &[]);
    stage.openssl(&["crl", "-in", "ca.crl", "-outform", "DER", "-out", "ca.crl.der"]);
    let (list, asked) = server(http("200 OK", "", &fs::read(stage.path("ca.crl.der")).expect("reads")));
    let (garbage, _garbage) = server(http("200 OK", "", b"no list"));
    allow(&stage, &[], &[own.host(), delegate.host(), impostor.host(), &list, &garbage]);
    let [list, garbage] = [list, garbage].map(|host| format!("http://{host}/ca.crl"));

    let mut station = connected(&stage, Ocpp::V21);
    let mut ask = |requests: Vec<Value>| {
        let hashes = requests.iter().map(|asked| asked["certificateHashData"].clone()).collect::<Vec<_>>();
        let sources = requests.iter().map(|asked| asked["source"].clone()).collect::<Vec<_>>();
        let request = json!({ "certificateStatusRequests": requests });
        let answer = station.call("GetCertificateChainStatus", request);
        let list = answer["certificateStatus"].as_array().expect("a list");
        // M07.FR.08: each certificate is named as in the request.
        assert!(list.iter().map(|entry| &entry["certificateHashData"]).eq(&hashes), "{answer}");
        assert!(list.iter().map(|entry| &entry["source"]).eq(&sources), "{answer}");
        assert!(list.iter().all(|entry| entry["nextUpdate"].is_string()), "{answer}");
        answer
    };
    let question = |certificate: &str, source: &str, urls: &[&str]| {
        chain_question(&stage, certificate, "sha256", source, urls)
    };
    let answer = ask(vec![
        question("good", "OCSP", &[&own.url]),
        question("revoked", "OCSP", &[&delegate.url]),
        question("unknown", "OCSP", &[&own.url]),
        question("good", "OCSP", &[&delegate.url]),
    ]);
    assert_eq!(statuses(&answer), ["Good", "Revoked", "Unknown", "Good"], "{}", stage.log());
    let answer = ask(vec![
        question("good", "CRL", &[&list]),
        question("revoked", "CRL", &[&list]),
        // The first response that proves a status is used.
        question("revoked", "CRL", &[&garbage, &list]),
        // The issuer has not authorised this responder.
        question("good", "OCSP", &[&impostor.url]),
    ]);
    assert_eq!(statuses(&answer), ["Good", "Revoked", "Revoked", "Failed"], "{}", stage.log());
    assert!(stage.log().contains("not authorised by the issuer"), "{}", stage.log());
    let request = asked.recv_timeout(Duration::from_secs(10)).expect("asked");
    assert!(request.starts_with("GET /ca.crl HTTP/1.1\r\n"), "{request}");

    // M07.FR.02, M07.FR.05: a list that cannot be fetched or proves nothing, other algorithms, and
    // an issuer that is not configured.
    let other = json!({
        "certificateHashData": stage.hash_data("root.pem", "tls.pem", "sha256"), "source": "OCSP",
        "urls": [own.url],
    });
    let answer = ask(vec![
        question("good", "CRL", &[&garbage]),
        question("good", "OCSP", &["http://169.254.169.254/"]),
        chain_question(&stage, "revoked", "sha512", "CRL", &[&list]),
        other,
    ]);
    assert_eq!(statuses(&answer), ["Failed", "Failed", "Revoked", "Failed"], "{}", stage.log());
    assert!(stage.log().contains("ocsp.authorities_file"), "{}", stage.log());
}

/// The conditions under which a certificate that is not on the list is Good.
#[test]
fn m07_fr_05_lists_that_prove_nothing() {
    let stage = stage_with(&[]);
    // A list of another authority with the same name.
    let request = ["req", "-x509", "-nodes", "-keyout", "foreign.key", "-out", "foreign.pem", "-days", "30"];
    let subject = ["-subj", "/O=Test CSO/CN=Other Root", "-config", "ca.cnf", "-extensions", "authority"];
    let ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    stage.openssl(&[&request[..], &ec, &subject].concat());
    let configuration = fs::read_to_string(stage.path("ca.cnf")).expect("reads");
    let sections = "[users]\nissuingDistributionPoint = critical, @only_users\n[only_users]\nonlyuser = TRUE\n\
                    [point]\nissuingDistributionPoint = critical, @where\n[where]\nfullname = URI:http://x/\n\
                    [delta]\n2.5.29.27 = critical, ASN1:INTEGER:1\n";
    fs::write(stage.path("ca.cnf"), format!("{configuration}\n{sections}")).expect("writes");
    let list = |name: &str, options: &[&str]| {
        let (pem, der) = (format!("{name}.crl"), format!("{name}.crl.der"));
        let make = ["ca", "-config", "ca.cnf", "-gencrl", "-out", &pem];
        stage.openssl(&[&make[..], options].concat());
        stage.openssl(&["crl", "-in", &pem, "-outform", "DER", "-out", &der]);
        server(http("200 OK", "", &fs::read(stage.path(&der)).expect("reads")))
    };
    let past = ["-crl_lastupdate", "20200101000000Z", "-crl_nextupdate", "20200201000000Z"];
    let lists = [
        (list("whole", &["-crldays", "3"]), "Good", "Revoked"),
        // A partial list, which has another distribution point than the URL of the request (RFC
        // 5280, 6.3.3).
        (list("point", &["-crldays", "3", "-crlexts", "point"]), "Failed", "Revoked"),
        // A certificate on this list is revoked anyway.
        (list("users", &["-crldays", "3", "-crlexts", "users"]), "Failed", "Revoked"),
        (list("delta", &["-crldays", "3", "-crlexts", "delta"]), "Failed", "Failed"),
        (list("past", &past), "Failed", "Failed"),
        (
            list("foreign", &["-crldays", "3", "-cert", "foreign.pem", "-keyfile", "foreign.key"]),
            "Failed",
            "Failed",
        ),
    ];
    allow(&stage, &[], &lists.each_ref().map(|((host, _), ..)| host.as_str()));
    let mut station = connected(&stage, Ocpp::V21);
    for ((host, _), good, revoked) in &lists {
        let url = format!("http://{host}/");
        let request = json!({ "certificateStatusRequests": [
            chain_question(&stage, "good", "sha256", "CRL", &[&url]),
            chain_question(&stage, "revoked", "sha256", "CRL", &[&url]),
        ] });
        let answer = station.call("GetCertificateChainStatus", request);
        assert_eq!(statuses(&answer), [*good, *revoked], "{answer}\n{}", stage.log());
    }
}
