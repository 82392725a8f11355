//! Breaks comments that exceed the last column: `cargo xtask tidy --wrap`.
//!
//! Only paragraphs with such a line are changed. Tables, headings and blocks of code stay as they
//! are, code spans and links stay whole, and items of lists keep their indentation.

use super::columns::{MAX_COLUMN, sign_of};

/// The text of a file after its long comments were broken.
pub(crate) fn wrapped(name: &str, text: &str) -> String {
    let Some(sign) = sign_of(name) else { return text.to_owned() };
    let mut lines = text.lines().peekable();
    let mut out = Vec::new();
    let mut in_code = false;
    while let Some(line) = lines.next() {
        let Some(comment) = Comment::read(line, sign) else {
            in_code = false;
            out.push(line.to_owned());
            continue;
        };
        if comment.text.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        let fixed = in_code || comment.is_fixed();
        if fixed {
            out.push(line.to_owned());
            continue;
        }
        let mut paragraph = vec![line];
        while let Some(next) = lines.peek().and_then(|next| Comment::read(next, sign)) {
            if !comment.goes_on_with(&next) {
                break;
            }
            paragraph.extend(lines.next());
        }
        if paragraph.iter().all(|line| line.chars().count() <= MAX_COLUMN) {
            out.extend(paragraph.into_iter().map(str::to_owned));
        } else {
            out.extend(comment.broken(&paragraph, sign));
        }
    }
    let mut text = out.join("\n");
    text.push('\n');
    text
}

/// A line that consists of a comment only.
struct Comment<'a> {
    /// The indentation and the sign: `    ///`.
    prefix: &'a str,
    /// The text after the sign and one space.
    text: &'a str,
    /// The marker of a list item with its indentation: `  * `.
    mark: &'a str,
}

impl<'a> Comment<'a> {
    fn read(line: &'a str, sign: &str) -> Option<Self> {
        let indentation = line.len() - line.trim_start().len();
        let rest = line.get(indentation..)?.strip_prefix(sign)?;
        // `///` and `//!` are separate signs.
        let rest = if sign == "//" { rest.strip_prefix(['/', '!']).unwrap_or(rest) } else { rest };
        let prefix = line.get(..line.len() - rest.len())?;
        let text = rest.strip_prefix(' ').or_else(|| rest.is_empty().then_some(""))?;
        Some(Self { prefix, text, mark: mark(text) })
    }

    /// Whether the line stays as it is: empty, a heading, or a row of a table.
    fn is_fixed(&self) -> bool {
        let text = self.text.trim_start();
        text.is_empty() || text.starts_with(['|', '#']) || text.starts_with("```")
    }

    /// Whether `next` continues the paragraph that begins here.
    fn goes_on_with(&self, next: &Self) -> bool {
        let indentation = next.text.len() - next.text.trim_start().len();
        next.prefix == self.prefix
            && !next.is_fixed()
            && next.mark.trim().is_empty()
            && indentation == self.mark.len()
    }

    fn broken(&self, paragraph: &[&str], sign: &str) -> Vec<String> {
        let texts = paragraph.iter().filter_map(|line| Comment::read(line, sign)).map(|comment| comment.text);
        let joined = texts.map(str::trim).collect::<Vec<_>>().join(" ");
        let joined = joined.strip_prefix(self.mark.trim()).unwrap_or(&joined);
        let further = " ".repeat(self.mark.len());
        let mut lines = Vec::new();
        let mut line = format!("{} {}", self.prefix, self.mark);
        let mut is_empty = true;
        for word in words(joined) {
            if !is_empty && line.chars().count() + 1 + word.chars().count() > MAX_COLUMN {
                lines.push(std::mem::replace(&mut line, format!("{} {further}", self.prefix)));
                is_empty = true;
            }
            if !is_empty {
                line.push(' ');
            }
            line.push_str(&word);
            is_empty = false;
        }
        lines.push(line);
        lines
    }
}

/// The marker of a list item, or the indentation.
fn mark(text: &str) -> &str {
    let indentation = text.len() - text.trim_start().len();
    let rest = text.get(indentation..).unwrap_or_default();
    let numbered = rest.find(". ").filter(|end| {
        *end > 0
            && rest.get(..*end).is_some_and(|number| number.chars().all(|letter| letter.is_ascii_digit()))
    });
    let length = match numbered {
        Some(end) => end + 2,
        None if rest.starts_with("* ") || rest.starts_with("- ") => 2,
        None => 0,
    };
    text.get(..indentation + length).unwrap_or_default()
}

/// The words of a paragraph; a code span or the text of a link is part of one word.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let (mut in_code, mut in_brackets) = (false, 0_usize);
    for letter in text.chars() {
        match letter {
            '`' => in_code = !in_code,
            '[' if !in_code => in_brackets += 1,
            ']' if !in_code => in_brackets = in_brackets.saturating_sub(1),
            _ => {}
        }
        if letter == ' ' && !in_code && in_brackets == 0 {
            words.push(String::new());
        } else if let Some(word) = words.last_mut() {
            word.push(letter);
        }
    }
    words.retain(|word| !word.is_empty());
    // A sign without its partner would join the rest of the text. In this case each word is
    // separate.
    if in_code || in_brackets > 0 {
        return text.split_whitespace().map(str::to_owned).collect();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let text =
            text.replace("WORDS", "some words that say what is meant and why it is so and not otherwise");
        let expected =
            expected.replace("WORDS", "some words that say what is meant and why it is so and not otherwise");
        assert_eq!(wrapped("a.rs", &text), expected);
        assert_eq!(wrapped("a.rs", &expected), expected, "a second time");
    }

    #[test]
    fn a_paragraph_with_a_long_line_is_broken_as_a_whole() {
        check(
            "    /// WORDS, which is a line that is too long by far.\n    /// And its end.\n    fn a() {}\n",
            "    /// WORDS, which is a line that\n    /// is too long by far. And its end.\n    fn a() {}\n",
        );
    }

    #[test]
    fn what_fits_and_what_has_a_form_of_its_own_stays() {
        let table = "/// | WORDS | WORDS |\n";
        check(table, table);
        let code = "/// ```\n/// let a = \"WORDS WORDS\";\n/// ```\n";
        check(code, code);
        let short = "// Short,\n// and short.\n";
        check(short, short);
    }

    #[test]
    fn items_of_lists_keep_their_indentation_and_spans_stay_whole() {
        check(
            "//! * WORDS, and then: `a code span in it` goes on\n//!   to here\n//! 1. b\n",
            "//! * WORDS, and then:\n//!   `a code span in it` goes on to here\n//! 1. b\n",
        );
    }
}
