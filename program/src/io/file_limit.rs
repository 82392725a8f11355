//! Files that reach the limit of their size (`ulimit -f`, `LimitFSIZE=`).

use std::{
    io::{self, Write as _},
    sync::Arc,
};

/// Makes a write beyond the limit of file sizes fail, as on a full disk. Otherwise SIGXFSZ ends the
/// process. A log that has grown too long must not end a service.
pub fn outlive_full_files() {
    // The flag is set and never read. Only the existence of a handler is needed.
    if let Err(error) = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default()) {
        let _ = writeln!(io::stderr(), "a file at the limit of its size will end this program: {error}");
    }
}
