//! What the documentation of the generated types says: the schema's rules in our own words.

use quote::quote;

use crate::{
    document::Rule,
    merge::{Message, Shared},
    rust_types::CUSTOM_DATA,
};

pub(super) fn rule_words(rule: &Rule) -> String {
    match rule {
        Rule::Reference(name) if name == CUSTOM_DATA => "data of the vendor's own".to_owned(),
        Rule::Reference(name) => format!("a [`{name}`]"),
        Rule::Text { max_length: Some(max) } => format!("a string of at most {max} characters"),
        Rule::Text { max_length: None } => "a string".to_owned(),
        Rule::DateTime => "a point in time".to_owned(),
        Rule::Integer { minimum, maximum } => match (minimum, maximum) {
            (None, None) => "a whole number".to_owned(),
            (Some(minimum), None) => format!("a whole number, at least {minimum}"),
            (None, Some(maximum)) => format!("a whole number, at most {maximum}"),
            (Some(minimum), Some(maximum)) => format!("a whole number from {minimum} to {maximum}"),
        },
        Rule::Number => "a number".to_owned(),
        Rule::Boolean => "true or false".to_owned(),
        Rule::Any => "any JSON value, `null` too".to_owned(),
        Rule::Array { items, min_items, max_items } => {
            let count = match (min_items, max_items) {
                (0, None) => "any number of items".to_owned(),
                (min, None) => format!("{min} or more items"),
                (min, Some(max)) => format!("{min} to {max} items"),
            };
            format!("{count}, each {}", rule_words(&items.rule))
        }
        Rule::Object { .. } => "an object".to_owned(),
        Rule::Enumeration(_) => "a value of a list".to_owned(),
    }
}

pub(super) fn default_words(default: &serde_json::Value) -> String {
    default.as_str().map_or_else(|| default.to_string(), str::to_owned)
}

pub(super) fn schema_line(message: &Message) -> String {
    format!("Schema: `{}`.", message.id)
}

pub(super) fn used_by(shared: &Shared) -> String {
    let names: Vec<_> = shared.used_by.iter().map(|name| format!("`{name}`")).collect();
    format!("Used by {}.", names.join(", "))
}

/// Paragraphs as doc attributes, wrapped.
pub(super) fn doc(paragraphs: &[String]) -> proc_macro2::TokenStream {
    let mut lines = Vec::new();
    for (index, paragraph) in paragraphs.iter().enumerate() {
        if index > 0 {
            lines.push(String::new());
        }
        let mut line = String::new();
        for word in paragraph.split(' ') {
            if line.len() + word.len() > DOC_WIDTH {
                lines.push(std::mem::take(&mut line));
            }
            line.push(' ');
            line.push_str(word);
        }
        lines.push(line);
    }
    quote!(#(#[doc = #lines])*)
}

/// Bytes of one line of documentation.
const DOC_WIDTH: usize = 100;
