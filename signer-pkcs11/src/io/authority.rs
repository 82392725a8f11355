//! A certificate authority whose keys are in tokens.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;

use crate::{
    admissions::Admissions,
    answer::{self, Issued, PendingCertificate, RequestHash},
    audit::AuditIndex,
    certificate_use::CertificateUse,
    crl::{Crl, UnsignedCrl},
    csr::{Csr, Subject, SubjectError},
    edition::SignCertificate,
    io::{
        fault,
        key::{Key, KeyError},
    },
    issue::{self, IssueError, IssuedCertificate, Unsigned},
    issuer::{Issuer, IssuerError, Leaf},
    policy::{IssuancePolicy, Refused, StandardPolicy, StationIdentity},
    profile::SERIAL_BYTES,
    profiles::{Hierarchy, SubAuthority},
    public_key::PublicKey,
    record::{AuditEvent, Intent, IssuanceRecord},
    server_name::ServerName,
    settings::CaSettings,
    sign::RemoteKey,
};

/// A certificate authority: keys in tokens, the certificates of those keys, and the operator's settings.
///
/// [`answer`](Self::answer) decides about a request without the token; [`issue`](Self::issue) makes the certificate.
///
/// It can have several issuers: one per hierarchy, and within a hierarchy one per family of keys, so that a station with
/// an RSA key gets a chain of RSA and one with a key on a curve a chain of ECDSA.
#[derive(Debug)]
pub struct CertificateAuthority {
    issuers: Vec<IssuingKey>,
    settings: CaSettings,
    policy: Arc<dyn IssuancePolicy>,
    record: Option<Arc<dyn IssuanceRecord>>,
    admissions: Mutex<Admissions>,
    /// Certificates that were issued and may not have arrived: the same request gets the same one.
    answers: Mutex<HashMap<RequestHash, Answer>>,
}

#[derive(Debug)]
pub(crate) struct IssuingKey {
    pub(crate) key: Key,
    pub(crate) issuer: Issuer,
}

#[derive(Debug)]
struct Answer {
    asked: SystemTime,
    certificate: Arc<OnceCell<Issued>>,
}

/// Why an authority cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// The organization cannot stand in a certificate: every request would be refused.
    #[error("the organization cannot be written into certificates: correct the settings")]
    Organization(#[source] SubjectError),
    /// The certificate does not fit.
    #[error("this certificate cannot be the authority's")]
    Issuer(#[from] IssuerError),
    /// The key does not sign, or not for its public half.
    #[error("the authority's key cannot be used")]
    Key(#[from] KeyError),
}

impl CertificateAuthority {
    /// Puts an authority together, and makes a test signature. Blocks.
    ///
    /// `chain_pem` is the certificate of `key`, then those above it; a root in it is not sent to stations. The key issues
    /// for the operator's own hierarchy.
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
            admissions: Mutex::default(),
            answers: Mutex::default(),
        };
        authority.with_issuer(Hierarchy::Cso, key, chain_pem)
    }

    /// Adds an issuer. Blocks.
    ///
    /// A certificate is issued by the first issuer of its hierarchy whose key is of the same family as the certified one,
    /// else by the first of its hierarchy.
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
                 rustls refuses the chain, so use a CSMS with OpenSSL, or have the certificate made anew \
                 (openssl: -sigopt rsa_pss_saltlen:digest)"
            );
        }
        self.issuers.push(IssuingKey { key, issuer });
        Ok(self)
    }

    /// Sets a vendor's own policy, which has its say beside the rules of the settings.
    pub fn with_policy(mut self, policy: Arc<dyn IssuancePolicy>) -> Self {
        self.policy = policy;
        self
    }

    /// Sets where it is written down what is signed. Without a record nothing is written down, and it is the caller's
    /// business that no key is certified for two stations across restarts.
    pub fn with_record(mut self, record: Arc<dyn IssuanceRecord>) -> Self {
        self.record = Some(record);
        self
    }

    /// Makes the self-signed certificate of a root (A00.FR.601) and returns it as PEM. Blocks.
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
        let unsigned = issue::root(subject, remote, validity, random()?, now)?;
        let signature = key.sign_blocking(unsigned.to_be_signed()).map_err(IssueError::Sign)?;
        Ok(unsigned.assemble(&signature)?.chain_pem)
    }

    /// Makes the certificate of an authority below this one, for the key of a request whose sender is known to be that
    /// authority, and returns the chain as PEM: it and the authorities above it, without the root.
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

    /// Answers a SignCertificateRequest of a station, of any version of OCPP, by everything that can be known without the
    /// token.
    ///
    /// `station` is what the *connection* authenticated. The certificate is made by [`issue`](Self::issue); the message
    /// that brings it follows the response (generic rule FR.05).
    pub fn answer<R: SignCertificate>(
        &self,
        request: &R,
        station: &StationIdentity,
    ) -> (R::Response, Result<PendingCertificate, Refused>) {
        let decision = answer::decide(request.wish(), station, &self.settings, &*self.policy)
            .and_then(|pending| self.admit(pending));
        let response = match &decision {
            Ok(_) => R::accepted(),
            Err(refused) => R::rejected(refused),
        };
        (response, decision)
    }

    /// Issues the certificate of an accepted request.
    ///
    /// The same request gets the same certificate, until [`delivered`](Self::delivered) is told, or
    /// [`Limits::same_answer`](crate::Limits) has passed. The bytes to be signed are linted, and the record is durable,
    /// before the token sees them; the signature is verified before the certificate leaves.
    ///
    /// # Errors
    /// [`IssueError`]
    ///
    /// # Cancel safety
    /// A dropped future may have signed a certificate that nobody gets; the record knows of it.
    pub async fn issue(&self, pending: PendingCertificate) -> Result<Issued, IssueError> {
        let cell = self.answer_cell(pending.request_hash());
        let issued = cell.get_or_try_init(|| self.issue_anew(&pending)).await?;
        pending.check_length(&issued.certificate)?;
        Ok(issued.clone())
    }

    /// Tells that a certificate has arrived at its station, or was rejected by it, or that the caller keeps it until then:
    /// the same request is a new one now.
    pub fn delivered(&self, issued: &Issued) {
        lock(&self.answers).remove(&issued.request);
    }

    /// Issues the CSMS's own TLS certificate for a public key, CN = FQDN (A00.FR.510), short-lived (A00.FR.701).
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
        let unsigned = issuing.issuer.leaf(&leaf, random()?, SystemTime::now())?;
        let intent = |unsigned: &Unsigned| intent(unsigned, &issuing.issuer, public_key, "server");
        self.sign(issuing, unsigned, None, intent).await
    }

    /// Signs a list of revoked certificates for each issuer, from what a record says, numbered one after the last.
    ///
    /// `url` is where the lists are published, if certificates name it. A list must be followed by the next before
    /// `lifetime` is over.
    ///
    /// # Errors
    /// [`IssueError`]
    ///
    /// # Cancel safety
    /// A dropped future may have used up numbers, which may have gaps.
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

    /// Signs the list of one issuer, named by its subject key identifier, as [`issue_crls`](Self::issue_crls) does.
    ///
    /// # Errors
    /// [`IssueError`]; [`IssueError::NoIssuer`] where no issuer has this identifier.
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
        let unsigned = UnsignedCrl::new(&issuing.issuer, &revoked, number, url, SystemTime::now(), lifetime)?;
        if let Some(record) = &self.record {
            let (issuer_key_id, revoked) = (issuer_key_id.to_owned(), revoked.len() as u64);
            let event = AuditEvent::CrlSigning { issuer_key_id, number, revoked };
            record.append(&event).await.map_err(IssueError::Record)?;
        }
        let signature = issuing.key.sign(unsigned.to_be_signed()).await.map_err(IssueError::Sign)?;
        unsigned.assemble(&signature)
    }

    /// The subject key identifiers of the issuers, in hexadecimal, in the order in which they were added.
    pub fn issuer_key_ids(&self) -> Vec<String> {
        self.issuers.iter().map(|issuing| hex::encode(issuing.issuer.key_id())).collect()
    }

    /// The key that signs first.
    pub fn key(&self) -> &Key {
        &self.issuers[0].key
    }

    /// The settings.
    pub fn settings(&self) -> &CaSettings {
        &self.settings
    }

    /// End of validity of the authority's own first certificate: nothing that it issues lasts longer.
    pub fn not_after(&self) -> SystemTime {
        self.issuers[0].issuer.not_after()
    }

    fn admit(&self, pending: PendingCertificate) -> Result<PendingCertificate, Refused> {
        self.issuer_of(&pending)?;
        let key = pending.csr().public_key().spki_sha256();
        let (station, limits) = (&pending.station().identity, &self.settings.limits);
        let mut admissions = lock(&self.admissions);
        admissions.admit(SystemTime::now(), station, pending.request_hash(), &key, limits)?;
        Ok(pending)
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
            fitting.retain(|issuing| issuing.issuer.has_root(root));
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
        let now = SystemTime::now();
        let mut answers = lock(&self.answers);
        let kept = self.settings.limits.same_answer;
        let is_old = |asked: SystemTime| now.duration_since(asked).is_ok_and(|passed| passed >= kept);
        if answers.get(&request).is_some_and(|answer| is_old(answer.asked)) {
            answers.remove(&request);
        }
        if answers.len() >= MOST_ANSWERS {
            answers.retain(|_, answer| !is_old(answer.asked));
            // Still full: the oldest goes, whose station then gets a new certificate if it asks again.
            if answers.len() >= MOST_ANSWERS
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
        if let Some(record) = &self.record {
            let owner = record.owner_of_key(&hex::encode(key.spki_sha256())).await;
            if owner.map_err(IssueError::Record)?.is_some_and(|owner| owner != *station) {
                return Err(IssueError::Refused(Refused::KeyOfAnother));
            }
        }
        let leaf = Leaf {
            profile: &pending.profile,
            subject: pending.subject(),
            dns_names: &[],
            key,
            backdate: self.settings.backdate,
        };
        let unsigned = issuing.issuer.leaf(&leaf, random()?, SystemTime::now())?;
        let profile = pending.certificate_type().map_or("combined", CertificateUse::as_str);
        let intent = |unsigned: &Unsigned| Intent {
            station: station.clone(),
            csr_sha256: hex::encode(Sha256::digest(pending.csr().der())),
            ..intent(unsigned, &issuing.issuer, key, profile)
        };
        let certificate = self.sign(issuing, unsigned, Some(pending), intent).await?;
        let issued = pending.issued(certificate)?;
        lock(&self.admissions).certified(key.spki_sha256(), station);
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
        // A chain that the station does not take is thrown away, so nothing has become of the signature.
        let made = made.and_then(|made| match pending {
            Some(pending) => pending.check_length(&made).map(|()| made),
            None => Ok(made),
        });
        // What is not on record does not leave.
        record_outcome(&**record, entry, &made, pending).await?;
        made
    }
}

/// Puts on record what became of an announced certificate.
pub(crate) async fn record_outcome(
    record: &dyn IssuanceRecord,
    entry: u64,
    made: &Result<IssuedCertificate, IssueError>,
    pending: Option<&PendingCertificate>,
) -> Result<(), IssueError> {
    let written = match made {
        Ok(certificate) => record.signed(entry, certificate, pending).await,
        Err(error) => {
            let reason = fault::chain(error);
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
        station: String::new(),
        subject: unsigned.subject(),
        profile: profile.to_owned(),
        serial: unsigned.serial(),
        not_after: seconds(unsigned.not_after()),
        spki_sha256: hex::encode(key.spki_sha256()),
        csr_sha256: String::new(),
        issuer_key_id: hex::encode(issuer.key_id()),
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |passed| passed.as_secs())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn random() -> Result<[u8; SERIAL_BYTES], IssueError> {
    let mut bytes = [0; SERIAL_BYTES];
    getrandom::fill(&mut bytes).map_err(|_| IssueError::Random)?;
    Ok(bytes)
}

/// Certificates that wait for their delivery, 10 kilobytes each at most.
const MOST_ANSWERS: usize = 1024;
