//! The authority of the configuration: keys in a token, or a command that asks another authority.

use std::{path::Path, sync::Arc};

use certificates::Certificate;
use ocpp_transport::name_rule::CertificateSubject;
use signer_pkcs11::{
    Applicant, BlockedKeys, CaSettings, CertificateAuthority, ForwardingAuthority, IssuanceRecord, Key,
    KeyRules, PendingCertificate, Profiles, Refused, SignCertificate, Token,
};

use crate::{
    config::{CaKeys, CaSigner, Config, ProfilesSection},
    service::io::{clock::ServiceClock, server_error::ServerError},
    signing::io::{
        external::CommandAuthority,
        pem_files::read_certificates,
        token::{find_key, options},
    },
};

/// The signer of the stations' certificates.
#[derive(Debug)]
pub(crate) enum Authority {
    /// This service, with keys in its token.
    Own(CertificateAuthority),
    /// Another authority, whose answers arrive later.
    Forwarding(ForwardingAuthority),
}

impl Authority {
    /// Opens the authority. Blocks.
    pub(crate) fn open(
        config: &Config,
        token: Option<&Token>,
        record: Arc<dyn IssuanceRecord>,
        clock: ServiceClock,
    ) -> Result<Self, ServerError> {
        let clock = Arc::new(clock);
        // A station with the CSMS's name as serial number could impersonate the CSMS.
        let settings = CaSettings::new(&config.organization)
            .reserved_names(own_names(config)?)
            .profiles(profiles(config)?)
            .keys(KeyRules::new().blocked(blocked_keys(config)?));
        let pem = read_text(&config.ca.certificate_file)?;
        let keys = match &config.ca.signer {
            CaSigner::Keys(keys) => keys,
            CaSigner::External(external) => {
                let command = Arc::new(CommandAuthority::new(external));
                let authority =
                    ForwardingAuthority::new(command, &pem, settings).map_err(ServerError::Roots)?;
                return Ok(Self::Forwarding(authority.with_record(record).with_clock(clock)));
            }
        };
        let key = with_spares(find_key(token, "ca.key", &keys.key)?, keys, config)?;
        let key = key.with_rsa_padding(keys.rsa_padding.into());
        let mut authority = CertificateAuthority::new(key, &pem, settings)?;
        for issuer in &keys.issuers {
            let pem = read_text(&issuer.certificate_file)?;
            let key = find_key(token, "ca.issuer.key", &issuer.key)?;
            let key = key.with_rsa_padding(issuer.rsa_padding.into());
            authority = authority.with_issuer(issuer.hierarchy, key, &pem)?;
        }
        check_issuer_names(config)?;
        Ok(Self::Own(authority.with_record(record).with_clock(clock)))
    }

    /// Answers SignCertificate with all checks that need no signature.
    pub(crate) fn answer<R: SignCertificate>(
        &self,
        request: &R,
        station: &Applicant,
    ) -> (R::Response, Result<PendingCertificate, Refused>) {
        match self {
            Self::Own(authority) => authority.answer(request, station),
            Self::Forwarding(authority) => authority.answer(request, station),
        }
    }
}

/// Adds the same key in other tokens as spares. Blocks.
fn with_spares(key: Key, keys: &CaKeys, config: &Config) -> Result<Key, ServerError> {
    let Some(section) = &config.token else { return Ok(key) };
    keys.spares.iter().try_fold(key, |key, spare| {
        let failed = |source| ServerError::Key { field: "ca.spares", source };
        let found = Token::open(spare, &options(section))?.find_key(spare).map_err(failed)?;
        key.with_spare(found).map_err(failed)
    })
}

fn blocked_keys(config: &Config) -> Result<BlockedKeys, ServerError> {
    let Some(path) = &config.ca.blocked_keys_file else { return Ok(BlockedKeys::default()) };
    BlockedKeys::parse(&read_text(path)?)
        .map_err(|source| ServerError::BlockedKeys { path: path.clone(), source })
}

fn profiles(config: &Config) -> Result<Profiles, ServerError> {
    let path = match &config.ca.profiles {
        ProfilesSection::Here(profiles) => return Ok(Profiles::clone(profiles)),
        ProfilesSection::File(path) => path,
    };
    let profiles = Profiles::from_toml(&read_text(path)?)
        .map_err(|source| ServerError::Profiles { path: path.clone(), source })?;
    config
        .ca
        .check_crl_url(&profiles)
        .map_err(|source| ServerError::Config { path: path.clone(), source })?;
    Ok(profiles)
}

/// A list of revoked certificates is found by its issuer's name (RFC 5280 §5.1.2.3). If two keys
/// had the same name, certificates of one key would be checked against the list of the other, and
/// refused. Blocks.
fn check_issuer_names(config: &Config) -> Result<(), ServerError> {
    let files = std::iter::once(&config.ca.certificate_file)
        .chain(config.ca.issuers().iter().map(|issuer| &issuer.certificate_file));
    let mut known: Vec<Certificate> = Vec::new();
    for path in files {
        let chain = read_certificates(path)?;
        let Some(issuer) = chain.first() else { continue };
        let issuer = Certificate::from_der(issuer.to_vec()).map_err(ServerError::certificate(path, 1))?;
        let same_name =
            |other: &Certificate| other.subject() == issuer.subject() && other.spki() != issuer.spki();
        if known.iter().any(same_name) {
            return Err(ServerError::SameIssuerName { path: path.clone() });
        }
        known.push(issuer);
    }
    Ok(())
}

/// The names under which stations reach the CSMS. Blocks.
fn own_names(config: &Config) -> Result<Vec<String>, ServerError> {
    if let Some(names) = &config.tls.names {
        return Ok(names.as_slice().to_vec());
    }
    let mut names = Vec::from_iter(common_name(&config.tls.certificate_file)?);
    if let Some(rsa) = config.tls.rsa() {
        names.extend(common_name(&rsa.certificate_file)?);
    }
    Ok(names)
}

/// The first name under which stations reach the CSMS. Blocks.
pub(crate) fn own_name(config: &Config) -> Result<Option<String>, ServerError> {
    Ok(own_names(config)?.into_iter().next())
}

fn common_name(path: &Path) -> Result<Option<String>, ServerError> {
    let chain = read_certificates(path)?;
    Ok(chain.first().and_then(|own| CertificateSubject::of(own).ok()).map(|subject| subject.common_name))
}

fn read_text(path: &Path) -> Result<String, ServerError> {
    program::read_text(path).map_err(ServerError::file(path))
}
