//! PKCS #11 URIs (RFC 7512), which name tokens and keys in configurations, databases and logs.

pub(crate) mod error;
pub(crate) mod pin_source;

use std::{
    fmt,
    fmt::Write,
    path::{Path, PathBuf},
    str::FromStr,
};

use percent_encoding::percent_decode_str;

use crate::token::uri::{error::UriError, pin_source::PinSource};

/// A PKCS #11 URI. It names a token, or a key in it, and how to reach it. It never contains a PIN.
///
/// An absent attribute matches everything. An unknown attribute is refused: a misspelled one would
/// match every token. Vendor-specific attributes of the query (`x-…`) are ignored (RFC 7512 §2.4)
/// and dropped: one may be a secret, and URIs are logged and stored.
///
/// ```
/// use signer_pkcs11::Uri;
///
/// let uri: Uri = "pkcs11:token=station;object=cs-2026;id=%01%02;type=private".parse()?;
/// assert_eq!(uri.token(), Some("station"));
/// assert_eq!(uri.id(), Some(&[1, 2][..]));
/// assert_eq!(uri.to_string(), "pkcs11:token=station;object=cs-2026;id=%01%02;type=private");
/// # Ok::<(), signer_pkcs11::UriError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Uri {
    token: Option<String>,
    serial: Option<String>,
    manufacturer: Option<String>,
    model: Option<String>,
    slot_description: Option<String>,
    slot_manufacturer: Option<String>,
    slot_id: Option<u64>,
    library_manufacturer: Option<String>,
    library_description: Option<String>,
    /// Major and minor version.
    library_version: Option<(u8, Option<u8>)>,
    object: Option<String>,
    id: Option<Vec<u8>>,
    object_type: Option<ObjectType>,
    module_path: Option<PathBuf>,
    pin_source: Option<PinSource>,
}

/// The kind of object that a URI names (`type=`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ObjectType {
    /// `public`
    Public,
    /// `private`
    Private,
    /// `cert`
    Certificate,
    /// `secret-key`
    SecretKey,
    /// `data`
    Data,
}

impl Uri {
    /// A URI that matches every token.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the token's label.
    #[must_use]
    pub fn with_token(mut self, label: impl Into<String>) -> Self {
        self.token = Some(label.into());
        self
    }

    /// Sets the token's serial number.
    #[must_use]
    pub fn with_serial(mut self, serial: impl Into<String>) -> Self {
        self.serial = Some(serial.into());
        self
    }

    /// Sets the object's label.
    #[must_use]
    pub fn with_object(mut self, label: impl Into<String>) -> Self {
        self.object = Some(label.into());
        self
    }

    /// Sets the object's CKA_ID.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<Vec<u8>>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets the kind of object.
    pub(crate) fn with_type(mut self, object_type: ObjectType) -> Self {
        self.object_type = Some(object_type);
        self
    }

    /// Sets the PKCS #11 module (shared library).
    #[must_use]
    pub fn with_module_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.module_path = Some(path.into());
        self
    }

    /// Sets the source of the PIN.
    #[must_use]
    pub fn with_pin_source(mut self, source: PinSource) -> Self {
        self.pin_source = Some(source);
        self
    }

    /// The same URI with its relative paths resolved against `folder`: the file of `pin-source`,
    /// and `module-path` if it contains a directory. A bare module name is searched in the loader's
    /// path.
    pub fn relative_to(mut self, folder: &Path) -> Self {
        if let Some(PinSource::File(path)) = &mut self.pin_source {
            *path = folder.join(&*path);
        }
        let module = self.module_path.as_mut().filter(|path| path.components().count() > 1);
        if let Some(path) = module {
            *path = folder.join(&*path);
        }
        self
    }

    /// The token's label.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The token's serial number.
    #[must_use]
    pub fn serial(&self) -> Option<&str> {
        self.serial.as_deref()
    }

    /// The token's manufacturer.
    #[must_use]
    pub fn manufacturer(&self) -> Option<&str> {
        self.manufacturer.as_deref()
    }

    /// The token's model.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// The slot's description.
    #[must_use]
    pub fn slot_description(&self) -> Option<&str> {
        self.slot_description.as_deref()
    }

    /// The slot's manufacturer.
    #[must_use]
    pub fn slot_manufacturer(&self) -> Option<&str> {
        self.slot_manufacturer.as_deref()
    }

    /// The module's manufacturer.
    #[must_use]
    pub fn library_manufacturer(&self) -> Option<&str> {
        self.library_manufacturer.as_deref()
    }

    /// The module's description.
    #[must_use]
    pub fn library_description(&self) -> Option<&str> {
        self.library_description.as_deref()
    }

    /// The module's major version, and its minor version if that counts.
    #[must_use]
    pub fn library_version(&self) -> Option<(u8, Option<u8>)> {
        self.library_version
    }

    /// The slot's number. On many tokens it changes with each start: prefer the label or serial
    /// number.
    #[must_use]
    pub fn slot_id(&self) -> Option<u64> {
        self.slot_id
    }

    /// The object's label (CKA_LABEL).
    #[must_use]
    pub fn object(&self) -> Option<&str> {
        self.object.as_deref()
    }

    /// The object's CKA_ID.
    #[must_use]
    pub fn id(&self) -> Option<&[u8]> {
        self.id.as_deref()
    }

    /// The kind of object.
    #[must_use]
    pub fn object_type(&self) -> Option<ObjectType> {
        self.object_type
    }

    /// The module's path.
    #[must_use]
    pub fn module_path(&self) -> Option<&std::path::Path> {
        self.module_path.as_deref()
    }

    /// The source of the PIN.
    #[must_use]
    pub fn pin_source(&self) -> Option<&PinSource> {
        self.pin_source.as_ref()
    }

    /// The same token, without the attributes of an object and without the query, for messages.
    pub(crate) fn token_only(&self) -> Self {
        Self { object: None, id: None, object_type: None, ..self.without_query() }
    }

    /// The same token or key, without how it is reached, for messages.
    pub(crate) fn without_query(&self) -> Self {
        Self { module_path: None, pin_source: None, ..self.clone() }
    }

    fn set_path(&mut self, name: &str, value: &str) -> Result<(), UriError> {
        match name {
            "token" => set(&mut self.token, name, text(name, value)?),
            "serial" => set(&mut self.serial, name, text(name, value)?),
            "manufacturer" => set(&mut self.manufacturer, name, text(name, value)?),
            "model" => set(&mut self.model, name, text(name, value)?),
            "slot-description" => set(&mut self.slot_description, name, text(name, value)?),
            "slot-manufacturer" => set(&mut self.slot_manufacturer, name, text(name, value)?),
            "library-manufacturer" => set(&mut self.library_manufacturer, name, text(name, value)?),
            "library-description" => set(&mut self.library_description, name, text(name, value)?),
            "library-version" => {
                let version = version(value).ok_or_else(|| UriError::LibraryVersion(value.to_owned()))?;
                set(&mut self.library_version, name, version)
            }
            "object" => set(&mut self.object, name, text(name, value)?),
            "id" => set(&mut self.id, name, bytes(name, value)?),
            "slot-id" => {
                let number = number(value).ok_or_else(|| UriError::SlotId(value.to_owned()))?;
                set(&mut self.slot_id, name, number)
            }
            "type" => {
                let kind = match value {
                    "public" => ObjectType::Public,
                    "private" => ObjectType::Private,
                    "cert" => ObjectType::Certificate,
                    "secret-key" => ObjectType::SecretKey,
                    "data" => ObjectType::Data,
                    other => return Err(UriError::ObjectType(other.to_owned())),
                };
                set(&mut self.object_type, name, kind)
            }
            _ => Err(UriError::Unknown(name.to_owned())),
        }
    }

    fn set_query(&mut self, name: &str, value: &str) -> Result<(), UriError> {
        match name {
            "pin-source" => set(&mut self.pin_source, name, PinSource::parse(&text(name, value)?)?),
            "module-path" => set(&mut self.module_path, name, PathBuf::from(text(name, value)?)),
            "module-name" => Err(UriError::ModuleName),
            // The value is never repeated.
            _ if name.starts_with("x-") => bytes(name, value).map(drop),
            _ => Err(UriError::UnknownQuery(name.to_owned())),
        }
    }
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(input: &str) -> Result<Self, UriError> {
        // RFC 3986: schemes are case-insensitive.
        let rest = match input.get(..7) {
            Some(scheme) if scheme.eq_ignore_ascii_case("pkcs11:") => &input[7..],
            _ => return Err(UriError::Scheme),
        };
        if may_hold_pin(rest) {
            return Err(UriError::PinValue);
        }
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut uri = Self::default();
        // Any part may be a misplaced PIN, so an error reports only the number of the part.
        let pair = |part: &'_ str, kind, number| {
            let (name, value) = part.split_once('=').ok_or(UriError::Attribute { kind, number })?;
            let known_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
            if name.is_empty() || !known_name {
                return Err(UriError::Attribute { kind, number });
            }
            Ok((name.to_owned(), value.to_owned()))
        };
        for (number, part) in (1..).zip(path.split(';')).filter(|(_, part)| !part.is_empty()) {
            let (name, value) = pair(part, "path", number)?;
            uri.set_path(&name, &value)?;
        }
        for (number, part) in (1..).zip(query.split('&')).filter(|(_, part)| !part.is_empty()) {
            let (name, value) = pair(part, "query", number)?;
            uri.set_query(&name, &value)?;
        }
        Ok(uri)
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("pkcs11:")?;
        let mut path = Parts { f, first: "", next: ";" };
        path.text("manufacturer", self.manufacturer.as_deref())?;
        path.text("model", self.model.as_deref())?;
        path.text("serial", self.serial.as_deref())?;
        path.text("token", self.token.as_deref())?;
        path.text("slot-description", self.slot_description.as_deref())?;
        path.text("slot-manufacturer", self.slot_manufacturer.as_deref())?;
        path.raw("slot-id", self.slot_id)?;
        path.text("library-manufacturer", self.library_manufacturer.as_deref())?;
        path.text("library-description", self.library_description.as_deref())?;
        let version = self.library_version.map(|(major, minor)| match minor {
            Some(minor) => format!("{major}.{minor}"),
            None => major.to_string(),
        });
        path.raw("library-version", version)?;
        path.text("object", self.object.as_deref())?;
        path.bytes("id", self.id.as_deref())?;
        path.raw("type", self.object_type)?;
        let f = path.f;
        let mut query = Parts { f, first: "?", next: "&" };
        query.text("pin-source", self.pin_source.as_ref().map(PinSource::to_string).as_deref())?;
        query.text("module-path", self.module_path.as_ref().map(|p| p.to_string_lossy()).as_deref())?;
        Ok(())
    }
}

impl fmt::Display for ObjectType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Certificate => "cert",
            Self::SecretKey => "secret-key",
            Self::Data => "data",
        })
    }
}

/// Writes attributes, each with its separator.
struct Parts<'a, 'b> {
    f: &'a mut fmt::Formatter<'b>,
    first: &'static str,
    next: &'static str,
}

impl Parts<'_, '_> {
    fn name(&mut self, name: &str) -> fmt::Result {
        let separator = std::mem::replace(&mut self.first, self.next);
        write!(self.f, "{separator}{name}=")
    }

    fn raw(&mut self, name: &str, value: Option<impl fmt::Display>) -> fmt::Result {
        let Some(value) = value else { return Ok(()) };
        self.name(name)?;
        write!(self.f, "{value}")
    }

    fn text(&mut self, name: &str, value: Option<&str>) -> fmt::Result {
        let Some(value) = value else { return Ok(()) };
        self.name(name)?;
        for byte in value.bytes() {
            // RFC 7512 §2.3: unreserved characters and some reserved ones are written unchanged.
            if byte.is_ascii_alphanumeric() || b"-._~:[]@!$'()*+,/".contains(&byte) {
                self.f.write_char(char::from(byte))?;
            } else {
                write!(self.f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }

    fn bytes(&mut self, name: &str, value: Option<&[u8]>) -> fmt::Result {
        let Some(value) = value else { return Ok(()) };
        self.name(name)?;
        // RFC 7512 §2.3: the whole of id should be percent-encoded.
        value.iter().try_for_each(|byte| write!(self.f, "%{byte:02X}"))
    }
}

fn set<T>(place: &mut Option<T>, name: &str, value: T) -> Result<(), UriError> {
    match place.replace(value) {
        Some(_) => Err(UriError::Twice(name.to_owned())),
        None => Ok(()),
    }
}

/// A decimal number. `parse` alone would also accept a plus sign.
fn number<T: FromStr>(value: &str) -> Option<T> {
    value.parse().ok().filter(|_| value.bytes().all(|byte| byte.is_ascii_digit()))
}

fn version(value: &str) -> Option<(u8, Option<u8>)> {
    match value.split_once('.') {
        Some((major, minor)) => Some((number(major)?, Some(number(minor)?))),
        None => Some((number(value)?, None)),
    }
}

/// Whether the name of an attribute suggests a PIN: `pin-value` of RFC 7512, or a common mistake
/// (`pin=`, `user-pin=`). The whole text is searched: after a wrong separator the PIN would become
/// part of another value, and would be written with it.
fn may_hold_pin(text: &str) -> bool {
    let names = text.split('=').map(|before| before.rsplit([';', '?', '&']).next().unwrap_or(before));
    // The text after the last equals sign is a value.
    let count = text.matches('=').count();
    names.take(count).any(|name| {
        let name = name.to_ascii_lowercase().replace('_', "-");
        let name = name.trim_end_matches("-value");
        ["pin", "pinvalue", "password"].contains(&name.rsplit('-').next().unwrap_or(name))
    })
}

fn bytes(name: &str, value: &str) -> Result<Vec<u8>, UriError> {
    let raw = value.as_bytes();
    let escapes_are_whole = raw.iter().enumerate().filter(|(_, byte)| **byte == b'%').all(|(at, _)| {
        raw.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if !escapes_are_whole || raw.iter().any(|byte| !byte.is_ascii_graphic()) {
        return Err(UriError::Encoding(name.to_owned()));
    }
    Ok(percent_decode_str(value).collect())
}

fn text(name: &str, value: &str) -> Result<String, UriError> {
    String::from_utf8(bytes(name, value)?).map_err(|_| UriError::Encoding(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{ObjectType, PinSource, Uri, UriError};

    fn check(input: &str, expected: Result<Uri, UriError>) {
        assert_eq!(input.parse::<Uri>(), expected, "{input}");
    }

    #[test]
    fn examples_of_rfc_7512() {
        check("pkcs11:", Ok(Uri::new()));
        check(
            "pkcs11:object=my-pubkey;type=public",
            Ok(Uri::new().with_object("my-pubkey").with_type(ObjectType::Public)),
        );
        check(
            "pkcs11:object=my-key;type=private?pin-source=file:/etc/token",
            Ok(Uri::new()
                .with_object("my-key")
                .with_type(ObjectType::Private)
                .with_pin_source(PinSource::File("/etc/token".into()))),
        );
        check(
            "pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;id=%69%95%3E%5C%F4%BD%EC%91",
            Ok(Uri::new()
                .with_token("The Software PKCS#11 Softtoken")
                .with_id([0x69, 0x95, 0x3e, 0x5c, 0xf4, 0xbd, 0xec, 0x91])),
        );
        check(
            "pkcs11:?module-path=/lib/libmypkcs11.so.1",
            Ok(Uri::new().with_module_path("/lib/libmypkcs11.so.1")),
        );
    }

    #[test]
    fn refusals() {
        check("token=a", Err(UriError::Scheme));
        check("pkcs11", Err(UriError::Scheme));
        check("pkcs11:token", Err(UriError::Attribute { kind: "path", number: 1 }));
        check("pkcs11:token=a;4711", Err(UriError::Attribute { kind: "path", number: 2 }));
        check("pkcs11:token=a?4711", Err(UriError::Attribute { kind: "query", number: 1 }));
        check("pkcs11:token=a;47 11=x", Err(UriError::Attribute { kind: "path", number: 2 }));
        check("pkcs11:token=a;token=b", Err(UriError::Twice("token".into())));
        check("pkcs11:token=%4", Err(UriError::Encoding("token".into())));
        check("pkcs11:token=%zz", Err(UriError::Encoding("token".into())));
        check("pkcs11:token=a b", Err(UriError::Encoding("token".into())));
        check("pkcs11:token=%ff", Err(UriError::Encoding("token".into())));
        check("pkcs11:slot-id=+1", Err(UriError::SlotId("+1".into())));
        check("pkcs11:slot-id=", Err(UriError::SlotId(String::new())));
        check("pkcs11:type=private-key", Err(UriError::ObjectType("private-key".into())));
        for wrong in [
            "?pin-value=1234",
            ";pin-value=1234",
            "?PIN-VALUE=1234",
            "?pin-source=file:a;pin-value=1234",
            "?pin=1234",
            ";pin=1234",
            "?PIN=1234",
            "?x-pin=1234",
            "?user-pin=1234",
            "?pin_value=1234",
            "?so-pin=1234",
            "?password=1234",
            "?pin-source=file:a&pin=1234",
            "?module-path=/a;pin=1234",
        ] {
            check(&format!("pkcs11:token=a{wrong}"), Err(UriError::PinValue));
        }
        check("pkcs11:?pin-source=|echo", Err(UriError::PinSource));
        for wrong in ["env:", "fd:", "fd:-1", "fd:+3", "credential:", "credential:a/b", "credential:.."] {
            check(&format!("pkcs11:?pin-source={wrong}"), Err(UriError::PinSource));
        }
    }

    #[test]
    fn a_pin_is_never_repeated_in_a_message() {
        let error = "pkcs11:?pin-value=4711".parse::<Uri>().unwrap_err().to_string();
        assert!(!error.contains("4711") && error.contains("pin-source=file:"), "{error}");
        let error = format!("{:?}", "pkcs11:?pin-source=4711".parse::<Uri>().unwrap_err());
        assert!(!error.contains("4711"), "{error}");
    }

    #[test]
    fn unknown_attributes_are_refused_and_those_of_vendors_in_the_query_dropped() {
        for name in ["tokn", "Token", "lable", "x-vendor", "pin-source", "module-path"] {
            check(&format!("pkcs11:token=a;{name}=b"), Err(UriError::Unknown(name.into())));
        }
        for name in ["module-pth", "pin-sorce", "token", "object", "Pin-source"] {
            check(&format!("pkcs11:token=a?{name}=b"), Err(UriError::UnknownQuery(name.into())));
        }
        check("pkcs11:token=a?module-name=softhsm2", Err(UriError::ModuleName));
        // An unknown attribute may be a secret.
        let uri = "pkcs11:token=a?x-secret=4711&module-path=/a.so".parse::<Uri>().unwrap();
        assert_eq!(uri.to_string(), "pkcs11:token=a?module-path=/a.so");
        assert!(!format!("{uri:?}").contains("4711"));
        for not_a_pin in ["pkcs11:token=spinning;object=pin", "pkcs11:token=pin"] {
            not_a_pin.parse::<Uri>().unwrap();
        }
    }

    #[test]
    fn attributes_of_slots_and_libraries() {
        let text = "pkcs11:slot-description=a%20b;slot-manufacturer=c;slot-id=7;\
                    library-manufacturer=d;library-description=e;library-version=2.6";
        let uri: Uri = text.parse().unwrap();
        assert_eq!(uri.to_string(), text);
        assert_eq!((uri.slot_description(), uri.slot_manufacturer()), (Some("a b"), Some("c")));
        assert_eq!((uri.library_manufacturer(), uri.library_description()), (Some("d"), Some("e")));
        assert_eq!(uri.library_version(), Some((2, Some(6))));
        assert_eq!("pkcs11:library-version=2".parse::<Uri>().unwrap().library_version(), Some((2, None)));
        for wrong in ["", "+2", "2.", ".6", "256", "2.6.1", "two"] {
            check(&format!("pkcs11:library-version={wrong}"), Err(UriError::LibraryVersion(wrong.into())));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            token in proptest::option::of(".*"), object in proptest::option::of(".*"),
            id in proptest::option::of(any::<Vec<u8>>()), slot in proptest::option::of(any::<u64>()),
        ) {
            let uri = Uri { token, object, id, slot_id: slot, ..Uri::new() };
            prop_assert_eq!(uri.to_string().parse::<Uri>(), Ok(uri));
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = text.parse::<Uri>();
            let _ = format!("pkcs11:{text}").parse::<Uri>();
        }
    }
}
