//! Certificate revocation lists (RFC 5280 §5): planned, encoded, and assembled after the token has
//! signed.

use std::time::{Duration, SystemTime};

use certificates::pem;
use const_oid::db::rfc5280::{
    ID_CE_AUTHORITY_KEY_IDENTIFIER, ID_CE_CRL_NUMBER, ID_CE_CRL_REASONS, ID_CE_ISSUING_DISTRIBUTION_POINT,
};
use der::{
    Decode, Encode,
    asn1::{Ia5String, ObjectIdentifier, OctetString},
};
use x509_cert::{
    certificate::Version,
    crl::{CertificateList, RevokedCert, TbsCertList},
    ext::{
        Extension,
        pkix::{
            AuthorityKeyIdentifier, CrlNumber, CrlReason, IssuingDistributionPoint,
            name::{DistributionPointName, GeneralName},
        },
    },
    serial_number::SerialNumber,
    time::Time,
};

use crate::{
    issuing::{
        certificate::{issuer::Issuer, plan::Lint},
        error::IssueError,
        present::Present,
    },
    key::signer::RemoteKey,
    record::{event::RevocationReason, index::Revocation},
};

/// A certificate revocation list with a verified signature.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Crl {
    /// DER, for publication.
    pub der: Vec<u8>,
    /// PEM.
    pub pem: String,
    /// CRL number, one more than that of the list before.
    pub number: u64,
    /// The issuer's subject key identifier, in hexadecimal.
    pub issuer_key_id: String,
    /// How many certificates are on it.
    pub revoked: usize,
    /// Validity of the list. Publish the next one well before.
    pub next_update: SystemTime,
}

/// A list that is not signed yet.
pub(crate) struct UnsignedCrl {
    list: TbsCertList,
    to_be_signed: Vec<u8>,
    key: RemoteKey,
    number: u64,
    issuer_key_id: String,
    next_update: SystemTime,
}

/// The validity of a list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListTimes {
    pub(crate) present: Present,
    /// How far thisUpdate lies in the past.
    pub(crate) backdate: Duration,
    /// How far nextUpdate lies in the future.
    pub(crate) lifetime: Duration,
}

impl UnsignedCrl {
    /// Plans a list. `url` is where it is published; the certificates name the same URL.
    pub(crate) fn new(
        issuer: &Issuer,
        revoked: &[Revocation],
        number: u64,
        url: Option<&str>,
        times: ListTimes,
    ) -> Result<Self, IssueError> {
        let ListTimes { present, backdate, lifetime } = times;
        if !issuer.is_valid_at(present.earliest) {
            return Err(IssueError::IssuerNotValid);
        }
        if !issuer.may_sign_crls() {
            return Err(IssueError::NoCrlSign);
        }
        let this_update = issuer.begin(present, backdate);
        // A list is signed even if the clock was moved, because a certificate may have been
        // revoked. It is valid beyond the later time.
        let next_update = present.latest.checked_add(lifetime).ok_or(IssueError::IssuerNotValid)?;
        let encode = |source: der::Error| IssueError::Encode(source.into());
        let list = plan(issuer, revoked, number, url, this_update, next_update).map_err(encode)?;
        let to_be_signed = list.to_der().map_err(encode)?;
        let read = TbsCertList::from_der(&to_be_signed).map_err(encode)?;
        if read != list {
            return Err(IssueError::Lint(Lint::new("the list differs from the plan")));
        }
        Ok(Self {
            list,
            to_be_signed,
            key: issuer.remote_key(),
            number,
            issuer_key_id: hex::encode(issuer.key_id()),
            next_update,
        })
    }

    pub(crate) fn to_be_signed(&self) -> &[u8] {
        &self.to_be_signed
    }

    /// Verifies the signature with the issuer's public key and adds it.
    pub(crate) fn assemble(self, signature: &[u8]) -> Result<Crl, IssueError> {
        let encode = |source: der::Error| IssueError::Encode(source.into());
        let signature = self.key.verified(&self.to_be_signed, signature).map_err(IssueError::OwnSignature)?;
        let revoked = self.list.revoked_certificates.as_ref().map_or(0, Vec::len);
        let signature_algorithm = self.list.signature.clone();
        let list = CertificateList { tbs_cert_list: self.list, signature_algorithm, signature };
        let der = list.to_der().map_err(encode)?;
        Ok(Crl {
            pem: pem::encode(pem::REVOCATION_LIST, &der),
            der,
            number: self.number,
            issuer_key_id: self.issuer_key_id,
            revoked,
            next_update: self.next_update,
        })
    }
}

fn plan(
    issuer: &Issuer,
    revoked: &[Revocation],
    number: u64,
    url: Option<&str>,
    this_update: SystemTime,
    next_update: SystemTime,
) -> der::Result<TbsCertList> {
    let key_id = AuthorityKeyIdentifier {
        key_identifier: Some(OctetString::new(issuer.key_id())?),
        ..Default::default()
    };
    let mut extensions = vec![
        extension(ID_CE_AUTHORITY_KEY_IDENTIFIER, false, &key_id)?,
        extension(ID_CE_CRL_NUMBER, false, &CrlNumber::try_from(number)?)?,
    ];
    if let Some(url) = url {
        let name = GeneralName::UniformResourceIdentifier(Ia5String::new(url)?);
        let point = IssuingDistributionPoint {
            distribution_point: Some(DistributionPointName::FullName(vec![name])),
            only_contains_user_certs: false,
            only_contains_ca_certs: false,
            only_some_reasons: None,
            indirect_crl: false,
            only_contains_attribute_certs: false,
        };
        // The identifier is given here, because x509-cert 0.3.0 has the identifier of another
        // extension for the type.
        extensions.push(extension(ID_CE_ISSUING_DISTRIBUTION_POINT, true, &point)?);
    }
    let entries = revoked.iter().map(entry).collect::<der::Result<Vec<_>>>()?;
    Ok(TbsCertList {
        version: Version::V2,
        signature: issuer.remote_key().algorithm.identifier_owned()?,
        issuer: issuer.name().clone(),
        this_update: Time::try_from(this_update)?,
        next_update: Some(Time::try_from(next_update)?),
        // RFC 5280 §5.1.2.6: absent, not empty.
        revoked_certificates: (!entries.is_empty()).then_some(entries),
        crl_extensions: Some(extensions),
    })
}

fn entry(revocation: &Revocation) -> der::Result<RevokedCert> {
    let at = revocation.at.to_system_time();
    let reason = match revocation.reason {
        // RFC 5280 §5.3.1: should be absent instead.
        RevocationReason::Unspecified => None,
        RevocationReason::KeyCompromise => Some(CrlReason::KeyCompromise),
        RevocationReason::AffiliationChanged => Some(CrlReason::AffiliationChanged),
        RevocationReason::Superseded => Some(CrlReason::Superseded),
        RevocationReason::CessationOfOperation => Some(CrlReason::CessationOfOperation),
    };
    let reason = reason.map(|reason| extension(ID_CE_CRL_REASONS, false, &reason)).transpose()?;
    Ok(RevokedCert {
        serial_number: SerialNumber::new(revocation.serial.octets())?,
        revocation_date: Time::try_from(at)?,
        crl_entry_extensions: reason.map(|reason| vec![reason]),
    })
}

fn extension(oid: ObjectIdentifier, critical: bool, value: &impl Encode) -> der::Result<Extension> {
    Ok(Extension { extn_id: oid, critical, extn_value: OctetString::new(value.to_der()?)? })
}
