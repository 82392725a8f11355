//! The templates by which keys are generated, from the strictest to the one that every token takes.

use cryptoki::{mechanism::Mechanism, object::Attribute};
use der::Encode;

use crate::{algorithm::KeyAlgorithm, io::key::KeyName};

/// Public and private half of a template.
pub(crate) struct Template {
    pub(crate) public: Vec<Attribute>,
    pub(crate) private: Vec<Attribute>,
}

/// How the pair is generated.
pub(crate) fn mechanism(algorithm: KeyAlgorithm) -> Mechanism<'static> {
    match algorithm {
        KeyAlgorithm::EcdsaP256 => Mechanism::EccKeyPairGen,
    }
}

/// How a hash is signed. The bare mechanism over a hash made by us is the only one that all tokens have.
pub(crate) fn signing_mechanism(algorithm: KeyAlgorithm) -> Mechanism<'static> {
    match algorithm {
        KeyAlgorithm::EcdsaP256 => Mechanism::Ecdsa,
    }
}

/// Templates to be tried in turn. Whichever passes, what the token made of it is read back afterwards.
pub(crate) fn ladder(name: &KeyName, algorithm: KeyAlgorithm) -> [Template; 4] {
    let identity = || {
        vec![Attribute::Token(true), Attribute::Label(name.label().into()), Attribute::Id(name.id().into())]
    };
    // A named curve's object identifier always encodes; an empty value is refused by every token.
    let curve = || Attribute::EcParams(algorithm.curve().to_der().unwrap_or_default());
    let secret = || [Attribute::Sensitive(true), Attribute::Extractable(false), Attribute::Sign(true)];

    let public = |more: &[Attribute]| {
        let mut template = identity();
        template.push(curve());
        template.extend_from_slice(more);
        template
    };
    let private = |more: &[Attribute]| {
        let mut template = identity();
        template.extend(secret());
        template.extend_from_slice(more);
        template
    };
    let usages_off = [
        Attribute::Decrypt(false),
        Attribute::SignRecover(false),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
    ];
    let mut strict = vec![Attribute::Private(true)];
    strict.extend(usages_off);
    [
        // SoftHSM's default would be sign, decrypt, unwrap and derive.
        Template {
            public: public(&[
                Attribute::Private(false),
                Attribute::Verify(true),
                Attribute::Encrypt(false),
                Attribute::VerifyRecover(false),
                Attribute::Wrap(false),
            ]),
            private: private(&strict),
        },
        // tpm2-pkcs11 refuses usages that are switched off explicitly.
        Template {
            public: public(&[Attribute::Private(false), Attribute::Verify(true)]),
            private: private(&[Attribute::Private(true)]),
        },
        // nShield and Cavium want private public keys.
        Template {
            public: public(&[Attribute::Private(true), Attribute::Verify(true)]),
            private: private(&[Attribute::Private(true)]),
        },
        Template { public: public(&[]), private: private(&[]) },
    ]
}
