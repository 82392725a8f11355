//! The text form of a password in each version of OCPP.

use ocpp_transport::Password;

use crate::config::OcppVersion;

/// The forms of a password from which its hash may have been made. A key of OCPP 1.6 is sent as
/// bytes or as hexadecimal digits; any other password has one form. In OCPP 1.6 a key may be bytes
/// that happen to be letters.
pub(crate) fn spellings(password: &Password, version: OcppVersion) -> Vec<Password> {
    let mut spellings = password.spellings();
    match version {
        OcppVersion::V16 => {
            let bytes = password.expose();
            if (16..=20).contains(&bytes.len()) && spellings.len() == 1 {
                spellings.push(Password::new(hex::encode_upper(bytes)));
                spellings.push(Password::new(hex::encode(bytes)));
            }
        }
        OcppVersion::V201 | OcppVersion::V21 => {}
    }
    spellings
}

/// A password in the form in which it is sent to a station; `None`: the version cannot carry it.
pub(crate) fn to_send(mut text: String, version: OcppVersion) -> Option<String> {
    match version {
        OcppVersion::V16 => {
            // A station may send the bytes back. The bytes do not show the case of each digit.
            text.make_ascii_uppercase();
            is_key(&text).then_some(text)
        }
        OcppVersion::V201 | OcppVersion::V21 => Some(text),
    }
}

/// A password of random bytes. In OCPP 2.x it has 40 characters of an alphabet that the third
/// edition also allows (A00.FR.205): more than 200 bits. In OCPP 1.6 it has the 40 digits of 20
/// bytes.
pub(crate) fn from_random(bytes: [u8; 40], version: OcppVersion) -> Password {
    match version {
        OcppVersion::V16 => Password::new(hex::encode_upper(&bytes[..20])),
        OcppVersion::V201 | OcppVersion::V21 => {
            // There are 64 characters, so each one has the same probability.
            Password::new(bytes.map(|byte| ALPHABET[usize::from(byte % 64)]))
        }
    }
}

/// Whether a text is 16 to 20 bytes in hexadecimal, as the security whitepaper of OCPP 1.6 requires
/// (A00.FR.205).
fn is_key(text: &str) -> bool {
    (32..=40).contains(&text.len())
        && text.len().is_multiple_of(2)
        && text.bytes().all(|digit| digit.is_ascii_hexdigit())
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_1_6_may_be_letters() {
        let count = |text: &str, version| spellings(&Password::from(text), version).len();
        assert_eq!(count("AAAAAAAAAAAAAAAAAAAA", OcppVersion::V16), 3);
        assert_eq!(count("AAAAAAAAAAAAAAAAAAAA", OcppVersion::V201), 1);
        assert_eq!(count("correct-horse-battery", OcppVersion::V16), 1);
        let found = spellings(&Password::from("ABCDEFGHIJKLMNOP"), OcppVersion::V16);
        assert!(found.iter().any(|spelling| spelling.expose() == b"4142434445464748494A4B4C4D4E4F50"));
    }

    #[test]
    fn a00_fr_205_a_key_of_1_6_has_16_to_20_bytes() {
        for (text, expected) in [
            ("0001020304050607FFFFFFFFFFFFFFFFFFFFFFFF", true),
            ("0001020304050607ffffffffffffffff", true),
            ("0001020304050607ffffffffffffffff0", false),
            ("0001020304050607ffffffffffffff", false),
            ("0001020304050607FFFFFFFFFFFFFFFFFFFFFFFFFF", false),
            ("correct-horse-battery-staple-and-more", false),
            ("", false),
        ] {
            assert_eq!(is_key(text), expected, "{text}");
            let sent = to_send(text.to_owned(), OcppVersion::V16);
            assert_eq!(sent, expected.then(|| text.to_ascii_uppercase()), "{text}");
        }
        let key = from_random([0xab; 40], OcppVersion::V16);
        assert!(is_key(&String::from_utf8_lossy(key.expose())));
    }
}
