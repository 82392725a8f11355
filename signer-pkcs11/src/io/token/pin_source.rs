//! Reading PINs from the sources that a URI names.

use std::{
    env::{self, VarError},
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::{
    io::token::errors::TokenError,
    token::{pin::Pin, uri::pin_source::PinSource},
};

/// Reads a PIN from its source. Blocks; with [`PinSource::Prompt`] until a person has answered.
///
/// A file that other users may read is reported in the log; see [`is_readable_by_others`].
///
/// # Errors
/// [`TokenError::PinUnreadable`], [`TokenError::PinEmpty`]
pub fn read_pin(source: &PinSource) -> Result<Pin, TokenError> {
    let read = match source {
        PinSource::File(path) => {
            if is_readable_by_others(source) {
                tracing::warn!(file = %path.display(), "the file with the PIN is readable by other users: chmod 600");
            }
            read_file(path)
        }
        PinSource::Environment(name) => env::var(name).map(Pin::new).map_err(|error| match error {
            VarError::NotPresent => io::Error::from(io::ErrorKind::NotFound),
            // The error's own text repeats the value.
            VarError::NotUnicode(_) => io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"),
        }),
        PinSource::Descriptor(number) => read_file(&Path::new("/dev/fd").join(number.to_string())),
        PinSource::Prompt => rpassword::prompt_password("PIN: ").map(Pin::new),
        PinSource::Credential(name) => credential(name).and_then(|path| read_file(&path)),
    };
    match read {
        Ok(pin) if pin.is_empty() => Err(TokenError::PinEmpty { pin_source: source.clone() }),
        Ok(pin) => Ok(pin),
        Err(error) => Err(TokenError::PinUnreadable { pin_source: source.clone(), source: error }),
    }
}

/// Whether the PIN is in a file that the group or all users may read.
///
/// Such a file is still used: secrets that orchestrators mount are often readable by the group,
/// inside a container without other users.
#[must_use]
pub fn is_readable_by_others(source: &PinSource) -> bool {
    let PinSource::File(path) = source else { return false };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o044 != 0)
    }
    #[cfg(not(unix))]
    {
        let _ = (path, fs::metadata::<&Path>);
        false
    }
}

fn read_file(path: &Path) -> io::Result<Pin> {
    let mut text = Zeroizing::new(String::with_capacity(MAX_PIN_FILE_BYTES));
    let read = File::open(path)?.take(MAX_PIN_FILE_BYTES as u64).read_to_string(&mut text)?;
    if read == MAX_PIN_FILE_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is too long for a PIN"));
    }
    Ok(Pin::from_file_text(text.as_str()))
}

fn credential(name: &str) -> io::Result<PathBuf> {
    let folder = env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            "CREDENTIALS_DIRECTORY is not set: this process is not a service with credentials",
        )
    })?;
    Ok(Path::new(&folder).join(name))
}

/// No token accepts PINs of more than 255 bytes.
const MAX_PIN_FILE_BYTES: usize = 4096;
