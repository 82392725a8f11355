//! What a token says of the keys in it.

use cryptoki::{
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
    session::Session,
};
use der::Encode;

use crate::{
    algorithm::KeyAlgorithm,
    encoding::{edwards_point, uncompressed_point},
    io::template::EDWARDS_25519,
    public_key::{PublicKey, PublicKeyError},
    uri::{ObjectType, Uri},
};

/// A private key and its attributes. An attribute that the token does not know is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyInfo {
    /// Names the key.
    pub uri: Uri,
    /// CKA_LABEL.
    pub label: String,
    /// CKA_ID.
    pub id: Vec<u8>,
    /// The algorithm, if we can use it.
    pub algorithm: Option<KeyAlgorithm>,
    /// The kind of key in words, also for kinds that we cannot use.
    pub kind: String,
    /// CKA_SENSITIVE: the value cannot be read in plain.
    pub sensitive: Option<bool>,
    /// CKA_EXTRACTABLE: the value can leave the token wrapped.
    pub extractable: Option<bool>,
    /// CKA_ALWAYS_SENSITIVE.
    pub always_sensitive: Option<bool>,
    /// CKA_NEVER_EXTRACTABLE.
    pub never_extractable: Option<bool>,
    /// CKA_LOCAL: generated in this token.
    pub local: Option<bool>,
    /// CKA_SIGN.
    pub sign: Option<bool>,
    /// CKA_ALWAYS_AUTHENTICATE: asks for the PIN at each signature.
    pub always_authenticate: Option<bool>,
    /// DER SubjectPublicKeyInfo of the public half, where it is in the token and usable.
    pub spki_der: Option<Vec<u8>>,
}

/// A key as it was read: what is told, and the public half.
pub(crate) struct Read {
    pub(crate) info: KeyInfo,
    /// `None`: the token does not have it.
    pub(crate) public_key: Option<Result<PublicKey, PublicKeyError>>,
}

/// URI of a key with this label and id.
pub(crate) fn key_uri(token: &Uri, label: &str, id: &[u8]) -> Uri {
    let uri = token.clone().with_type(ObjectType::Private);
    let uri = if label.is_empty() { uri } else { uri.with_object(label) };
    if id.is_empty() { uri } else { uri.with_id(id) }
}

/// The private keys that fit label and id of the URI, as far as it has them.
pub(crate) fn find(session: &Session, token: &Uri, wanted: &Uri) -> cryptoki::error::Result<Vec<Read>> {
    let mut template = vec![Attribute::Class(ObjectClass::PRIVATE_KEY)];
    template.extend(wanted.object().map(|label| Attribute::Label(label.into())));
    template.extend(wanted.id().map(|id| Attribute::Id(id.into())));
    let handles = session.find_objects(&template)?;
    handles.into_iter().map(|handle| read(session, token, handle)).collect()
}

fn read(session: &Session, token: &Uri, handle: ObjectHandle) -> cryptoki::error::Result<Read> {
    let mut label = Vec::new();
    let mut id = Vec::new();
    let mut key_type = None;
    let mut info = KeyInfo {
        uri: Uri::new(),
        label: String::new(),
        id: Vec::new(),
        algorithm: None,
        kind: String::new(),
        sensitive: None,
        extractable: None,
        always_sensitive: None,
        never_extractable: None,
        local: None,
        sign: None,
        always_authenticate: None,
        spki_der: None,
    };
    for attribute in session.get_attributes(handle, ATTRIBUTES)? {
        match attribute {
            Attribute::Label(value) => label = value,
            Attribute::Id(value) => id = value,
            Attribute::KeyType(value) => key_type = Some(value),
            Attribute::Sensitive(value) => info.sensitive = Some(value),
            Attribute::Extractable(value) => info.extractable = Some(value),
            Attribute::AlwaysSensitive(value) => info.always_sensitive = Some(value),
            Attribute::NeverExtractable(value) => info.never_extractable = Some(value),
            Attribute::Local(value) => info.local = Some(value),
            Attribute::Sign(value) => info.sign = Some(value),
            Attribute::AlwaysAuthenticate(value) => info.always_authenticate = Some(value),
            _ => {}
        }
    }
    info.label = String::from_utf8_lossy(&label).into_owned();
    info.id = id;
    info.uri = key_uri(token, &info.label, &info.id);
    info.kind = key_type.map_or_else(|| "unknown".to_owned(), |kind| kind.to_string());

    let public_object = public_object(session, &info)?;
    // Some tokens have the public values at the private key too, or only there.
    let objects: Vec<_> = public_object.into_iter().chain([handle]).collect();
    let mut public_key = None;
    match key_type {
        Some(KeyType::EC | KeyType::EC_EDWARDS) => {
            let curve = first(session, &objects, AttributeType::EcParams)?;
            info.algorithm = curve.as_deref().and_then(algorithm_of_curve);
            if let Some(algorithm) = info.algorithm {
                let point = first(session, &objects, AttributeType::EcPoint)?;
                public_key = point.map(|point| from_point(algorithm, &point));
            }
        }
        Some(KeyType::RSA) => {
            let modulus = first(session, &objects, AttributeType::Modulus)?;
            let exponent = first(session, &objects, AttributeType::PublicExponent)?;
            public_key =
                modulus.zip(exponent).map(|(modulus, exponent)| PublicKey::from_modulus(&modulus, &exponent));
            if let Some(Ok(key)) = &public_key {
                info.kind = key.kind().to_string();
                info.algorithm = info.kind.parse().ok();
            }
        }
        _ => {}
    }
    if let Some(algorithm) = info.algorithm {
        info.kind = algorithm.to_string();
    }
    info.spki_der = public_key.as_ref().and_then(|key| key.as_ref().ok()).map(|key| key.spki_der().to_vec());
    Ok(Read { info, public_key })
}

impl KeyInfo {
    /// The attributes that decide about a refusal, in words.
    pub(crate) fn protection(&self) -> String {
        let word = |value: Option<bool>| value.map_or("absent", |value| if value { "true" } else { "false" });
        format!("CKA_SENSITIVE is {}, CKA_EXTRACTABLE is {}", word(self.sensitive), word(self.extractable))
    }
}

/// The public object that belongs to a private key: the same id, and the same label if several have the id.
fn public_object(session: &Session, info: &KeyInfo) -> cryptoki::error::Result<Option<ObjectHandle>> {
    let class = Attribute::Class(ObjectClass::PUBLIC_KEY);
    let by_both =
        [class.clone(), Attribute::Id(info.id.clone()), Attribute::Label(info.label.clone().into_bytes())];
    let found = session.find_objects(&by_both)?;
    if !found.is_empty() || info.id.is_empty() {
        return Ok(found.first().copied());
    }
    match session.find_objects(&[class, Attribute::Id(info.id.clone())])?.as_slice() {
        [only] => Ok(Some(*only)),
        _ => Ok(None),
    }
}

/// The first value of an attribute that is there and not empty.
fn first(
    session: &Session,
    objects: &[ObjectHandle],
    wanted: AttributeType,
) -> cryptoki::error::Result<Option<Vec<u8>>> {
    for object in objects {
        for attribute in session.get_attributes(*object, &[wanted])? {
            match attribute {
                Attribute::EcParams(value)
                | Attribute::EcPoint(value)
                | Attribute::Modulus(value)
                | Attribute::PublicExponent(value)
                    if !value.is_empty() =>
                {
                    return Ok(Some(value));
                }
                _ => {}
            }
        }
    }
    Ok(None)
}

fn algorithm_of_curve(ec_params: &[u8]) -> Option<KeyAlgorithm> {
    if ec_params == EDWARDS_25519 {
        return Some(KeyAlgorithm::Ed25519);
    }
    let named = |algorithm: &&KeyAlgorithm| {
        algorithm.curve().is_some_and(|curve| curve.to_der().is_ok_and(|der| der == ec_params))
    };
    KeyAlgorithm::ALL.iter().find(named).copied()
}

fn from_point(algorithm: KeyAlgorithm, value: &[u8]) -> Result<PublicKey, PublicKeyError> {
    let point = match algorithm.coordinate_bytes() {
        Some(bytes) => uncompressed_point(value, bytes),
        None => edwards_point(value),
    };
    PublicKey::from_point(algorithm, point.ok_or(PublicKeyError::Point)?)
}

const ATTRIBUTES: &[AttributeType] = &[
    AttributeType::Label,
    AttributeType::Id,
    AttributeType::KeyType,
    AttributeType::Sensitive,
    AttributeType::Extractable,
    AttributeType::AlwaysSensitive,
    AttributeType::NeverExtractable,
    AttributeType::Local,
    AttributeType::Sign,
    AttributeType::AlwaysAuthenticate,
];
