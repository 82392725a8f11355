//! Asks OCSP responders for stations (M06), and returns to stations the status that responders and
//! revocation lists prove (M07).

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use base64ct::{Base64, Encoding as _};
use certificates::{
    Certificate, CertificateId, HashData, HashDataError, UnixSeconds,
    ocsp::{NoAnswer, OcspRefused, check_about, check_about_certificate, to_request, to_sha1_request},
};
use hyper::body::Bytes;
use program::causes;
use signer_pkcs11::Present;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    task::spawn_blocking,
    time::timeout,
};

use crate::{
    config::OcspSection,
    service::io::{clock::ServiceClock, server_error::ServerError},
    signing::{
        io::{
            http::{Fetch, FetchError, fetch},
            pem_files::read_certificates,
        },
        revocation::{Unproved, Verdict, by_list, by_response},
    },
};

/// The stations' OCSP inquiries, a bounded number at the same time.
#[derive(Debug)]
pub(crate) struct Inquiries {
    turns: Semaphore,
    clock: ServiceClock,
    authorities: RwLock<Arc<[Certificate]>>,
}

/// The source of a certificate's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Ocsp,
    Crl,
}

/// Why a station gets no OCSP answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoOcsp {
    #[error("the hash data names no certificate")]
    Id(#[from] HashDataError),
    #[error("too many inquiries are waiting; ask again later")]
    Busy,
    #[error("the responder did not answer")]
    Fetch(#[from] FetchError),
    #[error("the responder returned no usable answer")]
    Answer(#[from] NoAnswer),
    // A response with its signers' certificates may be longer than the field.
    #[error("the answer has {characters} characters in base64, but ocspResult holds at most {longest}")]
    TooLong { characters: usize, longest: usize },
    #[error("the request cannot be written")]
    Request(#[from] der::Error),
}

/// Why a station receives no status.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoVerdict {
    #[error("the hash data names no certificate")]
    Id(#[from] HashDataError),
    #[error("the issuer is not in ocsp.authorities_file, so no answer about its certificates is accepted")]
    Issuer,
    #[error("nothing was fetched")]
    Fetch(#[from] NoOcsp),
    #[error("the fetched response or list proves nothing")]
    Unproved(#[from] Unproved),
    #[error("no verdict within {} s", LONGEST_VERDICT.as_secs())]
    Late,
    #[error("the thread that reads a list failed")]
    Thread(#[from] tokio::task::JoinError),
}

impl NoOcsp {
    /// The reason code from the specification's list.
    pub(crate) fn reason_code(&self) -> &'static str {
        match self {
            Self::Id(_) => "InvalidValue",
            Self::Fetch(FetchError::Url | FetchError::Host { .. }) => "InvalidURL",
            Self::TooLong { .. } | Self::Fetch(FetchError::Body { .. }) => "TooLargeElement",
            Self::Request(_) => "InternalError",
            Self::Busy | Self::Fetch(_) | Self::Answer(_) => "Unspecified",
        }
    }
}

impl Inquiries {
    pub(crate) fn new(authorities: Arc<[Certificate]>, clock: ServiceClock) -> Self {
        Self { turns: Semaphore::new(MOST_INQUIRIES), clock, authorities: RwLock::new(authorities) }
    }

    /// Replaces the authorities whose OCSP answers are accepted.
    pub(crate) fn replace_authorities(&self, authorities: Arc<[Certificate]>) {
        *self.authorities.write().unwrap_or_else(PoisonError::into_inner) = authorities;
    }

    /// The status of a certificate as the first of these URLs proves it (M07.FR.01 to M07.FR.07).
    /// The URLs are tried in their order.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub(crate) async fn verdict(
        &self,
        settings: &OcspSection,
        hash: Result<HashData, HashDataError>,
        source: Source,
        urls: impl IntoIterator<Item = &str>,
    ) -> Result<Verdict, NoVerdict> {
        let hash = hash?;
        let authorities = Arc::clone(&self.authorities.read().unwrap_or_else(PoisonError::into_inner));
        let issuer = authorities.iter().find(|authority| hash.is_issued_by(authority));
        let issuer = issuer.ok_or(NoVerdict::Issuer)?;
        let one_after_the_other = async {
            let mut failure = NoVerdict::Issuer;
            for url in urls {
                match self.ask_one(settings, &hash, issuer, source, url).await {
                    Ok(verdict) => return Ok(verdict),
                    Err(error) => {
                        tracing::debug!(
                            url,
                            error = %causes(&error),
                            "no verdict from here"
                        );
                        failure = error;
                    }
                }
            }
            Err(failure)
        };
        timeout(LONGEST_VERDICT, one_after_the_other).await.map_err(|_| NoVerdict::Late)?
    }

    async fn ask_one(
        &self,
        settings: &OcspSection,
        hash: &HashData,
        issuer: &Certificate,
        source: Source,
        url: &str,
    ) -> Result<Verdict, NoVerdict> {
        let present = self.clock.times().present;
        Ok(match source {
            Source::Ocsp => {
                let judge =
                    |response: &[u8]| at_either(present, |now| by_response(response, hash, issuer, now));
                let response = self.ask(settings, to_request(hash), url).await?;
                match judge(&response) {
                    Err(Unproved::Response(OcspRefused::NoAnswer { .. })) => {
                        let id = CertificateId::issued_by(issuer, hash.serial_number());
                        judge(&self.ask(settings, to_sha1_request(&id), url).await?)?
                    }
                    judged => judged?,
                }
            }
            Source::Crl => {
                let _turn = self.turn(LONGEST_WAIT).await?;
                let what = Fetch { url, post: None, longest: LONGEST_LIST };
                let list = fetch(what, &settings.allowed_hosts).await.map_err(NoOcsp::from)?;
                let (hash, issuer, url) = (*hash, issuer.clone(), url.to_owned());
                // There may be a megabyte to decode, and a signature to verify.
                spawn_blocking(move || at_either(present, |now| by_list((&list, &url), &hash, &issuer, now)))
                    .await??
            }
        })
    }

    /// Asks the responder at `url` and returns its OCSPResponse in base64 (M06.FR.08), at most
    /// `longest` characters.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub(crate) async fn ocsp_result(
        &self,
        settings: &OcspSection,
        hash: Result<HashData, HashDataError>,
        url: &str,
        longest: usize,
    ) -> Result<String, NoOcsp> {
        let hash = hash?;
        let mut der = self.ask(settings, to_request(&hash), url).await?;
        match (check_about(&der, &hash), self.certificate_id(&hash)) {
            (Ok(()), _) => {}
            (Err(_), Some(id)) if check_about_certificate(&der, &id).is_ok() => {}
            // Many responders support SHA-1 only. A request with SHA-1 needs the issuer.
            (Err(_), Some(id)) => {
                der = self.ask(settings, to_sha1_request(&id), url).await?;
                check_about_certificate(&der, &id)?;
            }
            (Err(error), None) => return Err(error.into()),
        }
        let text = Base64::encode_string(&der);
        match text.len() <= longest {
            true => Ok(text),
            false => Err(NoOcsp::TooLong { characters: text.len(), longest }),
        }
    }

    async fn turn(&self, patience: Duration) -> Result<SemaphorePermit<'_>, NoOcsp> {
        match timeout(patience, self.turns.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            // The semaphore is never closed.
            Ok(Err(_)) | Err(_) => Err(NoOcsp::Busy),
        }
    }

    /// The certificate that the hash data name, if the CSMS knows its issuer.
    fn certificate_id(&self, hash: &HashData) -> Option<CertificateId> {
        let authorities = Arc::clone(&self.authorities.read().unwrap_or_else(PoisonError::into_inner));
        let issuer = authorities.iter().find(|authority| hash.is_issued_by(authority))?;
        Some(CertificateId::issued_by(issuer, hash.serial_number()))
    }

    async fn ask(
        &self,
        settings: &OcspSection,
        request: Result<Vec<u8>, der::Error>,
        url: &str,
    ) -> Result<Bytes, NoOcsp> {
        let post = Some((OCSP_REQUEST, request?));
        let _turn = self.turn(LONGEST_WAIT).await?;
        Ok(fetch(Fetch { url, post, longest: LONGEST_RESPONSE }, &settings.allowed_hosts).await?)
    }
}

/// The result that is proved at one of the times that may be the present one.
fn at_either<T>(present: Present, judge: impl Fn(UnixSeconds) -> Result<T, Unproved>) -> Result<T, Unproved> {
    match judge(present.latest.into()) {
        Err(_) if !present.is_certain() => judge(present.earliest.into()),
        judged => judged,
    }
}

/// The authorities whose OCSP answers are accepted. Blocks.
pub(crate) fn read_authorities(settings: &OcspSection) -> Result<Arc<[Certificate]>, ServerError> {
    let Some(path) = &settings.authorities_file else { return Ok(Arc::default()) };
    let certificates = read_certificates(path)?;
    let authorities = certificates.iter().enumerate().map(|(index, der)| {
        let position = index + 1;
        let authority = Certificate::from_der(der.to_vec());
        let authority = authority.map_err(ServerError::certificate(path, position))?;
        match authority.ca() {
            Some(_) => Ok(authority),
            None => Err(ServerError::NoAuthority { path: path.clone(), position }),
        }
    });
    authorities.collect()
}

/// RFC 6960, appendix A.1.
const OCSP_REQUEST: &str = "application/ocsp-request";

/// The length of an OCSPResponse in bytes: the longest `ocspResult`, and more, to distinguish a
/// response that is too long from a broken connection.
const LONGEST_RESPONSE: usize = 32 * 1024;

/// The length of a revocation list in bytes: about ten thousand certificates.
const LONGEST_LIST: usize = 1024 * 1024;

/// Inquiries at the same time. Each one takes a few seconds at most; the inquiries of a large fleet
/// wait for their turn.
const MOST_INQUIRIES: usize = 64;

/// The longest wait for a turn. Together with the four seconds of an exchange it is well below the
/// time that a station waits for an answer.
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// The longest time for one certificate with any number of URLs. It is below the time that a
/// station waits for an answer.
const LONGEST_VERDICT: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_too_long_for_a_turn_is_told() {
        let clock = ServiceClock::new(Duration::from_secs(600));
        let inquiries = Inquiries::new(Arc::default(), clock);
        let most = u32::try_from(MOST_INQUIRIES).expect("few");
        let taken = inquiries.turns.acquire_many(most).await.expect("open");
        let error = inquiries.turn(Duration::ZERO).await.expect_err("all are taken");
        assert_eq!((error.reason_code(), matches!(error, NoOcsp::Busy)), ("Unspecified", true));
        drop(taken);
        drop(inquiries.turn(LONGEST_WAIT).await.expect("free again"));
    }
}
