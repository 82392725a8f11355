//! The certificates that are stored.

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, DnValue, IsCa, KeyPair,
    KeyUsagePurpose,
};

type Authority = CertifiedIssuer<'static, KeyPair>;

pub(crate) struct Pki {
    pub(crate) root: Authority,
    pub(crate) sub_1: Authority,
    pub(crate) sub_2: Authority,
    /// A certificate that is installed and deleted.
    pub(crate) other: Authority,
    pub(crate) roots: Vec<Authority>,
    pub(crate) chains: Vec<Chain>,
}

pub(crate) struct Chain {
    pub(crate) secc_id: String,
    pub(crate) key: KeyPair,
    pub(crate) leaf: String,
}

impl Pki {
    pub(crate) fn new() -> Result<Self> {
        let root = CertifiedIssuer::self_signed(ca("V2G Root"), KeyPair::generate()?)?;
        let sub_1 = CertifiedIssuer::signed_by(ca("Sub 1"), KeyPair::generate()?, &root)?;
        let sub_2 = CertifiedIssuer::signed_by(ca("Sub 2"), KeyPair::generate()?, &sub_1)?;
        let chains = (0..CHAINS)
            .map(|number| {
                let secc_id = format!("SECC-{number}");
                let key = KeyPair::generate()?;
                let mut params = params(&secc_id);
                // The DC that identifies an SECC to vehicles (ISO 15118-2).
                let domain_component = DnType::CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 25]);
                params.distinguished_name.push(domain_component, DnValue::Ia5String("CPO".try_into()?));
                params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
                let leaf = params.signed_by(&key, &sub_2)?.pem();
                Ok(Chain { secc_id, key, leaf })
            })
            .collect::<Result<_>>()?;
        let authority = |name: &str| Ok(CertifiedIssuer::self_signed(ca(name), KeyPair::generate()?)?);
        let roots = (0..110).map(|number| authority(&format!("Root {number}"))).collect::<Result<_>>()?;
        let other = authority("Other")?;
        Ok(Self { root, sub_1, sub_2, other, roots, chains })
    }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn ca(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

pub(crate) const CHAINS: usize = 30;
