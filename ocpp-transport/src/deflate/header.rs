//! `Sec-WebSocket-Extensions`, as text (RFC 6455, section 9.1).

/// One element of the header: an extension with its parameters.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Extension {
    pub(super) name: String,
    pub(super) parameters: Vec<(String, Option<String>)>,
}

/// The header does not follow its grammar. RFC 6455 requires that the connection fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Sec-WebSocket-Extensions is malformed")]
pub(super) struct Malformed;

/// Parses the header. It may be split over several lines, which form one list.
pub(super) fn parse<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Extension>, Malformed> {
    let mut extensions = Vec::new();
    for line in lines {
        let mut reader = Reader(line);
        loop {
            reader.skip_space();
            // A list may have empty elements (RFC 9110, section 5.6.1).
            if !reader.is_at(b',') && !reader.0.is_empty() {
                extensions.push(reader.extension()?);
            }
            reader.skip_space();
            if reader.0.is_empty() {
                break;
            }
            reader.expect(b',')?;
        }
    }
    Ok(extensions)
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn extension(&mut self) -> Result<Extension, Malformed> {
        let name = self.token()?;
        let mut parameters = Vec::new();
        loop {
            self.skip_space();
            if !self.take(b';') {
                return Ok(Extension { name, parameters });
            }
            self.skip_space();
            let name = self.token()?;
            self.skip_space();
            let mut value = None;
            if self.take(b'=') {
                self.skip_space();
                value = Some(if self.is_at(b'"') { self.quoted()? } else { self.token()? });
            }
            parameters.push((name, value));
        }
    }

    fn token(&mut self) -> Result<String, Malformed> {
        let end = self.0.iter().position(|byte| !is_token(*byte)).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        if token.is_empty() { Err(Malformed) } else { Ok(text(token)) }
    }

    /// A quoted value must be a token, too.
    fn quoted(&mut self) -> Result<String, Malformed> {
        self.expect(b'"')?;
        let mut value = Vec::new();
        loop {
            match self.next()? {
                b'"' if value.is_empty() => return Err(Malformed),
                b'"' => return Ok(text(&value)),
                b'\\' => value.push(self.next()?),
                byte => value.push(byte),
            }
            if value.last().is_some_and(|byte| !is_token(*byte)) {
                return Err(Malformed);
            }
        }
    }

    fn next(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.0.split_first().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*first)
    }

    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.take(byte) { Ok(()) } else { Err(Malformed) }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.is_at(byte);
        if found {
            self.0 = &self.0[1..];
        }
        found
    }

    fn is_at(&self, byte: u8) -> bool {
        self.0.first() == Some(&byte)
    }

    fn skip_space(&mut self) {
        self.0 = self.0.trim_ascii_start();
    }
}

/// `tchar` of RFC 9110.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn text(token: &[u8]) -> String {
    token.iter().map(|byte| char::from(*byte)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lines: &[&str], expected: Option<&str>) {
        let parsed = parse(lines.iter().map(|line| line.as_bytes()));
        let written = parsed.ok().map(|extensions| {
            let written = extensions.iter().map(|extension| {
                let parameters = extension.parameters.iter().map(|(name, value)| match value {
                    Some(value) => format!("|{name}:{value}"),
                    None => format!("|{name}"),
                });
                format!("{}{}", extension.name, parameters.collect::<String>())
            });
            written.collect::<Vec<_>>().join(" ")
        });
        assert_eq!(written.as_deref(), expected, "{lines:?}");
    }

    #[test]
    fn rfc_6455_9_1_elements_and_parameters() {
        check(&["foo"], Some("foo"));
        check(&["foo, bar; baz=2"], Some("foo bar|baz:2"));
        check(&["foo", "bar; baz=2"], Some("foo bar|baz:2"));
        check(&["a;b=\"10\";c , ,d"], Some("a|b:10|c d"));
        check(&["a; b = \"1\\0\""], Some("a|b:10"));
        check(&[""], Some(""));
        check(&[], Some(""));
    }

    #[test]
    fn rfc_6455_9_1_what_is_malformed() {
        for line in ["foo bar", ";a", "a;", "a;=1", "a;b=", "a;b=\"\"", "a;b=\"1", "a;b=\"1 2\"", "a=b", "ä"]
        {
            check(&[line], None);
        }
    }
}
