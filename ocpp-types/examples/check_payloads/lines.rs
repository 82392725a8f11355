//! Lines of bounded length.

use std::io::{self, BufRead, Read as _};

/// Bytes of a line; far beyond every frame that a station or a CSMS accepts.
pub(crate) const LINE_BYTES: u64 = 4 << 20;

/// One line of the input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Without its end.
    Whole(Vec<u8>),
    /// More than [`LINE_BYTES`]; it was read to its end and dropped.
    TooLong,
}

/// The next line; the last one need not have an end.
///
/// # Errors
/// What reading says.
pub(crate) fn next(input: &mut impl BufRead) -> io::Result<Option<Line>> {
    let mut bytes = Vec::new();
    if input.by_ref().take(LINE_BYTES + 1).read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        return Ok(Some(Line::Whole(bytes)));
    }
    if bytes.len() as u64 <= LINE_BYTES {
        return Ok(Some(Line::Whole(bytes)));
    }
    drop(bytes);
    input.skip_until(b'\n')?;
    Ok(Some(Line::TooLong))
}
