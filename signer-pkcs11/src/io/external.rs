//! An authority that has no key of its own: accepted requests are forwarded to another one.

use std::{sync::Arc, sync::Mutex, sync::PoisonError, time::SystemTime};

use der::Decode as _;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use sha2::{Digest as _, Sha256};
use x509_cert::Certificate;

use crate::{
    admissions::Admissions,
    answer::{self, Issued, PendingCertificate},
    certificate_use::CertificateUse,
    edition::{SignCertificate, Wish},
    external::{self, ExternalAuthority},
    io::authority::record_outcome,
    issue::IssueError,
    issuer::IssuerError,
    policy::{IssuancePolicy, Refused, StandardPolicy, StationIdentity},
    record::{AuditEvent, Intent, IssuanceRecord},
    settings::CaSettings,
};

/// Answers requests as a [`CertificateAuthority`](crate::CertificateAuthority) does, and has the certificates made by
/// another authority (A02.FR.04), whose answers are checked before a station sees them.
#[derive(Debug)]
pub struct ForwardingAuthority {
    external: Arc<dyn ExternalAuthority>,
    roots: Vec<Certificate>,
    settings: CaSettings,
    policy: Arc<dyn IssuancePolicy>,
    record: Option<Arc<dyn IssuanceRecord>>,
    admissions: Mutex<Admissions>,
}

impl ForwardingAuthority {
    /// `roots_pem` are the certificates to which every chain of the other authority must lead.
    ///
    /// # Errors
    /// [`IssuerError::Empty`], [`IssuerError::Malformed`]
    pub fn new(
        external: Arc<dyn ExternalAuthority>,
        roots_pem: &str,
        settings: CaSettings,
    ) -> Result<Self, IssuerError> {
        let roots = CertificateDer::pem_slice_iter(roots_pem.as_bytes()).enumerate().map(|(index, der)| {
            let malformed = IssuerError::Malformed { position: index + 1 };
            der.ok().and_then(|der| Certificate::from_der(&der).ok()).ok_or(malformed)
        });
        let roots = roots.collect::<Result<Vec<_>, _>>()?;
        if roots.is_empty() {
            return Err(IssuerError::Empty);
        }
        let policy = Arc::new(StandardPolicy);
        Ok(Self { external, roots, settings, policy, record: None, admissions: Mutex::default() })
    }

    /// Sets a vendor's own policy.
    pub fn with_policy(mut self, policy: Arc<dyn IssuancePolicy>) -> Self {
        self.policy = policy;
        self
    }

    /// Sets where it is written down what is forwarded.
    pub fn with_record(mut self, record: Arc<dyn IssuanceRecord>) -> Self {
        self.record = Some(record);
        self
    }

    /// Answers a request, as [`CertificateAuthority::answer`](crate::CertificateAuthority::answer) does.
    pub fn answer<R: SignCertificate>(
        &self,
        request: &R,
        station: &StationIdentity,
    ) -> (R::Response, Result<PendingCertificate, Refused>) {
        let decision =
            answer::decide(request.wish(), station, &self.settings, &*self.policy).and_then(|pending| {
                let key = pending.csr().public_key().spki_sha256();
                let limits = &self.settings.limits;
                let mut admissions = self.admissions.lock().unwrap_or_else(PoisonError::into_inner);
                admissions.admit(
                    SystemTime::now(),
                    &station.identity,
                    pending.request_hash(),
                    &key,
                    limits,
                )?;
                Ok(pending)
            });
        let response = match &decision {
            Ok(_) => R::accepted(),
            Err(refused) => R::rejected(refused),
        };
        (response, decision)
    }

    /// A request that was accepted before, as it is after a restart: decided anew, for the settings may have changed, and
    /// not counted against the station's limits.
    ///
    /// `csr` is the request's PEM, `certificate_use` and `request_id` as they stood in it.
    ///
    /// # Errors
    /// [`Refused`]
    pub fn resume(
        &self,
        csr: &str,
        certificate_use: Option<CertificateUse>,
        request_id: Option<i64>,
        station: &StationIdentity,
    ) -> Result<PendingCertificate, Refused> {
        let wish = Wish { csr, certificate_use, request_id, root: None };
        answer::decide(wish, station, &self.settings, &*self.policy)
    }

    /// Has the certificate of an accepted request made. It is done when the other authority is, which may be days later:
    /// run it in a task of its own.
    ///
    /// # Errors
    /// [`IssueError`]
    ///
    /// # Cancel safety
    /// A dropped future forgets the request; the other authority may issue all the same.
    pub async fn issue(&self, pending: &PendingCertificate) -> Result<Issued, IssueError> {
        let key = pending.csr().public_key();
        let station = &pending.station().identity;
        let spki_sha256 = hex::encode(key.spki_sha256());
        let mut entry = None;
        if let Some(record) = &self.record {
            let owner = record.owner_of_key(&spki_sha256).await.map_err(IssueError::Record)?;
            if owner.is_some_and(|owner| owner != *station) {
                return Err(IssueError::Refused(Refused::KeyOfAnother));
            }
            let intent = Intent {
                station: station.clone(),
                subject: format!("CN={},O={}", pending.subject().common_name, pending.subject().organization),
                profile: pending.certificate_type().map_or("combined", CertificateUse::as_str).to_owned(),
                serial: String::new(),
                not_after: 0,
                spki_sha256,
                csr_sha256: hex::encode(Sha256::digest(pending.csr().der())),
                issuer_key_id: String::new(),
            };
            entry = Some(record.append(&AuditEvent::Signing(intent)).await.map_err(IssueError::Record)?);
        }
        let made = match self.external.certify(pending).await {
            Ok(chain) => external::check(pending, &chain, &self.roots, SystemTime::now()),
            Err(error) => Err(error),
        };
        let made = made.map_err(IssueError::External);
        let made = made.and_then(|made| pending.check_length(&made).map(|()| made));
        if let (Some(record), Some(entry)) = (&self.record, entry) {
            record_outcome(&**record, entry, &made, Some(pending)).await?;
        }
        let issued = pending.issued(made?)?;
        let mut admissions = self.admissions.lock().unwrap_or_else(PoisonError::into_inner);
        admissions.certified(key.spki_sha256(), station);
        Ok(issued)
    }
}
