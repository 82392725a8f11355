//! PEM (RFC 7468), in files and in messages: every part of a text is read or refused, and never
//! skipped.
//!
//! Some tools print `subject=` and `issuer=` lines before each block, some lose the line breaks,
//! some files begin with a byte-order mark. None of this changes a byte of a block's content, so it
//! is accepted. Inside a block the base64 must be exact. Text outside of the blocks must not look
//! like a part of one: otherwise a boundary with a missing dash could hide a revocation list from
//! the reader.

use base64ct::{Base64, Encoding};
use der::Decode;
use der::asn1::AnyRef;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, PrivatePkcs8KeyDer};

mod error;
mod labels;
mod scan;

pub use error::{Label, PemError};
pub use labels::{CERTIFICATE, REQUEST, REVOCATION_LIST};
use labels::{PKCS1, PKCS8, SEC1};
use scan::Labels;

/// The certificates in `text`, in its order.
///
/// # Errors
/// [`PemError`] if there is none, if there are more than `max`, or if the text contains anything
/// else.
pub fn certificates(text: &[u8], max: usize) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let labels = Labels { wanted: &[CERTIFICATE], passed_over: &[] };
    Ok(scan::blocks(text, &labels, max)?.into_iter().map(|block| block.der.into()).collect())
}

/// The revocation lists in a file: one or more in PEM, or one or more in DER, as authorities
/// publish them.
///
/// # Errors
/// [`PemError`] as for [`certificates`].
pub fn revocation_lists(
    bytes: &[u8],
    max: usize,
) -> Result<Vec<CertificateRevocationListDer<'static>>, PemError> {
    if !scan::is_der(bytes) {
        let labels = Labels { wanted: &[REVOCATION_LIST], passed_over: &[] };
        return Ok(scan::blocks(bytes, &labels, max)?.into_iter().map(|block| block.der.into()).collect());
    }
    let mut lists = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        if lists.len() == max {
            return Err(PemError::TooMany { line: 1, max, expected: REVOCATION_LIST });
        }
        let (_, after) = AnyRef::from_der_partial(rest).map_err(|_| PemError::BrokenDer)?;
        let (list, after) = rest.split_at(rest.len() - after.len());
        lists.push(list.to_vec().into());
        rest = after;
    }
    Ok(lists)
}

/// The one private key in a file, which is not encrypted. The parameters of a curve that OpenSSL
/// writes before it are ignored, because the key repeats them.
///
/// # Errors
/// [`PemError`] if there is not exactly one key, or if the text contains anything else. No error
/// repeats a part of the key.
pub fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, PemError> {
    let labels = Labels { wanted: &[PKCS8, PKCS1, SEC1], passed_over: &["EC PARAMETERS"] };
    let block = scan::blocks(text, &labels, 1)?.pop().ok_or(PemError::Nothing { expected: PKCS8 })?;
    Ok(match block.label {
        PKCS1 => PrivateKeyDer::Pkcs1(block.der.into()),
        SEC1 => PrivateKeyDer::Sec1(block.der.into()),
        _ => PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(block.der)),
    })
}

/// The one certificate signing request in a message: PEM with either common label, or bare base64.
///
/// # Errors
/// [`PemError`] if there is not exactly one, or if the text contains anything else.
pub fn request(text: &str) -> Result<Vec<u8>, PemError> {
    if !text.contains("--") {
        let packed: String = scan::without_mark(text.as_bytes())
            .iter()
            .filter(|byte| !byte.is_ascii_whitespace())
            .map(|byte| char::from(*byte))
            .collect();
        return match Base64::decode_vec(&packed) {
            Ok(der) if !der.is_empty() => Ok(der),
            _ => Err(PemError::NeitherPemNorBase64 { expected: REQUEST }),
        };
    }
    let labels = Labels { wanted: &[REQUEST, "NEW CERTIFICATE REQUEST"], passed_over: &[] };
    let block = scan::blocks(text.as_bytes(), &labels, 1)?.pop();
    block.map(|block| block.der).ok_or(PemError::Nothing { expected: REQUEST })
}

/// The form in which this project writes PEM: 64 characters to a line, each line ended by `\n`.
#[must_use]
pub fn encode(label: &str, der: &[u8]) -> String {
    let base64 = Base64::encode_string(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in base64.as_bytes().chunks(64) {
        text.extend(line.iter().map(|byte| char::from(*byte)));
        text.push('\n');
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

#[cfg(test)]
mod tests;
