//! The Python environment that `cargo xtask test` creates: tools that we did not write, which
//! create and verify test data.

use std::{path::PathBuf, process::Command};

/// A command for a script beside this file. The caller adds the arguments.
pub(crate) fn script(name: &str) -> Command {
    let python = std::env::var_os("OCPP_PYTHON").expect(
        "OCPP_PYTHON is not set: run `cargo xtask test`, which makes the Python environment, or \
         eval \"$(cargo xtask softhsm --env)\" after it before cargo test",
    );
    let mut command = Command::new(python);
    command.arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(name));
    command
}

/// Runs the command, which must succeed. Returns its output.
pub(crate) fn run(mut command: Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}{errors}");
    text
}
