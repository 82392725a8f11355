//! The texts that go in and come out.

/// A schema file, as text.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Its name, `SignCertificateRequest.json`.
    pub name: &'a str,
    /// What it holds.
    pub text: &'a str,
}

/// A schema file that was read from a folder or an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaFile {
    /// Its name without the folders.
    pub name: String,
    /// What it holds.
    pub text: String,
}

/// One file of generated Rust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratedFile {
    /// Relative to the edition's `generated` folder, with `/`.
    pub path: String,
    /// What it holds.
    pub text: String,
}
