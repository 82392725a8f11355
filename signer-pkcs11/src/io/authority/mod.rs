//! A certificate authority whose keys are in tokens.

pub(crate) mod external;
pub(crate) mod record_file;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use program::causes;
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;

use crate::{
    csr::{
        Csr,
        name::{Subject, SubjectError},
    },
    io::key::{Key, error::KeyError},
    issuing::{
        admissions::{Admissions, RequestHash, Reservation},
        answer::{self, Issued, PendingCertificate},
        certificate::{
            IssuedCertificate,
            crl::{Crl, ListTimes, UnsignedCrl},
            issuer::{Issuer, IssuerError, Leaf},
            plan::SERIAL_BYTES,
            unsigned::{self, Unsigned},
        },
        error::IssueError,
        message::SignCertificate,
        present::{Clock, Present},
        record::IssuanceRecord,
    },
    key::{public_key::PublicKey, signer::RemoteKey},
    policy::{
        applicant::Applicant,
        certificate_use::CertificateUse,
        issuance::{IssuancePolicy, StandardPolicy},
        profiles::{Hierarchy, SubAuthority},
        refused::Refused,
        server_name::ServerName,
        settings::CaSettings,
    },
    record::{
        event::{AuditEvent, Intent},
        index::AuditIndex,
    },
};

/// A certificate authority: keys in tokens, the certificates of those keys, and the operator's
/// settings.
///
/// [`answer`](Self::answer) decides about a request without the token. [`issue`](Self::issue)
/// issues the certificate.
///
/// It can have several issuers: one per hierarchy, and within a hierarchy one per key family. A
/// station with an RSA key then gets an RSA chain, and a station with an elliptic-curve key gets an
/// ECDSA chain.
#[derive(Debug)]
pub struct CertificateAuthority {
    issuers: Vec<IssuingKey>,
    settings: CaSettings,
    policy: Arc<dyn IssuancePolicy>,
    record: Option<Arc<dyn IssuanceRecord>>,
    clock: Arc<dyn Clock>,
    admissions: Admissions,
    /// Certificates that were issued and may not have been delivered: the same request gets the
    /// same certificate.
    answers: Mutex<HashMap<RequestHash, Answer>>,
}

#[derive(Debug)]
pub(crate) struct IssuingKey {
    pub(crate) key: Key,
    pub(crate) issuer: Issuer,
}

#[derive(Debug)]
struct Answer {
    asked: Instant,
    certificate: Arc<OnceCell<Issued>>,
}

/// Why an authority cannot be created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// The organization cannot be encoded in a certificate: every request would be refused.
    #[error("cannot encode the organization in certificates: correct the settings")]
    Organization(#[source] SubjectError),
    /// The certificate does not match.
    #[error("the certificate cannot be used for this authority")]
    Issuer(#[from] IssuerError),
    /// The key does not sign, or its signature does not match its public half.
    #[error("cannot use the authority's key")]
    Key(#[from] KeyError),
}

impl CertificateAuthority {
    /// Creates an authority and makes a test signature. Blocks.
    ///
    /// `chain_pem` is the certificate of `key`, followed by those above it. A root in it is not
    /// sent to stations. The key issues for the operator's own hierarchy.
    ///
    /// # Errors
    /// [`AuthorityError`]
    pub fn new(key: Key, chain_pem: &str, settings: CaSettings) -> Result<Self, AuthorityError> {
        let profiles = &settings.profiles;
        let all = [
            Some(&profiles.station),
            profiles.v2g.as_ref(),
            profiles.combined.as_ref(),
            Some(&profiles.server),
        ];
        for profile in all.into_iter().flatten() {
            let subject = Subject {
                country: profile.country.clone(),
                domain_component: profile.domain_component.clone(),
                ..Subject::new("any", profile.organization.as_ref().unwrap_or(&settings.organization))
            };
            subject.to_name().map_err(AuthorityError::Organization)?;
        }
        let authority = Self {
            issuers: Vec::new(),
            settings,
            policy: Arc::new(StandardPolicy),
            record: None,
            clock: Arc::new(SystemClock),
            admissions: Admissions::default(),
            answers: Mutex::default(),
        };
        authority.with_issuer(Hierarchy::Cso, key, chain_pem)
    }

    /// Adds an issuer. Blocks.
    ///
    /// A certificate is issued by the first issuer of its hierarchy whose key has the same family
    /// as the certified key, otherwise by the first issuer of its hierarchy.
    ///
    /// # Errors
    /// [`AuthorityError`]
    pub fn with_issuer(
        mut self,
        hierarchy: Hierarchy,
        key: Key,
        chain_pem: &str,
    ) -> Result<Self, AuthorityError> {
        let issuer = Issuer::parse(hierarchy, chain_pem, key.public_key(), key.signature_algorithm())?;
        key.prove()?;
        if let Some(position) = issuer.unknown_to_webpki() {
            tracing::warn!(
                position,
                "a certificate of the issuer's chain is signed by RSASSA-PSS with a salt that is not as long as the hash: \
                 rustls refuses the chain; use a CSMS with OpenSSL, or sign the certificate again \
                 (openssl: -sigopt rsa_pss_saltlen:digest)"
            );
        }
        self.issuers.push(IssuingKey { key, issuer });
        Ok(self)
    }

    /// Sets a vendor's own policy, which applies in addition to the rules of the settings.
    #[must_use]
    pub fn with_policy(mut self, policy: Arc<dyn IssuancePolicy>) -> Self {
        self.policy = policy;
        self
    }

    /// Sets the record of signatures. Without a record the caller must prevent that one key is
    /// certified for two stations across restarts.
    #[must_use]
    pub fn with_record(mut self, record: Arc<dyn IssuanceRecord>) -> Self {
        self.record = Some(record);
        self
    }

    /// Sets the source of the present time: a service knows whether its clock was moved. Default:
    /// the system's clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Creates the self-signed certificate of a root (A00.FR.601) and returns it as PEM. Blocks.
    ///
    /// # Errors
    /// [`IssueError`]
    pub fn create_root(
        key: &Key,
        subject: &Subject,
        validity: Duration,
        now: SystemTime,
    ) -> Result<String, IssueError> {
        let remote = RemoteKey::of(key);
        let unsigned = unsigned::root(subject, remote, validity, random()?, now)?;
        let signature = key.sign_blocking(unsigned.to_be_signed()).map_err(IssueError::Sign)?;
        Ok(unsigned.assemble(&signature)?.chain_pem)
    }

    /// Issues the certificate of a subordinate authority for the key of a request. The caller knows
    /// that the request comes from that authority. Returns the chain as PEM: the certificate and
    /// the authorities above it, without the root.
    ///
    /// # Errors
    /// [`IssueError`]
    ///
    /// # Cancel safety
    /// As [`issue`](Self::issue).
    pub async fn issue_sub_authority(
        &self,
        csr: &Csr,
        subject: &Subject,
        profile: &SubAuthority,
    ) -> Result<IssuedCertificate, IssueError> {
        let issuing = self.issuer_for(Hierarchy::Cso, csr.public_key()).ok_or(IssueError::NoIssuer)?;
        let now = SystemTime::now();
        let unsigned = issuing.issuer.sub_authority(subject, csr.public_key(), profile, random()?, now)?;
        let intent = |unsigned: &Unsigned| Intent {
            csr_sha256: hex::encode(Sha256::digest(csr.der())),
            ..intent(unsigned, &issuing.issuer, csr.public_key(), "authority")
        };
        self.sign(issuing, unsigned, None, intent).await
    }

    /// Answers a SignCertificateRequest of any version of OCPP, without calling the token.
    ///
    /// `station` is the identity that the *connection* authenticated. [`issue`](Self::issue) issues
    /// the certificate. The message that carries it follows the response (generic rule FR.05).
    pub fn answer<R: SignCertificate>(
        &self,
        request: &R,
        station: &Applicant,
    ) -> (R::Response, Result<PendingCertificate, Refused>) {
        let decision = answer::decide(request.signing_request(), station, &self.settings, &*self.policy)
            .and_then(|pending| self.admit(pending));
        let response = match &decision {
            Ok(_) => R::accepted(),
            Err(refused) => R::rejected(refused),
        };
        (response, decision)
    }

    /// Issues the certificate of an accepted request.
    ///
    /// The same request gets the same certificate until [`delivered`](Self::delivered) is called or
    /// [`RequestLimits::same_answer`](crate::RequestLimits) has passed. Before the token signs, the
    /// bytes are linted and the record is durable. The signature is verified before the certificate
    /// is returned.
    ///
    /// # Errors
    /// [`IssueError`]
    ///
    /// # Cancel safety
    /// A dropped future may have signed a certificate that no caller receives. The record contains
    /// it.
    pub async fn issue(&self, pending: PendingCertificate) -> Result<Issued, IssueError> {
        let mut cell = self.answer_cell(pending.request_hash());
        // A certificate that was issued while the clock was ahead is useless now.
        if cell.get().is_some_and(|issued| issued.certificate.not_before > self.clock.present().latest) {
            lock(&self.answers).remove(&pending.request_hash());
            cell = self.answer_cell(pending.request_hash());
        }
        let issued = cell.get_or_try_init(|| self.issue_anew(&pending)).await?;
        pending.check_length(&issued.certificate)?;
        Ok(issued.clone())
    }

    /// Notes that a station has received or rejected a certificate, or that the caller stores it
    /// until then. The same request is a new one from now on.
    pub fn delivered(&self, issued: &Issued) {
        lock(&self.answers).remove(&issued.request);
    }

    /// Issues the CSMS's own TLS certificate for a public key, CN = FQDN (A00.FR.510), short-lived
    /// (A00.FR.701).
    ///
    /// # Errors
    /// [`IssueError`]
    ///
    /// # Cancel safety
    /// As [`issue`](Self::issue).
    pub async fn issue_server_certificate(
        &self,
        server: &ServerName,
        public_key: &PublicKey,
    ) -> Result<IssuedCertificate, IssueError> {
        let profile = &self.settings.profiles.server;
        let organization = profile.organization.as_ref().unwrap_or(&self.settings.organization);
        let subject =
            Subject { country: profile.country.clone(), ..Subject::new(&server.common_name, organization) };
        let issuing = self.issuer_for(profile.hierarchy, public_key).ok_or(IssueError::NoIssuer)?;
        let leaf = Leaf {
            profile,
            subject: &subject,
            dns_names: &server.dns_names,
            key: public_key,
            backdate: self.settings.backdate,
        };
        let unsigned = issuing.issuer.leaf(&leaf, random()?, self.clock.present())?;
        let intent = |unsigned: &Unsigned| intent(unsigned, &issuing.issuer, public_key, "server");
        self.sign(issuing, unsigned, None, intent).await
    }

    /// Signs a certificate revocation list for each issuer from the content of a record. The
    /// numbers are consecutive.
    ///
    /// `url` is where the lists are published, if certificates name it. The next list must be
    /// published before `lifetime` has passed.
    ///
    /// # Errors
    /// [`IssueError`]
    ///
    /// # Cancel safety
    /// A dropped future may have used numbers. Gaps are allowed.
    pub async fn issue_crls(
        &self,
        index: &AuditIndex,
        url: Option<&str>,
        lifetime: Duration,
    ) -> Result<Vec<Crl>, IssueError> {
        let mut lists: Vec<Crl> = Vec::new();
        for issuer_key_id in self.issuer_key_ids() {
            // One key may issue for two hierarchies.
            if !lists.iter().any(|list| list.issuer_key_id == issuer_key_id) {
                lists.push(self.issue_crl(&issuer_key_id, index, url, lifetime).await?);
            }
        }
        Ok(lists)
    }

    /// Signs the list of one issuer, named by its subject key identifier. See
    /// [`issue_crls`](Self::issue_crls).
    ///
    /// # Errors
    /// [`IssueError`]; [`IssueError::NoIssuer`] if no issuer has this identifier.
    ///
    /// # Cancel safety
    /// As [`issue_crls`](Self::issue_crls).
    pub async fn issue_crl(
        &self,
        issuer_key_id: &str,
        index: &AuditIndex,
        url: Option<&str>,
        lifetime: Duration,
    ) -> Result<Crl, IssueError> {
        let named = |issuing: &&IssuingKey| hex::encode(issuing.issuer.key_id()) == issuer_key_id;
        let issuing = self.issuers.iter().find(named).ok_or(IssueError::NoIssuer)?;
        let revoked = index.revoked_by(issuer_key_id);
        let number = index.crl_number(issuer_key_id) + 1;
        let times = ListTimes { present: self.clock.present(), backdate: self.settings.backdate, lifetime };
        let unsigned = UnsignedCrl::new(&issuing.issuer, &revoked, number, url, times)?;
        if let Some(record) = &self.record {
            let (issuer_key_id, revoked) = (issuer_key_id.to_owned(), revoked.len() as u64);
            let event = AuditEvent::CrlSigning { issuer_key_id, number, revoked };
            record.append(&event).await.map_err(IssueError::Record)?;
        }
        let signature = issuing.key.sign(unsigned.to_be_signed()).await.map_err(IssueError::Sign)?;
        unsigned.assemble(&signature)
    }

    /// The subject key identifiers of the issuers, in hexadecimal, in the order in which they were
    /// added.
    pub fn issuer_key_ids(&self) -> Vec<String> {
        self.issuers.iter().map(|issuing| hex::encode(issuing.issuer.key_id())).collect()
    }

    /// The key of the first issuer.
    pub fn key(&self) -> &Key {
        &self.issuers[0].key
    }

    /// The settings.
    pub fn settings(&self) -> &CaSettings {
        &self.settings
    }

    /// End of validity of the first issuer's own certificate: nothing that it issues is valid
    /// longer.
    pub fn not_after(&self) -> SystemTime {
        self.issuers[0].issuer.not_after()
    }

    fn admit(&self, mut pending: PendingCertificate) -> Result<PendingCertificate, Refused> {
        self.issuer_of(&pending)?;
        if self.is_answered(&pending.request_hash()) {
            let key = pending.csr().public_key().hash();
            self.admissions.check_owner(&key, &pending.station().identity)?;
            return Ok(pending);
        }
        pending.reservation = Some(self.reserve(&pending)?);
        Ok(pending)
    }

    /// A place within the limit of the request's station.
    fn reserve(&self, pending: &PendingCertificate) -> Result<Arc<Reservation>, Refused> {
        let key = pending.csr().public_key().hash();
        let station = &pending.station().identity;
        self.admissions.admit(Instant::now(), station, pending.request_hash(), &key, &self.settings.limits)
    }

    /// Whether a request gets a certificate that was issued before.
    fn is_answered(&self, request: &RequestHash) -> bool {
        let now = Instant::now();
        let kept = self.settings.limits.same_answer;
        lock(&self.answers).get(request).is_some_and(|answer| {
            let is_old = now.saturating_duration_since(answer.asked) >= kept;
            answer.certificate.initialized() && !is_old
        })
    }

    fn issuer_of(&self, pending: &PendingCertificate) -> Result<&IssuingKey, Refused> {
        let family = pending.csr().public_key().kind().family();
        let mut fitting: Vec<_> =
            self.issuers.iter().filter(|issuing| issuing.issuer.hierarchy == pending.hierarchy()).collect();
        if fitting.is_empty() {
            return Err(Refused::NoIssuer);
        }
        // A02.FR.27 of OCPP 2.1
        if let Some(root) = &pending.root {
            fitting.retain(|issuing| root.is_ok_and(|root| issuing.issuer.has_root(&root)));
        }
        let same = fitting.iter().find(|issuing| issuing.key.algorithm().family() == family);
        same.or(fitting.first()).copied().ok_or(Refused::UnknownRoot)
    }

    pub(crate) fn issuer_for(&self, hierarchy: Hierarchy, key: &PublicKey) -> Option<&IssuingKey> {
        let mut fitting = self.issuers.iter().filter(|issuing| issuing.issuer.hierarchy == hierarchy);
        let same = fitting.clone().find(|issuing| issuing.key.algorithm().family() == key.kind().family());
        same.or_else(|| fitting.next())
    }

    fn answer_cell(&self, request: RequestHash) -> Arc<OnceCell<Issued>> {
        let now = Instant::now();
        let mut answers = lock(&self.answers);
        let kept = self.settings.limits.same_answer;
        let is_old = |asked: Instant| now.saturating_duration_since(asked) >= kept;
        if answers.get(&request).is_some_and(|answer| is_old(answer.asked)) {
            answers.remove(&request);
        }
        if answers.len() >= MAX_ANSWERS {
            answers.retain(|_, answer| !is_old(answer.asked));
            // Still full: the oldest is removed. Its station gets a new certificate if it asks
            // again.
            if answers.len() >= MAX_ANSWERS
                && let Some(oldest) =
                    answers.iter().min_by_key(|(_, answer)| answer.asked).map(|(key, _)| *key)
            {
                answers.remove(&oldest);
            }
        }
        let answer =
            answers.entry(request).or_insert_with(|| Answer { asked: now, certificate: Arc::default() });
        Arc::clone(&answer.certificate)
    }

    async fn issue_anew(&self, pending: &PendingCertificate) -> Result<Issued, IssueError> {
        let issuing = self.issuer_of(pending).map_err(IssueError::Refused)?;
        let key = pending.csr().public_key();
        let station = &pending.station().identity;
        // A place counts for one certificate, even if the request was kept and is repeated.
        let reservation = match pending.reservation.as_ref().filter(|reserved| !reserved.is_used()) {
            Some(reserved) => Arc::clone(reserved),
            None => self.reserve(pending).map_err(IssueError::Refused)?,
        };
        if let Some(record) = &self.record {
            let owner = record.owner_of_key(key.hash()).await;
            if owner.map_err(IssueError::Record)?.is_some_and(|owner| owner != *station) {
                return Err(IssueError::Refused(Refused::KeyOfAnother));
            }
            let limits = &self.settings.limits;
            let recorded =
                record.certified_within(station, limits.window).await.map_err(IssueError::Record)?;
            self.admissions.check_recorded(station, recorded, limits).map_err(IssueError::Refused)?;
        }
        let leaf = Leaf {
            profile: &pending.profile,
            subject: pending.subject(),
            dns_names: &[],
            key,
            backdate: self.settings.backdate,
        };
        let unsigned = issuing.issuer.leaf(&leaf, random()?, self.clock.present())?;
        let profile = pending.certificate_type().map_or("combined", CertificateUse::as_str);
        let intent = |unsigned: &Unsigned| Intent {
            station: Some(station.clone()),
            csr_sha256: hex::encode(Sha256::digest(pending.csr().der())),
            ..intent(unsigned, &issuing.issuer, key, profile)
        };
        let certificate = self.sign(issuing, unsigned, Some(pending), intent).await?;
        reservation.use_up(Instant::now());
        let issued = pending.issued(certificate)?;
        self.admissions.certified(key.hash(), station);
        Ok(issued)
    }

    async fn sign(
        &self,
        issuing: &IssuingKey,
        unsigned: Unsigned,
        pending: Option<&PendingCertificate>,
        intent: impl FnOnce(&Unsigned) -> Intent,
    ) -> Result<IssuedCertificate, IssueError> {
        let Some(record) = &self.record else {
            return sign(&issuing.key, unsigned).await;
        };
        let entry =
            record.append(&AuditEvent::Signing(intent(&unsigned))).await.map_err(IssueError::Record)?;
        let made = sign(&issuing.key, unsigned).await;
        // A chain that the station does not accept is discarded, so the signature was not used.
        let made = made.and_then(|made| match pending {
            Some(pending) => pending.check_length(&made).map(|()| made),
            None => Ok(made),
        });
        // Nothing is returned that is not on record.
        record_outcome(&**record, entry, &made, pending).await?;
        made
    }
}

/// Records the outcome of an announced certificate.
pub(crate) async fn record_outcome(
    record: &dyn IssuanceRecord,
    entry: u64,
    made: &Result<IssuedCertificate, IssueError>,
    pending: Option<&PendingCertificate>,
) -> Result<(), IssueError> {
    let written = match made {
        Ok(certificate) => record.signed(entry, certificate, pending).await,
        Err(error) => {
            let reason = causes(error).to_string();
            record.append(&AuditEvent::NotSigned { entry, reason }).await
        }
    };
    written.map(drop).map_err(IssueError::Record)
}

async fn sign(key: &Key, unsigned: Unsigned) -> Result<IssuedCertificate, IssueError> {
    let signature = key.sign(unsigned.to_be_signed()).await.map_err(IssueError::Sign)?;
    unsigned.assemble(&signature)
}

fn intent(unsigned: &Unsigned, issuer: &Issuer, key: &PublicKey, profile: &str) -> Intent {
    Intent {
        station: None,
        subject: unsigned.subject(),
        profile: profile.to_owned(),
        serial: Some(unsigned.serial()),
        not_after: Some(unsigned.not_after().into()),
        spki_sha256: key.hash(),
        csr_sha256: String::new(),
        issuer_key_id: hex::encode(issuer.key_id()),
    }
}

/// The system's clock, which is never in doubt.
#[derive(Debug)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn present(&self) -> Present {
        Present::at(SystemTime::now())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn random() -> Result<[u8; SERIAL_BYTES], IssueError> {
    let mut bytes = [0; SERIAL_BYTES];
    getrandom::fill(&mut bytes).map_err(|_| IssueError::Random)?;
    Ok(bytes)
}

/// Certificates that wait for delivery, at most 10 kilobytes each.
const MAX_ANSWERS: usize = 1024;
