//! The attributes of the keys in a token.

use cryptoki::{
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
    session::{Session, SessionState},
};
use der::{Decode as _, Encode};
use x509_cert::Certificate;

use crate::{
    io::key::name::KeyName,
    key::{
        algorithm::KeyAlgorithm,
        encoding::{EDWARDS_25519, edwards_point, uncompressed_point},
        error::PublicKeyError,
        public_key::PublicKey,
    },
    token::uri::{ObjectType, Uri},
};

/// A private key and its attributes. An attribute that the token does not know is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyInfo {
    /// The URI of the key.
    pub uri: Uri,
    /// CKA_LABEL. Bytes that are not UTF-8 are replaced.
    pub label: String,
    /// CKA_ID.
    pub id: Vec<u8>,
    /// The algorithm, if this crate can use it.
    pub algorithm: Option<KeyAlgorithm>,
    /// The kind of key as text, also for kinds that cannot be used.
    pub kind: String,
    /// CKA_SENSITIVE: the value cannot be read in plain text.
    pub sensitive: Option<bool>,
    /// CKA_EXTRACTABLE: the value can leave the token in wrapped form.
    pub extractable: Option<bool>,
    /// CKA_ALWAYS_SENSITIVE.
    pub always_sensitive: Option<bool>,
    /// CKA_NEVER_EXTRACTABLE.
    pub never_extractable: Option<bool>,
    /// CKA_LOCAL: generated in this token.
    pub local: Option<bool>,
    /// CKA_SIGN.
    pub sign: Option<bool>,
    /// CKA_ALWAYS_AUTHENTICATE: requires the PIN for each signature.
    pub always_authenticate: Option<bool>,
    /// DER SubjectPublicKeyInfo of the public half, if it is in the token and usable. It is that of
    /// the key's certificate if the token has no public half.
    pub spki_der: Option<Vec<u8>>,
}

/// A key as found in the token. Its public half is checked later: the check of an RSA key takes
/// long, and a call of the token has a deadline.
pub(crate) struct Found {
    info: KeyInfo,
    name: KeyName,
    public_half: Option<PublicHalf>,
}

/// The public half of a key as the token stores it.
enum PublicHalf {
    /// CKA_EC_POINT.
    Point { algorithm: KeyAlgorithm, value: Vec<u8> },
    /// CKA_MODULUS and CKA_PUBLIC_EXPONENT.
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    /// Of a certificate: DER SubjectPublicKeyInfo.
    Certificate { spki_der: Vec<u8> },
}

/// A key and its public half.
pub(crate) struct Read {
    pub(crate) info: KeyInfo,
    pub(crate) name: KeyName,
    /// `None`: it is not in the token.
    pub(crate) public_key: Option<Result<PublicKey, PublicKeyError>>,
    /// The public half was read from a certificate. Whether it belongs to the key is not known.
    pub(crate) is_from_certificate: bool,
}

/// URI of a key with this label and id.
pub(crate) fn key_uri(token: &Uri, label: &str, id: &[u8]) -> Uri {
    let uri = token.clone().with_type(ObjectType::Private);
    let uri = if label.is_empty() { uri } else { uri.with_object(label) };
    if id.is_empty() { uri } else { uri.with_id(id) }
}

/// The private keys that match the label and the id of the URI, if it has them. A key that is
/// destroyed meanwhile is omitted.
pub(crate) fn find(session: &Session, token: &Uri, wanted: &Uri) -> cryptoki::error::Result<Vec<Found>> {
    let mut template = vec![Attribute::Class(ObjectClass::PRIVATE_KEY)];
    template.extend(wanted.object().map(|label| Attribute::Label(label.into())));
    template.extend(wanted.id().map(|id| Attribute::Id(id.into())));
    let login = session.get_session_info()?.session_state();
    let mut found = Vec::new();
    for handle in session.find_objects(&template)? {
        // Twice, because the public half may be destroyed before the private one.
        match read(session, token, handle).or_else(|_| read(session, token, handle)) {
            Ok(read) => found.push(read),
            Err(_) if is_gone(session, login, ObjectClass::PRIVATE_KEY, handle) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// The objects of a class with exactly this name.
pub(crate) fn objects(
    session: &Session,
    class: ObjectClass,
    name: &KeyName,
) -> cryptoki::error::Result<Vec<ObjectHandle>> {
    let mut template = vec![Attribute::Class(class)];
    if !name.id().is_empty() {
        template.push(Attribute::Id(name.id().into()));
    }
    if !name.label().is_empty() {
        template.push(Attribute::Label(name.label().into()));
    }
    let found = session.find_objects(&template)?;
    if !name.id().is_empty() && !name.label().is_empty() {
        return Ok(found);
    }
    // Not every token finds objects by an attribute that is empty or absent.
    let login = session.get_session_info()?.session_state();
    let mut named = Vec::new();
    for handle in found {
        match session.get_attributes(handle, &[AttributeType::Label, AttributeType::Id]) {
            Ok(attributes) if name_in(&attributes) == *name => named.push(handle),
            Ok(_) => {}
            Err(_) if is_gone(session, login, class, handle) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(named)
}

/// Whether an object has been destroyed meanwhile. Tokens report different faults for that, so the
/// objects are listed again. A logout hides private objects, so after a logout no object counts as
/// destroyed.
pub(crate) fn is_gone(
    session: &Session,
    login: SessionState,
    class: ObjectClass,
    handle: ObjectHandle,
) -> bool {
    let is_same_login = session.get_session_info().is_ok_and(|info| info.session_state() == login);
    let left = session.find_objects(&[Attribute::Class(class)]);
    is_same_login && left.is_ok_and(|left| !left.contains(&handle))
}

/// The name among attributes. A label that is not UTF-8 cannot be part of a URI, so it counts as
/// absent.
fn name_in(attributes: &[Attribute]) -> KeyName {
    let (mut label, mut id) = (String::new(), Vec::new());
    for attribute in attributes {
        match attribute {
            Attribute::Label(value) => label = String::from_utf8(value.clone()).unwrap_or_default(),
            Attribute::Id(value) => id = value.clone(),
            _ => {}
        }
    }
    KeyName::read(label, id)
}

fn read(session: &Session, token: &Uri, handle: ObjectHandle) -> cryptoki::error::Result<Found> {
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
    let attributes = session.get_attributes(handle, ATTRIBUTES)?;
    let name = name_in(&attributes);
    for attribute in attributes {
        match attribute {
            Attribute::Label(value) => info.label = String::from_utf8_lossy(&value).into_owned(),
            Attribute::Id(value) => info.id = value,
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
    info.uri = key_uri(token, name.label(), name.id());
    info.kind = key_type.map_or_else(|| "unknown".to_owned(), |kind| kind.to_string());

    let public_object = public_object(session, &name)?;
    // Some tokens store the public values with the private key too, or only there.
    let objects: Vec<_> = public_object.into_iter().chain([handle]).collect();
    let mut public_half = None;
    match key_type {
        Some(KeyType::EC | KeyType::EC_EDWARDS) => {
            let curve = first(session, &objects, AttributeType::EcParams)?;
            info.algorithm = curve.as_deref().and_then(algorithm_of_curve);
            if let Some(algorithm) = info.algorithm {
                let point = first(session, &objects, AttributeType::EcPoint)?;
                public_half = point.map(|value| PublicHalf::Point { algorithm, value });
            }
        }
        Some(KeyType::RSA) => {
            let modulus = first(session, &objects, AttributeType::Modulus)?;
            let exponent = first(session, &objects, AttributeType::PublicExponent)?;
            public_half =
                modulus.zip(exponent).map(|(modulus, exponent)| PublicHalf::Rsa { modulus, exponent });
        }
        _ => {}
    }
    if public_half.is_none() {
        let of_certificate = key_of_certificate(session, &name)?;
        public_half = of_certificate.map(|spki_der| PublicHalf::Certificate { spki_der });
    }
    Ok(Found { info, name, public_half })
}

impl Found {
    /// Reads and checks the public half.
    pub(crate) fn read(self) -> Read {
        let Self { mut info, name, public_half } = self;
        let is_from_certificate = matches!(public_half, Some(PublicHalf::Certificate { .. }));
        let public_key = public_half.map(|half| match half {
            PublicHalf::Point { algorithm, value } => from_point(algorithm, &value),
            PublicHalf::Rsa { modulus, exponent } => PublicKey::from_modulus(&modulus, &exponent),
            PublicHalf::Certificate { spki_der } => PublicKey::from_spki_der(&spki_der),
        });
        match &public_key {
            Some(Ok(key)) => {
                info.kind = key.kind().to_string();
                info.algorithm = info.kind.parse().ok();
                info.spki_der = Some(key.spki_der().to_vec());
            }
            Some(Err(_)) if is_from_certificate => info.algorithm = None,
            Some(Err(_)) | None => {}
        }
        if let Some(algorithm) = info.algorithm {
            info.kind = algorithm.to_string();
        }
        Read { info, name, public_key, is_from_certificate }
    }
}

impl KeyInfo {
    /// The attributes that decide about a refusal, as text.
    pub(crate) fn protection(&self) -> String {
        let word = |value: Option<bool>| value.map_or("absent", |value| if value { "true" } else { "false" });
        format!("CKA_SENSITIVE is {}, CKA_EXTRACTABLE is {}", word(self.sensitive), word(self.extractable))
    }
}

/// The public object that belongs to a private key: the one with the same id, and with the same
/// label if several have the id.
fn public_object(session: &Session, name: &KeyName) -> cryptoki::error::Result<Option<ObjectHandle>> {
    let found = objects(session, ObjectClass::PUBLIC_KEY, name)?;
    if !found.is_empty() || name.id().is_empty() {
        return Ok(found.first().copied());
    }
    let by_id = [Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::Id(name.id().into())];
    match session.find_objects(&by_id)?.as_slice() {
        [only] => Ok(Some(*only)),
        _ => Ok(None),
    }
}

/// The key of the certificates that have the id of a private key, or its label if it has no id.
/// `None` if there is no such certificate, or if they contain different keys.
fn key_of_certificate(session: &Session, name: &KeyName) -> cryptoki::error::Result<Option<Vec<u8>>> {
    let named = match (name.id(), name.label()) {
        ([], "") => return Ok(None),
        ([], label) => Attribute::Label(label.into()),
        (id, _) => Attribute::Id(id.into()),
    };
    let mut keys = Vec::new();
    for handle in session.find_objects(&[Attribute::Class(ObjectClass::CERTIFICATE), named])? {
        for attribute in session.get_attributes(handle, &[AttributeType::Value])? {
            let Attribute::Value(der) = attribute else { continue };
            let Ok(certificate) = Certificate::from_der(&der) else { continue };
            keys.extend(certificate.tbs_certificate().subject_public_key_info().to_der());
        }
    }
    keys.dedup();
    Ok(<[_; 1]>::try_from(keys).ok().map(|[key]| key))
}

/// The first value of an attribute that exists and is not empty.
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
