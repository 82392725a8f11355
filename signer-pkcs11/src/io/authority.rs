//! A certificate authority whose key is in a token.

use std::time::{Duration, SystemTime};

use ocpp_types::v201::{SignCertificateRequest, SignCertificateResponse};

use crate::{
    answer::{self, Issued, PendingCertificate},
    csr::{Subject, SubjectError},
    io::key::{Key, KeyError},
    issue::{self, IssueError, IssuedCertificate, Issuer, IssuerError, Unsigned},
    policy::{Refused, StationIdentity},
    profile::SERIAL_BYTES,
    public_key::PublicKey,
    server_name::ServerName,
    settings::CaSettings,
    sign::RemoteKey,
};

/// A certificate authority: a key in a token, the certificate of that key, and the operator's settings.
///
/// [`answer`](Self::answer) decides about a request without the token; [`issue`](Self::issue) makes the certificate,
/// after the response has been sent.
#[derive(Debug)]
pub struct CertificateAuthority {
    key: Key,
    issuer: Issuer,
    settings: CaSettings,
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
    /// `chain_pem` is the certificate of `key`, then those above it; a root in it is not sent to stations.
    ///
    /// # Errors
    /// [`AuthorityError`]
    pub fn new(key: Key, chain_pem: &str, settings: CaSettings) -> Result<Self, AuthorityError> {
        Subject::new("any", &settings.organization).to_name().map_err(AuthorityError::Organization)?;
        let issuer = Issuer::parse(chain_pem, key.public_key(), key.signature_algorithm())?;
        key.prove()?;
        Ok(Self { key, issuer, settings })
    }

    /// Makes the self-signed certificate of a CSO root (A00.FR.601) and returns it as PEM. Blocks.
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

    /// Answers a SignCertificateRequest of a station, by everything that can be known without the token.
    ///
    /// `station` is what the *connection* authenticated. The certificate follows by [`issue`](Self::issue), after the
    /// response has been sent (generic rule FR.05).
    pub fn answer(
        &self,
        request: &SignCertificateRequest,
        station: &StationIdentity,
    ) -> (SignCertificateResponse, Result<PendingCertificate, Refused>) {
        answer::answer(request, station, &self.settings)
    }

    /// Issues the certificate of an accepted request.
    ///
    /// The bytes to be signed are linted before the token sees them; the signature is verified before the certificate
    /// leaves.
    ///
    /// # Errors
    /// [`IssueError`]
    ///
    /// # Cancel safety
    /// Nothing is kept between calls: a dropped future has issued nothing that anybody knows of.
    pub async fn issue(&self, pending: PendingCertificate) -> Result<Issued, IssueError> {
        let unsigned = self.issuer.station(
            pending.subject(),
            pending.csr().public_key(),
            &self.settings,
            random()?,
            SystemTime::now(),
        )?;
        let certificate = self.sign(unsigned).await?;
        pending.issued(certificate)
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
        let unsigned =
            self.issuer.server(server, public_key, &self.settings, random()?, SystemTime::now())?;
        self.sign(unsigned).await
    }

    /// The key that signs.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The settings.
    pub fn settings(&self) -> &CaSettings {
        &self.settings
    }

    /// End of validity of the authority's own certificate: nothing that it issues lasts longer.
    pub fn not_after(&self) -> SystemTime {
        self.issuer.not_after()
    }

    async fn sign(&self, unsigned: Unsigned) -> Result<IssuedCertificate, IssueError> {
        let signature = self.key.sign(unsigned.to_be_signed()).await.map_err(IssueError::Sign)?;
        unsigned.assemble(&signature)
    }
}

fn random() -> Result<[u8; SERIAL_BYTES], IssueError> {
    let mut bytes = [0; SERIAL_BYTES];
    getrandom::fill(&mut bytes).map_err(|_| IssueError::Random)?;
    Ok(bytes)
}
