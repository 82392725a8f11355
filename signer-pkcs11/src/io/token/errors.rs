//! Why a token cannot be used.

use std::{fmt, io, path::PathBuf, time::Duration};

use crate::token::{
    fault::TokenFault,
    slot::{SlotContent, TokenSlot},
    uri::{Uri, pin_source::PinSource},
};

/// Why a token cannot be opened, initialized or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Neither the URI nor the options name a module.
    #[error(
        "no PKCS #11 module is given: add ?module-path=/path/to/module.so to the URI, or set PKCS11_MODULE"
    )]
    NoModule,
    /// The shared library does not exist or cannot be loaded.
    #[error("cannot load the PKCS #11 module {}: check the path, and that its package is installed (SoftHSM: apt install softhsm2, dnf install softhsm, brew install softhsm)", path.display())]
    ModuleNotFound {
        /// The given path.
        path: PathBuf,
        /// The error of the loader.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The shared library was compiled for another processor.
    #[error("cannot load the PKCS #11 module {}: it is for {module}, and this program is for {own}; install the module for {own}", path.display())]
    ModuleArchitecture {
        /// The given path.
        path: PathBuf,
        /// What the module is for.
        module: String,
        /// What this program is for.
        own: String,
        /// The error of the loader.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// C_Initialize failed.
    #[error("cannot initialize the PKCS #11 module {}; {hint}: check its configuration", path.display())]
    ModuleInitialize {
        /// The given path.
        path: PathBuf,
        /// What seems to be the cause.
        hint: String,
        /// The module's fault.
        #[source]
        source: TokenFault,
    },
    /// The module failed a call that concerns no token.
    #[error("the PKCS #11 module {} cannot list its slots", path.display())]
    Module {
        /// The path of the module.
        path: PathBuf,
        /// The module's fault.
        #[source]
        source: TokenFault,
    },
    /// No token matches the URI.
    #[error(
        "no token matches {wanted}; {}{}: correct the URI, or initialize a token with `hsm init`; `hsm tokens` lists all slots",
        PresentTokens(slots),
        Hint(slots, hint)
    )]
    TokenNotFound {
        /// The URI.
        wanted: Box<Uri>,
        /// The slots with a token, also those that were skipped because they cannot be read.
        slots: Vec<TokenSlot>,
        /// Why the module may not show a token that exists.
        hint: String,
    },
    /// Several tokens match the URI.
    #[error("several tokens match {wanted}; {}: select one with serial= or slot-id=", PresentTokens(slots))]
    Ambiguous {
        /// The URI.
        wanted: Box<Uri>,
        /// The slots of the tokens that match.
        slots: Vec<TokenSlot>,
    },
    /// No PIN was given.
    #[error(
        "token \"{token}\" requires a PIN: add ?pin-source=file:/path to the URI, or one of env:NAME, fd:NUMBER, credential:NAME and prompt:"
    )]
    PinMissing {
        /// The token's label.
        token: String,
    },
    /// The source of the PIN cannot be read.
    #[error("cannot read the PIN from {pin_source}: put the PIN there, readable only by this user")]
    PinUnreadable {
        /// The source in the URI.
        pin_source: PinSource,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The source of the PIN is empty. The token was not called: it would count a wrong attempt.
    #[error("cannot read the PIN from {pin_source}, because it is empty: write the PIN into it")]
    PinEmpty {
        /// The source in the URI.
        pin_source: PinSource,
    },
    /// The token has refused the PIN.
    #[error(
        "token \"{token}\" refused the PIN. It was tried once and is not tried again, because tokens lock after few wrong PINs: correct the PIN, then restart"
    )]
    PinIncorrect {
        /// The token's label.
        token: String,
    },
    /// The token has refused this PIN earlier in this process. It was not called again.
    #[error(
        "token \"{token}\" refused this PIN before, so it was not tried again: correct the PIN, then restart"
    )]
    PinRefusedBefore {
        /// The token's label.
        token: String,
    },
    /// The process is logged in with another PIN. The token was not called.
    #[error(
        "cannot log in to token \"{token}\", because this process is logged in with another PIN: give the same PIN, or restart"
    )]
    PinDiffers {
        /// The token's label.
        token: String,
    },
    /// One more wrong PIN locks the token.
    #[error(
        "cannot log in to token \"{token}\", because one more wrong PIN would lock it: check the PIN, log in once with the vendor's tool, then restart"
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
    #[error("the user PIN of token \"{token}\" has expired: change it with the vendor's tool")]
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
        /// The module's fault.
        #[source]
        source: TokenFault,
    },
    /// A label that PKCS #11 does not allow.
    #[error(
        "invalid label {label:?} of {} bytes: a token's label has 1 to 32 bytes, no blank at either end and no control characters", label.len()
    )]
    Label {
        /// The given label.
        label: String,
    },
    /// A token with this label exists.
    #[error("token \"{label}\" exists already: choose another label, or use that token")]
    TokenExists {
        /// The given label.
        label: String,
    },
    /// Every slot contains an initialized token.
    #[error("the PKCS #11 module {} has no slot with an uninitialized token", path.display())]
    NoFreeSlot {
        /// The path of the module.
        path: PathBuf,
    },
    /// The token was initialized, but its user PIN could not be set.
    #[error(
        "token \"{token}\" is initialized, but its user PIN could not be set: repeat the same command to set it"
    )]
    HalfMade {
        /// The token's label.
        token: String,
        /// The module's fault.
        #[source]
        source: TokenFault,
    },
    /// A token that is initialized refuses the PIN of its security officer.
    #[error(
        "token \"{token}\" refuses the PIN of the security officer: give the one that it was initialized with; further wrong ones may lock the token"
    )]
    SoPin {
        /// The token's label.
        token: String,
        /// The module's fault.
        #[source]
        source: TokenFault,
    },
    /// The token does not accept a PIN of this length. It was not called.
    #[error(
        "the PIN is shorter or longer than the token accepts, so it was not tried: give one of {min} to {max} bytes"
    )]
    PinLength {
        /// Minimum.
        min: usize,
        /// Maximum.
        max: usize,
    },
    /// The token did not answer in time. It may still do what was requested. A key that is
    /// generated too late is destroyed.
    #[error(
        "the token did not answer within {} ms: restart its server or device; this process then recovers",
        after.as_millis()
    )]
    NoAnswer {
        /// [`TokenOptions::call_timeout`](crate::TokenOptions) or
        /// [`TokenOptions::generate_timeout`](crate::TokenOptions).
        after: Duration,
    },
    /// Calls do not return from the module, so that it can be neither used nor restarted.
    #[error("the PKCS #11 module hangs: restart the token's server or device; this process then recovers")]
    Hung,
    /// The operating system could not create a thread.
    #[error("cannot start a thread for the token")]
    Thread(#[source] io::Error),
    /// The token has been shut down by [`Token::shutdown`](crate::Token::shutdown).
    #[error("the token has been shut down")]
    ShutDown,
}

impl TokenError {
    /// Whether a restart of the module may help: it failed, or no longer sees the token.
    pub(crate) fn is_module_fault(&self) -> bool {
        matches!(
            self,
            Self::Token { .. }
                | Self::Module { .. }
                | Self::ModuleInitialize { .. }
                | Self::TokenNotFound { .. }
                | Self::PinNotSet { .. }
        )
    }

    /// Whether C_Login failed, and not for the PIN.
    pub(crate) fn is_of_login(&self) -> bool {
        matches!(self, Self::Token { source, .. } if source.call() == "C_Login")
    }
}

/// The tokens in these slots, and the slots that were skipped.
struct PresentTokens<'a>(&'a [TokenSlot]);

impl fmt::Display for PresentTokens<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tokens: Vec<_> = self.0.iter().filter_map(|slot| Some((slot.initialized()?, slot))).collect();
        tokens.sort_by(|(a, _), (b, _)| (&a.label, &a.serial).cmp(&(&b.label, &b.serial)));
        let shown = tokens.iter().map(|(token, slot)| match token.serial.as_str() {
            "" => format!("\"{}\" (slot-id {})", token.label, slot.slot_id),
            serial => format!("\"{}\" (serial {serial})", token.label),
        });
        if tokens.is_empty() {
            f.write_str("there is no initialized token")?;
        } else {
            write!(f, "the tokens are ")?;
            list(f, shown)?;
        }
        let skipped: Vec<_> = self.0.iter().filter_map(skipped).collect();
        if !skipped.is_empty() {
            f.write_str("; cannot be read and was skipped: ")?;
            list(f, skipped.into_iter())?;
        }
        Ok(())
    }
}

/// A slot that was skipped, and why.
fn skipped(slot: &TokenSlot) -> Option<String> {
    let SlotContent::Unreadable(fault) = &slot.token else { return None };
    let description =
        if slot.description.is_empty() { String::new() } else { format!(" (\"{}\")", slot.description) };
    Some(format!("slot {}{description}, because {fault}", slot.slot_id))
}

fn list(f: &mut fmt::Formatter<'_>, mut items: impl ExactSizeIterator<Item = String>) -> fmt::Result {
    /// Enough to find a typing error, few enough to read.
    const MAX_SHOWN: usize = 20;
    let shown: Vec<_> = items.by_ref().take(MAX_SHOWN).collect();
    f.write_str(&shown.join(", "))?;
    match items.len() {
        0 => Ok(()),
        more => write!(f, " and {more} more"),
    }
}

/// The hint if the module shows no token at all, as the next part of a sentence. If it shows
/// others, the URI is more likely to be wrong.
struct Hint<'a>(&'a [TokenSlot], &'a str);

impl fmt::Display for Hint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(slots, hint) = self;
        if slots.iter().any(|slot| slot.initialized().is_some()) { Ok(()) } else { write!(f, "; {hint}") }
    }
}
