//! The method of the best-known station stack: PEM files in a directory, which each call reads and
//! parses again. It uses our parser and our hashes, so that only the storage differs. It does not
//! sync, and a crash may lose or truncate a file.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use station_store::{Certificate, HashData, CertificateId, HashAlgorithm};

use crate::pki::{CHAINS, Pki};

pub(crate) struct PemDirectory {
    path: PathBuf,
}

impl PemDirectory {
    pub(crate) fn filled(path: &Path, pki: &Pki) -> Result<Self> {
        fs::create_dir(path)?;
        fs::write(path.join("root.pem"), pki.root.pem())?;
        for chain in &pki.chains {
            let pem = format!("{}{}{}", chain.leaf, pki.sub_2.pem(), pki.sub_1.pem());
            fs::write(path.join(format!("{}.pem", chain.secc_id)), pem)?;
        }
        Ok(Self { path: path.to_owned() })
    }

    pub(crate) fn list(&self) -> Result<usize> {
        let files = self.read()?;
        let keys = keys(&files);
        let mut entries: Vec<Vec<HashData>> = Vec::new();
        for (_, chain) in &files {
            entries.push(chain.iter().map(|one| hash(one, &keys)).collect::<Result<_>>()?);
        }
        ensure!(entries.len() >= CHAINS, "{} entries", entries.len());
        Ok(entries.len())
    }

    pub(crate) fn install(&self, pki: &Pki) -> Result<()> {
        let new = Certificate::from_pem(&pki.other.pem())?;
        // Checks whether the certificate exists, and how many there are.
        let files = self.read()?;
        ensure!(!files.iter().any(|(_, chain)| chain[0] == new), "it is there already");
        fs::write(self.path.join("other.pem"), pki.other.pem())?;
        Ok(())
    }

    pub(crate) fn delete(&self, pki: &Pki) -> Result<()> {
        let other = Certificate::from_der(pki.other.der().to_vec())?;
        let wanted = CertificateId::of_root(&other).hash_data(HashAlgorithm::Sha256);
        let files = self.read()?;
        let keys = keys(&files);
        for (path, chain) in &files {
            if hash(&chain[0], &keys)? == wanted {
                fs::remove_file(path)?;
                return Ok(());
            }
        }
        bail!("nothing to delete")
    }

    fn read(&self) -> Result<Vec<(PathBuf, Vec<Certificate>)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            let chain = Certificate::chain_from_pem(&fs::read_to_string(&path)?, 7)?;
            files.push((path, chain));
        }
        Ok(files)
    }
}

/// Keys by the name of their holder.
fn keys(files: &[(PathBuf, Vec<Certificate>)]) -> HashMap<&[u8], &[u8]> {
    let all = files.iter().flat_map(|(_, chain)| chain);
    all.map(|certificate| (certificate.subject().as_der(), certificate.public_key())).collect()
}

fn hash(certificate: &Certificate, keys: &HashMap<&[u8], &[u8]>) -> Result<HashData> {
    let key = keys.get(certificate.issuer().as_der()).context("an issuer is missing")?;
    Ok(CertificateId::new(certificate, key).hash_data(HashAlgorithm::Sha256))
}
