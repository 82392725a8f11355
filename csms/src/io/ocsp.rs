//! Asks OCSP responders for stations (M06), and tells them what responders and revocation lists say (M07).

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use base64ct::{Base64, Encoding as _};
use hyper::body::Bytes;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    task::spawn_blocking,
    time::timeout,
};

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
    #[error("too many questions wait already; ask again later")]
    Busy,
    #[error("nothing came from the responder")]
    Fetch(#[from] FetchError),
    #[error("the responder gave no answer")]
    Answer(#[from] NoAnswer),
    // A response with its signers' certificates can be longer than the field.
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
    #[error("no verdict within {} s", LONGEST_VERDICT.as_secs())]
    Late,
    #[error("the thread that reads a list failed")]
    Thread(#[from] tokio::task::JoinError),
}

impl NoOcsp {
    /// The reason code of the official list.
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
        let one_after_the_other = async {
            let mut failure = NoVerdict::Issuer;
            for url in urls {
                match self.ask_one(settings, &id, issuer, source, url).await {
                    Ok(verdict) => return Ok(verdict),
                    Err(error) => {
                        tracing::debug!(
                            url,
                            error = &error as &dyn std::error::Error,
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
        id: &CertificateId,
        issuer: &Authority,
        source: Source,
        url: &str,
    ) -> Result<Verdict, NoVerdict> {
        Ok(match source {
            Source::Ocsp => by_response(&self.ask(settings, id, url).await?, id, issuer, SystemTime::now())?,
            Source::Crl => {
                let _turn = self.turn(LONGEST_WAIT).await?;
                let what = Fetch { url, post: None, longest: LONGEST_LIST };
                let list = fetch(what, &settings.allowed_hosts).await.map_err(NoOcsp::from)?;
                let (id, issuer) = (id.clone(), issuer.clone());
                // A megabyte to decode, and a signature over it.
                spawn_blocking(move || by_list(&list, &id, &issuer, SystemTime::now())).await??
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

    async fn turn(&self, patience: Duration) -> Result<SemaphorePermit<'_>, NoOcsp> {
        match timeout(patience, self.turns.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            // It is never closed.
            Ok(Err(_)) | Err(_) => Err(NoOcsp::Busy),
        }
    }

    async fn ask(&self, settings: &OcspSection, id: &CertificateId, url: &str) -> Result<Bytes, NoOcsp> {
        let post = Some((OCSP_REQUEST, id.to_request()?));
        let _turn = self.turn(LONGEST_WAIT).await?;
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

/// Each takes seconds at most; a fleet that asks at once waits its turn.
const MOST_INQUIRIES: usize = 64;

/// For a turn; with the four seconds of an exchange well below what a station waits for an answer.
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// For a certificate, whatever the number of its URLs: below what a station waits for an answer.
const LONGEST_VERDICT: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, process::Command};

    use rustls_pki_types::{CertificateDer, pem::PemObject as _};

    use super::*;
    use crate::ocsp::Status;

    fn openssl(folder: &Path, arguments: &str) -> String {
        let output = Command::new("openssl").current_dir(folder).args(arguments.split_whitespace()).output();
        let output = output.expect("openssl is missing; install it: sudo apt-get install openssl");
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).replace("\\\n", "")
    }

    /// What OpenSSL has signed about a certificate that is revoked: a response and a list.
    fn revoked(folder: &Path) -> (CertificateId, Authority, Vec<u8>, Vec<u8>) {
        let configuration = "[ca]\ndefault_ca = ca\n[ca]\ndatabase = index\nserial = serial\ncrlnumber = serial\n\
            new_certs_dir = .\ncertificate = ca.pem\nprivate_key = ca.key\ndefault_md = sha256\npolicy = any\n\
            [any]\ncommonName = supplied\n[req]\ndistinguished_name = any\n\
            [authority]\nbasicConstraints = critical, CA:true\nkeyUsage = critical, keyCertSign, cRLSign\n";
        for (file, text) in [("ca.cnf", configuration), ("index", ""), ("serial", "1000\n")] {
            fs::write(folder.join(file), text).expect("writes");
        }
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -config ca.cnf -subj";
        openssl(
            folder,
            &format!("req -x509 -keyout ca.key -out ca.pem -days 9 -extensions authority {key} /CN=CA"),
        );
        openssl(folder, &format!("req -new -keyout leaf.key -out leaf.csr {key} /CN=leaf"));
        openssl(folder, "ca -batch -config ca.cnf -in leaf.csr -out leaf.pem -notext -days 5");
        openssl(folder, "ca -config ca.cnf -revoke leaf.pem");
        openssl(folder, "ca -config ca.cnf -gencrl -crldays 3 -out list.pem");
        openssl(folder, "crl -in list.pem -outform DER -out list.der");
        let ask = "ocsp -issuer ca.pem -sha256 -cert leaf.pem -no_nonce -reqout request.der -req_text";
        let text = openssl(folder, ask);
        openssl(
            folder,
            "ocsp -index index -CA ca.pem -rsigner ca.pem -rkey ca.key -ndays 1 -reqin request.der -respout response.der",
        );
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.trim().strip_prefix(name));
            line.expect("a value").trim().to_owned()
        };
        let [name, key, serial] = ["Issuer Name Hash:", "Issuer Key Hash:", "Serial Number:"].map(value);
        let id = CertificateId::parse(Digest::Sha256, &name, &key, &serial).expect("hash data");
        // The same certificate, in the same words.
        let request = fs::read(folder.join("request.der")).expect("reads");
        assert_eq!(id.to_request().expect("DER"), request);
        let ca = CertificateDer::from_pem_file(folder.join("ca.pem")).expect("a certificate");
        let read = |file: &str| fs::read(folder.join(file)).expect("reads");
        (id, Authority::parse(&ca).expect("an authority"), read("response.der"), read("list.der"))
    }

    #[tokio::test]
    async fn who_waits_too_long_for_a_turn_is_told() {
        let inquiries = Inquiries::new(Arc::default());
        let most = u32::try_from(MOST_INQUIRIES).expect("few");
        let taken = inquiries.turns.acquire_many(most).await.expect("open");
        let error = inquiries.turn(Duration::ZERO).await.expect_err("all are taken");
        assert_eq!((error.reason_code(), matches!(error, NoOcsp::Busy)), ("Unspecified", true));
        drop(taken);
        drop(inquiries.turn(LONGEST_WAIT).await.expect("free again"));
    }

    #[test]
    fn no_flipped_bit_changes_a_verdict() {
        let folder = tempfile::tempdir().expect("a folder");
        let (id, issuer, response, list) = revoked(folder.path());
        let now = SystemTime::now();
        type Judge = fn(&[u8], &CertificateId, &Authority, SystemTime) -> Result<Verdict, Unproved>;
        for (bytes, judge) in [(response, by_response as Judge), (list, by_list as Judge)] {
            let genuine = judge(&bytes, &id, &issuer, now).expect("proved");
            assert_eq!(genuine.status, Status::Revoked);
            for place in 0..bytes.len() {
                judge(&bytes[..place], &id, &issuer, now).expect_err("cut off");
                for bit in 0..8 {
                    let mut changed = bytes.clone();
                    changed[place] ^= 1 << bit;
                    if let Ok(verdict) = judge(&changed, &id, &issuer, now) {
                        assert_eq!(verdict, genuine, "byte {place}, bit {bit}");
                    }
                }
            }
        }
    }
}
