//! Lines of bounded length.

use std::io::{self, BufRead, Read as _};

/// The maximum length of a line in bytes: far longer than any frame that a station or a CSMS
/// accepts.
pub(crate) const LINE_BYTES: u64 = 4 << 20;

/// One line of the input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// A line without its end.
    Whole(Vec<u8>),
    /// A line of more than [`LINE_BYTES`]; it was read to its end and discarded.
    TooLong,
}

/// Reads the next line. The last line may lack its end.
///
/// # Errors
/// The error of the reader.
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
