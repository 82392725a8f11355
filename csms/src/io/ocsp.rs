//! Asks OCSP responders for stations (M06), and tells them what responders and revocation lists say (M07).

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};

use base64ct::{Base64, Encoding as _};
use hyper::body::Bytes;
use tokio::sync::Semaphore;

use crate::{
    config::OcspSection,
    io::{
        ServerError,
        http::{Fetch, FetchError, fetch},
        tls::read_certificates,
    },
    ocsp::{
        Authority, CertificateId, Digest, NoAnswer, NoCertificateId, Unproved, Verdict, by_list, by_response,
        check_about,
    },
};

/// Questions of stations, a bounded number at once.
#[derive(Debug)]
pub(crate) struct Inquiries {
    turns: Semaphore,
    authorities: RwLock<Arc<[Authority]>>,
}

/// Where a verdict comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Ocsp,
    Crl,
}

/// What a station asks, in the terms of no version.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) digest: Digest,
    pub(crate) issuer_name_hash: &'a str,
    pub(crate) issuer_key_hash: &'a str,
    pub(crate) serial_number: &'a str,
}

impl Question<'_> {
    pub(crate) fn id(&self) -> Result<CertificateId, NoCertificateId> {
        CertificateId::parse(self.digest, self.issuer_name_hash, self.issuer_key_hash, self.serial_number)
    }
}

/// Why a station gets no OCSP answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoOcsp {
    #[error("the hash data names no certificate")]
    Id(#[from] NoCertificateId),
    #[error("nothing came from the responder")]
    Fetch(#[from] FetchError),
    #[error("the responder gave no answer")]
    Answer(#[from] NoAnswer),
    // Lesson: a response with its signers' certificates can be longer than the field.
    #[error("the answer takes {characters} characters in base64, ocspResult holds {longest}")]
    TooLong { characters: usize, longest: usize },
    #[error("the request cannot be written")]
    Request(#[from] der::Error),
}

/// Why a station gets no verdict.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoVerdict {
    #[error("the hash data names no certificate")]
    Id(#[from] NoCertificateId),
    #[error("the issuer is not in ocsp.authorities_file, so nobody's word counts")]
    Issuer,
    #[error("nothing was fetched")]
    Fetch(#[from] NoOcsp),
    #[error("what was fetched proves nothing")]
    Unproved(#[from] Unproved),
}

impl NoOcsp {
    /// The reason code of the official list.
    pub(crate) fn reason_code(&self) -> &'static str {
        match self {
            Self::Id(_) => "InvalidValue",
            Self::Fetch(FetchError::Url | FetchError::Host { .. }) => "InvalidURL",
            Self::TooLong { .. } | Self::Fetch(FetchError::Body { .. }) => "TooLargeElement",
            Self::Request(_) => "InternalError",
            Self::Fetch(_) | Self::Answer(_) => "Unspecified",
        }
    }
}

impl Inquiries {
    pub(crate) fn new(authorities: Arc<[Authority]>) -> Self {
        Self { turns: Semaphore::new(MOST_INQUIRIES), authorities: RwLock::new(authorities) }
    }

    /// Whose word counts from now on.
    pub(crate) fn replace_authorities(&self, authorities: Arc<[Authority]>) {
        *self.authorities.write().unwrap_or_else(PoisonError::into_inner) = authorities;
    }

    /// What one of these URLs proves about a certificate (M07.FR.01 to M07.FR.07), tried in their order.
    ///
    /// # Cancel safety
    /// Dropping the future ends the connection.
    pub(crate) async fn verdict(
        &self,
        settings: &OcspSection,
        question: Question<'_>,
        source: Source,
        urls: impl IntoIterator<Item = &str>,
    ) -> Result<Verdict, NoVerdict> {
        let id = question.id()?;
        let authorities = Arc::clone(&self.authorities.read().unwrap_or_else(PoisonError::into_inner));
        let issuer = authorities.iter().find(|authority| authority.is_issuer_of(&id));
        let issuer = issuer.ok_or(NoVerdict::Issuer)?;
        let mut failure = NoVerdict::Issuer;
        for url in urls {
            match self.ask_one(settings, &id, issuer, source, url).await {
                Ok(verdict) => return Ok(verdict),
                Err(error) => {
                    tracing::debug!(url, error = &error as &dyn std::error::Error, "no verdict from here");
                    failure = error;
                }
            }
        }
        Err(failure)
    }

    async fn ask_one(
        &self,
        settings: &OcspSection,
        id: &CertificateId,
        issuer: &Authority,
        source: Source,
        url: &str,
    ) -> Result<Verdict, NoVerdict> {
        Ok(match source {
            Source::Ocsp => by_response(&self.ask(settings, id, url).await?, id, issuer, SystemTime::now())?,
            Source::Crl => {
                let _turn = self.turns.acquire().await;
                let what = Fetch { url, post: None, longest: LONGEST_LIST };
                let list = fetch(what, &settings.allowed_hosts).await.map_err(NoOcsp::from)?;
                by_list(&list, id, issuer, SystemTime::now())?
            }
        })
    }

    /// Asks the responder at `url` and returns its OCSPResponse in base64 (M06.FR.08), of at most `longest` characters.
    ///
    /// # Cancel safety
    /// Dropping the future ends the connection.
    pub(crate) async fn ocsp_result(
        &self,
        settings: &OcspSection,
        question: Question<'_>,
        url: &str,
        longest: usize,
    ) -> Result<String, NoOcsp> {
        let id = question.id()?;
        let der = self.ask(settings, &id, url).await?;
        check_about(&der, &id)?;
        let text = Base64::encode_string(&der);
        match text.len() <= longest {
            true => Ok(text),
            false => Err(NoOcsp::TooLong { characters: text.len(), longest }),
        }
    }

    async fn ask(&self, settings: &OcspSection, id: &CertificateId, url: &str) -> Result<Bytes, NoOcsp> {
        let post = Some((OCSP_REQUEST, id.to_request()?));
        let _turn = self.turns.acquire().await;
        Ok(fetch(Fetch { url, post, longest: LONGEST_RESPONSE }, &settings.allowed_hosts).await?)
    }
}

/// The authorities whose word counts. Blocks.
pub(crate) fn read_authorities(settings: &OcspSection) -> Result<Arc<[Authority]>, ServerError> {
    let Some(path) = &settings.authorities_file else { return Ok(Arc::default()) };
    let certificates = read_certificates(path)?;
    let authorities = certificates.iter().enumerate().map(|(index, der)| {
        let authority = Authority::parse(der).ok().filter(Authority::is_authority);
        authority.ok_or_else(|| ServerError::NoAuthority { path: path.clone(), position: index + 1 })
    });
    authorities.collect()
}

/// RFC 6960, appendix A.1.
const OCSP_REQUEST: &str = "application/ocsp-request";

/// Of an OCSPResponse, in bytes: what the longest `ocspResult` holds, and some, to tell too long from broken off.
const LONGEST_RESPONSE: usize = 32 * 1024;

/// Of a revocation list, in bytes: some ten thousand certificates.
const LONGEST_LIST: usize = 1024 * 1024;

/// Each takes seconds at most; a fleet that asks at once waits its turn within the deadline of its calls.
const MOST_INQUIRIES: usize = 64;
