//! An authority without a key of its own: accepted requests are forwarded to another authority.

use std::{sync::Arc, time::Instant};

use certificates::Certificate;
use sha2::{Digest as _, Sha256};

use crate::{
    io::authority::{SystemClock, record_outcome},
    issuing::{
        admissions::Admissions,
        answer::{self, Issued, PendingCertificate},
        certificate::issuer::{IssuerError, read_chain},
        error::IssueError,
        external::{self, ExternalAuthority},
        message::SignCertificate,
        present::Clock,
        record::IssuanceRecord,
        request::SigningRequest,
    },
    policy::{
        applicant::Applicant,
        certificate_use::CertificateUse,
        issuance::{IssuancePolicy, StandardPolicy},
        refused::Refused,
        settings::CaSettings,
    },
    record::event::{AuditEvent, Intent},
};

/// Answers requests as a [`CertificateAuthority`](crate::CertificateAuthority) does, and obtains
/// the certificates from another authority (A02.FR.04). Each certificate is checked before it is
/// sent to a station.
#[derive(Debug)]
pub struct ForwardingAuthority {
    external: Arc<dyn ExternalAuthority>,
    roots: Vec<Certificate>,
    settings: CaSettings,
    policy: Arc<dyn IssuancePolicy>,
    record: Option<Arc<dyn IssuanceRecord>>,
    admissions: Admissions,
    clock: Arc<dyn Clock>,
}

impl ForwardingAuthority {
    /// Every chain of the other authority must lead to one of the certificates in `roots_pem`.
    ///
    /// # Errors
    /// [`IssuerError::Empty`], [`IssuerError::Pem`], [`IssuerError::Malformed`]
    pub fn new(
        external: Arc<dyn ExternalAuthority>,
        roots_pem: &str,
        settings: CaSettings,
    ) -> Result<Self, IssuerError> {
        let roots = read_chain(roots_pem)?;
        if roots.is_empty() {
            return Err(IssuerError::Empty);
        }
        let policy = Arc::new(StandardPolicy);
        let clock = Arc::new(SystemClock);
        Ok(Self { external, roots, settings, policy, record: None, admissions: Admissions::default(), clock })
    }

    /// Sets a vendor's own policy.
    #[must_use]
    pub fn with_policy(mut self, policy: Arc<dyn IssuancePolicy>) -> Self {
        self.policy = policy;
        self
    }

    /// Sets the record of forwarded requests.
    #[must_use]
    pub fn with_record(mut self, record: Arc<dyn IssuanceRecord>) -> Self {
        self.record = Some(record);
        self
    }

    /// Sets the source of the present time. Default: the system's clock.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Answers a request, as [`CertificateAuthority::answer`](crate::CertificateAuthority::answer)
    /// does.
    pub fn answer<R: SignCertificate>(
        &self,
        request: &R,
        station: &Applicant,
    ) -> (R::Response, Result<PendingCertificate, Refused>) {
        let decision = answer::decide(request.signing_request(), station, &self.settings, &*self.policy)
            .and_then(|mut pending| {
                let key = pending.csr().public_key().hash();
                let (request, limits) = (pending.request_hash(), &self.settings.limits);
                let admitted =
                    self.admissions.admit(Instant::now(), &station.identity, request, &key, limits)?;
                pending.reservation = Some(admitted);
                Ok(pending)
            });
        let response = match &decision {
            Ok(_) => R::accepted(),
            Err(refused) => R::rejected(refused),
        };
        (response, decision)
    }

    /// Refuses a request above the limit of its station, judged by the record, which knows requests
    /// from before a restart. If it is accepted, [`PendingCertificate::count`] counts it.
    ///
    /// # Errors
    /// [`IssueError::Refused`], [`IssueError::Record`]
    ///
    /// # Cancel safety
    /// A dropped future changes nothing.
    pub async fn check_limit(&self, pending: &PendingCertificate) -> Result<(), IssueError> {
        let Some(record) = &self.record else { return Ok(()) };
        let (station, limits) = (&pending.station().identity, &self.settings.limits);
        let recorded = record.certified_within(station, limits.window).await.map_err(IssueError::Record)?;
        self.admissions.check_recorded(station, recorded, limits).map_err(IssueError::Refused)
    }

    /// Decides again about a request that was accepted before, for example after a restart. The
    /// settings may have changed, so the decision may differ. The request does not count against
    /// the station's limits.
    ///
    /// `csr` is the request's PEM. `certificate_use` and `request_id` are those of the request.
    ///
    /// # Errors
    /// [`Refused`]
    pub fn resume(
        &self,
        csr: &str,
        certificate_use: Option<CertificateUse>,
        request_id: Option<i64>,
        station: &Applicant,
    ) -> Result<PendingCertificate, Refused> {
        let request = SigningRequest { csr, certificate_use, request_id, root: None };
        answer::decide(request, station, &self.settings, &*self.policy)
    }

    /// Obtains the certificate of an accepted request. The future completes when the other
    /// authority answers, which may be days later: run it in its own task.
    ///
    /// # Errors
    /// [`IssueError`]
    ///
    /// # Cancel safety
    /// A dropped future forgets the request. The other authority may still issue the certificate.
    pub async fn issue(&self, pending: &PendingCertificate) -> Result<Issued, IssueError> {
        let key = pending.csr().public_key();
        let station = &pending.station().identity;
        let mut entry = None;
        if let Some(record) = &self.record {
            let owner = record.owner_of_key(key.hash()).await.map_err(IssueError::Record)?;
            if owner.is_some_and(|owner| owner != *station) {
                return Err(IssueError::Refused(Refused::KeyOfAnother));
            }
            let intent = Intent {
                station: Some(station.clone()),
                subject: format!("CN={},O={}", pending.subject().common_name, pending.subject().organization),
                profile: pending.certificate_type().map_or("combined", CertificateUse::as_str).to_owned(),
                serial: None,
                not_after: None,
                spki_sha256: key.hash(),
                csr_sha256: hex::encode(Sha256::digest(pending.csr().der())),
                issuer_key_id: String::new(),
            };
            entry = Some(record.append(&AuditEvent::Signing(intent)).await.map_err(IssueError::Record)?);
        }
        let made = match self.external.certify(pending).await {
            Ok(chain) => {
                external::check(pending, &chain, &self.roots, self.clock.present(), self.settings.backdate)
            }
            Err(error) => Err(error),
        };
        let made = made.map_err(IssueError::External);
        let made = made.and_then(|made| pending.check_length(&made).map(|()| made));
        if let (Some(record), Some(entry)) = (&self.record, entry) {
            record_outcome(&**record, entry, &made, Some(pending)).await?;
        }
        let issued = pending.issued(made?)?;
        pending.count(Instant::now());
        self.admissions.certified(key.hash(), station);
        Ok(issued)
    }
}
