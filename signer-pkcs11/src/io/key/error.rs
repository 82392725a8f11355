//! Why a key cannot be used.

use crate::{
    io::token::errors::TokenError,
    key::{algorithm::KeyAlgorithm, error::PublicKeyError, signer::SignError},
    token::{fault::TokenFault, uri::Uri},
};

/// Why a key cannot be generated, found, used or destroyed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The token failed.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// No key matches.
    #[error("no key matches {key}: `hsm list` shows the keys of the token")]
    NotFound {
        /// The URI that was searched for.
        key: Box<Uri>,
    },
    /// Several keys match.
    #[error(
        "{count} keys match {key}: give both object= and id=, or --label and --id of `hsm`, as `hsm list` shows them"
    )]
    Ambiguous {
        /// The URI that was searched for.
        key: Box<Uri>,
        /// Their number.
        count: usize,
    },
    /// The URI names no key.
    #[error("{key} names no key: add object= or id=")]
    Unnamed {
        /// The given URI.
        key: Box<Uri>,
    },
    /// The URI names another token.
    #[error("{key} is not in token \"{token}\"")]
    OtherToken {
        /// The given URI.
        key: Box<Uri>,
        /// Label of this token.
        token: String,
    },
    /// The label or the id is taken.
    #[error("the label or id of {key} is taken: choose another name")]
    Exists {
        /// The given URI.
        key: Box<Uri>,
    },
    /// The label is empty, long or has control characters, or the id is empty or long.
    #[error("invalid name of a key: it needs a label of 1 to 64 characters and an id of 1 to 32 bytes")]
    Name,
    /// The token accepted no template.
    #[error("the token refused to generate a key of {algorithm}")]
    Generate {
        /// The kind of key.
        algorithm: KeyAlgorithm,
        /// The fault for the last template.
        #[source]
        source: TokenFault,
    },
    /// The token cannot generate this kind of key.
    #[error(
        "the token cannot generate a key of {algorithm}: choose another algorithm; nearly all tokens support ecdsa-p256"
    )]
    Unsupported {
        /// The kind of key.
        algorithm: KeyAlgorithm,
        /// The token's fault.
        #[source]
        source: TokenFault,
    },
    /// A key was refused and could not be destroyed.
    #[error(
        "{key} is refused and remains in the token, because it could not be destroyed ({removal}): destroy it with `hsm destroy`"
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
    /// The token generated or contains a key that can be exported. A key that was just generated
    /// has been destroyed.
    #[error(
        "{key} is refused, because the token does not protect it ({attributes}, A02.FR.05): generate a new key"
    )]
    NotProtected {
        /// The key.
        key: Box<Uri>,
        /// The attributes that the token reports.
        attributes: String,
    },
    /// The key requires the PIN for each signature.
    #[error(
        "{key} requires the PIN for each signature (CKA_ALWAYS_AUTHENTICATE), which is not supported: generate a key without this attribute, on a YubiKey in another slot than 9c"
    )]
    AlwaysAuthenticate {
        /// The key.
        key: Box<Uri>,
    },
    /// The key may not sign.
    #[error("{key} may not sign (CKA_SIGN is false): generate a key that may")]
    CannotSign {
        /// The key.
        key: Box<Uri>,
    },
    /// Not a [`KeyAlgorithm`].
    #[error(
        "{key} is of an unsupported kind ({kind}): generate one of ecdsa-p256, ecdsa-p384, ecdsa-p521, rsa-2048, rsa-3072, rsa-4096 or ed25519"
    )]
    Kind {
        /// The key.
        key: Box<Uri>,
        /// Its kind.
        kind: String,
    },
    /// The public half is not in the token.
    #[error(
        "neither the public half of {key} nor a certificate for it is in the token: import the certificate under the key's id, or generate a new pair"
    )]
    NoPublicKey {
        /// The key.
        key: Box<Uri>,
    },
    /// The public half is not valid.
    #[error("cannot use the public half of {key}")]
    PublicKey {
        /// The key.
        key: Box<Uri>,
        /// The cause.
        #[source]
        source: PublicKeyError,
    },
    /// The URI does not identify exactly one key to destroy.
    #[error(
        "{key} is not the complete identity of a key: give token= (or serial=), object= and id= to destroy one, as `hsm list` shows them"
    )]
    IncompleteIdentity {
        /// The given URI.
        key: Box<Uri>,
    },
    /// The token reported that it destroyed the key, and still has it.
    #[error(
        "the token reports that {key} is destroyed, but {left} of its objects are still there: destroy it with the vendor's tool, or initialize the token"
    )]
    Remains {
        /// The key.
        key: Box<Uri>,
        /// How many objects are left.
        left: usize,
    },
    /// A spare that is another key.
    #[error("{spare} cannot replace {key}: it is another key; give the same key in another token")]
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
        /// The cause.
        #[source]
        source: SignError,
    },
    /// The test signature does not match the public half.
    #[error("the signature of {key} does not verify with its public half: generate a new pair")]
    Mismatch {
        /// The key.
        key: Box<Uri>,
    },
    /// The operating system provides no random bytes for an id.
    #[error("the operating system provides no random bytes")]
    Random,
}
