//! Whose certificates a CSMS accepts from stations: the one judge behind every TLS library.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, TrustAnchor, UnixTime};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage, OwnedCertRevocationList,
    RevocationCheckDepth, RevocationOptionsBuilder, UnknownStatusPolicy,
};
use x509_cert::Certificate;
use x509_cert::crl::CertificateList;
use x509_cert::der::Decode;

use crate::name_rule::{Subject, check_organization};
use crate::tls::failure::path_error;
use crate::tls::{BadCertificate, MAX_INTERMEDIATES, TlsConfigError, anchors};

/// Whose certificates a CSMS accepts from stations.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ClientTrust {
    /// Roots to which a station's certificate has to lead (A00.FR.403). With none, no certificate is asked for.
    pub roots: Vec<CertificateDer<'static>>,
    /// The organizations that may own it: the charging station operator and those it trusts (A00.FR.404).
    pub organizations: Vec<String>,
    /// What has been revoked (A00.FR.702, A00.FR.705). Default: none, and nothing is.
    pub crls: Vec<CertificateRevocationListDer<'static>>,
    /// What to do where the lists say nothing about a certificate. Default: accept it.
    pub revocation: RevocationPolicy,
    /// The serial numbers (common names) of the stations that may connect with a certificate that has expired
    /// (A00.FR.429). Default: none.
    pub expired_permitted: BTreeSet<String>,
}

impl ClientTrust {
    /// Trusts certificates under `roots` that are owned by one of `organizations`.
    #[must_use]
    pub fn new(roots: Vec<CertificateDer<'static>>, organizations: Vec<String>) -> Self {
        Self { roots, organizations, ..Self::default() }
    }

    /// Sets the revocation lists. Where several come from one issuer, the first counts.
    #[must_use]
    pub fn with_crls(self, crls: Vec<CertificateRevocationListDer<'static>>) -> Self {
        Self { crls, ..self }
    }

    /// Sets what to do where the revocation lists say nothing about a certificate.
    #[must_use]
    pub fn with_revocation(self, revocation: RevocationPolicy) -> Self {
        Self { revocation, ..self }
    }

    /// Permits the stations with these serial numbers to connect with a certificate that has expired (A00.FR.429). They
    /// are to be kept Pending and given a new one at once: see
    /// [`UpgradeRequest::certificate_expired`](crate::UpgradeRequest::certificate_expired).
    #[must_use]
    pub fn with_expired_permitted(self, serial_numbers: impl IntoIterator<Item = String>) -> Self {
        Self { expired_permitted: serial_numbers.into_iter().collect(), ..self }
    }
}

/// What to do where the revocation lists say nothing, or nothing recent, about a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RevocationPolicy {
    /// Accept it. What a list names stays revoked, also after the list's `nextUpdate`: a list that comes late does not
    /// shut the fleet out, and nobody revoked gets in.
    #[default]
    IfListed,
    /// Refuse it: each certificate of a path needs a list of its issuer that is not past its `nextUpdate`.
    Required,
}

/// [`ClientTrust`], ready to judge.
pub(crate) struct StationRules {
    anchors: Vec<TrustAnchor<'static>>,
    organizations: Vec<String>,
    crls: Vec<CertRevocationList<'static>>,
    /// The earliest `nextUpdate` of all lists.
    next_update: Option<UnixTime>,
    revocation: RevocationPolicy,
    expired_permitted: BTreeSet<String>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// How a station's certificate is acceptable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acceptance {
    Valid,
    /// Expired, by permission (A00.FR.429).
    Expired,
}

impl StationRules {
    pub(crate) fn new(trust: &ClientTrust) -> Result<Self, TlsConfigError> {
        let mut crls = Vec::new();
        let mut next_update = None;
        for (index, der) in trust.crls.iter().enumerate() {
            let bad = |source| TlsConfigError::BadCrl { position: index + 1, source };
            crls.push(OwnedCertRevocationList::from_der(der).map_err(bad)?.into());
            let until = <CertificateList>::from_der(der)
                .map_err(|_| bad(webpki::Error::BadDer))?
                .tbs_cert_list
                .next_update
                .map(|time| UnixTime::since_unix_epoch(time.to_unix_duration()));
            next_update = next_update.into_iter().chain(until).min();
        }
        Ok(Self {
            anchors: anchors(&trust.roots)?,
            organizations: trust.organizations.clone(),
            crls,
            next_update,
            revocation: trust.revocation,
            expired_permitted: trust.expired_permitted.clone(),
            algorithms: aws_lc_rs::default_provider().signature_verification_algorithms,
        })
    }

    /// Whether any certificate could be acceptable. If not, none is asked for.
    pub(crate) fn asks_for_certificates(&self) -> bool {
        !self.anchors.is_empty()
    }

    pub(crate) fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.algorithms
    }

    /// The first list to pass its `nextUpdate`, if it has at `now`.
    pub(crate) fn stale_crl(&self, now: UnixTime) -> Option<UnixTime> {
        self.next_update.filter(|until| *until <= now)
    }

    /// Judges what a station presented: path (A00.FR.403), revocation, organization (A00.FR.404). The common name is the
    /// station's serial number (A00.FR.405), which only the CSMS's own records can compare.
    pub(crate) fn judge(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Acceptance, BadCertificate> {
        if intermediates.len() > MAX_INTERMEDIATES {
            return Err(BadCertificate::TooManyIntermediates { count: intermediates.len() });
        }
        let acceptance = match self.verify_path(end_entity, intermediates, now) {
            Ok(()) => Acceptance::Valid,
            Err(error @ webpki::Error::CertExpired { .. }) => {
                self.judge_expired(end_entity, intermediates, now, error)?
            }
            Err(error) => return Err(path_error(error)),
        };
        check_organization(&Subject::of(end_entity)?, &self.organizations)?;
        Ok(acceptance)
    }

    /// A00.FR.429, A00.FR.807: a path that was good on the last day of the station's certificate, of a station that may.
    fn judge_expired(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        error: webpki::Error,
    ) -> Result<Acceptance, BadCertificate> {
        if !self.expired_permitted.contains(&Subject::of(end_entity)?.common_name) {
            return Err(path_error(error));
        }
        let last = not_after(end_entity).filter(|last| *last < now).ok_or(path_error(error))?;
        // The lists are looked at as of that day, so that they are recent has to be seen to here.
        if self.revocation == RevocationPolicy::Required && self.stale_crl(now).is_some() {
            return Err(BadCertificate::RevocationUnknown);
        }
        self.verify_path(end_entity, intermediates, last).map_err(path_error)?;
        Ok(Acceptance::Expired)
    }

    fn verify_path(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), webpki::Error> {
        let crls = self.crls.iter().collect::<Vec<_>>();
        let (status, expiration) = match self.revocation {
            RevocationPolicy::IfListed => (UnknownStatusPolicy::Allow, ExpirationPolicy::Ignore),
            RevocationPolicy::Required => (UnknownStatusPolicy::Deny, ExpirationPolicy::Enforce),
        };
        let revocation = match RevocationOptionsBuilder::new(&crls) {
            Ok(builder) => Some(
                builder
                    .with_depth(RevocationCheckDepth::Chain)
                    .with_status_policy(status)
                    .with_expiration_policy(expiration)
                    .build(),
            ),
            Err(_) if self.revocation == RevocationPolicy::Required => {
                return Err(webpki::Error::UnknownRevocationStatus);
            }
            Err(_) => None,
        };
        EndEntityCert::try_from(end_entity)?
            .verify_for_usage(
                self.algorithms.all,
                &self.anchors,
                intermediates,
                now,
                KeyUsage::client_auth(),
                revocation,
                None,
            )
            .map(drop)
    }
}

/// Whether a certificate is past its last day.
pub(crate) fn has_expired(certificate: &CertificateDer<'_>, now: UnixTime) -> bool {
    not_after(certificate).is_some_and(|last| last < now)
}

fn not_after(certificate: &CertificateDer<'_>) -> Option<UnixTime> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let last: Duration = certificate.tbs_certificate().validity().not_after.to_unix_duration();
    Some(UnixTime::since_unix_epoch(last))
}

impl fmt::Debug for StationRules {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StationRules")
            .field("roots", &self.anchors.len())
            .field("organizations", &self.organizations)
            .field("crls", &self.crls.len())
            .field("revocation", &self.revocation)
            .field("expired_permitted", &self.expired_permitted)
            .finish_non_exhaustive()
    }
}
