//! `provision` and `hash-data`: work with certificate files in a factory, on site or at a test
//! bench.

use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context as _, Result};
use ocpp_types::v201::{CertificateHashDataType, HashAlgorithmEnumType, InstallCertificateUseEnumType};
use program::Output;
use station::Config;
use station_store::{Certificate, CertificateId, message::HashDataMessage as _};

use crate::agent::{refuse_a_second, runtime};

#[derive(clap::Args)]
pub(crate) struct Provision {
    /// The root certificate, PEM
    #[arg(long)]
    csms_root: PathBuf,
}

#[derive(clap::Args)]
pub(crate) struct HashData {
    /// The certificate, PEM; if the file holds a chain, its first certificate
    certificate: PathBuf,
    /// The certificate of its issuer; not needed for a root
    #[arg(long)]
    issuer: Option<PathBuf>,
    /// SHA256, SHA384 or SHA512
    #[arg(long, default_value = "SHA256")]
    algorithm: HashAlgorithmEnumType,
}

impl Provision {
    pub(crate) fn run(self, config: &Config, path: &Path, json: bool) -> Result<()> {
        let pem = program::read_text(&self.csms_root)
            .with_context(|| format!("cannot read {}", self.csms_root.display()))?;
        runtime()?.block_on(refuse_a_second(config))?;
        let store = station::io::open_store(config)?;
        let hash = store.provision_root(
            InstallCertificateUseEnumType::CSMSRootCertificate,
            &pem,
            SystemTime::now(),
        )?;
        let mut out = Output::new();
        if json {
            out.json(serde_json::json!({ "serialNumber": hash.serial_number() }))?;
        } else {
            let serial_number = hash.serial_number();
            out.line(format_args!("Installed the CSMS root with serial number {serial_number}."))?;
            out.line(format_args!("Next: ocpp-station --config {} run", path.display()))?;
        }
        Ok(out.finish()?)
    }
}

impl HashData {
    pub(crate) fn run(self) -> Result<()> {
        let certificate = first_certificate(&self.certificate)?;
        let issuer = self.issuer.as_deref().map(first_certificate).transpose()?;
        let issuer_key = issuer.as_ref().unwrap_or(&certificate).public_key();
        let hash = CertificateId::new(&certificate, issuer_key)
            .hash_data(CertificateHashDataType::algorithm(self.algorithm));
        let mut out = Output::new();
        out.json(ocpp_types::encode(&CertificateHashDataType::of_hash_data(&hash))?)?;
        Ok(out.finish()?)
    }
}

fn first_certificate(path: &Path) -> Result<Certificate> {
    let text = program::read_text(path).with_context(|| format!("cannot read {}", path.display()))?;
    let chain = Certificate::chain_from_pem(&text, MAX_CHAIN);
    let chain = chain.with_context(|| format!("{} holds no certificate", path.display()))?;
    chain.into_iter().next().with_context(|| format!("{} holds no certificate", path.display()))
}

/// The most certificates that are read from one file.
const MAX_CHAIN: usize = 16;
