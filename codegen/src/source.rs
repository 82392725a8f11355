//! The input and output texts.

/// A schema file, as text.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Its name, `SignCertificateRequest.json`.
    pub name: &'a str,
    /// Its content.
    pub text: &'a str,
}

/// A schema file that was read from a folder or an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaFile {
    /// Its name without the folders.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// One file of generated Rust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratedFile {
    /// Relative to the edition's `generated` folder, with `/`.
    pub path: String,
    /// Its content.
    pub text: String,
}
