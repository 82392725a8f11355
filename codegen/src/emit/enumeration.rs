//! One enumeration.

use std::fmt::Write as _;

use quote::{format_ident, quote};

use super::{
    source::Items,
    words::{default_words, doc, official, used_by},
};
use crate::{GenerateError, merge::Shared, names};

/// The enum, and the table of its values.
pub(super) fn enumeration(
    items: &mut Items,
    name: &str,
    shared: &Shared,
    values: &[String],
) -> Result<(), GenerateError> {
    let mut paragraphs = vec![format!("Enumeration {name}: {} values.", values.len()), used_by(shared)];
    if let Some(default) = &shared.node.default {
        paragraphs.push(format!("A member that is absent counts as `{}`.", default_words(default)));
    }
    paragraphs.extend(official(&shared.node));
    let docs = doc(&paragraphs);
    let alias = shared.node.java_type.iter().map(|alias| quote!(#[doc(alias = #alias)]));
    let ident = format_ident!("{name}");
    let variants = values.iter().map(|value| {
        let docs = doc(&[format!("`{value}`.")]);
        let variant = format_ident!("{}", names::variant(value));
        quote!(#docs #variant)
    });
    items.push(quote! {
        #docs
        #(#alias)*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum #ident { #(#variants,)* }
    })?;
    let mut body = format!("    {name} {{\n");
    for value in values {
        let _ = writeln!(body, "        {} = {value:?},", names::variant(value));
    }
    body.push_str("    }\n");
    items.push_macro("enumeration", &body);
    Ok(())
}
