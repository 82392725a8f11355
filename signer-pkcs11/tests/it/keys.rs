//! Keys in a token: generated, read back, found, refused, destroyed.

use cryptoki::{
    mechanism::Mechanism,
    object::{Attribute, AttributeInfo, AttributeType, ObjectClass},
    session::{Session, UserType},
    types::AuthPin,
};
use signer_pkcs11::{Key, KeyAlgorithm, KeyError, KeyKind, KeyName, SignError, Token, Uri};

use crate::softhsm::{PIN, options, slot, stranger, token};

fn generate(token: &Token, label: &str) -> Key {
    token.generate_key(&KeyName::random(label).unwrap(), KeyAlgorithm::EcdsaP256).unwrap()
}

/// A session of other code in the same process. It shares the login.
fn session(token: &Token) -> Session {
    let context = stranger();
    let session = context.open_rw_session(slot(&context, token.label())).unwrap();
    let _ = session.login(UserType::User, Some(&AuthPin::from(PIN.to_owned())));
    session
}

/// A key that another tool has generated, with any attributes.
fn foreign_key(token: &Token, label: &str, private: &[Attribute], curve: &str) {
    let params = der::Encode::to_der(&der::asn1::ObjectIdentifier::new_unwrap(curve)).unwrap();
    let mut public_template =
        vec![Attribute::Token(true), Attribute::EcParams(params), Attribute::Label(label.into())];
    public_template.push(Attribute::Id(label.into()));
    let mut private_template =
        vec![Attribute::Token(true), Attribute::Label(label.into()), Attribute::Id(label.into())];
    private_template.extend_from_slice(private);
    session(token).generate_key_pair(&Mechanism::EccKeyPairGen, &public_template, &private_template).unwrap();
}

const P256: &str = "1.2.840.10045.3.1.7";

#[test]
fn a02_fr_05_a_generated_key_cannot_be_read_out() {
    let token = token("protected");
    let key = generate(&token, "cs");
    let [info] = <[_; 1]>::try_from(token.keys().unwrap()).unwrap();
    assert_eq!(info.uri, *key.uri());
    assert_eq!((info.sensitive, info.extractable), (Some(true), Some(false)));
    assert_eq!(
        (info.always_sensitive, info.never_extractable, info.local),
        (Some(true), Some(true), Some(true))
    );
    assert_eq!(info.spki_der.as_deref(), Some(key.public_key().spki_der()));

    let session = session(&token);
    let private = session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)]).unwrap()[0];
    let value = session.get_attribute_info(private, &[AttributeType::Value]).unwrap();
    assert!(matches!(value[0], AttributeInfo::Sensitive), "{value:?}");
    let usages = [AttributeType::Decrypt, AttributeType::Unwrap, AttributeType::Derive, AttributeType::Sign];
    assert_eq!(
        session.get_attributes(private, &usages).unwrap(),
        [
            Attribute::Decrypt(false),
            Attribute::Unwrap(false),
            Attribute::Derive(false),
            Attribute::Sign(true)
        ]
    );
}

#[test]
fn a_key_is_found_again_by_its_uri() {
    let token = token("found");
    let key = generate(&token, "cs");
    generate(&token, "other");
    assert_eq!(key.public_key().kind(), KeyKind::P256);
    let text = key.uri().to_string();
    assert!(text.contains(&format!(";token={};object=cs;id=%", token.label())), "{text}");
    assert!(!text.contains("slot-id") && !text.contains("pin") && !text.contains("module"), "{text}");
    let uri: Uri = text.parse().unwrap();
    let reopened = Token::open(&uri, &options()).unwrap();
    for wanted in [uri.clone(), Uri::new().with_object("cs"), Uri::new().with_id(uri.id().unwrap())] {
        assert_eq!(reopened.find_key(&wanted).unwrap().public_key(), key.public_key());
    }
}

#[test]
fn keys_that_cannot_be_found() {
    let token = token("lost");
    generate(&token, "cs");
    let error = token.find_key(&Uri::new().with_object("none")).unwrap_err();
    assert!(matches!(error, KeyError::NotFound { .. }), "{error}");
    assert!(matches!(token.find_key(&Uri::new()).unwrap_err(), KeyError::Unnamed { .. }));
    let elsewhere = Uri::new().with_token("elsewhere").with_object("cs");
    assert!(matches!(token.find_key(&elsewhere).unwrap_err(), KeyError::OtherToken { .. }));
    let taken = KeyName::new("cs", [1]).unwrap();
    let error = token.generate_key(&taken, KeyAlgorithm::EcdsaP256).unwrap_err();
    assert!(matches!(error, KeyError::Exists { .. }), "{error}");
    for (label, id) in [("", &[1][..]), ("a", &[]), ("a\n", &[1]), ("a", &[0; 33])] {
        assert!(matches!(KeyName::new(label, id), Err(KeyError::Name)), "{label:?} {id:?}");
    }
}

#[test]
fn keys_that_are_refused() {
    let token = token("refused");
    foreign_key(&token, "extractable", &[Attribute::Sensitive(true), Attribute::Extractable(true)], P256);
    foreign_key(&token, "readable", &[Attribute::Sensitive(false), Attribute::Extractable(false)], P256);
    foreign_key(
        &token,
        "mute",
        &[Attribute::Sensitive(true), Attribute::Extractable(false), Attribute::Sign(false)],
        P256,
    );
    foreign_key(
        &token,
        "secp256k1",
        &[Attribute::Sensitive(true), Attribute::Extractable(false)],
        "1.3.132.0.10",
    );
    foreign_key(
        &token,
        "pin-each-time",
        &[Attribute::Sensitive(true), Attribute::Extractable(false), Attribute::AlwaysAuthenticate(true)],
        P256,
    );
    let error = |label: &str| token.find_key(&Uri::new().with_object(label)).unwrap_err();
    let not_protected = error("extractable");
    assert!(matches!(not_protected, KeyError::NotProtected { .. }), "{not_protected}");
    assert!(not_protected.to_string().contains("CKA_EXTRACTABLE is true"), "{not_protected}");
    assert!(error("readable").to_string().contains("CKA_SENSITIVE is false"));
    assert!(matches!(error("mute"), KeyError::CannotSign { .. }));
    assert!(matches!(error("secp256k1"), KeyError::Kind { .. }));
    assert!(matches!(error("pin-each-time"), KeyError::AlwaysAuthenticate { .. }));
    // They are listed nevertheless.
    assert_eq!(token.keys().unwrap().len(), 5);
}

#[test]
fn two_keys_of_one_label_are_told_apart_by_id() {
    let token = token("twins");
    let protected = [Attribute::Sensitive(true), Attribute::Extractable(false)];
    foreign_key(&token, "twin", &protected, P256);
    foreign_key(&token, "twin", &protected, P256);
    let error = token.find_key(&Uri::new().with_object("twin")).unwrap_err();
    assert!(matches!(error, KeyError::Ambiguous { count: 2, .. }), "{error}");
}

#[test]
fn destroying_asks_for_the_whole_identity() {
    let token = token("destroy");
    let key = generate(&token, "cs");
    let kept = generate(&token, "kept");
    let uri = key.uri().clone();
    for partial in [
        Uri::new().with_object("cs").with_id(uri.id().unwrap()),
        Uri::new().with_token(token.label()).with_object("cs"),
        Uri::new().with_token(token.label()).with_id(uri.id().unwrap()),
    ] {
        let error = token.destroy_key(&partial).unwrap_err();
        assert!(matches!(error, KeyError::IncompleteIdentity { .. }), "{error}");
    }
    token.destroy_key(&uri).unwrap();
    // A repetition after a crash finds no key and reports that.
    assert!(matches!(token.destroy_key(&uri).unwrap_err(), KeyError::NotFound { .. }));
    assert!(matches!(token.find_key(&uri).unwrap_err(), KeyError::NotFound { .. }));
    assert!(matches!(key.sign_blocking(b"x").unwrap_err(), SignError::KeyGone { .. }));
    kept.sign_blocking(b"x").unwrap();
    let left = session(&token).find_objects(&[Attribute::Label("cs".into())]).unwrap();
    assert!(left.is_empty(), "the public half is gone too");
}
