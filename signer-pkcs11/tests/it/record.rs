//! The record that is written before the token signs; repeated requests, foreign keys, limits,
//! policies, other authorities.

use std::{
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use certificates::{KeyHash, StationIdentity};
use ocpp_types::v201::GenericStatusEnumType;
use signer_pkcs11::{
    Applicant, AuditChain, AuditError, AuditEvent, CaSettings, CertificateAuthority, Clock,
    ExternalAuthority, ExternalError, ExternalFuture, FileRecord, FileRecordError, ForwardingAuthority,
    IssuancePolicy, IssuanceRecord, IssueError, IssuedCertificate, PendingCertificate, Present,
    ProposedCertificate, ReasonCode, RecordError, RecordFuture, Refused, RequestLimits, Subject, csr,
};

use crate::{
    issuance::{Stage, request, station},
    openssl::Openssl,
};

/// A record in memory that can be set to fail.
#[derive(Debug, Default)]
struct Watched {
    fails: AtomicBool,
    entries: Mutex<Vec<AuditEvent>>,
    appended: AtomicU64,
}

impl IssuanceRecord for Watched {
    fn append<'a>(&'a self, event: &'a AuditEvent) -> RecordFuture<'a, u64> {
        Box::pin(async move {
            if self.fails.load(Ordering::SeqCst) {
                return Err(RecordError::new("the disk is full"));
            }
            self.entries.lock().unwrap().push(event.clone());
            Ok(self.appended.fetch_add(1, Ordering::SeqCst) + 1)
        })
    }

    fn signed<'a>(
        &'a self,
        entry: u64,
        certificate: &'a IssuedCertificate,
        _: Option<&'a PendingCertificate>,
    ) -> RecordFuture<'a, u64> {
        let event = AuditEvent::signed(entry, certificate);
        Box::pin(async move { self.append(&event).await })
    }

    fn owner_of_key(&self, _: KeyHash) -> RecordFuture<'_, Option<StationIdentity>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

/// The authority of a stage, with another record and other settings.
fn authority(stage: &Stage, settings: CaSettings, record: Arc<dyn IssuanceRecord>) -> CertificateAuthority {
    CertificateAuthority::new(stage.authority.key().clone(), &stage.root_pem, settings)
        .unwrap()
        .with_record(record)
}

fn pending(authority: &CertificateAuthority, csr: &str, station: &Applicant) -> PendingCertificate {
    authority.answer(&request(csr), station).1.unwrap()
}

fn csr_of(stage: &Stage) -> String {
    csr::build(&stage.station_key, &Subject::new("SN-0001", "Example")).unwrap()
}

#[test]
fn without_a_record_nothing_is_signed() {
    let stage = Stage::new(CaSettings::new("Example"));
    let record = Arc::new(Watched::default());
    let authority = authority(&stage, CaSettings::new("Example"), Arc::clone(&record) as _);
    record.fails.store(true, Ordering::SeqCst);
    let first = pending(&authority, &csr_of(&stage), &station());
    // The token is shut down: a call of the token would cause another error.
    stage.csms.clone().shutdown();
    let error = stage.runtime.block_on(authority.issue(first.clone())).unwrap_err();
    assert!(matches!(error, IssueError::Record(_)), "{error}");
    // The announcement is written before the token is called, and the outcome after it.
    record.fails.store(false, Ordering::SeqCst);
    let error = stage.runtime.block_on(authority.issue(first)).unwrap_err();
    assert!(matches!(error, IssueError::Sign(_)), "{error}");
    let entries = record.entries.lock().unwrap();
    let [AuditEvent::Signing(intent), AuditEvent::NotSigned { entry: 1, .. }] = &entries[..] else {
        panic!("{entries:?}")
    };
    assert_eq!(intent.station, "CS001".parse().ok());
    assert_eq!(intent.subject, "CN=SN-0001,O=Example");
    let serial = intent.serial.unwrap().to_string();
    assert_eq!((serial.len(), intent.csr_sha256.len()), (34, 64));
}

#[test]
fn a_record_in_a_file_survives_and_is_verified() {
    let stage = Stage::new(CaSettings::new("Example"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record");
    let record = FileRecord::open(&path).unwrap();
    assert!(matches!(FileRecord::open(&path), Err(FileRecordError::Locked { .. })), "one writer");
    let authority_of =
        |record: &FileRecord| authority(&stage, CaSettings::new("Example"), Arc::new(record.clone()));
    let first = authority_of(&record);
    let csr = csr_of(&stage);
    let issued = stage.runtime.block_on(first.issue(pending(&first, &csr, &station()))).unwrap();
    let kept = record.chain().head();
    drop((first, record));

    // After a restart the incomplete last line is removed, and the rest is unchanged.
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}{{\"hash\":\"00")).unwrap();
    let record = FileRecord::open(&path).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    assert_eq!((record.chain().entries(), record.chain().head()), (2, kept));
    let signed: Vec<_> = record.chain().index().signed().cloned().collect();
    assert_eq!(signed[0].serial, Some(issued.certificate.serial));

    // After a restart the key still belongs to the first station, and that station gets a new
    // certificate.
    let again = authority_of(&record);
    let other = Applicant { identity: "CS002".parse().unwrap(), serial_number: "SN-0001".into() };
    let error = stage.runtime.block_on(again.issue(pending(&again, &csr, &other))).unwrap_err();
    assert!(matches!(error, IssueError::Refused(Refused::KeyOfAnother)), "{error}");
    stage.runtime.block_on(again.issue(pending(&again, &csr, &station()))).unwrap();
    assert_eq!(record.chain().entries(), 4);
    drop((again, record));

    let text = fs::read_to_string(&path).unwrap();
    AuditChain::read_with(&text, kept).unwrap();
    let forged = text.replacen("CS001", "CS009", 1);
    assert_eq!(AuditChain::read(&forged).unwrap_err(), AuditError::Changed { line: 1 });
    fs::write(&path, forged).unwrap();
    assert!(
        matches!(FileRecord::open(&path), Err(FileRecordError::Audit { .. })),
        "nothing is appended to it"
    );
}

#[test]
fn a02_fr_17_the_same_request_gets_the_same_certificate() {
    let stage = Stage::new(CaSettings::new("Example"));
    let record = Arc::new(Watched::default());
    let authority = Arc::new(authority(&stage, CaSettings::new("Example"), Arc::clone(&record) as _));
    let csr = csr_of(&stage);
    let issue = || {
        let (authority, pending) = (Arc::clone(&authority), pending(&authority, &csr, &station()));
        async move { authority.issue(pending).await.unwrap() }
    };
    // Eight requests at once, and one after them: one signature.
    let issued = stage.runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        (0..8).for_each(|_| drop(tasks.spawn(issue())));
        let issued = tasks.join_all().await;
        let last = issue().await;
        assert!(issued.iter().all(|issued| issued.certificate.serial == last.certificate.serial));
        last
    });
    assert_eq!(record.entries.lock().unwrap().len(), 2);
    // After the delivery, the same request is a new one.
    authority.delivered(&issued);
    let next = stage.runtime.block_on(issue());
    assert_ne!(next.certificate.serial, issued.certificate.serial);
    // The same key in another request, too.
    let other = csr_of(&stage);
    assert_ne!(other, csr);
    let third = stage.runtime.block_on(authority.issue(pending(&authority, &other, &station()))).unwrap();
    assert_ne!(third.certificate.serial, next.certificate.serial);
}

#[test]
fn the_key_of_another_station_is_refused() {
    let stage = Stage::new(CaSettings::new("Example"));
    stage.issue();
    let other = Applicant { identity: "CS002".parse().unwrap(), serial_number: "SN-0001".into() };
    let (response, refused) = stage.authority.answer(&request(&csr_of(&stage)), &other);
    assert_eq!(refused.unwrap_err(), Refused::KeyOfAnother);
    assert_eq!(response.status, GenericStatusEnumType::Rejected);
    assert_eq!(response.status_info.unwrap().reason_code.as_str(), "InvalidCSR");
}

#[test]
fn a_station_that_asks_too_often_is_refused() {
    let limits = RequestLimits::default().certificates(2, Duration::from_secs(3600));
    let stage = Stage::new(CaSettings::new("Example").limits(limits));
    let first = csr_of(&stage);
    let answer = |csr: &str| stage.authority.answer(&request(csr), &station()).1;
    let issue = |pending| stage.runtime.block_on(stage.authority.issue(pending)).unwrap();
    let issued = issue(answer(&first).unwrap());
    drop(answer(&csr_of(&stage)).unwrap());
    let second = answer(&csr_of(&stage)).expect("what was given up does not count");
    let refused = answer(&csr_of(&stage)).unwrap_err();
    assert!(matches!(refused, Refused::TooMany { certificates: 2, .. }), "{refused}");
    assert_eq!(refused.reason_code(), ReasonCode::RateLimitExceeded);
    let again = issue(answer(&first).expect("a resend does not count"));
    assert_eq!(again.certificate.serial, issued.certificate.serial);
    issue(second);
    // After the delivery, the same request is a new one, and counts.
    stage.authority.delivered(&issued);
    let refused = answer(&first).unwrap_err();
    assert!(matches!(refused, Refused::TooMany { certificates: 2, .. }), "{refused}");
}

#[test]
fn one_request_that_is_kept_gets_no_second_certificate_beyond_the_limit() {
    let limits = RequestLimits::default().certificates(1, Duration::from_secs(3600));
    let stage = Stage::new(CaSettings::new("Example").limits(limits));
    let kept = stage.authority.answer(&request(&csr_of(&stage)), &station()).1.unwrap();
    let issue = || stage.runtime.block_on(stage.authority.issue(kept.clone()));
    stage.authority.delivered(&issue().unwrap());
    let error = issue().unwrap_err();
    assert!(matches!(error, IssueError::Refused(Refused::TooMany { .. })), "{error}");
}

/// A vendor's policy that allows two names per station, and refuses stolen stations.
#[derive(Debug)]
struct Vendor;

impl IssuancePolicy for Vendor {
    fn common_names(
        &self,
        station: &Applicant,
        _: Option<signer_pkcs11::CertificateUse>,
    ) -> Option<Vec<String>> {
        Some(vec![station.serial_number.clone(), format!("{}-B", station.serial_number)])
    }

    fn check(&self, proposed: &ProposedCertificate<'_>) -> Result<(), Refused> {
        match proposed.subject.common_name.contains("STOLEN") {
            true => Err(Refused::ByPolicy { code: ReasonCode::Unspecified, info: "ask our hotline".into() }),
            false => Ok(()),
        }
    }
}

#[test]
fn a_vendors_own_policy_has_its_say() {
    let stage = Stage::new(CaSettings::new("Example"));
    let authority =
        CertificateAuthority::new(stage.authority.key().clone(), &stage.root_pem, CaSettings::new("Example"))
            .unwrap()
            .with_policy(Arc::new(Vendor));
    let answer = |name: &str, serial_number: &str| {
        let csr = csr::build(&stage.station_key, &Subject::new(name, "Example")).unwrap();
        let station = Applicant { identity: "CS001".parse().unwrap(), serial_number: serial_number.into() };
        let (response, decision) = authority.answer(&request(&csr), &station);
        (response, decision.map(|pending| pending.subject().common_name.clone()))
    };
    assert_eq!(answer("SN-0001-B", "SN-0001").1, Ok("SN-0001-B".to_owned()));
    let refused = answer("SN-0001-C", "SN-0001").1.unwrap_err().to_string();
    assert!(refused.contains("must be \"SN-0001\" or \"SN-0001-B\""), "{refused}");
    let (response, refused) = answer("STOLEN-1", "STOLEN-1");
    assert!(matches!(refused.unwrap_err(), Refused::ByPolicy { .. }));
    let info = response.status_info.unwrap();
    assert_eq!(
        (info.reason_code.as_str(), info.additional_info.unwrap().as_str()),
        ("Unspecified", "ask our hotline")
    );
}

/// Another authority: OpenSSL with its own key. The test sets its answers.
#[derive(Debug)]
struct ByOpenssl {
    folder: Openssl,
    options: Mutex<String>,
}

impl std::fmt::Debug for Openssl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Openssl")
    }
}

impl ByOpenssl {
    fn new() -> Self {
        let folder = Openssl::new();
        let root = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -addext keyUsage=critical,keyCertSign";
        folder.run(&format!("{root} -keyout root.key -out root.pem -subj /O=PKI/CN=Root"));
        folder.run(&format!("{root} -keyout other.key -out other.pem -subj /O=PKI/CN=Root"));
        folder.write("ext", "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n");
        folder.write("ca.ext", "basicConstraints=critical,CA:TRUE\n");
        folder.write("server.ext", "keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n");
        folder.write("encipher.ext", "keyUsage=critical,keyEncipherment\n");
        folder.write("unknown.ext", "keyUsage=digitalSignature\n1.2.3.4=critical,DER:0500\n");
        Self { folder, options: Mutex::default() }
    }

    fn tell(&self, options: &str) {
        options.clone_into(&mut self.options.lock().unwrap());
    }
}

impl ExternalAuthority for ByOpenssl {
    fn certify<'a>(&'a self, pending: &'a PendingCertificate) -> ExternalFuture<'a> {
        Box::pin(async move {
            let options = self.options.lock().unwrap().clone();
            if options == "garbage" {
                return Ok("hello".to_owned());
            }
            self.folder.write("csr.pem", pending.csr().to_pem());
            let defaults = "-CA root.pem -CAkey root.key -extfile ext -days 10";
            let command = format!("x509 -req -in csr.pem -out leaf.pem {defaults} {options}");
            let output = self.folder.output(&command);
            if !output.status.success() {
                return Err(ExternalError::unanswered(String::from_utf8_lossy(&output.stderr).into_owned()));
            }
            Ok(self.folder.read("leaf.pem") + &self.folder.read("root.pem"))
        })
    }
}

/// A clock that is this much behind that of the other authority.
#[derive(Debug)]
struct Behind(Duration);

impl Clock for Behind {
    fn present(&self) -> Present {
        Present::at(SystemTime::now() - self.0)
    }
}

/// A02.FR.06 with its errata: certificates of the future are invalid, and clocks differ.
#[test]
fn a02_fr_06_the_clock_of_another_authority_may_be_a_little_ahead() {
    let stage = Stage::new(CaSettings::new("Example"));
    let external = Arc::new(ByOpenssl::new());
    let roots = external.folder.read("root.pem");
    let ask = |behind: u64| {
        let authority =
            ForwardingAuthority::new(Arc::clone(&external) as _, &roots, CaSettings::new("Example"));
        let authority = authority.unwrap().with_clock(Arc::new(Behind(Duration::from_secs(behind))));
        let (_, pending) = authority.answer(&request(&csr_of(&stage)), &station());
        stage.runtime.block_on(authority.issue(&pending.unwrap()))
    };
    ask(5).unwrap();
    let refused = ask(3600).unwrap_err();
    assert!(matches!(refused, IssueError::External(ExternalError::NotValidNow)), "{refused:?}");
}

#[test]
fn a02_fr_04_a_request_is_forwarded_and_the_answer_is_checked() {
    let stage = Stage::new(CaSettings::new("Example"));
    let external = Arc::new(ByOpenssl::new());
    let folder = tempfile::tempdir().unwrap();
    let record = FileRecord::open(folder.path().join("record")).unwrap();
    let forwarding = |external: &Arc<ByOpenssl>| {
        let roots = external.folder.read("root.pem");
        ForwardingAuthority::new(Arc::clone(external) as _, &roots, CaSettings::new("Example"))
            .unwrap()
            .with_record(Arc::new(record.clone()))
    };
    let authority = forwarding(&external);
    let ask = || {
        let (_, pending) = authority.answer(&request(&csr_of(&stage)), &station());
        stage.runtime.block_on(authority.issue(&pending.unwrap()))
    };
    let issued = ask().unwrap();
    assert_eq!(issued.certificate.chain_pem.matches("BEGIN").count(), 1, "the root is not sent");
    assert_eq!(record.chain().index().signed().count(), 1);

    let refused = |options: &str| {
        external.tell(options);
        match ask().unwrap_err() {
            IssueError::External(error) => error,
            other => panic!("{options}: {other}"),
        }
    };
    assert!(matches!(refused("-days x"), ExternalError::Unanswered(_)));
    assert!(matches!(refused("garbage"), ExternalError::Malformed { .. }));
    assert!(matches!(refused("-subj /O=Example/CN=SN-0002"), ExternalError::OtherSubject { .. }));
    assert!(matches!(refused("-subj /O=Other/CN=SN-0001"), ExternalError::OtherSubject { .. }));
    assert!(matches!(refused("-extfile ca.ext"), ExternalError::IsAuthority));
    assert!(matches!(refused("-days -1"), ExternalError::NotValidNow));
    // A00.FR.512, A00.FR.514, RFC 5280 §4.2: certificates that the CSMS and the station would
    // refuse.
    for (file, reason) in [
        ("server.ext", "does not allow clientAuth"),
        ("encipher.ext", "lacks digitalSignature"),
        ("unknown.ext", "critical extension 1.2.3.4"),
    ] {
        let ExternalError::Path { source } = refused(&format!("-extfile {file}")) else { panic!("{file}") };
        assert!(source.to_string().contains(reason), "{source}");
    }
    assert!(matches!(refused("-CA other.pem -CAkey other.key"), ExternalError::Chain { position: 1 }));
    external.folder.run("pkey -in other.key -pubout -out other.pub");
    assert!(matches!(refused("-force_pubkey other.pub"), ExternalError::OtherKey));
    let entries = record.chain();
    assert_eq!((entries.entries(), entries.index().signed().count()), (24, 1), "every one is on record");
    assert_eq!(entries.index().unfinished(), 0);

    // The key of another station is not forwarded.
    external.tell("");
    let other = Applicant { identity: "CS002".parse().unwrap(), serial_number: "SN-0001".into() };
    let (_, decision) = authority.answer(&request(&csr_of(&stage)), &other);
    assert_eq!(decision.unwrap_err(), Refused::KeyOfAnother);
}
