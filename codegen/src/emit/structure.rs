//! One object: the struct, its constructor, and the table that controls reading and writing.

use std::fmt::Write as _;

use indexmap::IndexMap;
use quote::{format_ident, quote};

use super::{
    source::Items,
    words::{default_words, doc, official, rule_words},
};
use crate::{
    GenerateError,
    document::{Node, Rule, Spelling},
    edition::{Edition, Times},
    rust_types::{Member, RustType},
};

/// Adds the object `name`, documented with `paragraphs`.
pub(super) fn structure(
    items: &mut Items,
    (edition, types): (&Edition, &IndexMap<String, RustType>),
    name: &str,
    node: &Node,
    paragraphs: &[String],
) -> Result<(), GenerateError> {
    let (Rule::Object { properties, required, .. }, Some(RustType::Struct(members))) =
        (&node.rule, types.get(name))
    else {
        return Err(GenerateError::NotAnObject { name: name.to_owned() });
    };
    let mut fields = Vec::new();
    for (property, node) in properties {
        // rust_types::generate has compared both lists.
        let Some(member) = members.get(property) else { continue };
        let required = required.contains(property);
        fields.push(Field { property, node, member, required, times: edition.times });
    }

    let ident = format_ident!("{name}");
    let docs = doc(&[paragraphs, &official(node)].concat());
    let alias =
        node.java_type.iter().filter(|alias| *alias != name).map(|alias| quote!(#[doc(alias = #alias)]));
    let definitions = fields.iter().map(|field| {
        let (ident, ty) = (&field.member.ident, &field.member.ty);
        let docs = doc(&field.documentation());
        quote!(#docs pub #ident: #ty)
    });
    // A `Default` of a message with required members would have to choose a status, and could only
    // choose a wrong one.
    let default = fields.iter().all(|field| !field.required).then(|| quote!(, Default));
    items.push(quote! {
        #docs
        #(#alias)*
        #[derive(Clone, Debug, PartialEq, Eq, Hash #default)]
        pub struct #ident { #(#definitions,)* }
    })?;
    items.push(constructor(&ident, &fields))?;

    let mut body = format!("    {name} {{\n");
    for field in &fields {
        let kind = if field.required { "required" } else { "optional" };
        let _ = write!(body, "        {}: {kind} {:?}", field.member.ident, field.property);
        if let Some(via) = field.read_as() {
            let _ = write!(body, " via {via}");
            items.mention(field.read_by());
        }
        body.push_str(",\n");
    }
    body.push_str("    }\n");
    items.push_macro("object", &body);
    Ok(())
}

fn constructor(ident: &syn::Ident, fields: &[Field<'_>]) -> proc_macro2::TokenStream {
    let required: Vec<_> = fields.iter().filter(|field| field.required).collect();
    let arguments = required.iter().map(|field| {
        let (ident, ty) = (&field.member.ident, &field.member.ty);
        quote!(#ident: #ty)
    });
    let values = fields.iter().map(|field| {
        let ident = &field.member.ident;
        if field.required { quote!(#ident) } else { quote!(#ident: None) }
    });
    let many = (required.len() > CLIPPYS_ARGUMENTS)
        .then(|| quote!(#[allow(clippy::too_many_arguments, reason = "one for each required member")]));
    quote! {
        impl #ident {
            /// With the required members, in the order of the schema; the optional ones are absent.
            #[must_use]
            #many
            pub fn new(#(#arguments),*) -> Self {
                Self { #(#values),* }
            }
        }
    }
}

/// The number of arguments of a function that clippy allows.
const CLIPPYS_ARGUMENTS: usize = 7;

/// One member, with everything that is known about it.
struct Field<'a> {
    property: &'a str,
    node: &'a Node,
    member: &'a Member,
    required: bool,
    times: Times,
}

impl Field<'_> {
    fn documentation(&self) -> Vec<String> {
        let presence = if self.required { "required" } else { "optional" };
        let mut text = format!("`{}`, {presence}: {}.", self.property, rule_words(&self.node.rule));
        if let Some(default) = &self.node.default {
            let _ = write!(text, " When absent, it counts as `{}`.", default_words(default));
        }
        let mut paragraphs = vec![text];
        paragraphs.extend(official(self.node));
        paragraphs
    }

    /// The type for reading a member, if it is not the member's own: integers may be written
    /// `17.0`, unless the draft forbids it, and some editions allow other points in time than the
    /// schemas.
    fn read_as(&self) -> Option<String> {
        let read_by = self.read_by();
        match &self.node.rule {
            Rule::DateTime if self.times == Times::Iso8601 => Some(read_by.to_owned()),
            Rule::Integer { minimum: None, maximum: None, .. } => Some(read_by.to_owned()),
            Rule::Array { items, min_items, max_items } => {
                let Rule::Integer { minimum: None, maximum: None, .. } = items.rule else {
                    return None;
                };
                Some(match (min_items, max_items) {
                    (1, None) => format!("NonEmptyVec<{read_by}>"),
                    (min, None) => format!("BoundedVec<{read_by}, {min}, {{ usize::MAX }}>"),
                    (min, Some(max)) => format!("BoundedVec<{read_by}, {min}, {max}>"),
                })
            }
            _ => None,
        }
    }

    /// The type with which `ocpp-types` reads the integers or the points in time of this member.
    fn read_by(&self) -> &'static str {
        let rule = match &self.node.rule {
            Rule::Array { items, .. } => &items.rule,
            rule => rule,
        };
        match rule {
            Rule::DateTime => "Iso8601",
            Rule::Integer { spelling: Spelling::Digits, .. } => "Digits",
            _ => "Integer",
        }
    }
}
