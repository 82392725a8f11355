//! Certificates, made for each test by a library other than ours.

use std::sync::Arc;

use ocpp_transport::tls::{ClientKey, ClientTrust, ServerKey, SoftwareKey, software_key};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, CustomExtension,
    DistinguishedName, DnType, GeneralSubtree, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    NameConstraints, PKCS_RSA_SHA256, RevokedCertParams, RsaKeySize, SerialNumber, date_time_ymd,
};
use rustls::sign::SigningKey;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// The organization that owns the certificates of the tests.
pub(crate) const ORGANIZATION: &str = "Ladestrom eG";

/// A certificate authority.
pub(crate) struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// The content of a leaf certificate.
pub(crate) struct Leaf {
    common_name: String,
    organization: String,
    years: (i32, i32),
    serial: Option<u64>,
    kind: Kind,
    edit: fn(&mut CertificateParams),
}

/// The kind of a leaf's key.
#[derive(Clone, Copy)]
enum Kind {
    EcdsaP256,
    Rsa2048,
}

/// A leaf certificate and its key.
#[derive(Clone)]
pub(crate) struct Identified {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: Arc<dyn SigningKey>,
    /// The key as PKCS #8.
    der: Vec<u8>,
}

impl Authority {
    pub(crate) fn root(name: &str) -> Self {
        let (params, key) = (ca_params(name), KeyPair::generate().unwrap());
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn sub(&self, name: &str) -> Self {
        self.sub_with(name, |_| {})
    }

    /// A sub-CA whose certificate is edited.
    pub(crate) fn sub_with(&self, name: &str, edit: fn(&mut CertificateParams)) -> Self {
        let (mut params, key) = (ca_params(name), KeyPair::generate().unwrap());
        edit(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// The serial number of its certificate.
    pub(crate) fn serial(&self) -> u64 {
        CA_SERIAL
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
        params.serial_number = leaf.serial.map(SerialNumber::from);
        let key = match leaf.kind {
            Kind::EcdsaP256 => KeyPair::generate(),
            Kind::Rsa2048 => {
                // Static RSA encrypts instead of signing.
                params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
                KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)
            }
        };
        let key = key.unwrap();
        (leaf.edit)(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let der = key.serialize_der();
        let key = software_key(PrivatePkcs8KeyDer::from(der.clone()).into()).unwrap();
        Identified { chain: vec![certificate.der().clone()], key, der }
    }

    /// A revocation list over these serial numbers.
    pub(crate) fn crl(&self, serials: &[u64], next_update: i32) -> CertificateRevocationListDer<'static> {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2021, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2021, 1, 1),
            next_update: date_time_ymd(next_update, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().der().clone()
    }
}

impl Leaf {
    /// Valid for longer than these tests will be run.
    pub(crate) fn new(common_name: &str) -> Self {
        let organization = ORGANIZATION.to_owned();
        let common_name = common_name.to_owned();
        Self {
            common_name,
            organization,
            years: (2020, 2999),
            serial: None,
            kind: Kind::EcdsaP256,
            edit: |_| {},
        }
    }

    /// With an RSA key.
    pub(crate) fn rsa(self) -> Self {
        Self { kind: Kind::Rsa2048, ..self }
    }

    /// A leaf whose certificate is edited.
    pub(crate) fn with(self, edit: fn(&mut CertificateParams)) -> Self {
        Self { edit, ..self }
    }

    /// With this serial number of the certificate.
    pub(crate) fn serial(self, serial: u64) -> Self {
        Self { serial: Some(serial), ..self }
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

    /// Certificate and key in memory.
    pub(crate) fn software(&self) -> SoftwareKey {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.der.clone()));
        SoftwareKey { chain: self.chain.clone(), key }
    }

    /// Certificates and key as PEM, for programs.
    pub(crate) fn pem(&self) -> String {
        let certificates = self.chain.iter().map(|der| pem("CERTIFICATE", der));
        certificates.chain([pem("PRIVATE KEY", &self.der)]).collect()
    }

    pub(crate) fn client(self) -> ClientKey {
        ClientKey { chain: self.chain, key: self.key }
    }
}

/// One number is enough: in these tests no authority issues two sub-CAs.
const CA_SERIAL: u64 = 1000;

fn ca_params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(common_name, ORGANIZATION);
    params.serial_number = Some(SerialNumber::from(CA_SERIAL));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// RFC 7468.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    use base64ct::{Base64, Encoding};
    let text = Base64::encode_string(der);
    let lines = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap());
    let body = lines.map(|line| format!("{line}\n")).collect::<String>();
    format!("-----BEGIN {label}-----\n{body}-----END {label}-----\n")
}

fn name(common_name: &str, organization: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, organization);
    name.push(DnType::CommonName, common_name);
    name
}

/// A critical certificatePolicies with one policy (RFC 5280, 4.2.1.4).
pub(crate) fn critical_policy(params: &mut CertificateParams) {
    // 1.3.6.1.4.1.99999.1
    let value = [0x30, 12, 0x30, 10, 6, 8, 0x2b, 6, 1, 4, 1, 0x86, 0x8d, 0x1f];
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 32], value.to_vec());
    extension.set_criticality(true);
    params.custom_extensions.push(extension);
}

/// A nameConstraints that permits the hosts below `allowed.example`.
pub(crate) fn allowed_hosts(params: &mut CertificateParams) {
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("allowed.example".to_owned())],
        excluded_subtrees: Vec::new(),
    });
}
