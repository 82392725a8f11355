//! Files, standard output and standard error, signals.

#[cfg(feature = "arguments")]
pub(crate) mod arguments;
pub(crate) mod exit;
#[cfg(feature = "file-limit")]
pub(crate) mod file_limit;
pub(crate) mod files;
#[cfg(feature = "log")]
pub(crate) mod log;
pub(crate) mod output;
#[cfg(feature = "signals")]
pub(crate) mod signals;
pub(crate) mod text;
