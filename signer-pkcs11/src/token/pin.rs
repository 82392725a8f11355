//! A PIN, kept out of logs and erased from memory.

use std::fmt;

use zeroize::Zeroizing;

/// A token's PIN. `Debug` hides the PIN and its length. The memory is erased when it is dropped.
#[derive(Clone)]
pub struct Pin(Zeroizing<String>);

impl Pin {
    /// Takes the PIN unchanged. A line end of a file is removed by [`read_pin`](crate::read_pin).
    pub fn new(pin: impl Into<String>) -> Self {
        Self(Zeroizing::new(pin.into()))
    }

    /// The PIN in a file: its text without the line end at the end and the byte order mark at the
    /// beginning, which editors add.
    pub(crate) fn from_file_text(text: impl Into<String>) -> Self {
        let text = Zeroizing::new(text.into());
        let pin = text.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']);
        Self(Zeroizing::new(pin.to_owned()))
    }

    /// Whether it is empty, like a file that was created but never filled.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The characters, for the one call that needs them.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::Pin;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Pin::new("4711")), "Pin(…)");
    }

    #[test]
    fn line_end_of_a_file_is_not_part_of_the_pin() {
        assert_eq!(Pin::from_file_text("47 11\r\n").expose(), "47 11");
        assert_eq!(Pin::from_file_text("4711").expose(), "4711");
        assert_eq!(Pin::from_file_text("\u{feff}4711\r\n").expose(), "4711");
    }
}
