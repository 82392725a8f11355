//! Each example runs, and software that is not ours verifies its result.

mod programs;
mod protocol;
mod token;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

/// Runs a program to its end with this standard input. It has to succeed. Returns its standard
/// output.
pub(crate) fn run(command: &mut Command, input: &str) -> String {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("is read");
    let output = child.wait_with_output().expect("ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{errors}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

/// Runs OpenSSL in a folder.
pub(crate) fn openssl(folder: &Path, arguments: &str) -> String {
    run(Command::new("openssl").current_dir(folder).args(arguments.split(' ')), "")
}

/// A program that runs beside the test and is killed at its end.
pub(crate) struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("starts");
        let lines = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, lines }
    }

    /// The next line of its standard output, without its end; empty after the program has ended.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("text");
        line.trim_end().to_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if it has already ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Python with the package `ocpp`.
pub(crate) fn python() -> Command {
    let python = std::env::var_os("OCPP_PYTHON");
    Command::new(python.expect("OCPP_PYTHON is not set; run the tests with `cargo xtask test`"))
}

/// A file elsewhere in the checkout.
pub(crate) fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}
