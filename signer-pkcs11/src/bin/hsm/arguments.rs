//! The command line.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand};
use signer_pkcs11::{KeyAlgorithm, Pin, PinSource, Token, TokenOptions, read_pin};

use crate::output::Form;

/// Makes PKCS #11 tokens, keys and certificates ready for OCPP stations and CSMSs.
///
/// No private key ever leaves its token. A ceremony for a CSMS:
///
///   hsm init --label csms --pin-file pin --so-pin-file so-pin
///   hsm root --token 'pkcs11:token=csms?pin-source=file:pin' --label cso-root --common-name 'Example Root' --organization Example --out root.pem
///   hsm server-cert --token 'pkcs11:token=csms?pin-source=file:pin' --label tls --ca-label cso-root --ca-cert root.pem --name csms.example.com --organization Example --out tls.pem
#[derive(Parser)]
#[command(version, verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// The PKCS #11 module (shared library), for URIs without module-path
    #[arg(long, env = "PKCS11_MODULE", hide_env_values = true, global = true, value_name = "FILE")]
    pub(crate) module: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Initialise the first free token: label, security officer's PIN, user PIN
    Init(Init),
    /// Generate a key pair inside a token
    Keygen(Keygen),
    /// Generate a CSO root: a key in the token and its self-signed certificate
    Root(Root),
    /// Issue the CSMS's own TLS certificate, its key being in the token (generated at the first call)
    ServerCert(ServerCert),
    /// Make a certificate signing request for a key in the token
    Csr(Csr),
    /// List the keys of a token and how they are protected
    List(List),
    /// Destroy a key pair, which nothing brings back
    Destroy(Destroy),
}

#[derive(Args)]
pub(crate) struct Init {
    /// Label of the new token, at most 32 bytes
    #[arg(long)]
    pub(crate) label: String,
    #[command(flatten)]
    pub(crate) pin: PinArguments,
    #[command(flatten)]
    pub(crate) so_pin: SoPinArguments,
}

#[derive(Args)]
pub(crate) struct Keygen {
    #[command(flatten)]
    pub(crate) token: TokenArguments,
    /// Label of the new key
    #[arg(long)]
    pub(crate) label: String,
    /// Kind of key: ecdsa-p256
    #[arg(long, default_value_t)]
    pub(crate) algorithm: KeyAlgorithm,
}

#[derive(Args)]
pub(crate) struct Root {
    #[command(flatten)]
    pub(crate) token: TokenArguments,
    /// Label of the new key
    #[arg(long)]
    pub(crate) label: String,
    /// CN of the root
    #[arg(long)]
    pub(crate) common_name: String,
    /// O of the root: the operator's name
    #[arg(long)]
    pub(crate) organization: String,
    /// C of the root: two letters
    #[arg(long)]
    pub(crate) country: Option<String>,
    /// Lifetime in days
    #[arg(long, default_value_t = 3650, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36500))]
    pub(crate) validity_days: u32,
    /// Where the certificate is written, as PEM; an existing file is never replaced
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

#[derive(Args)]
pub(crate) struct ServerCert {
    #[command(flatten)]
    pub(crate) token: TokenArguments,
    /// Label of the CSMS's TLS key; generated if there is none, else used again
    #[arg(long)]
    pub(crate) label: String,
    /// Label of the authority's key
    #[arg(long)]
    pub(crate) ca_label: String,
    /// Certificate of the authority, then those above it, as PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_cert: PathBuf,
    /// Fully qualified domain name of the CSMS: CN and dNSName
    #[arg(long, value_name = "FQDN")]
    pub(crate) name: String,
    /// Further dNSName, for a CSMS that is reachable by several names
    #[arg(long = "dns-name", value_name = "FQDN")]
    pub(crate) dns_names: Vec<String>,
    /// Leave the subject alternative name out; many TLS clients want it, OCPP does not
    #[arg(long, conflicts_with = "dns_names")]
    pub(crate) common_name_only: bool,
    /// O of the certificate: the operator's name
    #[arg(long)]
    pub(crate) organization: String,
    /// Lifetime in hours; below 24 stations need no revocation check (A00.FR.701)
    #[arg(long, default_value_t = 23, value_name = "HOURS", value_parser = clap::value_parser!(u32).range(1..=87600))]
    pub(crate) validity_hours: u32,
    /// Where the chain is written, as PEM; an existing file is replaced
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

#[derive(Args)]
pub(crate) struct Csr {
    #[command(flatten)]
    pub(crate) token: TokenArguments,
    /// Label of the key
    #[arg(long)]
    pub(crate) label: String,
    /// CN: a station's serial number
    #[arg(long)]
    pub(crate) common_name: String,
    /// O: the operator's name
    #[arg(long)]
    pub(crate) organization: String,
    /// C: two letters
    #[arg(long)]
    pub(crate) country: Option<String>,
    /// DC, as ISO 15118-2 wants it: CPO
    #[arg(long)]
    pub(crate) domain_component: Option<String>,
    /// Where the request is written, as PEM; an existing file is replaced. Default: printed
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Destroy {
    #[command(flatten)]
    pub(crate) token: TokenArguments,
    /// The key's whole URI, with token, object and id, as `hsm list` prints it
    #[arg(long, value_name = "URI")]
    pub(crate) key: String,
}

#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) token: TokenArguments,
}

/// Which token, and its PIN.
#[derive(Args)]
pub(crate) struct TokenArguments {
    /// The token, as RFC 7512 URI: 'pkcs11:token=LABEL?pin-source=file:/path/of/pin'
    // Parsed by us: clap would repeat a refused URI, with the PIN in it, in its message.
    #[arg(long, value_name = "URI")]
    token: String,
    #[command(flatten)]
    pin: PinArguments,
}

#[derive(Args)]
#[group(multiple = false)]
pub(crate) struct PinArguments {
    /// File that holds the PIN and nothing else
    #[arg(long, value_name = "FILE")]
    pin_file: Option<PathBuf>,
    /// Environment variable that holds the PIN
    #[arg(long, value_name = "NAME")]
    pin_env: Option<String>,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct SoPinArguments {
    /// File that holds the security officer's PIN and nothing else
    #[arg(long, value_name = "FILE")]
    so_pin_file: Option<PathBuf>,
    /// Environment variable that holds the security officer's PIN
    #[arg(long, value_name = "NAME")]
    so_pin_env: Option<String>,
}

impl Arguments {
    pub(crate) fn form(&self) -> Form {
        if self.json { Form::Json } else { Form::Text }
    }
}

impl TokenArguments {
    /// Opens the token.
    pub(crate) fn open(&self, module: Option<PathBuf>) -> Result<Token> {
        let mut options = TokenOptions::new().workers(1);
        options.module = module;
        options.pin = self.pin.read()?;
        Ok(Token::open(&self.token.parse()?, &options)?)
    }

    /// The URI as it was given, for the hints.
    pub(crate) fn uri(&self) -> &str {
        &self.token
    }
}

impl PinArguments {
    pub(crate) fn read(&self) -> Result<Option<Pin>> {
        source(self.pin_file.as_ref(), self.pin_env.as_ref()).map(|source| Ok(read_pin(&source)?)).transpose()
    }
}

impl SoPinArguments {
    pub(crate) fn read(&self) -> Result<Pin> {
        let source = source(self.so_pin_file.as_ref(), self.so_pin_env.as_ref());
        Ok(read_pin(&source.context("give --so-pin-file or --so-pin-env")?)?)
    }
}

fn source(file: Option<&PathBuf>, variable: Option<&String>) -> Option<PinSource> {
    let file = file.map(|path| PinSource::File(path.clone()));
    file.or_else(|| variable.map(|name| PinSource::Environment(name.clone())))
}
