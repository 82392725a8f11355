//! Creates an authority in the token whose URI is the first argument, writes its root to the file
//! that is the second argument, and answers SignCertificate for the request on standard input with
//! a chain.

use std::{
    error::Error,
    time::{Duration, SystemTime},
};

use ocpp_types::v201::SignCertificateRequest;
use signer_pkcs11::{
    Applicant, CaSettings, CertificateAuthority, KeyAlgorithm, KeyName, Subject, Token, TokenOptions, Uri,
    module_from_environment,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = std::env::args().collect::<Vec<_>>();
    let [_, token, root_file] = arguments.as_slice() else {
        return Err("usage: sign_a_request TOKEN_URI ROOT_FILE < request.pem".into());
    };
    let csr = std::io::read_to_string(std::io::stdin())?;
    let authority = authority(token, root_file)?;

    // The applicant is what the connection has proved, not what the request claims.
    let station = Applicant { identity: "CS001".parse()?, serial_number: "SN-0001".into() };
    let request = SignCertificateRequest::new(csr.as_str().try_into()?);
    let (response, pending) = authority.answer(&request, &station);
    eprintln!("SignCertificate is answered {:?}", response.status);
    let issued = authority.issue(pending?).await?;
    print!("{}", issued.certificate.chain_pem);
    Ok(())
}

/// Creates a root with its key in the token. In production the root is kept, and a sub-authority
/// signs.
fn authority(token: &str, root_file: &str) -> Result<CertificateAuthority, Box<dyn Error>> {
    let uri: Uri = token.parse()?;
    let module = module_from_environment().ok_or("PKCS11_MODULE names no module")?;
    let token = Token::open(&uri, &TokenOptions::new().module(module))?;
    let key = token.generate_key(&KeyName::random("root")?, KeyAlgorithm::EcdsaP256)?;
    let subject = Subject::new("Example Root", "Example CSO");
    let root = CertificateAuthority::create_root(&key, &subject, TEN_YEARS, SystemTime::now())?;
    std::fs::write(root_file, &root)?;
    Ok(CertificateAuthority::new(key, &root, CaSettings::new("Example CSO"))?)
}

const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
