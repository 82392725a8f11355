//! PEM armour (RFC 7468) around certificates: lenient outside the armour, strict inside it.
//!
//! Certificates travel as PEM (A00.FR.507). Some tools print `subject=` and `issuer=` lines before each certificate,
//! some lose the line breaks on the way; neither changes a byte of the certificate, so both are let through.

use base64ct::{Base64, Encoding};

use crate::certificate::CertificateError;

/// The DER bytes of each certificate in `text`, in the order of the text.
///
/// Any other armour (a private key, a CSR) is refused rather than skipped: whoever sent it meant something else.
pub(crate) fn certificates(text: &str, max: usize) -> Result<Vec<Vec<u8>>, CertificateError> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(BEGIN) {
        let after = &rest[start + BEGIN.len()..];
        let (label, body) = after.split_once(DASHES).ok_or(CertificateError::Armour)?;
        if label != LABEL {
            let label = label.chars().take(MAX_QUOTED_LABEL).filter(|letter| !letter.is_control()).collect();
            return Err(CertificateError::OtherArmour { label });
        }
        let (base64, after) = body.split_once(END).ok_or(CertificateError::Armour)?;
        if found.len() == max {
            return Err(CertificateError::TooMany { max });
        }
        let base64: String = base64.chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
        // Strict inside: padding, alphabet and the unused bits of the last group are all checked.
        found.push(Base64::decode_vec(&base64).map_err(|_| CertificateError::Base64)?);
        rest = after;
    }
    if found.is_empty() {
        return Err(CertificateError::Nothing);
    }
    Ok(found)
}

/// The one form in which this crate writes PEM: 64 characters to a line, each line ended by `\n`.
pub(crate) fn encode(der: &[u8]) -> String {
    let base64 = Base64::encode_string(der);
    let mut text = format!("{BEGIN}{LABEL}{DASHES}\n");
    for line in base64.as_bytes().chunks(64) {
        text.extend(line.iter().map(|byte| char::from(*byte)));
        text.push('\n');
    }
    text.push_str(END);
    text.push('\n');
    text
}

const BEGIN: &str = "-----BEGIN ";
const LABEL: &str = "CERTIFICATE";
const DASHES: &str = "-----";
const END: &str = "-----END CERTIFICATE-----";

/// Characters of a foreign label that an error repeats; a peer chose them.
const MAX_QUOTED_LABEL: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<Vec<Vec<u8>>, &str>) {
        let found = certificates(text, 2).map_err(|error| error.to_string());
        assert_eq!(found, expected.map_err(str::to_owned), "{text:?}");
    }

    #[test]
    fn lenient_outside_strict_inside() {
        const B: &str = "-----BEGIN CERTIFICATE-----";
        const E: &str = "-----END CERTIFICATE-----";
        check(&format!("{B}\nAQID\n{E}\n"), Ok(vec![vec![1, 2, 3]]));
        check(&format!("subject=CN = x\nissuer=y\n{B}\r\nAQ\r\nID\r\n{E}"), Ok(vec![vec![1, 2, 3]]));
        check(&format!("{B} AQID {E} {B}AQ=={E} bye"), Ok(vec![vec![1, 2, 3], vec![1]]));
        check("", Err("there is no PEM certificate in the text"));
        check("AQID", Err("there is no PEM certificate in the text"));
        check(&format!("{B}\nAQID\n"), Err("the PEM armour is not closed"));
        check("-----BEGIN CERTIFICATE", Err("the PEM armour is not closed"));
        check(&format!("{B}\nAQ-_\n{E}"), Err("the text inside the PEM armour is not base64"));
        check(&format!("{B}\nAQ=\n{E}"), Err("the text inside the PEM armour is not base64"));
        check(&format!("{B}\nAR==\n{E}"), Err("the text inside the PEM armour is not base64"));
        check(
            "-----BEGIN PRIVATE KEY-----\nAQID\n-----END PRIVATE KEY-----",
            Err("a certificate is expected, and this is PEM of PRIVATE KEY"),
        );
        check(&format!("{B}AQ=={E}{B}AQ=={E}{B}AQ=={E}"), Err("more than 2 certificates"));
    }

    #[test]
    fn encoding_decodes_to_the_same_bytes() {
        let der: Vec<u8> = (0..=255).collect();
        assert_eq!(certificates(&encode(&der), 1).expect("own encoding"), [der]);
    }
}
