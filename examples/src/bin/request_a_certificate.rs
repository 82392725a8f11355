//! Makes a key in the token whose URI is the first argument, and prints a certificate request for
//! it.

use std::error::Error;

use signer_pkcs11::{KeyAlgorithm, KeyName, Token, TokenOptions, Uri, csr, module_from_environment};

fn main() -> Result<(), Box<dyn Error>> {
    let uri: Uri = std::env::args().nth(1).ok_or("usage: request_a_certificate TOKEN_URI")?.parse()?;
    let module = module_from_environment().ok_or("PKCS11_MODULE names no module")?;
    let token = Token::open(&uri, &TokenOptions::new().module(module))?;
    // The private key stays in the token; only its name is used outside.
    let key = token.generate_key(&KeyName::random("station")?, KeyAlgorithm::EcdsaP256)?;
    eprintln!("the key is {}", key.uri());
    print!("{}", csr::build(&key, &csr::Subject::new("SN-0001", "Example CSO"))?);
    Ok(())
}
