//! Keeps the ledger's high-water mark apart from the ledger: in a file beside it, and in the token.

use std::{
    error::Error,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use metrics::{counter, gauge};
use program::{Readers, causes};
use signer_pkcs11::Token;

use crate::{
    ledger::{Mark, Place},
    service::io::server_error::ServerError,
};

/// Where the mark of a ledger is kept.
#[derive(Debug)]
pub(crate) struct Marks {
    file: Kept<PathBuf>,
    token: Option<Kept<TokenObject>>,
}

/// One place, and what was written to it.
#[derive(Debug)]
struct Kept<P> {
    place: P,
    /// Locked during a write, so that the mark only rises.
    written: Mutex<Written>,
}

#[derive(Debug, Default)]
struct Written {
    entries: u64,
    /// The last attempt failed.
    failing: bool,
}

/// A data object in the token.
#[derive(Clone, Debug)]
pub(crate) struct TokenObject {
    pub(crate) token: Token,
    /// Names the authority. Two services may share a token, but not an authority.
    pub(crate) label: String,
}

/// Which marks have to be raised before something is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The mark in the file.
    File,
    /// Also the mark in the token, if the token can keep one.
    Everywhere,
}

impl Marks {
    /// `file` and `token` are the places of the marks. The marks are written at the next change.
    pub(crate) fn new(file: PathBuf, token: Option<TokenObject>) -> Self {
        let token = token.map(|place| Kept { place, written: Mutex::default() });
        Self { file: Kept { place: file, written: Mutex::default() }, token }
    }

    /// The number of entries in the mark of the file and in the mark of the token; `None`: no mark
    /// is kept there.
    pub(crate) fn entries(&self) -> (Option<u64>, Option<u64>) {
        let entries = |written: &Written| Some(written.entries).filter(|entries| *entries > 0);
        let token = self.token.as_ref().and_then(|kept| entries(&kept.lock()));
        (entries(&self.file.lock()), token)
    }

    /// Writes the mark into the file if the file is behind. Blocks.
    pub(crate) fn write_file(&self, mark: impl Fn() -> Mark) -> Result<(), ServerError> {
        let mut written = self.file.lock();
        let mark = mark();
        if written.entries >= mark.entries {
            return Ok(());
        }
        let done = replace(&self.file.place, &mark);
        written.handle("file", &mark, done.as_ref().copied().map_err(|error| error as &dyn Error));
        done
    }

    /// Writes the mark into the token if the token is behind. If the token cannot keep a mark, a
    /// warning is logged once. Blocks.
    pub(crate) fn write_token(&self, mark: impl Fn() -> Mark) {
        let Some(kept) = &self.token else { return };
        let mut written = kept.lock();
        let mark = mark();
        if written.entries < mark.entries {
            let TokenObject { token, label } = &kept.place;
            let done = token.write_data(APPLICATION, label, &bytes(&mark));
            written.handle("token", &mark, done.as_ref().copied().map_err(|error| error as &dyn Error));
        }
    }
}

impl<P> Kept<P> {
    fn lock(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Written {
    fn handle(&mut self, place: &'static str, mark: &Mark, done: Result<(), &dyn Error>) {
        match done {
            Ok(()) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!(
                        place,
                        entries = mark.entries,
                        "the ledger's high-water mark is kept again"
                    );
                }
                self.entries = mark.entries;
                gauge!("csms_ledger_mark_entries", "place" => place).set(mark.entries as f64);
            }
            Err(error) => {
                counter!("csms_ledger_mark_failures_total", "place" => place).increment(1);
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(
                        place,
                        error = %causes(error),
                        "the ledger's high-water mark cannot be kept here: an older ledger is noticed by the other places only"
                    );
                }
            }
        }
    }
}

/// The mark in a file; `None`: there is none. Blocks.
///
/// # Errors
/// [`ServerError::File`], also if the content is not a mark.
pub(crate) fn read_file(path: &Path) -> Result<Option<(Mark, Place)>, ServerError> {
    let failed = |source| ServerError::File { path: path.to_path_buf(), source };
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mark = serde_json::from_slice(&bytes).map_err(|error| {
        let reason = format!(
            "it is damaged ({error}); remove it if the ledger is known to be the newest: it is made again"
        );
        failed(std::io::Error::new(ErrorKind::InvalidData, reason))
    })?;
    Ok(Some((mark, Place::File(path.to_path_buf()))))
}

/// The highest mark in a token; `None`: there is none. Blocks.
pub(crate) fn read_token(object: &TokenObject) -> Option<(Mark, Place)> {
    let TokenObject { token, label } = object;
    match token.read_data(APPLICATION, label) {
        Ok(found) => {
            let marks = found.iter().filter_map(|bytes| match serde_json::from_slice::<Mark>(bytes) {
                Ok(mark) => Some(mark),
                Err(error) => {
                    tracing::warn!(
                        error = %causes(&error),
                        label,
                        "a high-water mark in the token is damaged and does not count; it is replaced with the next one"
                    );
                    None
                }
            });
            marks.max_by_key(|mark| mark.entries).map(|mark| (mark, Place::Token(token.label().to_owned())))
        }
        Err(error) => {
            tracing::warn!(
                error = %causes(&error),
                "the token shows no high-water mark: an older ledger is noticed by the file and the lists only"
            );
            None
        }
    }
}

/// Writes a mark to both places, whatever they contain. Blocks.
pub(crate) fn overwrite(file: &Path, token: Option<&TokenObject>, mark: &Mark) -> Result<(), ServerError> {
    replace(file, mark)?;
    if let Some(TokenObject { token, label }) = token
        && let Err(error) = token.write_data(APPLICATION, label, &bytes(mark))
    {
        tracing::warn!(error = %causes(&error), "the token does not keep the high-water mark");
    }
    Ok(())
}

fn replace(path: &Path, mark: &Mark) -> Result<(), ServerError> {
    program::replace(path, &bytes(mark), Readers::Owner).map_err(ServerError::file(path))
}

fn bytes(mark: &Mark) -> Vec<u8> {
    // JSON can express it: it has only texts and numbers.
    serde_json::to_vec(mark).unwrap_or_default()
}

/// CKA_APPLICATION of the data objects.
const APPLICATION: &str = "ocpp-csms";
