//! Makes text from others safe for a terminal and for a log (CWE-117, CWE-150).

use std::{
    borrow::Cow,
    fmt::{self, Display, Write},
    ops::RangeInclusive,
};

/// The text without characters that have an effect on a terminal, that end a line, or that are
/// invisible. Each of them is written as in Rust source, `\n` or `\u{1b}`.
///
/// The control characters C0, DEL and C1, the controls of writing direction, separators of lines
/// and paragraphs, and characters without a width are escaped. A backslash is not escaped: the
/// result is for reading, not for parsing. Width and alignment of a format string apply to the
/// escaped text.
///
/// ```
/// use program::escaped;
///
/// assert_eq!(escaped("a\r\n\u{9b}2J").to_string(), r"a\r\n\u{9b}2J");
/// assert_eq!(format!("[{:<9}]", escaped("\u{202e}")), r"[\u{202e} ]");
/// ```
pub fn escaped<T: Display>(text: T) -> Escaped<T> {
    Escaped(text)
}

/// See [`escaped`].
#[derive(Clone, Copy, Debug)]
pub struct Escaped<T>(T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if formatter.width().is_none() && formatter.precision().is_none() {
            return write!(Escape::new(formatter), "{}", self.0);
        }
        let mut text = String::new();
        write!(Escape::new(&mut text), "{}", self.0)?;
        formatter.pad(&text)
    }
}

/// JSON in which the same characters are written as `\uXXXX`, which has the same meaning for every
/// JSON reader.
///
/// The text must be valid JSON in one line. Such characters are then in its strings only.
///
/// ```
/// assert_eq!(program::escaped_json("\"\u{9b}2J\""), r#""\u009b2J""#);
/// ```
#[must_use]
pub fn escaped_json(json: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut rest = json;
    while let Some(start) = rest.find(is_unsafe) {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let mut letters = from.chars();
        for unit in letters.next().iter().flat_map(|letter| letter.encode_utf16(&mut [0; 2]).to_vec()) {
            // Writing into a String never fails.
            let _ = write!(out, "\\u{unit:04x}");
        }
        rest = letters.as_str();
    }
    if out.is_empty() {
        return Cow::Borrowed(json);
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Passes text on in escaped form.
pub(crate) struct Escape<W>(W);

impl<W: Write> Escape<W> {
    pub(crate) fn new(out: W) -> Self {
        Self(out)
    }
}

impl<W: Write> Write for Escape<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(start) = rest.find(is_unsafe) {
            let (before, from) = rest.split_at(start);
            self.0.write_str(before)?;
            let mut letters = from.chars();
            match letters.next() {
                Some('\n') => self.0.write_str("\\n")?,
                Some('\r') => self.0.write_str("\\r")?,
                Some('\t') => self.0.write_str("\\t")?,
                Some(letter) => write!(self.0, "\\u{{{:x}}}", u32::from(letter))?,
                None => {}
            }
            rest = letters.as_str();
        }
        self.0.write_str(rest)
    }
}

/// Whether a character has an effect other than being shown.
fn is_unsafe(letter: char) -> bool {
    // Nearly all text is ASCII. The table is only for other characters.
    letter.is_control() || (!letter.is_ascii() && UNSEEN.iter().any(|range| range.contains(&letter)))
}

/// Characters, in addition to the control characters, that change their surroundings or are
/// invisible.
const UNSEEN: &[RangeInclusive<char>] = &[
    // Soft hyphen, grapheme joiner, Arabic letter mark.
    '\u{ad}'..='\u{ad}',
    '\u{34f}'..='\u{34f}',
    '\u{61c}'..='\u{61c}',
    // Fillers of Hangul and Khmer, controls of Mongolian.
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    // No width, marks of direction.
    '\u{200b}'..='\u{200f}',
    // Separators of lines and paragraphs, embeddings and overrides of direction.
    '\u{2028}'..='\u{202e}',
    // Word joiner, invisible operators, isolates of direction.
    '\u{2060}'..='\u{206f}',
    '\u{3164}'..='\u{3164}',
    // Byte order mark, filler, annotations.
    '\u{feff}'..='\u{feff}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{fff0}'..='\u{fffb}',
    // Tags, which can hide text in other text.
    '\u{e0000}'..='\u{e0fff}',
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_escaped_and_all_else_stays() {
        let check = |text: &str, expected: &str| assert_eq!(escaped(text).to_string(), expected);
        check("CS-001 Ä 充电 \\ \"quoted\"", "CS-001 Ä 充电 \\ \"quoted\"");
        check("\0\u{7}\u{8}\u{b}\u{1b}\u{7f}", r"\u{0}\u{7}\u{8}\u{b}\u{1b}\u{7f}");
        check("a\tb\r\nc", r"a\tb\r\nc");
        check("\u{80}\u{85}\u{9b}\u{9f}", r"\u{80}\u{85}\u{9b}\u{9f}");
        check("\u{202a}\u{202e}\u{2066}\u{2069}", r"\u{202a}\u{202e}\u{2066}\u{2069}");
        check("\u{200e}\u{200f}\u{61c}", r"\u{200e}\u{200f}\u{61c}");
        check("\u{2028}\u{2029}", r"\u{2028}\u{2029}");
        check("\u{200b}\u{feff}\u{2060}\u{ad}", r"\u{200b}\u{feff}\u{2060}\u{ad}");
        check("\u{e0041}", r"\u{e0041}");
        check("", "");
    }

    #[test]
    fn a_reader_of_json_gets_the_text_itself() {
        for text in ["\u{7f}\u{9b}2J", "\u{202e}txt.exe", "\u{e0041}", "\u{1b}]0;\u{7}\n", "plain Ä"] {
            let json = serde_json::to_string(&[text, "next"]).expect("encodes");
            let safe = escaped_json(&json);
            assert!(!safe.contains(is_unsafe), "{safe}");
            let back: Vec<String> = serde_json::from_str(&safe).expect("decodes");
            assert_eq!(back, [text, "next"]);
        }
    }

    #[test]
    fn columns_keep_their_width() {
        assert_eq!(format!("{:<10}|", escaped("a\u{1b}")), r"a\u{1b}   |");
        assert_eq!(format!("{:>4}|", escaped(12)), "  12|");
    }
}
