//! Shared parts of the programs of this workspace: errors in one line, text without an effect on a
//! terminal, files that are replaced durably, standard output, the log, and the signal that ends a
//! service.
//!
//! This crate is the leaf of the workspace. It has no code for OCPP or PKCS #11, and without
//! features it depends on the standard library only. Libraries use it without features; the
//! features `log` and `signals` are for programs.
//!
//! ```
//! use std::io;
//!
//! // An error with its causes, in one line. What a peer has put into it cannot move the cursor.
//! let error = io::Error::other("the station said \u{1b}[2J");
//! assert_eq!(program::causes(&error).to_string(), r"the station said \u{1b}[2J");
//!
//! // A file that holds the old or the new text after a crash at any instant.
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("slot");
//! program::replace(&path, b"1\n", program::Readers::Owner)?;
//! assert_eq!(std::fs::read(&path)?, b"1\n");
//! # Ok::<(), io::Error>(())
//! ```

mod causes;
mod escape;
mod io;
#[cfg(feature = "toml")]
mod toml_error;

#[cfg(feature = "toml")]
pub use crate::toml_error::{Place, TomlError, parse_toml};
pub use crate::{
    causes::{Causes, causes, in_one_line},
    escape::{Escaped, escaped, escaped_json},
};
#[cfg(feature = "arguments")]
pub use io::arguments::arguments;
#[cfg(feature = "file-limit")]
pub use io::file_limit::outlive_full_files;
#[cfg(feature = "log")]
pub use io::log::{LogFormat, start_log};
#[cfg(feature = "signals")]
pub use io::signals::shutdown_signal;
pub use io::{
    exit::{complain, exit_code},
    files::{Readers, check_room, make_private_folder, replace, sync_folder_of},
    output::{Output, OutputError, is_closed},
    text::read_text,
};
