//! Installs the root on standard input in the store that is the first argument, prints its hash
//! data as the CSMS receives them, and deletes it.

use std::{error::Error, time::SystemTime};

use ocpp_types::{
    encode,
    v201::{
        DeleteCertificateRequest, GetInstalledCertificateIdsRequest, InstallCertificateRequest,
        InstallCertificateUseEnumType,
    },
};
use station_store::{Settings, Store};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: keep_an_inventory STORE < root.pem")?;
    let pem = std::io::read_to_string(std::io::stdin())?;
    let store = Store::open(path, Settings::new("SN-0001"))?;

    // Each answer is returned after its change is on disk.
    let use_ = InstallCertificateUseEnumType::CSMSRootCertificate;
    let install = InstallCertificateRequest::new(use_, pem.as_str().try_into()?);
    eprintln!("InstallCertificate: {:?}", store.install(&install, SystemTime::now()).status);

    let listed = store.installed_certificate_ids(&GetInstalledCertificateIdsRequest::new());
    println!("{}", encode(&listed)?);

    for chain in listed.certificate_hash_data_chain.iter().flat_map(|chains| chains.iter()) {
        let delete = DeleteCertificateRequest::new(chain.certificate_hash_data.clone());
        eprintln!("DeleteCertificate: {:?}", store.delete(&delete).status);
    }
    Ok(())
}
