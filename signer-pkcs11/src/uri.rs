//! PKCS #11 URIs (RFC 7512): how tokens and keys are named in configurations, databases and logs.

use std::{fmt, fmt::Write, path::PathBuf, str::FromStr};

use percent_encoding::percent_decode_str;

use crate::pin::Pin;

/// A PKCS #11 URI: names a token, or a key in it, and how to reach it. It never holds a PIN.
///
/// An attribute that is absent matches everything. Attributes this crate has no use for are kept and written out again.
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
    slot_id: Option<u64>,
    object: Option<String>,
    id: Option<Vec<u8>>,
    object_type: Option<ObjectType>,
    module_path: Option<PathBuf>,
    pin_source: Option<PinSource>,
    /// Path attributes without a meaning here, still percent-encoded, in their order.
    other_path: Vec<(String, String)>,
    /// Query attributes without a meaning here, still percent-encoded, in their order.
    other_query: Vec<(String, String)>,
}

/// What kind of object a URI names (`type=`).
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

/// Where the PIN is to be read (`pin-source=`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PinSource {
    /// `file:/path` or a plain absolute path: the file's text without the line end.
    File(PathBuf),
    /// `env:NAME`: an environment variable.
    Environment(String),
    /// `fd:NUMBER`: a file descriptor that the process was started with, read to its end.
    Descriptor(u32),
    /// `prompt:`: a person at the terminal is asked, without an echo.
    Prompt,
    /// `credential:NAME`: a credential of the systemd service (`LoadCredential=`).
    Credential(String),
}

/// Why a text is not a PKCS #11 URI for us.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UriError {
    /// Another scheme, or none.
    #[error("a PKCS #11 URI begins with \"pkcs11:\", as in pkcs11:token=station;object=key")]
    Scheme,
    /// A part that is not `name=value`.
    #[error("\"{0}\" is not of the form name=value")]
    Attribute(String),
    /// RFC 7512 §2.3: an attribute stands only once.
    #[error("attribute {0} stands twice")]
    Twice(String),
    /// The value has an invalid percent escape or is not UTF-8 where text is needed.
    #[error("value of {0} is not percent-encoded UTF-8: write a blank as %20, ä as %C3%A4")]
    Encoding(String),
    /// `slot-id` is not a number.
    #[error("slot-id \"{0}\" is not a decimal number")]
    SlotId(String),
    /// `type` is none of RFC 7512's.
    #[error("type \"{0}\" is none of public, private, cert, secret-key, data")]
    ObjectType(String),
    /// `pin-source` names a source that is not supported. It is not repeated, for it may be the PIN itself.
    #[error("pin-source is none of file:/path, env:NAME, fd:NUMBER, prompt: and credential:NAME")]
    PinSource,
    /// A PIN in a URI ends up in logs, process lists and databases.
    #[error(
        "pin-value is refused, because URIs are logged and stored: put the PIN into a file and write pin-source=file:/path, or pin-source=env:NAME"
    )]
    PinValue,
}

impl Uri {
    /// A URI that matches every token.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the token by its label.
    pub fn with_token(mut self, label: impl Into<String>) -> Self {
        self.token = Some(label.into());
        self
    }

    /// Names the token by its serial number.
    pub fn with_serial(mut self, serial: impl Into<String>) -> Self {
        self.serial = Some(serial.into());
        self
    }

    /// Names the object by its label.
    pub fn with_object(mut self, label: impl Into<String>) -> Self {
        self.object = Some(label.into());
        self
    }

    /// Names the object by its CKA_ID.
    pub fn with_id(mut self, id: impl Into<Vec<u8>>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Names the kind of object.
    pub fn with_type(mut self, object_type: ObjectType) -> Self {
        self.object_type = Some(object_type);
        self
    }

    /// Names the PKCS #11 module (shared library).
    pub fn with_module_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.module_path = Some(path.into());
        self
    }

    /// Says where the PIN is to be read.
    pub fn with_pin_source(mut self, source: PinSource) -> Self {
        self.pin_source = Some(source);
        self
    }

    /// The token's label.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The token's serial number.
    pub fn serial(&self) -> Option<&str> {
        self.serial.as_deref()
    }

    /// The token's manufacturer.
    pub fn manufacturer(&self) -> Option<&str> {
        self.manufacturer.as_deref()
    }

    /// The token's model.
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// The slot's number. It changes with each start on many tokens: prefer the label or serial number.
    pub fn slot_id(&self) -> Option<u64> {
        self.slot_id
    }

    /// The object's label (CKA_LABEL).
    pub fn object(&self) -> Option<&str> {
        self.object.as_deref()
    }

    /// The object's CKA_ID.
    pub fn id(&self) -> Option<&[u8]> {
        self.id.as_deref()
    }

    /// The object's kind.
    pub fn object_type(&self) -> Option<ObjectType> {
        self.object_type
    }

    /// The module's path.
    pub fn module_path(&self) -> Option<&std::path::Path> {
        self.module_path.as_deref()
    }

    /// Where the PIN is to be read.
    pub fn pin_source(&self) -> Option<&PinSource> {
        self.pin_source.as_ref()
    }

    /// Reads a URI that may hold the PIN itself (`pin-value`), and returns the PIN beside the URI, which does not hold it.
    ///
    /// For a person's own tools only: whoever sees the text, in a list of processes or in a file, sees the PIN.
    ///
    /// # Errors
    /// [`UriError`]
    pub fn parse_with_pin_value(text: &str) -> Result<(Self, Option<Pin>), UriError> {
        let Some((path, query)) = text.split_once('?') else { return Ok((text.parse()?, None)) };
        let mut pin = None;
        let mut rest = Vec::new();
        for part in query.split('&') {
            match part.split_once('=') {
                Some(("pin-value", value)) => {
                    set(&mut pin, "pin-value", Pin::new(self::text("pin-value", value)?))?;
                }
                _ => rest.push(part),
            }
        }
        Ok((format!("{path}?{}", rest.join("&")).parse()?, pin))
    }

    /// The same token, without what names an object in it.
    pub fn token_only(&self) -> Self {
        Self { object: None, id: None, object_type: None, ..self.clone() }
    }

    fn set_path(&mut self, name: &str, value: &str) -> Result<(), UriError> {
        match name {
            "token" => set(&mut self.token, name, text(name, value)?),
            "serial" => set(&mut self.serial, name, text(name, value)?),
            "manufacturer" => set(&mut self.manufacturer, name, text(name, value)?),
            "model" => set(&mut self.model, name, text(name, value)?),
            "object" => set(&mut self.object, name, text(name, value)?),
            "id" => set(&mut self.id, name, bytes(name, value)?),
            "slot-id" => {
                // Digits only: `parse` alone would also take a plus sign.
                let digits = value.bytes().all(|b| b.is_ascii_digit());
                let number = value.parse().ok().filter(|_| digits);
                set(&mut self.slot_id, name, number.ok_or_else(|| UriError::SlotId(value.to_owned()))?)
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
            _ => other(&mut self.other_path, name, value),
        }
    }

    fn set_query(&mut self, name: &str, value: &str) -> Result<(), UriError> {
        match name {
            "pin-source" => set(&mut self.pin_source, name, PinSource::parse(&text(name, value)?)?),
            "module-path" => set(&mut self.module_path, name, PathBuf::from(text(name, value)?)),
            _ => other(&mut self.other_query, name, value),
        }
    }
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(input: &str) -> Result<Self, UriError> {
        // RFC 3986: schemes are compared without regard to case.
        let rest = match input.get(..7) {
            Some(scheme) if scheme.eq_ignore_ascii_case("pkcs11:") => &input[7..],
            _ => return Err(UriError::Scheme),
        };
        // Wherever it stands: behind a wrong separator it would pass for a part of another value, and be written out.
        if rest.to_ascii_lowercase().contains("pin-value=") {
            return Err(UriError::PinValue);
        }
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut uri = Self::default();
        for part in path.split(';').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or_else(|| UriError::Attribute(part.to_owned()))?;
            uri.set_path(name, value)?;
        }
        for part in query.split('&').filter(|part| !part.is_empty()) {
            // A PIN must not be repeated in an error message, so only the name is shown.
            let (name, value) =
                part.split_once('=').ok_or_else(|| UriError::Attribute("query".to_owned()))?;
            uri.set_query(name, value)?;
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
        path.raw("slot-id", self.slot_id)?;
        path.text("object", self.object.as_deref())?;
        path.bytes("id", self.id.as_deref())?;
        path.raw("type", self.object_type)?;
        for (name, value) in &self.other_path {
            path.raw(name, Some(value))?;
        }
        let f = path.f;
        let mut query = Parts { f, first: "?", next: "&" };
        query.text("pin-source", self.pin_source.as_ref().map(PinSource::to_string).as_deref())?;
        query.text("module-path", self.module_path.as_ref().map(|p| p.to_string_lossy()).as_deref())?;
        for (name, value) in &self.other_query {
            query.raw(name, Some(value))?;
        }
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

impl PinSource {
    fn parse(text: &str) -> Result<Self, UriError> {
        if let Some(name) = text.strip_prefix("env:").filter(|name| !name.is_empty()) {
            return Ok(Self::Environment(name.to_owned()));
        }
        if let Some(number) = text.strip_prefix("fd:") {
            let digits = number.bytes().all(|byte| byte.is_ascii_digit());
            return number.parse().ok().filter(|_| digits).map(Self::Descriptor).ok_or(UriError::PinSource);
        }
        if text == "prompt:" || text == "prompt" {
            return Ok(Self::Prompt);
        }
        if let Some(name) = text.strip_prefix("credential:") {
            // A name, never a path: it is looked for in the folder of the service's credentials only.
            let is_name = !name.is_empty() && !name.contains('/') && !name.starts_with('.');
            return if is_name { Ok(Self::Credential(name.to_owned())) } else { Err(UriError::PinSource) };
        }
        let path = text.strip_prefix("file:").unwrap_or(text);
        let path = path.strip_prefix("//").filter(|rest| rest.starts_with('/')).unwrap_or(path);
        // "|command" (RFC 7512 §2.4) would run a program named by a configuration: not supported.
        let is_path = text.starts_with("file:") && !path.is_empty() || path.starts_with('/');
        if is_path { Ok(Self::File(path.into())) } else { Err(UriError::PinSource) }
    }
}

impl fmt::Display for PinSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Environment(name) => write!(f, "env:{name}"),
            Self::Descriptor(number) => write!(f, "fd:{number}"),
            Self::Prompt => f.write_str("prompt:"),
            Self::Credential(name) => write!(f, "credential:{name}"),
        }
    }
}

impl FromStr for PinSource {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        Self::parse(text)
    }
}

/// Writes attributes with the right separator before each.
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
            // RFC 7512 §2.3: unreserved characters, and some of the reserved ones, stand for themselves.
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

/// RFC 7512 §2.3: vendor-specific and future attributes are ignored; kept so that writing loses nothing.
fn other(places: &mut Vec<(String, String)>, name: &str, value: &str) -> Result<(), UriError> {
    let known_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if name.is_empty() || !known_name {
        return Err(UriError::Attribute(name.to_owned()));
    }
    bytes(name, value)?;
    places.push((name.to_owned(), value.to_owned()));
    Ok(())
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
        check("pkcs11:token", Err(UriError::Attribute("token".into())));
        check("pkcs11:token=a;token=b", Err(UriError::Twice("token".into())));
        check("pkcs11:token=%4", Err(UriError::Encoding("token".into())));
        check("pkcs11:token=%zz", Err(UriError::Encoding("token".into())));
        check("pkcs11:token=a b", Err(UriError::Encoding("token".into())));
        check("pkcs11:token=%ff", Err(UriError::Encoding("token".into())));
        check("pkcs11:slot-id=+1", Err(UriError::SlotId("+1".into())));
        check("pkcs11:slot-id=", Err(UriError::SlotId(String::new())));
        check("pkcs11:type=private-key", Err(UriError::ObjectType("private-key".into())));
        for wrong in
            ["?pin-value=1234", ";pin-value=1234", "?PIN-VALUE=1234", "?pin-source=file:a;pin-value=1234"]
        {
            check(&format!("pkcs11:token=a{wrong}"), Err(UriError::PinValue));
        }
        check("pkcs11:?pin-source=|echo", Err(UriError::PinSource));
        for wrong in ["env:", "fd:", "fd:-1", "fd:+3", "credential:", "credential:a/b", "credential:.."] {
            check(&format!("pkcs11:?pin-source={wrong}"), Err(UriError::PinSource));
        }
    }

    #[test]
    fn pin_sources() {
        for (text, source) in [
            ("file:/run/pin", PinSource::File("/run/pin".into())),
            ("env:HSM_PIN", PinSource::Environment("HSM_PIN".into())),
            ("fd:3", PinSource::Descriptor(3)),
            ("prompt:", PinSource::Prompt),
            ("credential:hsm-pin", PinSource::Credential("hsm-pin".into())),
        ] {
            let uri: Uri = format!("pkcs11:?pin-source={text}").parse().unwrap();
            assert_eq!(uri.pin_source(), Some(&source));
            assert_eq!(uri.to_string(), format!("pkcs11:?pin-source={text}"));
        }
    }

    #[test]
    fn a_pin_value_is_taken_only_when_it_is_asked_for() {
        let text = "pkcs11:token=a?pin-value=47%2011&module-path=/m";
        let (uri, pin) = Uri::parse_with_pin_value(text).unwrap();
        assert_eq!(pin.unwrap().expose(), "47 11");
        assert_eq!(uri.to_string(), "pkcs11:token=a?module-path=/m");
        assert!(Uri::parse_with_pin_value("pkcs11:token=a").unwrap().1.is_none());
        assert_eq!(text.parse::<Uri>(), Err(UriError::PinValue));
        let twice = Uri::parse_with_pin_value("pkcs11:?pin-value=1&pin-value=2").unwrap_err();
        assert_eq!(twice, UriError::Twice("pin-value".into()));
        let error = format!("{:?}", Uri::parse_with_pin_value("pkcs11:?pin-value=%ff4711").unwrap_err());
        assert!(!error.contains("4711"), "{error}");
    }

    #[test]
    fn a_pin_is_never_repeated_in_a_message() {
        let error = "pkcs11:?pin-value=4711".parse::<Uri>().unwrap_err().to_string();
        assert!(!error.contains("4711") && error.contains("pin-source=file:"), "{error}");
        let error = format!("{:?}", "pkcs11:?pin-source=4711".parse::<Uri>().unwrap_err());
        assert!(!error.contains("4711"), "{error}");
    }

    #[test]
    fn unknown_attributes_are_kept() {
        let text = "pkcs11:token=a;x-vendor=%01;library-version=2?x-query=b";
        assert_eq!(text.parse::<Uri>().unwrap().to_string(), text);
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
