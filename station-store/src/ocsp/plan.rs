//! Decides which status is due, and which answers are kept.

use std::time::{Duration, SystemTime};

use base64ct::{Base64, Encoding};
use certificates::ocsp::{CertificateStatus, MAX_AGE, this_update, verify};
use certificates::{Certificate, CertificateId, HashData, UnixSeconds};
use der::Decode;
use der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::AuthorityInfoAccessSyntax;
use x509_cert::ext::pkix::name::GeneralName;

use crate::catalog::{Catalog, Transition};
use crate::ocsp::answer::{CachedOcsp, MAX_RESPONSE, OcspAnswer, OcspDue, OcspError};
use crate::ocsp::retry::RetryWaits;
use crate::own::certificate::{Own, OwnId};
use crate::settings::Settings;
use crate::uses::RootUse;

impl Catalog {
    /// The certificates whose status must be requested at `now`, each once, without those that
    /// still have to wait.
    pub(crate) fn ocsp_due(
        &self,
        now: SystemTime,
        settings: &Settings,
        retry_waits: &RetryWaits,
    ) -> Vec<OcspDue> {
        let second = UnixSeconds::from(now);
        let mut seen: Vec<&CertificateId> = Vec::new();
        let mut due = Vec::new();
        for own in self.own.iter().filter(|own| own.use_.is_for_vehicles()) {
            // M06.FR.06, .07: the leaf and every sub-CA.
            for (certificate, id) in own.chain.iter().zip(&own.ids) {
                // There is no request for a certificate without a responder: the URL is mandatory
                // in OCPP.
                let Some(responder_url) = responder_url(certificate) else { continue };
                if seen.contains(&id) {
                    continue;
                }
                let name = id.fingerprint();
                let fresh =
                    self.ocsp.get(&name).is_some_and(|answer| is_fresh(answer, second, settings.skew));
                // TC_M_25
                if !fresh && retry_waits.until(&name, now).is_none() {
                    due.push(OcspDue { hash: id.hash_data(settings.hash_algorithm), responder_url });
                }
                seen.push(id);
            }
        }
        due
    }

    /// Keeps `response`, if it is a valid answer about the certificate that `hash` names.
    pub(crate) fn plan_ocsp(
        &self,
        hash: &HashData,
        response: &[u8],
        now: UnixSeconds,
        skew: Duration,
    ) -> Result<(CertificateStatus, Vec<Transition>), OcspError> {
        let (id, issuer) = self.vehicle_certificate(hash).ok_or(OcspError::UnknownCertificate)?;
        let issuer = issuer.ok_or(OcspError::IssuerNotInstalled)?;
        if response.len() > MAX_RESPONSE {
            return Err(OcspError::TooLarge { octets: response.len() });
        }
        let answer =
            verify(response, id, issuer, now, skew).map_err(|source| OcspError::Refused { source })?;
        let cached = CachedOcsp {
            fingerprint: id.fingerprint(),
            response: response.to_vec(),
            status: answer.status,
            next_update: answer.next_update,
            fetched: now,
        };
        Ok((answer.status, vec![Transition::PutOcsp(cached)]))
    }

    /// The fingerprint of the V2G chain's certificate that `hash` names.
    pub(crate) fn ocsp_fingerprint(&self, hash: &HashData) -> Option<String> {
        self.vehicle_certificate(hash).map(|(id, _)| id.fingerprint())
    }

    /// Whether a certificate of a V2G chain has this fingerprint.
    pub(crate) fn has_ocsp_fingerprint(&self, fingerprint: &str) -> bool {
        self.own.iter().flat_map(Own::listed).any(|id| id.fingerprint() == fingerprint)
    }

    /// The answers for a chain, leaf first. `None` if no answer is valid at `now`.
    pub(crate) fn ocsp_answers(
        &self,
        id: OwnId,
        now: UnixSeconds,
        skew: Duration,
    ) -> Vec<Option<OcspAnswer>> {
        let Some(own) = self.own.iter().find(|own| own.id == id) else { return Vec::new() };
        let answer = |position: usize| {
            let cached = self.ocsp.get(&own.ids.get(position)?.fingerprint())?;
            let CachedOcsp { response, status, next_update, .. } = cached.clone();
            // An answer from the future: the clock was set back since, and vehicles would refuse
            // it.
            let begins = this_update(&response, own.ids.get(position)?)?;
            let holds = begins <= now.saturating_add(skew) && next_update.is_none_or(|end| now <= end);
            let next_update = next_update.map(UnixSeconds::to_system_time);
            holds.then_some(OcspAnswer { response, status, next_update })
        };
        (0..own.chain.len()).map(answer).collect()
    }

    /// The V2G chain's certificate that `hash` names, and its issuer if it is available.
    fn vehicle_certificate(&self, hash: &HashData) -> Option<(&CertificateId, Option<&Certificate>)> {
        let own = self.own.iter().filter(|own| own.use_.is_for_vehicles());
        let (own, position) =
            own.filter_map(|own| Some((own, own.ids.iter().position(|id| id.is_named_by(hash))?))).next()?;
        let root = || {
            let mut roots = self.roots_for(&[RootUse::V2g]).map(|root| &root.certificate);
            roots.find(|root| Some(root.public_key()) == own.anchor_key.as_deref())
        };
        Some((&own.ids[position], own.chain.get(position + 1).or_else(root)))
    }
}

/// `ocspResult`: base64 of the DER. Line breaks in it are ignored.
pub(crate) fn decode(ocsp_result: &str) -> Result<Vec<u8>, OcspError> {
    let text: String = ocsp_result.chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
    Base64::decode_vec(&text).map_err(|_| OcspError::Base64)
}

/// M06.FR.10: requested at least weekly, and earlier if the answer ends earlier. An answer from the
/// future shows that the clock was set back.
fn is_fresh(answer: &CachedOcsp, now: UnixSeconds, skew: Duration) -> bool {
    let young = match now.duration_since(answer.fetched) {
        Some(age) => age < MAX_AGE,
        None => answer.fetched <= now.saturating_add(skew),
    };
    young && answer.next_update.is_none_or(|end| now < end)
}

/// The first http URL of an OCSP responder in the certificate.
fn responder_url(certificate: &Certificate) -> Option<String> {
    let value = certificate.extension(AUTHORITY_INFO_ACCESS)?;
    let access = AuthorityInfoAccessSyntax::from_der(value).ok()?;
    access.0.iter().filter(|description| description.access_method == OCSP).find_map(|description| {
        match &description.access_location {
            GeneralName::UniformResourceIdentifier(url) => {
                let url = url.as_str();
                let known = url.starts_with("http://") || url.starts_with("https://");
                (known && url.len() <= MAX_URL).then(|| url.to_owned())
            }
            _ => None,
        }
    })
}

const AUTHORITY_INFO_ACCESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.1");
const OCSP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1");

/// `OCSPRequestDataType.responderURL` of OCPP 2.1, in characters; 2.0.1 has 512.
const MAX_URL: usize = 2000;
