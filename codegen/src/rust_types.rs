//! Passes the merged schemas through typify.
//!
//! typify decides what becomes a type, which names its members have, and how they nest. On its own
//! it would not check the sizes of arrays and the bounds of numbers, so every leaf of the schemas
//! is first converted to a type of `ocpp-types` that enforces its rule. typify matches a conversion
//! by comparing whole schemas. The schemas that it gets are therefore written again from the model,
//! without names, defaults or anything else by which two equal rules could differ.

use indexmap::IndexMap;
use schemars::schema::{Schema, SchemaObject};
use serde_json::{Value, json};
use syn::visit_mut::VisitMut;
use typify::{TypeSpace, TypeSpaceSettings};

use crate::{
    document::{Node, Openness, Rule},
    merge::Merged,
};

/// A type that typify has generated, under the specification's own name.
pub(crate) enum RustType {
    /// A struct. Members: name in JSON → Rust name and type, in typify's order.
    Struct(IndexMap<String, Member>),
    /// An enumeration, with its values on the wire.
    Enum(Vec<String>),
}

/// One member of a struct.
pub(crate) struct Member {
    /// The field's name in Rust.
    pub(crate) ident: syn::Ident,
    /// Its type, with paths shortened to their last segment.
    pub(crate) ty: syn::Type,
}

/// Why typify's output could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TypifyError {
    /// A schema that was written from the model is not valid for schemars.
    #[error("the schema of {name} cannot be given to typify")]
    Schema {
        /// The type.
        name: String,
        /// The reason.
        #[source]
        source: serde_json::Error,
    },
    /// typify refused.
    #[error("typify refuses the schemas")]
    Refused(#[source] typify::Error),
    /// typify's output is not Rust.
    #[error("typify's output is not Rust")]
    Output(#[source] syn::Error),
    /// typify's output lacks a part of the model, or contains it in another form.
    #[error("typify's output for {name}: {problem}")]
    Unexpected {
        /// The type.
        name: String,
        /// What is wrong.
        problem: String,
    },
}

/// The name of the hand-written definition, which is the only open object.
pub(crate) const CUSTOM_DATA: &str = "CustomDataType";

/// Runs typify over all types and messages.
pub(crate) fn generate(merged: &Merged, module: &str) -> Result<IndexMap<String, RustType>, TypifyError> {
    let nodes: Vec<(&str, &Node)> = merged
        .types
        .iter()
        .map(|(name, shared)| (name.as_str(), &shared.node))
        .chain(merged.messages.iter().map(|message| (message.name.as_str(), &message.node)))
        .collect();

    let mut conversions = IndexMap::new();
    for (_, node) in &nodes {
        collect_conversions(node, module, &mut conversions);
    }
    let mut settings = TypeSpaceSettings::default();
    settings.with_replacement(CUSTOM_DATA, "crate::CustomData", std::iter::empty());
    for (schema, rust) in &conversions {
        settings.with_conversion(schema_object("a conversion", schema)?, rust, std::iter::empty());
    }

    let mut space = TypeSpace::new(&settings);
    let mut definitions = Vec::new();
    for (name, node) in &nodes {
        definitions.push((*name, Schema::Object(schema_object(name, &schema_text(node))?)));
    }
    space.add_ref_types(definitions).map_err(TypifyError::Refused)?;
    let file: syn::File = syn::parse2(space.to_stream()).map_err(TypifyError::Output)?;

    let mut names = Names::new(nodes.iter().map(|(name, _)| *name));
    let mut types = IndexMap::new();
    for item in file.items {
        match item {
            syn::Item::Struct(mut item) => {
                let name = names.spelled(&item.ident);
                names.visit_fields_mut(&mut item.fields);
                let members = item.fields.into_iter().map(member).collect();
                types.insert(name, RustType::Struct(members));
            }
            syn::Item::Enum(item) => {
                let name = names.spelled(&item.ident);
                types.insert(name, RustType::Enum(item.variants.iter().map(value_of).collect()));
            }
            // Display, FromStr and conversions: those of ocpp-types are used.
            _ => {}
        }
    }
    for (name, node) in nodes.iter().filter(|(name, _)| *name != CUSTOM_DATA) {
        check(name, &node.rule, types.get(*name))?;
    }
    Ok(types)
}

/// Compares typify's output with the model: nothing may be lost or added.
fn check(name: &str, rule: &Rule, found: Option<&RustType>) -> Result<(), TypifyError> {
    let problem = match (rule, found) {
        (Rule::Object { properties, openness: Openness::Closed, .. }, Some(RustType::Struct(members))) => {
            let lost = properties.keys().find(|property| !members.contains_key(*property));
            let added = members.keys().find(|member| !properties.contains_key(*member));
            match (lost, added) {
                (None, None) => return Ok(()),
                (Some(lost), _) => format!("member {lost} is missing"),
                (None, Some(added)) => format!("member {added} is in no schema"),
            }
        }
        (Rule::Enumeration(values), Some(RustType::Enum(found))) if values == found => return Ok(()),
        (Rule::Object { openness: Openness::Open, .. }, _) => {
            format!(
                "an open object would lose its additional members; only {CUSTOM_DATA} has a hand-written type"
            )
        }
        (_, None) => "no such type".to_owned(),
        (rule, Some(_)) => format!("another form than {rule:?}"),
    };
    Err(TypifyError::Unexpected { name: name.to_owned(), problem })
}

/// The type of `ocpp-types` that enforces the rule of a leaf, if it has one.
fn conversion(rule: &Rule, module: &str) -> Option<String> {
    match rule {
        Rule::Text { max_length: Some(max) } => Some(format!("crate::BoundedString<{max}>")),
        Rule::DateTime => Some("crate::Timestamp".to_owned()),
        Rule::Uri => Some("crate::Uri".to_owned()),
        Rule::Number { minimum: None, maximum: None } => Some("crate::Number".to_owned()),
        Rule::Number { minimum, maximum } => {
            Some(format!("crate::BoundedNumber<{}>", bounds(*minimum, *maximum)))
        }
        Rule::Tenths => Some("crate::Tenths".to_owned()),
        Rule::Integer { minimum: None, maximum: None, .. } => Some("i64".to_owned()),
        Rule::Integer { minimum, maximum, .. } => {
            Some(format!("crate::BoundedInteger<{}>", bounds(*minimum, *maximum)))
        }
        Rule::Any => Some("crate::Value".to_owned()),
        Rule::Array { items, min_items, max_items } => {
            let item = match &items.rule {
                Rule::Reference(name) if name == CUSTOM_DATA => "crate::CustomData".to_owned(),
                Rule::Reference(name) => format!("crate::{module}::{name}"),
                Rule::Boolean => "bool".to_owned(),
                Rule::Text { max_length: None } => "String".to_owned(),
                rule => conversion(rule, module)?,
            };
            Some(match (min_items, max_items) {
                // Integers are read through another type, so a list of them must be a `BoundedVec`.
                (0, None) if item != "i64" => format!("::alloc::vec::Vec<{item}>"),
                (1, None) => format!("crate::NonEmptyVec<{item}>"),
                (min, None) => format!("crate::BoundedVec<{item}, {min}, {{ usize::MAX }}>"),
                (min, Some(max)) => format!("crate::BoundedVec<{item}, {min}, {max}>"),
            })
        }
        Rule::Text { max_length: None }
        | Rule::Boolean
        | Rule::Reference(_)
        | Rule::Object { .. }
        | Rule::Enumeration(_) => None,
    }
}

/// Both bounds as const generics; an absent bound is the minimum or maximum of the type.
fn bounds(minimum: Option<i64>, maximum: Option<i64>) -> String {
    let text =
        |bound: Option<i64>, absent: &str| bound.map_or_else(|| absent.to_owned(), |bound| bound.to_string());
    format!("{}, {}", text(minimum, "{ i64::MIN }"), text(maximum, "{ i64::MAX }"))
}

fn collect_conversions(node: &Node, module: &str, conversions: &mut IndexMap<Value, String>) {
    if let Some(rust) = conversion(&node.rule, module) {
        conversions.insert(schema_text(node), rust);
    }
    if let Rule::Object { properties, .. } = &node.rule {
        for property in properties.values() {
            collect_conversions(property, module, conversions);
        }
    }
}

/// The schema of a node, with its rule and nothing else.
fn schema_text(node: &Node) -> Value {
    match &node.rule {
        Rule::Reference(name) => json!({ "$ref": format!("#/definitions/{name}") }),
        Rule::Object { properties, required, openness } => {
            let properties: serde_json::Map<_, _> =
                properties.iter().map(|(name, node)| (name.clone(), schema_text(node))).collect();
            let mut schema = json!({ "type": "object", "properties": properties, "required": required });
            if *openness == Openness::Closed {
                schema["additionalProperties"] = Value::Bool(false);
            }
            schema
        }
        Rule::Enumeration(values) => json!({ "type": "string", "enum": values }),
        Rule::Text { max_length: None } => json!({ "type": "string" }),
        Rule::Text { max_length: Some(max) } => json!({ "type": "string", "maxLength": max }),
        Rule::DateTime => json!({ "type": "string", "format": "date-time" }),
        Rule::Uri => json!({ "type": "string", "format": "uri" }),
        Rule::Integer { minimum, maximum, .. } => bounded_text("integer", *minimum, *maximum),
        Rule::Number { minimum, maximum } => bounded_text("number", *minimum, *maximum),
        Rule::Tenths => json!({ "type": "number", "multipleOf": 0.1 }),
        Rule::Boolean => json!({ "type": "boolean" }),
        Rule::Array { items, min_items, max_items } => {
            let mut schema = json!({ "type": "array", "items": schema_text(items), "minItems": min_items });
            if let Some(max) = max_items {
                schema["maxItems"] = json!(max);
            }
            schema
        }
        Rule::Any => json!({}),
    }
}

fn bounded_text(kind: &str, minimum: Option<i64>, maximum: Option<i64>) -> Value {
    let mut schema = json!({ "type": kind });
    if let Some(minimum) = minimum {
        schema["minimum"] = json!(minimum);
    }
    if let Some(maximum) = maximum {
        schema["maximum"] = json!(maximum);
    }
    schema
}

fn schema_object(name: &str, schema: &Value) -> Result<SchemaObject, TypifyError> {
    serde_json::from_value(schema.clone())
        .map_err(|source| TypifyError::Schema { name: name.to_owned(), source })
}

/// typify changes the spelling of names (`OcspRequestDataType`). This restores the specification's
/// spelling, and shortens paths.
struct Names(IndexMap<String, String>);

impl Names {
    fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        Self(names.map(|name| (name.to_ascii_lowercase(), name.to_owned())).collect())
    }

    fn spelled(&self, ident: &syn::Ident) -> String {
        let text = ident.to_string();
        self.0.get(&text.to_ascii_lowercase()).cloned().unwrap_or(text)
    }
}

impl VisitMut for Names {
    fn visit_path_mut(&mut self, path: &mut syn::Path) {
        // `usize::MAX` and `i64::MAX` occur in const generics and stay as they are.
        let is_constant =
            path.segments.first().is_some_and(|first| first.ident == "usize" || first.ident == "i64");
        if !is_constant && let Some(last) = path.segments.pop() {
            let mut last = last.into_value();
            last.ident = syn::Ident::new(&self.spelled(&last.ident), last.ident.span());
            *path = syn::Path::from(last);
        }
        syn::visit_mut::visit_path_mut(self, path);
    }
}

fn member(field: syn::Field) -> (String, Member) {
    let ident =
        field.ident.clone().unwrap_or_else(|| syn::Ident::new("unnamed", proc_macro2::Span::call_site()));
    let name = renamed(&field.attrs).unwrap_or_else(|| ident.to_string());
    (name, Member { ident, ty: field.ty })
}

fn value_of(variant: &syn::Variant) -> String {
    renamed(&variant.attrs).unwrap_or_else(|| variant.ident.to_string())
}

/// The name in `#[serde(rename = "…")]`.
fn renamed(attributes: &[syn::Attribute]) -> Option<String> {
    let mut name = None;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
        // Other members of the attribute (`default`, `skip_serializing_if = "…"`) are ignored.
        let _ = attribute.parse_nested_meta(|meta| {
            let is_rename = meta.path.is_ident("rename");
            if let Ok(value) = meta.value() {
                let text: syn::LitStr = value.parse()?;
                if is_rename {
                    name = Some(text.value());
                }
            }
            Ok(())
        });
    }
    name
}
