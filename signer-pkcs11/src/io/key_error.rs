//! Why a key cannot be used.

use crate::{
    algorithm::KeyAlgorithm,
    io::token_error::TokenError,
    public_key::PublicKeyError,
    sign::{SignError, TokenFault},
    uri::Uri,
};

/// Why a key cannot be made, found, used or destroyed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The token failed.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// No key fits.
    #[error("no key fits {key}: `hsm list` shows the keys of the token")]
    NotFound {
        /// What was looked for.
        key: Box<Uri>,
    },
    /// Several keys fit.
    #[error("{count} keys fit {key}: name one by both object= and id=, as `hsm list` shows them")]
    Ambiguous {
        /// What was looked for.
        key: Box<Uri>,
        /// How many fit.
        count: usize,
    },
    /// The URI names no key.
    #[error("{key} names no key: add object= or id=")]
    Unnamed {
        /// As given.
        key: Box<Uri>,
    },
    /// The URI names another token.
    #[error("{key} is not in token \"{token}\"")]
    OtherToken {
        /// As given.
        key: Box<Uri>,
        /// Label of the token asked.
        token: String,
    },
    /// Label or id are taken.
    #[error("label or id of {key} are taken already: choose another name")]
    Exists {
        /// As given.
        key: Box<Uri>,
    },
    /// An empty label, one with control characters, or an empty or long id.
    #[error("a key's name needs a label of 1 to 64 characters and an id of 1 to 32 bytes")]
    Name,
    /// No template passed.
    #[error("the token refuses to generate a key of {algorithm}")]
    Generate {
        /// The kind of key.
        algorithm: KeyAlgorithm,
        /// Answer to the last template.
        #[source]
        source: TokenFault,
    },
    /// The token cannot generate this kind of key.
    #[error(
        "the token cannot generate a key of {algorithm}: choose another algorithm, ecdsa-p256 is the one that nearly all tokens have"
    )]
    Unsupported {
        /// The kind of key.
        algorithm: KeyAlgorithm,
        /// Its answer.
        #[source]
        source: TokenFault,
    },
    /// A key was refused, and could not be destroyed.
    #[error(
        "{key} is refused, and it stays in the token, because it could not be destroyed ({removal}): destroy it by `hsm destroy`"
    )]
    LeftBehind {
        /// The key.
        key: Box<Uri>,
        /// Why it was not destroyed.
        removal: Box<KeyError>,
        /// Why it is refused.
        #[source]
        reason: Box<KeyError>,
    },
    /// The token made, or holds, a key that can be read out. A key just generated has been destroyed again.
    #[error("{key} is not protected by the token ({attributes}): such a key is refused (A02.FR.05)")]
    NotProtected {
        /// The key.
        key: Box<Uri>,
        /// What the token says of it.
        attributes: String,
    },
    /// PIN at each signature.
    #[error(
        "{key} asks for the PIN at each signature (CKA_ALWAYS_AUTHENTICATE), which is not supported: generate a key without it, on a YubiKey in another slot than 9c"
    )]
    AlwaysAuthenticate {
        /// The key.
        key: Box<Uri>,
    },
    /// The key may not sign.
    #[error("{key} is not allowed to sign (CKA_SIGN is false): generate one that is")]
    CannotSign {
        /// The key.
        key: Box<Uri>,
    },
    /// Not one of [`KeyAlgorithm`].
    #[error(
        "{key} is of a kind that cannot be used ({kind}): generate one of ecdsa-p256, ecdsa-p384, ecdsa-p521, rsa-2048, rsa-3072, rsa-4096 or ed25519"
    )]
    Kind {
        /// The key.
        key: Box<Uri>,
        /// What it is.
        kind: String,
    },
    /// The public half is not in the token.
    #[error("the public half of {key} is not in the token: generate a new pair")]
    NoPublicKey {
        /// The key.
        key: Box<Uri>,
    },
    /// The public half is not valid.
    #[error("the public half of {key} cannot be used")]
    PublicKey {
        /// The key.
        key: Box<Uri>,
        /// Why.
        #[source]
        source: PublicKeyError,
    },
    /// A destruction that does not say exactly what to destroy.
    #[error(
        "{key} is not the whole identity of a key: token= (or serial=), object= and id= are required to destroy one"
    )]
    IncompleteIdentity {
        /// As given.
        key: Box<Uri>,
    },
    /// A spare that is another key.
    #[error("{spare} is another key than {key}: only the same key in another token can stand in for it")]
    NotTheSame {
        /// The key.
        key: Box<Uri>,
        /// The spare.
        spare: Box<Uri>,
    },
    /// The test signature failed.
    #[error("{key} does not sign")]
    Sign {
        /// The key.
        key: Box<Uri>,
        /// Why.
        #[source]
        source: SignError,
    },
    /// The test signature does not belong to the public half.
    #[error("the signature by {key} does not verify with its public half")]
    Mismatch {
        /// The key.
        key: Box<Uri>,
    },
    /// No randomness for an id.
    #[error("the operating system gives no randomness")]
    Random,
}
