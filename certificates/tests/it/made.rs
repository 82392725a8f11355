//! DER that is built by hand and signed with real keys, with content that no correct authority
//! writes.

use certificates::Certificate;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SigningKey as _,
};

/// 2026-11-30T12:00:00Z
pub(crate) const NOW: i64 = 1_796_040_000;

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) certificate: Certificate,
}

pub(crate) fn authority(name: &str, usages: &[KeyUsagePurpose]) -> Authority {
    let key = KeyPair::generate().expect("a key");
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = usages.to_vec();
    let certificate = params.self_signed(&key).expect("signs");
    let certificate = Certificate::from_der(certificate.der().to_vec()).expect("a certificate");
    Authority { issuer: Issuer::new(params, key), certificate }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2027, 1, 1);
    params
}

/// A responder that signs OCSP responses for an authority.
pub(crate) struct Delegate {
    pub(crate) key: KeyPair,
    pub(crate) certificate: Certificate,
}

/// The content of a delegate's certificate.
#[derive(Clone, Default)]
pub(crate) struct DelegateTerms {
    pub(crate) usages: Vec<KeyUsagePurpose>,
    pub(crate) purposes: Vec<ExtendedKeyUsagePurpose>,
    pub(crate) critical: Option<&'static [u64]>,
    pub(crate) years: Option<(i32, i32)>,
}

impl Authority {
    pub(crate) fn key(&self) -> &KeyPair {
        self.issuer.key()
    }

    /// The certificate of a station, with one more extension.
    pub(crate) fn station(&self, serial_number: u64, extension: Option<CustomExtension>) -> Certificate {
        let mut params = params("SN-0001");
        params.serial_number = Some(serial_number.into());
        params.custom_extensions.extend(extension);
        let certificate =
            params.signed_by(&KeyPair::generate().expect("a key"), &self.issuer).expect("signs");
        Certificate::from_der(certificate.der().to_vec()).expect("a certificate")
    }

    pub(crate) fn delegate(&self, terms: &DelegateTerms) -> Delegate {
        let key = KeyPair::generate().expect("a key");
        let mut params = params("responder");
        params.key_usages = terms.usages.clone();
        params.extended_key_usages = terms.purposes.clone();
        if let Some((from, to)) = terms.years {
            params.not_before = rcgen::date_time_ymd(from, 1, 1);
            params.not_after = rcgen::date_time_ymd(to, 1, 1);
        }
        params.custom_extensions.extend(terms.critical.map(|oid| {
            let mut extension = CustomExtension::from_oid_content(oid, vec![5, 0]);
            extension.set_criticality(true);
            extension
        }));
        let certificate = params.signed_by(&key, &self.issuer).expect("signs");
        let certificate = Certificate::from_der(certificate.der().to_vec()).expect("a certificate");
        Delegate { key, certificate }
    }
}

/// A value in DER.
pub(crate) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u16::try_from(content.len()).expect("short").to_be_bytes();
    let head = match content.len() {
        0..128 => vec![tag, length[1]],
        128..256 => vec![tag, 0x81, length[1]],
        _ => vec![tag, 0x82, length[0], length[1]],
    };
    [head, content].concat()
}

pub(crate) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, parts)
}

pub(crate) fn oid(arcs: &[u8]) -> Vec<u8> {
    tlv(6, &[arcs])
}

/// An extension; its value is NULL.
pub(crate) fn extension(arcs: &[u8], critical: bool) -> Vec<u8> {
    let flag: &[u8] = if critical { &[1, 1, 0xff] } else { &[] };
    sequence(&[&oid(arcs), flag, &[4, 2, 5, 0]])
}

/// An extension with this value.
pub(crate) fn extension_of(arcs: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let flag: &[u8] = if critical { &[1, 1, 0xff] } else { &[] };
    sequence(&[&oid(arcs), flag, &tlv(4, &[value])])
}

/// A GeneralizedTime this many seconds after [`NOW`].
pub(crate) fn time(after: i64) -> Vec<u8> {
    let text = certificates::UnixSeconds::new(NOW + after).to_string().replace(['-', ':', 'T'], "");
    tlv(0x18, &[text.as_bytes()])
}

/// ecdsa-with-SHA256
pub(crate) fn algorithm() -> Vec<u8> {
    sequence(&[&oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2])])
}

/// SIGNED of X.509, with `more` after the signature.
pub(crate) fn signed(content: &[u8], key: &KeyPair, more: &[u8]) -> Vec<u8> {
    let signature = key.sign(content).expect("signs");
    sequence(&[content, &algorithm(), &tlv(3, &[&[0], &signature]), more])
}
