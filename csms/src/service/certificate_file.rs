//! The certificate file that an operator sends to a station.

use certificates::{Certificate, CertificateError, pem};

/// Why a file is not sent to a station. The reason never contains the content of the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateFileError {
    /// The file contains something else than certificates in PEM, such as a private key or a PIN.
    #[error("nothing was sent, because the file is not one certificate in PEM or DER")]
    Pem(#[source] pem::PemError),
    /// A block that is not a certificate.
    #[error("nothing was sent, because the certificate in the file cannot be read")]
    Certificate(#[source] CertificateError),
}

/// The one certificate in a file, PEM or DER, as PEM. No other content of the file is returned.
///
/// # Errors
/// [`CertificateFileError`] if the file contains anything but one certificate.
pub fn certificate_to_install(file: &[u8]) -> Result<String, CertificateFileError> {
    // A certificate in DER begins with a SEQUENCE, and no PEM text does.
    let der = match file.first() {
        Some(0x30) if std::str::from_utf8(file).is_err() => file.to_vec(),
        _ => {
            let blocks = pem::certificates(file, 1).map_err(CertificateFileError::Pem)?;
            blocks.first().map(|block| block.to_vec()).unwrap_or_default()
        }
    };
    Ok(Certificate::from_der(der).map_err(CertificateFileError::Certificate)?.to_pem())
}

#[cfg(test)]
mod tests {
    use program::causes;

    use super::*;

    /// Made with `openssl req -x509`; valid until 2046.
    const ROOT: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIBsDCCAVWgAwIBAgIUQsUcQa0/yjuCWxaIyW5ZJSVrr9UwCgYIKoZIzj0EAwIw\n\
LTEUMBIGA1UECgwLRXhhbXBsZSBDU08xFTATBgNVBAMMDEV4YW1wbGUgUm9vdDAe\n\
Fw0yNjExMzAxODE3MTRaFw00NjExMjUxODE3MTRaMC0xFDASBgNVBAoMC0V4YW1w\n\
bGUgQ1NPMRUwEwYDVQQDDAxFeGFtcGxlIFJvb3QwWTATBgcqhkjOPQIBBggqhkjO\n\
PQMBBwNCAAQtESYLBXBtuZtd0D4ydNItX8waaMHpu3l0lM/1mdLhbuxFheUZvERt\n\
LiJNe/QjnyH09jBlasheRhYWuKYZiJJ7o1MwUTAdBgNVHQ4EFgQUPiEqxvWaYoVk\n\
u9Ud1JAKT7dXgZkwHwYDVR0jBBgwFoAUPiEqxvWaYoVku9Ud1JAKT7dXgZkwDwYD\n\
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNJADBGAiEA5oR2C327E8PjSE6uoaNP\n\
I2HV5+22obHEOQn9tVRjjAQCIQD6WMf4QIETg781Wv3guAJ98zxgXKSHcGNy+oB7\n\
DKe5Dw==\n\
-----END CERTIFICATE-----\n";

    #[test]
    fn only_a_certificate_leaves_the_file() {
        let sent = certificate_to_install(ROOT.as_bytes()).expect("a certificate");
        let with_text = format!("\u{feff}subject=CN = Root\r\n{}", ROOT.replace('\n', "\r\n"));
        assert_eq!(certificate_to_install(with_text.as_bytes()).expect("a certificate"), sent);
        let der = pem::certificates(ROOT.as_bytes(), 1).expect("PEM")[0].to_vec();
        assert_eq!(certificate_to_install(&der).expect("a certificate"), sent);
    }

    #[test]
    fn what_is_no_certificate_is_refused_without_its_content() {
        let key = "-----BEGIN PRIVATE KEY-----\naHVudGVyMg==\n-----END PRIVATE KEY-----\n";
        let wrong = "-----BEGIN CERTIFICATE-----\naHVudGVyMg==\n-----END CERTIFICATE-----\n";
        let utf_16: Vec<u8> = "\u{feff}hunter2".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for file in [
            b"hunter2\n".to_vec(),
            b"0hunter2".to_vec(),
            b"0\x82hunter2".to_vec(),
            Vec::new(),
            key.into(),
            format!("{ROOT}{key}").into(),
            format!("{key}{ROOT}").into(),
            format!("{ROOT}{ROOT}").into(),
            wrong.into(),
            utf_16,
        ] {
            let error = certificate_to_install(&file).expect_err("refused");
            let text = format!("{} {error:?}", causes(&error));
            assert!(!text.contains("hunter2") && !text.contains("aHVudGVyMg"), "{text}");
        }
    }
}
