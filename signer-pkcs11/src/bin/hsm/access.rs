//! Which token, and where its PINs are: never in an argument, which every user of the machine can read.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use signer_pkcs11::{Pin, PinSource, Token, TokenOptions, Uri, is_readable_by_others, read_pin};

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
    /// Where the PIN is: file:PATH, env:NAME, fd:NUMBER, prompt: or credential:NAME
    #[arg(long, value_name = "SOURCE")]
    pin_source: Option<PinSource>,
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
    /// Where the security officer's PIN is: file:PATH, env:NAME, fd:NUMBER, prompt: or credential:NAME
    #[arg(long, value_name = "SOURCE")]
    so_pin_source: Option<PinSource>,
}

impl TokenArguments {
    /// Opens the token.
    pub(crate) fn open(&self, module: Option<PathBuf>) -> Result<Token> {
        let mut options = TokenOptions::new().workers(1).without_keep_alive();
        options.module = module;
        options.pin = self.pin.read()?;
        Ok(Token::open(&self.token.parse()?, &options)?)
    }

    /// The URI as it was given, for the hints.
    pub(crate) fn uri(&self) -> &str {
        &self.token
    }

    /// The file with the PIN, if others may read it.
    pub(crate) fn careless_pin(&self) -> Option<PinSource> {
        let in_uri = || self.token.parse::<Uri>().ok()?.pin_source().cloned();
        self.pin.source().or_else(in_uri).filter(is_readable_by_others)
    }
}

impl PinArguments {
    pub(crate) fn read(&self) -> Result<Option<Pin>> {
        self.source().map(|source| Ok(read_pin(&source)?)).transpose()
    }

    pub(crate) fn source(&self) -> Option<PinSource> {
        source(self.pin_file.as_ref(), self.pin_env.as_ref(), self.pin_source.as_ref())
    }
}

impl SoPinArguments {
    pub(crate) fn read(&self) -> Result<Pin> {
        let source = source(self.so_pin_file.as_ref(), self.so_pin_env.as_ref(), self.so_pin_source.as_ref());
        Ok(read_pin(&source.context("give --so-pin-file, --so-pin-env or --so-pin-source")?)?)
    }
}

fn source(
    file: Option<&PathBuf>,
    variable: Option<&String>,
    source: Option<&PinSource>,
) -> Option<PinSource> {
    let file = file.map(|path| PinSource::File(path.clone()));
    let variable = || variable.map(|name| PinSource::Environment(name.clone()));
    file.or_else(variable).or_else(|| source.cloned())
}
