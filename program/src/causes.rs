//! An error with its causes, as text for people.

use std::{error::Error, fmt};

use crate::escape::Escape;

/// The error and its causes, in one line: `cannot read /a: permission denied`.
///
/// Control characters and other characters with an effect on a terminal are escaped as by
/// [`escaped`](crate::escaped). A log prints the field `error = %causes(&error)` unchanged in each
/// of its formats. An error that is logged by its own `Display` loses its causes.
pub fn causes<'a>(error: &'a (dyn Error + 'a)) -> Causes<'a> {
    Causes(error)
}

/// [`causes`] as text, for `map_err`.
pub fn in_one_line(error: impl Error) -> String {
    causes(&error).to_string()
}

/// See [`causes`].
#[derive(Clone, Copy)]
pub struct Causes<'a>(&'a (dyn Error + 'a));

impl fmt::Display for Causes<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        let mut out = Escape::new(formatter);
        write!(out, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(out, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Causes<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Layer(&'static str, Option<Box<Layer>>);

    impl fmt::Display for Layer {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str(self.0)
        }
    }

    impl Error for Layer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|cause| cause as &dyn Error)
        }
    }

    #[test]
    fn all_causes_stand_in_one_line() {
        let disk = Layer("no room\nleft", None);
        let file = Layer("cannot write /a", Some(Box::new(disk)));
        let top = Layer("nothing was changed", Some(Box::new(file)));
        assert_eq!(causes(&top).to_string(), r"nothing was changed: cannot write /a: no room\nleft");
        assert_eq!(causes(&Layer("alone", None)).to_string(), "alone");
    }
}
