//! OpenSSL's command line: the verifier that we did not write, and the source of foreign requests.

use std::{
    path::PathBuf,
    process::{Command, Output},
};

/// A folder for files that OpenSSL reads and writes.
pub(crate) struct Openssl {
    folder: tempfile::TempDir,
}

impl Openssl {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// Writes a file and returns its name.
    pub(crate) fn write<'a>(&self, name: &'a str, text: impl AsRef<[u8]>) -> &'a str {
        std::fs::write(self.path(name), text).unwrap();
        name
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command line, split at blanks, which must succeed. Returns its output.
    pub(crate) fn run(&self, arguments: &str) -> String {
        let output = self.output(arguments);
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments}: {text}");
        text
    }

    pub(crate) fn output(&self, arguments: &str) -> Output {
        Command::new("openssl")
            .args(arguments.split_ascii_whitespace())
            .current_dir(self.folder.path())
            .output()
            .expect("openssl is needed as the judge: install it")
    }

    /// A request by OpenSSL for CN=CS-0001, O=Example. `key` generates the key (arguments of
    /// genpkey or `ecparam …`), and `request` contains further arguments of req.
    pub(crate) fn request(&self, key: &str, request: &str) -> String {
        self.run(&format!("{key} -out key.pem"));
        self.run(&format!("req -new -key key.pem -subj /O=Example/CN=CS-0001 -out csr.pem {request}"));
        self.read("csr.pem")
    }
}

pub(crate) const P256: &str = "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256";
