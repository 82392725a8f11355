//! The token and its PINs. No PIN is an argument: every user of the machine can read the arguments
//! of a process.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use signer_pkcs11::{Pin, PinSource, Token, TokenOptions, Uri, is_readable_by_others, read_pin};

/// The token and its PIN.
#[derive(Args)]
pub(crate) struct TokenArguments {
    /// The token, as an RFC 7512 URI: 'pkcs11:token=LABEL?pin-source=file:/path/of/pin'. Relative
    /// paths are relative to the working directory
    // Parsed here: clap would repeat a refused URI in its message, with the PIN in it.
    #[arg(long, value_name = "URI")]
    token: String,
    #[command(flatten)]
    pin: PinArguments,
}

/// Arguments for the source of a PIN. At most one of them is given.
macro_rules! pin_arguments {
    ($name:ident, required = $required:literal, $whose:literal, $file:literal, $env:literal, $source:literal) => {
        #[derive(Args)]
        #[group(required = $required, multiple = false)]
        pub(crate) struct $name {
            #[arg(id = $file, long = $file, value_name = "FILE")]
            #[arg(help = concat!("File that contains only the ", $whose))]
            file: Option<PathBuf>,
            #[arg(id = $env, long = $env, value_name = "NAME")]
            #[arg(help = concat!("Environment variable that contains the ", $whose))]
            variable: Option<String>,
            #[arg(id = $source, long = $source, value_name = "SOURCE", help = concat!(
                "Source of the ", $whose, ": file:PATH, env:NAME, fd:NUMBER, prompt: or credential:NAME"
            ))]
            // Not parsed by clap, whose errors repeat the value: it may be the PIN itself.
            source: Option<String>,
        }

        impl $name {
            pub(crate) fn source(&self) -> Result<Option<PinSource>> {
                let file = self.file.clone().map(PinSource::File);
                let variable = || self.variable.clone().map(PinSource::Environment);
                match file.or_else(variable) {
                    Some(source) => Ok(Some(source)),
                    None => Ok(self.source.as_deref().map(str::parse).transpose()?),
                }
            }
        }
    };
}

pin_arguments!(PinArguments, required = false, "PIN", "pin-file", "pin-env", "pin-source");
pin_arguments!(
    SoPinArguments,
    required = true,
    "security officer's PIN",
    "so-pin-file",
    "so-pin-env",
    "so-pin-source"
);

impl TokenArguments {
    /// Opens the token.
    pub(crate) fn open(&self, module: Option<PathBuf>) -> Result<Token> {
        let uri: Uri = self.token.parse()?;
        if let (Some(in_uri), Some(argument)) = (uri.pin_source(), self.pin.source()?) {
            bail!(
                "two sources of the PIN are given, pin-source={in_uri} in the URI and {argument} as an argument: give one of them"
            );
        }
        let mut options = TokenOptions::new().workers(1).without_keep_alive();
        options.module = module;
        options.pin = self.pin.read()?;
        Ok(Token::open(&uri, &options)?)
    }

    /// The URI for the hints, without attributes that may be secrets.
    pub(crate) fn uri(&self) -> String {
        self.token.parse::<Uri>().map_or_else(|_| "TOKEN".to_owned(), |uri| uri.to_string())
    }

    /// The PIN file, if other users may read it.
    pub(crate) fn readable_pin(&self) -> Option<PinSource> {
        let in_uri = || self.token.parse::<Uri>().ok()?.pin_source().cloned();
        self.pin.source().ok()?.or_else(in_uri).filter(is_readable_by_others)
    }
}

impl PinArguments {
    pub(crate) fn read(&self) -> Result<Option<Pin>> {
        self.source()?.map(|source| Ok(read_pin(&source)?)).transpose()
    }
}

impl SoPinArguments {
    pub(crate) fn read(&self) -> Result<Pin> {
        let source = self.source()?.context("give --so-pin-file, --so-pin-env or --so-pin-source")?;
        Ok(read_pin(&source)?)
    }
}
