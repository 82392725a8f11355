//! Requests of many stations, with keys in software.

use std::{fs, path::Path};

use anyhow::Result;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

/// The number of different requests. Each one is certified several times.
pub(crate) const REQUESTS: usize = 200;

/// A station and its request.
pub(crate) struct Request {
    pub(crate) serial_number: String,
    pub(crate) pem: String,
}

pub(crate) fn requests() -> Result<Vec<Request>> {
    (0..REQUESTS)
        .map(|number| {
            let serial_number = format!("SN-{number:06}");
            let mut parameters = CertificateParams::default();
            parameters.distinguished_name = DistinguishedName::new();
            parameters.distinguished_name.push(DnType::OrganizationName, "Example");
            parameters.distinguished_name.push(DnType::CommonName, &*serial_number);
            let pem = parameters.serialize_request(&KeyPair::generate()?)?.pem()?;
            Ok(Request { serial_number, pem })
        })
        .collect()
}

/// Writes the requests to files, for other programs.
pub(crate) fn write(folder: &Path) -> Result<()> {
    for (number, request) in requests()?.iter().enumerate() {
        fs::write(folder.join(format!("{number:03}.csr")), &request.pem)?;
    }
    Ok(())
}
