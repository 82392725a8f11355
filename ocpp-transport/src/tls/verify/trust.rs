//! Which certificates a CSMS accepts from stations. Every TLS library uses these rules.

use std::collections::BTreeSet;
use std::fmt;

use certificates::path::{self, Purpose, RevocationError, Unlisted, check_revocation};
use certificates::{Certificate, RevocationList, SerialNumber, UnixSeconds};
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};

use crate::name_rule::{CertificateSubject, check_organization};
use crate::tls::failure::{path_error, read};
use crate::tls::{BadCertificate, MAX_INTERMEDIATES, TlsConfigError, read_roots};

/// Which certificates a CSMS accepts from stations.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ClientTrust {
    /// Roots of the paths of stations' certificates (A00.FR.403). If there is none, no certificate
    /// is requested.
    pub roots: Vec<CertificateDer<'static>>,
    /// The organizations that may own a certificate: the charging station operator and those it
    /// trusts (A00.FR.404).
    pub organizations: Vec<String>,
    /// The revocation lists (A00.FR.702, A00.FR.705). Default: none, so nothing is revoked.
    pub crls: Vec<CertificateRevocationListDer<'static>>,
    /// What happens if the lists do not cover a certificate. Default: it is accepted.
    pub revocation: RevocationPolicy,
    /// The serial numbers (common names) of the stations that may connect with a certificate that
    /// has expired (A00.FR.429). Default: none.
    pub expired_permitted: BTreeSet<String>,
    /// The serial numbers of certificates that are accepted although they are not valid yet: an
    /// authority issued them while its clock was ahead. Default: none.
    pub early_permitted: BTreeSet<SerialNumber>,
    /// If the clock was moved and it is unknown which time is right: the difference of the other
    /// time from the clock, in seconds. A certificate that is valid at either time is accepted.
    /// Default: the clock is right.
    pub other_time: Option<i64>,
}

impl ClientTrust {
    /// Trusts certificates under `roots` that belong to one of `organizations`.
    #[must_use]
    pub fn new(roots: Vec<CertificateDer<'static>>, organizations: Vec<String>) -> Self {
        Self { roots, organizations, ..Self::default() }
    }

    /// Sets the revocation lists. If several come from one issuer, the first is used.
    #[must_use]
    pub fn with_crls(self, crls: Vec<CertificateRevocationListDer<'static>>) -> Self {
        Self { crls, ..self }
    }

    /// Sets what happens if the revocation lists do not cover a certificate.
    #[must_use]
    pub fn with_revocation(self, revocation: RevocationPolicy) -> Self {
        Self { revocation, ..self }
    }

    /// Permits the stations with these serial numbers to connect with a certificate that has
    /// expired (A00.FR.429). They must stay Pending and get a new certificate at once: see
    /// [`UpgradeRequest::certificate_expired`](crate::UpgradeRequest::certificate_expired).
    #[must_use]
    pub fn with_expired_permitted(self, serial_numbers: impl IntoIterator<Item = String>) -> Self {
        Self { expired_permitted: serial_numbers.into_iter().collect(), ..self }
    }

    /// Accepts the certificates with these serial numbers before they are valid: an authority
    /// issued them while its clock was ahead. Their stations should get new ones.
    #[must_use]
    pub fn with_early_permitted(self, serial_numbers: impl IntoIterator<Item = SerialNumber>) -> Self {
        Self { early_permitted: serial_numbers.into_iter().collect(), ..self }
    }

    /// Accepts certificates that are valid now or at another time, which differs from the clock by
    /// this number of seconds: the clock was moved, and it is unknown which time is right.
    #[must_use]
    pub fn with_other_time(self, seconds: Option<i64>) -> Self {
        Self { other_time: seconds, ..self }
    }
}

/// What happens if the revocation lists do not cover a certificate, or are not recent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RevocationPolicy {
    /// The certificate is accepted. A certificate on a list stays revoked, even after the list's
    /// `nextUpdate`. So a late list does not lock out the fleet, and admits no revoked certificate.
    #[default]
    IfListed,
    /// The certificate is refused: each certificate of a path needs a list of its issuer that is
    /// not past its `nextUpdate`.
    Required,
}

/// The parsed form of [`ClientTrust`].
pub(crate) struct StationRules {
    roots: Vec<Certificate>,
    organizations: Vec<String>,
    crls: Vec<RevocationList>,
    /// The earliest `nextUpdate` of all lists.
    next_update: Option<UnixSeconds>,
    revocation: RevocationPolicy,
    expired_permitted: BTreeSet<String>,
    early_permitted: BTreeSet<SerialNumber>,
    other_time: Option<i64>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// Why a station's certificate is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acceptance {
    Valid,
    /// Expired, but permitted (A00.FR.429).
    Expired,
}

impl StationRules {
    pub(crate) fn new(trust: &ClientTrust) -> Result<Self, TlsConfigError> {
        let mut crls = Vec::new();
        for (index, der) in trust.crls.iter().enumerate() {
            let bad = |source| TlsConfigError::BadCrl { position: index + 1, source };
            crls.push(RevocationList::from_der(der.to_vec()).map_err(bad)?);
        }
        let next_update = crls.iter().filter_map(RevocationList::next_update).min();
        Ok(Self {
            roots: read_roots(&trust.roots)?,
            organizations: trust.organizations.clone(),
            crls,
            next_update,
            revocation: trust.revocation,
            expired_permitted: trust.expired_permitted.clone(),
            early_permitted: trust.early_permitted.clone(),
            other_time: trust.other_time,
            algorithms: aws_lc_rs::default_provider().signature_verification_algorithms,
        })
    }

    /// Whether any certificate can be accepted. If not, none is requested.
    pub(crate) fn asks_for_certificates(&self) -> bool {
        !self.roots.is_empty()
    }

    pub(crate) fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.algorithms
    }

    /// Whether a certificate has expired, at every time that may be the present one.
    pub(crate) fn has_expired(&self, certificate: &CertificateDer<'_>, now: UnixTime) -> bool {
        let now = UnixSeconds::from(now);
        let last = read(certificate).ok().map(|certificate| certificate.not_after());
        let is_past = |time| last.is_some_and(|last| last < time);
        is_past(now) && self.other_time(now).is_none_or(is_past)
    }

    fn other_time(&self, now: UnixSeconds) -> Option<UnixSeconds> {
        now.as_i64().checked_add(self.other_time?).map(UnixSeconds::new)
    }

    /// The earliest `nextUpdate` of all lists, if it has passed at `now`.
    pub(crate) fn stale_crl(&self, now: UnixTime) -> Option<UnixTime> {
        self.next_update.filter(|until| *until <= now.into()).map(unix_time)
    }

    /// Verifies the certificates of a station: path (A00.FR.403), revocation, organization
    /// (A00.FR.404). The common name is the station's serial number (A00.FR.405), which only the
    /// CSMS's own records can verify.
    pub(crate) fn judge(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Acceptance, BadCertificate> {
        if intermediates.len() > MAX_INTERMEDIATES {
            return Err(BadCertificate::TooManyIntermediates { count: intermediates.len() });
        }
        let leaf = read(end_entity)?;
        let intermediates = intermediates.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let presented = Presented { leaf: &leaf, intermediates: &intermediates };
        let now = UnixSeconds::from(now);
        let mut verified = self.verify_path(presented, now);
        if let (Err(error), Some(other)) = (&verified, self.other_time(now))
            && is_of_time(error)
            && self.verify_path(presented, other).is_ok()
        {
            verified = Ok(());
        }
        let acceptance = match verified {
            Ok(()) => Acceptance::Valid,
            Err(error @ BadCertificate::NotYetValid { .. }) => {
                self.judge_early(presented, error)?;
                Acceptance::Valid
            }
            Err(error @ BadCertificate::Expired { .. }) => self.judge_expired(presented, now, error)?,
            Err(error) => return Err(error),
        };
        check_organization(&CertificateSubject::read(&leaf)?, &self.organizations)?;
        Ok(acceptance)
    }

    /// Whether a list names a station's certificate or one above it. It also holds if one of them
    /// has expired since the station connected. Certificates that no list covers are not revoked.
    pub(crate) fn is_revoked(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> bool {
        let certificates = std::iter::once(end_entity).chain(intermediates).map(read);
        let Ok(certificates) = certificates.collect::<Result<Vec<_>, _>>() else { return false };
        let [leaf, intermediates @ ..] = certificates.as_slice() else { return false };
        let now = UnixSeconds::from(now);
        let at = certificates.iter().map(Certificate::not_after).fold(now, UnixSeconds::min);
        let path = path::verify(leaf, intermediates, &self.roots, at.into(), Purpose::Station);
        path.is_ok_and(|path| {
            let judged = check_revocation(&path, &self.crls, now, Unlisted::Accept);
            matches!(judged, Err(RevocationError::Revoked { .. }))
        })
    }

    /// A00.FR.429, A00.FR.807: accepts a permitted station whose path was valid on the last day of
    /// its certificate.
    fn judge_expired(
        &self,
        presented: Presented<'_>,
        now: UnixSeconds,
        error: BadCertificate,
    ) -> Result<Acceptance, BadCertificate> {
        let last = presented.leaf.not_after();
        if !self.expired_permitted.contains(&CertificateSubject::read(presented.leaf)?.common_name)
            || last >= now
        {
            return Err(error);
        }
        // The lists are checked as of that day, so their age is checked here.
        if self.revocation == RevocationPolicy::Required && self.next_update.is_some_and(|end| end <= now) {
            return Err(BadCertificate::RevocationUnknown);
        }
        self.verify_path(presented, last)?;
        Ok(Acceptance::Expired)
    }

    /// Accepts a permitted certificate whose path is valid when the certificate becomes valid. An
    /// authority issued it while its clock was ahead.
    fn judge_early(&self, presented: Presented<'_>, error: BadCertificate) -> Result<(), BadCertificate> {
        if !self.early_permitted.contains(&presented.leaf.serial_number()) {
            return Err(error);
        }
        self.verify_path(presented, presented.leaf.not_before())
    }

    fn verify_path(&self, presented: Presented<'_>, now: UnixSeconds) -> Result<(), BadCertificate> {
        let Presented { leaf, intermediates } = presented;
        let path = path::verify(leaf, intermediates, &self.roots, now.into(), Purpose::Station)
            .map_err(path_error)?;
        let unlisted = match self.revocation {
            RevocationPolicy::IfListed => Unlisted::Accept,
            RevocationPolicy::Required => Unlisted::Refuse,
        };
        Ok(check_revocation(&path, &self.crls, now, unlisted)?)
    }
}

/// The certificates that a station presents.
#[derive(Clone, Copy)]
struct Presented<'a> {
    leaf: &'a Certificate,
    intermediates: &'a [Certificate],
}

/// Whether an error depends on the time of the verification.
fn is_of_time(error: &BadCertificate) -> bool {
    matches!(
        error,
        BadCertificate::Expired { .. }
            | BadCertificate::NotYetValid { .. }
            | BadCertificate::RevocationUnknown
    )
}

/// A time as rustls represents it, which has none before 1970.
fn unix_time(time: UnixSeconds) -> UnixTime {
    UnixTime::since_unix_epoch(time.duration_since(UnixSeconds::default()).unwrap_or_default())
}

impl fmt::Debug for StationRules {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StationRules")
            .field("roots", &self.roots.len())
            .field("organizations", &self.organizations)
            .field("crls", &self.crls.len())
            .field("revocation", &self.revocation)
            .field("expired_permitted", &self.expired_permitted)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
        KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
    };

    use super::*;

    const REVOKED: u64 = 7;
    const OTHER: u64 = 8;

    fn params(name: &str, serial: u64, last_year: i32) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.serial_number = Some(SerialNumber::from(serial));
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(last_year, 1, 1));
        params
    }

    fn authority(name: &str, serial: u64, last_year: i32) -> (CertificateParams, KeyPair) {
        let mut params = params(name, serial, last_year);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        (params, KeyPair::generate().unwrap())
    }

    fn start_of(year: i32) -> UnixTime {
        let seconds = date_time_ymd(year, 1, 1).unix_timestamp();
        UnixTime::since_unix_epoch(core::time::Duration::from_secs(seconds.try_into().unwrap()))
    }

    #[test]
    fn a_revoked_leaf_stays_revoked_when_its_sub_ca_has_expired() {
        let (root_params, root_key) = authority("Root", 1, 2050);
        let root = root_params.self_signed(&root_key).unwrap();
        let root_issuer = Issuer::new(root_params, root_key);
        let (sub_params, sub_key) = authority("Sub-CA", 2, 2030);
        let sub = sub_params.signed_by(&sub_key, &root_issuer).unwrap();
        let sub_issuer = Issuer::new(sub_params, sub_key);
        let leaf = |serial| {
            let mut params = params("CS001", serial, 2040);
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.signed_by(&KeyPair::generate().unwrap(), &sub_issuer).unwrap().der().clone()
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2021, 1, 1),
            next_update: date_time_ymd(2022, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![RevokedCertParams {
                serial_number: SerialNumber::from(REVOKED),
                revocation_time: date_time_ymd(2021, 1, 1),
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&sub_issuer).unwrap().der().clone();
        let trust = ClientTrust::new(vec![root.der().clone()], Vec::new()).with_crls(vec![list]);
        let rules = StationRules::new(&trust).unwrap();
        let chain = [sub.der().clone()];
        // The sub-CA is valid until 2030, the leaf until 2040.
        for year in [2025, 2035, 2045] {
            let now = start_of(year);
            assert!(rules.is_revoked(&leaf(REVOKED), &chain, now), "{year}");
            assert!(!rules.is_revoked(&leaf(OTHER), &chain, now), "{year}");
        }
        let judged = rules.judge(&leaf(REVOKED), &chain, start_of(2035));
        assert!(matches!(judged, Err(BadCertificate::Expired { .. })), "{judged:?}");
    }
}
