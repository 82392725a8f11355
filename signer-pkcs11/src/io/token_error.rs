//! Why a token cannot be used.

use std::{fmt, io, path::PathBuf, time::Duration};

use crate::{
    sign::TokenFault,
    uri::{PinSource, Uri},
};

/// Why a token cannot be opened, initialised or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Neither URI nor options name a module.
    #[error(
        "no PKCS #11 module is named: add ?module-path=/path/to/module.so to the URI, or set PKCS11_MODULE"
    )]
    NoModule,
    /// The shared library is not there or cannot be loaded.
    #[error("cannot load the PKCS #11 module {}: check the path, and that the package which brings it is installed (SoftHSM: apt install softhsm2, dnf install softhsm, brew install softhsm)", path.display())]
    ModuleNotFound {
        /// As given.
        path: PathBuf,
        /// What the loader said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// C_Initialize failed.
    #[error("the PKCS #11 module {} does not start: check its configuration (SoftHSM: SOFTHSM2_CONF must name a readable file, whose token folder must exist and be writable)", path.display())]
    ModuleInitialize {
        /// As given.
        path: PathBuf,
        /// Its answer.
        #[source]
        source: TokenFault,
    },
    /// The module does not answer a call that concerns no token.
    #[error("the PKCS #11 module {} does not list its slots", path.display())]
    Module {
        /// As loaded.
        path: PathBuf,
        /// Its answer.
        #[source]
        source: TokenFault,
    },
    /// No token fits the URI.
    #[error(
        "no token fits {wanted}; {}: correct the URI, or initialise a token with `hsm init`",
        PresentTokens(present)
    )]
    TokenNotFound {
        /// The URI.
        wanted: Box<Uri>,
        /// Labels of the tokens that exist.
        present: Vec<String>,
    },
    /// Several tokens fit the URI.
    #[error("several tokens fit {wanted}; {}: name one by token= or serial=", PresentTokens(present))]
    Ambiguous {
        /// The URI.
        wanted: Box<Uri>,
        /// Labels of the tokens that exist.
        present: Vec<String>,
    },
    /// No PIN was given.
    #[error(
        "token \"{token}\" asks for a PIN: add ?pin-source=file:/path to the URI, or another of env:NAME, fd:NUMBER, credential:NAME and prompt:"
    )]
    PinMissing {
        /// The token's label.
        token: String,
    },
    /// The source of the PIN cannot be read.
    #[error("cannot read the PIN from {pin_source}: put the PIN there, readable for this user only")]
    PinUnreadable {
        /// As in the URI.
        pin_source: PinSource,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The source of the PIN is empty. The token was not asked: it would count a wrong attempt.
    #[error("there is no PIN in {pin_source}, it is empty: write the PIN into it")]
    PinEmpty {
        /// As in the URI.
        pin_source: PinSource,
    },
    /// The token has refused the PIN, just now.
    #[error(
        "token \"{token}\" refused the PIN. It was tried once and is not tried again, because tokens lock after few wrong PINs: correct the PIN, then restart"
    )]
    PinIncorrect {
        /// The token's label.
        token: String,
    },
    /// The token has refused this PIN earlier in this process; it was not asked again.
    #[error(
        "token \"{token}\" refused this PIN before, so it was not tried again: correct the PIN, then restart"
    )]
    PinRefusedBefore {
        /// The token's label.
        token: String,
    },
    /// The process is logged in by another PIN; the token was not asked.
    #[error(
        "this process is logged in to token \"{token}\" by another PIN than the one given now: give the same PIN, or restart"
    )]
    PinDiffers {
        /// The token's label.
        token: String,
    },
    /// One more wrong PIN locks the token.
    #[error(
        "one more wrong PIN locks token \"{token}\": make sure that the PIN is right, log in once by the vendor's tool, then restart"
    )]
    FinalTry {
        /// The token's label.
        token: String,
    },
    /// The user PIN is locked.
    #[error("the user PIN of token \"{token}\" is locked: its security officer must set a new one")]
    PinLocked {
        /// The token's label.
        token: String,
    },
    /// The user PIN must be changed first.
    #[error("the user PIN of token \"{token}\" has expired: change it by the vendor's tool")]
    PinExpired {
        /// The token's label.
        token: String,
    },
    /// No user PIN is set.
    #[error("token \"{token}\" has no user PIN yet: its security officer must set one")]
    PinNotSet {
        /// The token's label.
        token: String,
    },
    /// The token failed.
    #[error("token \"{token}\" failed")]
    Token {
        /// The token's label.
        token: String,
        /// Its answer.
        #[source]
        source: TokenFault,
    },
    /// A label that PKCS #11 cannot hold.
    #[error(
        "a token's label has 1 to 32 bytes, no blank at either end and no control characters; {label:?} has {} bytes", label.len()
    )]
    Label {
        /// As given.
        label: String,
    },
    /// A token of this label exists.
    #[error("a token \"{label}\" exists already: choose another label, or use that token")]
    TokenExists {
        /// As given.
        label: String,
    },
    /// Every slot holds an initialised token.
    #[error("the PKCS #11 module {} has no slot with a token that is not initialised yet", path.display())]
    NoFreeSlot {
        /// As loaded.
        path: PathBuf,
    },
    /// The token was initialised, and its user PIN could not be set.
    #[error(
        "token \"{token}\" is initialised, but its user PIN could not be set: repeat the same command, which takes up there"
    )]
    HalfMade {
        /// The token's label.
        token: String,
        /// Its answer.
        #[source]
        source: TokenFault,
    },
    /// A PIN of a length that the token does not take.
    #[error("the token takes PINs of {min} to {max} bytes")]
    PinLength {
        /// Shortest.
        min: usize,
        /// Longest.
        max: usize,
    },
    /// The token did not answer in time. What was asked for may still be done; a key that is generated too late is destroyed
    /// again.
    #[error(
        "the token did not answer within {} ms: restart its server or device; this process heals itself then",
        after.as_millis()
    )]
    NoAnswer {
        /// [`TokenOptions::call_timeout`](crate::TokenOptions) or
        /// [`TokenOptions::generate_timeout`](crate::TokenOptions).
        after: Duration,
    },
    /// Calls do not come back from the module, so that it can be neither used nor restarted.
    #[error(
        "the PKCS #11 module hangs: restart the token's server or device; this process heals itself then"
    )]
    Hung,
    /// The operating system gave no thread.
    #[error("cannot run a thread for the token")]
    Thread(#[source] io::Error),
    /// The token has been shut down by [`Token::shutdown`](crate::Token::shutdown).
    #[error("the token has been shut down")]
    ShutDown,
}

impl TokenError {
    /// Whether a restart of the module may help: it failed, or does not see the token any more.
    pub(crate) fn is_the_modules(&self) -> bool {
        matches!(
            self,
            Self::Token { .. }
                | Self::Module { .. }
                | Self::ModuleInitialize { .. }
                | Self::TokenNotFound { .. }
                | Self::PinNotSet { .. }
        )
    }
}

struct PresentTokens<'a>(&'a [String]);

impl fmt::Display for PresentTokens<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Enough to find a typing error, few enough to be read.
        const SHOWN: usize = 20;
        match self.0 {
            [] => f.write_str("there is no initialised token"),
            labels => {
                let shown: Vec<_> = labels.iter().take(SHOWN).map(|label| format!("\"{label}\"")).collect();
                write!(f, "present are {}", shown.join(", "))?;
                if labels.len() > SHOWN { write!(f, " and {} more", labels.len() - SHOWN) } else { Ok(()) }
            }
        }
    }
}
