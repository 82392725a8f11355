//! The findings of the rules.

use std::fmt;

/// A place that breaks a rule, with the fix. Ordered by file and line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    pub(crate) file: String,
    /// Counted from one; zero for the whole file.
    pub(crate) line: usize,
    pub(crate) rule: Rule,
    pub(crate) message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(formatter, "{}", self.file)?,
            line => write!(formatter, "{}:{line}", self.file)?,
        }
        write!(formatter, ": [{}] {}; {}", self.rule.name(), self.message, self.rule.fix())
    }
}

/// The rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    Core,
    CoreImportsIo,
    Circle,
    Crate,
    Version,
    Name,
    OneType,
    Column,
    Length,
    Unfinished,
    Prose,
    Causes,
    Package,
    Program,
}

impl Rule {
    pub(crate) const ALL: &'static [Self] = &[
        Self::Core,
        Self::CoreImportsIo,
        Self::Circle,
        Self::Crate,
        Self::Version,
        Self::Name,
        Self::OneType,
        Self::Column,
        Self::Length,
        Self::Unfinished,
        Self::Prose,
        Self::Causes,
        Self::Package,
        Self::Program,
    ];

    /// The name of the rule in reports and in `tidy-known.toml`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::CoreImportsIo => "core-imports-io",
            Self::Circle => "circle",
            Self::Crate => "crate",
            Self::Version => "version",
            Self::Name => "name",
            Self::OneType => "one-type",
            Self::Column => "column",
            Self::Length => "length",
            Self::Unfinished => "unfinished",
            Self::Prose => "prose",
            Self::Causes => "causes",
            Self::Package => "package",
            Self::Program => "program",
        }
    }

    /// The fix for a finding.
    const fn fix(self) -> &'static str {
        match self {
            Self::Core => {
                "move it below an io/ folder and hand in the value, or name a trait that io/ implements"
            }
            Self::CoreImportsIo => "let io/ call the core, or name a trait in the core that io/ implements",
            Self::Circle => "move what both need into a third file below both (cargo xtask tidy --circles)",
            Self::Crate => "see the picture in ARCHITECTURE.md; move what both need to the left",
            Self::Version => {
                "name V16, V201 and V21 in arms of their own; where `_` must stay, it returns an error of its own"
            }
            Self::Name => "use the word of the glossary in CONTRIBUTING.md",
            Self::OneType => "rename all but one",
            Self::Column => "break the line, or have `cargo xtask tidy --wrap` do it",
            Self::Length => "look for the second question in it and give that a file of its own",
            Self::Unfinished => "finish it, run it, or give it a bound",
            Self::Program => "use a library, or add it to xtask/src/requirements/table.rs",
            Self::Package => {
                "see [workspace.package] in Cargo.toml, and link LICENSE-* into the crate's folder"
            }
            Self::Prose => "import the schemas with `cargo xtask schemas import`",
            Self::Causes => "write `error = %causes(&error)` (program::causes)",
        }
    }
}
