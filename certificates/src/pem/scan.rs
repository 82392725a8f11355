//! Finds the blocks of a text. It works on bytes, because comments in files may be in any character
//! set.

use base64ct::{Base64, Encoding};

use super::error::{Label, PemError};

/// The labels of a scan.
pub(super) struct Labels {
    /// At least one; errors name the first.
    pub(super) wanted: &'static [&'static str],
    /// Labels of blocks that are ignored.
    pub(super) passed_over: &'static [&'static str],
}

/// One block.
pub(super) struct Block {
    pub(super) label: &'static str,
    pub(super) der: Vec<u8>,
}

/// The blocks of `text` in its order, at least one.
pub(super) fn blocks(text: &[u8], labels: &Labels, max: usize) -> Result<Vec<Block>, PemError> {
    let expected = labels.wanted.first().copied().unwrap_or_default();
    if is_der(text) {
        return Err(PemError::Der);
    }
    if text.starts_with(&[0xff, 0xfe]) || text.starts_with(&[0xfe, 0xff]) {
        return Err(PemError::Utf16);
    }
    let text = without_mark(text);
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(begin) = find(text, BEGIN, at) {
        check_outside(text, at, begin)?;
        let line = line_of(text, begin);
        let label_start = begin + BEGIN.len();
        let label_end = find(text, DASHES, label_start).filter(|end| {
            let label = text.get(label_start..*end).unwrap_or_default();
            !label.contains(&b'\n') && !label.contains(&b'\r')
        });
        let Some(label_end) = label_end else { return Err(PemError::Stray { line }) };
        let label = text.get(label_start..label_end).unwrap_or_default();
        let is = |known: &&&'static str| known.as_bytes() == label;
        let wanted = labels.wanted.iter().find(is);
        if wanted.is_none() && labels.passed_over.iter().find(is).is_none() {
            return Err(PemError::Label { line, label: Label::of(label), expected });
        }
        let body_start = label_end + DASHES.len();
        let not_closed = || PemError::NotClosed { line, label: Label::of(label) };
        let body_end = find(text, DASHES, body_start).ok_or_else(not_closed)?;
        let boundary = text.get(body_end..).unwrap_or_default();
        if boundary.starts_with(BEGIN) {
            return Err(not_closed());
        }
        let end = [END, label, DASHES].concat();
        if !boundary.starts_with(&end) {
            let line = line_of(text, body_end);
            return Err(PemError::OtherEnd { line, label: Label::of(label) });
        }
        let der = decode(text, body_start, body_end)?;
        if let Some(label) = wanted {
            if found.len() == max {
                return Err(PemError::TooMany { line, max, expected });
            }
            found.push(Block { label, der });
        }
        at = body_end + end.len();
    }
    check_outside(text, at, text.len())?;
    if found.is_empty() { Err(PemError::Nothing { expected }) } else { Ok(found) }
}

/// Whether `bytes` begin like a SEQUENCE of more than 127 octets. A text cannot begin like that.
pub(super) fn is_der(bytes: &[u8]) -> bool {
    matches!(bytes, [0x30, 0x81..=0x84, ..])
}

/// The text without the byte-order mark of UTF-8, which some editors write.
pub(super) fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text)
}

/// Decodes base64 strictly: padding, alphabet and the unused bits of the last group are checked.
fn decode(text: &[u8], start: usize, end: usize) -> Result<Vec<u8>, PemError> {
    let body = text.get(start..end).unwrap_or_default();
    let packed: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let decoded = std::str::from_utf8(&packed).ok().and_then(|text| Base64::decode_vec(text).ok());
    if let Some(der) = decoded.filter(|der| !der.is_empty()) {
        return Ok(der);
    }
    let is_foreign = |byte: &u8| !byte.is_ascii_whitespace() && !is_base64(*byte);
    let place = body.iter().position(is_foreign);
    let line = line_of(text, place.map_or(start, |place| start + place));
    Err(match place.and_then(|place| body.get(place)) {
        Some(b':' | b'-') => PemError::Headers { line },
        _ => PemError::Base64 { line },
    })
}

/// Refuses text between two blocks that looks like a part of one.
fn check_outside(text: &[u8], start: usize, end: usize) -> Result<(), PemError> {
    let outside = text.get(start..end).unwrap_or_default();
    let mut at = start;
    for line in outside.split(|byte| *byte == b'\n' || *byte == b'\r') {
        if looks_like_a_part(line) {
            return Err(PemError::Stray { line: line_of(text, at) });
        }
        at += line.len() + 1;
    }
    Ok(())
}

fn looks_like_a_part(line: &[u8]) -> bool {
    let line = String::from_utf8_lossy(line);
    let line = line.trim_matches(|letter: char| letter.is_whitespace() || letter == '\u{feff}');
    if line.contains("-----") {
        return true;
    }
    // A boundary with a missing dash, or with the dash that word processors substitute for two.
    let is_dash = |letter: char| matches!(letter, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}');
    let (first, last) = (line.starts_with(is_dash), line.ends_with(is_dash));
    let names_boundary = |text: &str| text.contains("BEGIN ") || text.contains("END ");
    if (first || last) && names_boundary(line) || first && last && names_boundary(&line.to_ascii_uppercase())
    {
        return true;
    }
    // The first base64 line of a SEQUENCE with more than 255 octets, without a boundary before it.
    line.starts_with("MI") && line.len() >= MIN_STRAY_BASE64 && line.bytes().all(is_base64)
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

fn find(text: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    let rest = text.get(from..)?;
    rest.windows(wanted.len()).position(|window| window == wanted).map(|place| from + place)
}

fn line_of(text: &[u8], at: usize) -> usize {
    let before = text.get(..at).unwrap_or(text);
    let breaks = before.iter().filter(|byte| **byte == b'\n').count();
    // Text of old Macintosh programs ends its lines with this character only.
    let returns = before.iter().filter(|byte| **byte == b'\r').count();
    1 + if breaks > 0 { breaks } else { returns }
}

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";

/// Shorter words of these characters occur in comments.
const MIN_STRAY_BASE64: usize = 40;
