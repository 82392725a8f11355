//! The templates for key generation, from the strictest to the one that every token accepts.

use std::ffi::c_ulong;

use cryptoki::{
    mechanism::{
        Mechanism, MechanismType,
        eddsa::{EddsaParams, EddsaSignatureScheme},
        rsa::{PkcsMgfType, PkcsPssParams},
    },
    object::Attribute,
};
use der::Encode;

use crate::{
    io::key::name::KeyName,
    key::{
        algorithm::{KeyAlgorithm, SignatureAlgorithm},
        encoding::EDWARDS_25519,
    },
};

/// Public and private half of a template.
pub(crate) struct Template {
    pub(crate) public: Vec<Attribute>,
    pub(crate) private: Vec<Attribute>,
}

/// The mechanism that generates the pair.
pub(crate) fn mechanism(algorithm: KeyAlgorithm) -> Mechanism<'static> {
    match algorithm {
        KeyAlgorithm::EcdsaP256 | KeyAlgorithm::EcdsaP384 | KeyAlgorithm::EcdsaP521 => {
            Mechanism::EccKeyPairGen
        }
        KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => Mechanism::RsaPkcsKeyPairGen,
        KeyAlgorithm::Ed25519 => Mechanism::EccEdwardsKeyPairGen,
    }
}

/// The mechanism that signs a hash. Signing a hash that was computed here is the only mechanism
/// that all tokens have.
pub(crate) fn signing_mechanism(algorithm: SignatureAlgorithm) -> Mechanism<'static> {
    let pss = |hash_alg, mgf, s_len: u8| {
        Mechanism::RsaPkcsPss(PkcsPssParams { hash_alg, mgf, s_len: c_ulong::from(s_len).into() })
    };
    match algorithm {
        SignatureAlgorithm::EcdsaSha256
        | SignatureAlgorithm::EcdsaSha384
        | SignatureAlgorithm::EcdsaSha512 => Mechanism::Ecdsa,
        SignatureAlgorithm::RsaPkcs1Sha256
        | SignatureAlgorithm::RsaPkcs1Sha384
        | SignatureAlgorithm::RsaPkcs1Sha512 => Mechanism::RsaPkcs,
        SignatureAlgorithm::RsaPssSha256 => pss(MechanismType::SHA256, PkcsMgfType::MGF1_SHA256, 32),
        SignatureAlgorithm::RsaPssSha384 => pss(MechanismType::SHA384, PkcsMgfType::MGF1_SHA384, 48),
        SignatureAlgorithm::RsaPssSha512 => pss(MechanismType::SHA512, PkcsMgfType::MGF1_SHA512, 64),
        SignatureAlgorithm::Ed25519 => Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure)),
    }
}

/// The parameters of this algorithm, in the forms that tokens require.
fn parameters(algorithm: KeyAlgorithm) -> Vec<Vec<Attribute>> {
    // An object identifier always encodes; an empty value is refused by every token.
    let curve = algorithm.curve().and_then(|curve| curve.to_der().ok()).unwrap_or_default();
    match (algorithm, algorithm.modulus_bits()) {
        (_, Some(bits)) => {
            vec![vec![
                Attribute::ModulusBits(c_ulong::from(bits).into()),
                Attribute::PublicExponent(vec![1, 0, 1]),
            ]]
        }
        (KeyAlgorithm::Ed25519, None) => {
            vec![vec![Attribute::EcParams(EDWARDS_25519.to_vec())], vec![Attribute::EcParams(curve)]]
        }
        (_, None) => vec![vec![Attribute::EcParams(curve)]],
    }
}

/// The templates in the order in which they are tried. The attributes of the generated key are read
/// back afterwards.
pub(crate) fn all(name: &KeyName, algorithm: KeyAlgorithm) -> Vec<Template> {
    let forms = parameters(algorithm);
    forms.iter().flat_map(|form| of_form(name, form)).collect()
}

fn of_form(name: &KeyName, parameters: &[Attribute]) -> [Template; 4] {
    let identity = || {
        vec![Attribute::Token(true), Attribute::Label(name.label().into()), Attribute::Id(name.id().into())]
    };
    let secret = || [Attribute::Sensitive(true), Attribute::Extractable(false), Attribute::Sign(true)];

    let public = |more: &[Attribute]| {
        let mut template = identity();
        template.extend_from_slice(parameters);
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
        // tpm2-pkcs11 refuses usages that are disabled explicitly.
        Template {
            public: public(&[Attribute::Private(false), Attribute::Verify(true)]),
            private: private(&[Attribute::Private(true)]),
        },
        // nShield and Cavium require private public keys.
        Template {
            public: public(&[Attribute::Private(true), Attribute::Verify(true)]),
            private: private(&[Attribute::Private(true)]),
        },
        Template { public: public(&[]), private: private(&[]) },
    ]
}
