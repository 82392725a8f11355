//! Text files that people give to a program.

use std::{fs, io, path::Path};

/// The text of a file, read as by [`std::fs::read_to_string`], without a byte-order mark.
///
/// # Errors
/// The system's error. If the file is not UTF-8, an error that names the probable encoding and how
/// to convert it.
pub fn read_text(path: &Path) -> io::Result<String> {
    let text = String::from_utf8(fs::read(path)?).map_err(|error| {
        let reason = match error.as_bytes() {
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "it is UTF-16; save it as UTF-8".to_owned(),
            [0x30, 0x80..=0x84, ..] => {
                "it is DER; convert it to PEM: openssl x509 -inform DER -in FILE -out FILE.pem (crl or req instead of \
                 x509 for a list or a request)"
                    .to_owned()
            }
            bytes => {
                let good = &bytes[..error.utf8_error().valid_up_to()];
                let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
                format!("line {line} is not UTF-8; save it as UTF-8")
            }
        };
        io::Error::new(io::ErrorKind::InvalidData, reason)
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(text) => text.to_owned(),
        None => text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_utf_8_is_called_by_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let read = |bytes: &[u8]| {
            let path = folder.path().join("file");
            fs::write(&path, bytes).expect("writes");
            read_text(&path).map_err(|error| error.to_string())
        };
        assert_eq!(read("ä\n".as_bytes()), Ok("ä\n".to_owned()));
        assert_eq!(read("\u{feff}ä".as_bytes()), Ok("ä".to_owned()));
        for (bytes, expected) in [
            (&b"\xff\xfea\0"[..], "UTF-16"),
            (b"\xfe\xff\0a", "UTF-16"),
            (b"\x30\x82\x01\xb0\x30\x82", "DER"),
            (b"a\nb\nS\xe4ule\n", "line 3 is not UTF-8"),
        ] {
            let error = read(bytes).expect_err("refused");
            assert!(error.contains(expected), "{error}");
        }
        read_text(&folder.path().join("none")).expect_err("there is none");
    }
}
