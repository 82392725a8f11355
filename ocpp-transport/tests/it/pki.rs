//! Certificates, made anew by each test by other code than ours.

use std::sync::Arc;

use ocpp_transport::tls::{ClientKey, ClientTrust, ServerKey, software_key};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::sign::SigningKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// The organization that owns the certificates of the tests.
pub(crate) const ORGANIZATION: &str = "Ladestrom eG";

/// A certificate authority.
pub(crate) struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// What a leaf certificate says.
pub(crate) struct Leaf {
    common_name: String,
    organization: String,
    years: (i32, i32),
}

/// A leaf certificate and its key.
pub(crate) struct Identified {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: Arc<dyn SigningKey>,
}

impl Authority {
    pub(crate) fn root(name: &str) -> Self {
        let (params, key) = (ca_params(name), KeyPair::generate().unwrap());
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn sub(&self, name: &str) -> Self {
        let (params, key) = (ca_params(name), KeyPair::generate().unwrap());
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.certificate.der().clone()
    }

    /// A CSMS's trust in stations' certificates under this root.
    pub(crate) fn trust(&self) -> ClientTrust {
        ClientTrust::new(vec![self.der()], vec![ORGANIZATION.to_owned()])
    }

    pub(crate) fn issue(&self, leaf: &Leaf) -> Identified {
        let mut params = CertificateParams::default();
        params.distinguished_name = name(&leaf.common_name, &leaf.organization);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.not_before = date_time_ymd(leaf.years.0, 1, 1);
        params.not_after = date_time_ymd(leaf.years.1, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Identified { chain: vec![certificate.der().clone()], key: software_key(der).unwrap() }
    }
}

impl Leaf {
    /// Valid for longer than these tests will be run.
    pub(crate) fn new(common_name: &str) -> Self {
        let organization = ORGANIZATION.to_owned();
        Self { common_name: common_name.to_owned(), organization, years: (2020, 2999) }
    }

    pub(crate) fn organization(self, organization: &str) -> Self {
        Self { organization: organization.to_owned(), ..self }
    }

    pub(crate) fn years(self, from: i32, to: i32) -> Self {
        Self { years: (from, to), ..self }
    }
}

impl Identified {
    pub(crate) fn with_intermediate(mut self, authority: &Authority) -> Self {
        self.chain.push(authority.der());
        self
    }

    pub(crate) fn server(self) -> ServerKey {
        ServerKey::new(self.chain, self.key)
    }

    pub(crate) fn client(self) -> ClientKey {
        ClientKey { chain: self.chain, key: self.key }
    }
}

fn ca_params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(common_name, ORGANIZATION);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn name(common_name: &str, organization: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, organization);
    name.push(DnType::CommonName, common_name);
    name
}
