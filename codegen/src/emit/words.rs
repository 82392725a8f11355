//! The documentation of the generated types: the schema's rules in our own words.

use quote::quote;

use crate::{
    document::{Node, Rule},
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
        Rule::Uri => "a URI".to_owned(),
        Rule::Integer { minimum, maximum, .. } => {
            format!("a whole number{}", range_words(*minimum, *maximum))
        }
        Rule::Number { minimum, maximum } => format!("a number{}", range_words(*minimum, *maximum)),
        Rule::Tenths => "a number with at most one decimal".to_owned(),
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

fn range_words(minimum: Option<i64>, maximum: Option<i64>) -> String {
    match (minimum, maximum) {
        (None, None) => String::new(),
        (Some(minimum), None) => format!(", at least {minimum}"),
        (None, Some(maximum)) => format!(", at most {maximum}"),
        (Some(minimum), Some(maximum)) => format!(" from {minimum} to {maximum}"),
    }
}

/// The prose of an official file about a place, in paragraphs; empty if the file is one of the
/// project.
pub(super) fn official(node: &Node) -> Vec<String> {
    let lines = node.description.iter().flat_map(|text| text.lines());
    lines.map(|line| markdown(line.trim())).filter(|line| !line.is_empty()).collect()
}

/// Prose as Markdown that shows it literally, except for its own emphasis by underscores, which has
/// the same meaning in Markdown.
fn markdown(prose: &str) -> String {
    let mut text = String::new();
    for word in prose.split_whitespace() {
        if !text.is_empty() {
            text.push(' ');
        }
        if word.contains("://") {
            text.push_str(&format!("`{}`", word.replace('`', "")));
            continue;
        }
        for letter in word.chars() {
            if matches!(letter, '<' | '>' | '[' | ']' | '*' | '`' | '\\' | '#' | '|' | '~') {
                text.push('\\');
            }
            text.push(letter);
        }
    }
    text
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

/// The maximum number of bytes in a line of documentation.
const DOC_WIDTH: usize = 100;
