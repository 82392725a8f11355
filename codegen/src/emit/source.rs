//! Rust source text under construction: formatted items, and the imports that they need.

use std::collections::BTreeSet;

use syn::visit::Visit;

use crate::GenerateError;

/// Items as text, and the names in them.
#[derive(Default)]
pub(super) struct Items {
    text: String,
    names: BTreeSet<String>,
}

impl Items {
    /// Adds one item, formatted.
    pub(super) fn push(&mut self, item: proc_macro2::TokenStream) -> Result<(), GenerateError> {
        let file: syn::File = syn::parse2(item).map_err(GenerateError::NotRust)?;
        self.visit_file(&file);
        self.separate();
        self.text.push_str(&prettyplease::unparse(&file));
        Ok(())
    }

    /// Adds the call of a macro of `ocpp-types`. Formatters do not change its body.
    pub(super) fn push_macro(&mut self, name: &str, body: &str) {
        self.names.insert(name.to_owned());
        self.separate();
        self.text.push_str(&format!("{name}! {{\n{body}}}\n"));
    }

    /// Adds a name that occurs in the body of a macro.
    pub(super) fn mention(&mut self, name: &str) {
        self.names.insert(name.to_owned());
    }

    /// The items below the imports of the names that they do not define: `shared` names are in the
    /// edition's module, hand-written ones in the crate.
    pub(super) fn into_text(
        self,
        module: &str,
        is_shared: impl Fn(&str) -> bool,
    ) -> Result<String, GenerateError> {
        let mut imports: Vec<&str> =
            HAND_WRITTEN.iter().copied().filter(|name| self.names.contains(*name)).collect();
        let shared: Vec<&str> =
            self.names.iter().map(String::as_str).filter(|name| is_shared(name)).collect();
        let shared = format!("{module}::{{{}}}", shared.join(", "));
        if !shared.ends_with("{}") {
            imports.push(&shared);
        }
        Ok(format!("{}\n{}", format_item(&format!("use crate::{{{}}};", imports.join(", ")))?, self.text))
    }

    fn separate(&mut self) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
    }
}

impl<'ast> Visit<'ast> for Items {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        if let Some(last) = path.segments.last() {
            self.names.insert(last.ident.to_string());
        }
        syn::visit::visit_path(self, path);
    }
}

/// The hand-written items of `ocpp-types`, including macros.
const HAND_WRITTEN: &[&str] = &[
    "BoundedInteger",
    "BoundedNumber",
    "BoundedString",
    "BoundedVec",
    "CustomData",
    "Digits",
    "Integer",
    "Iso8601",
    "NonEmptyVec",
    "Notification",
    "Number",
    "Request",
    "String",
    "Tenths",
    "Timestamp",
    "Uri",
    "Value",
    "Vec",
    "Version",
    "dispatch",
    "enumeration",
    "object",
];

/// `pub use module::{…};`
pub(super) fn reexport(module: &str, names: &[&str]) -> Result<String, GenerateError> {
    let mut names = names.to_vec();
    names.sort_unstable();
    format_item(&match names.as_slice() {
        [name] => format!("pub use {module}::{name};"),
        names => format!("pub use {module}::{{{}}};", names.join(", ")),
    })
}

fn format_item(text: &str) -> Result<String, GenerateError> {
    syn::parse_file(text).map(|file| prettyplease::unparse(&file)).map_err(GenerateError::NotRust)
}
