//! The facts of an official schema file, without its prose.
//!
//! The Open Charge Alliance licenses the text of its files CC BY-ND: they may be passed on, but not
//! edited. Names, types, bounds and enumerations are facts. This module keeps all facts in the
//! official order, and omits the descriptions.

use serde_json::{Map, Value};

use crate::document::{self, PROSE, ReadError, without_bom};

/// The facts of one official file, as the text of a file of the project.
///
/// The result is the same for the same facts: two spaces of indentation, one member per line, a
/// newline at the end.
///
/// # Errors
/// [`ReadError`] as in [`document::read`]: a file that cannot be read cannot be reduced either.
pub fn extract(name: &str, text: &str) -> Result<String, ReadError> {
    document::read(name, text)?;
    let value = parse(name, text)?;
    let mut out = format!("{:#}", without_prose(value));
    out.push('\n');
    Ok(out)
}

/// The file as a JSON value, including prose.
pub(crate) fn parse(name: &str, text: &str) -> Result<Value, ReadError> {
    serde_json::from_str(without_bom(text))
        .map_err(|source| ReadError::NotJson { file: name.to_owned(), source })
}

/// A schema without the keywords of prose. A *property* with the name `description` is a fact and
/// stays.
pub(crate) fn without_prose(schema: Value) -> Value {
    let Value::Object(members) = schema else {
        return schema;
    };
    let kept = members.into_iter().filter(|(keyword, _)| !PROSE.contains(&keyword.as_str()));
    Value::Object(kept.map(|(keyword, value)| descend(keyword, value)).collect())
}

fn descend(keyword: String, value: Value) -> (String, Value) {
    let value = match (keyword.as_str(), value) {
        ("definitions" | "properties", Value::Object(schemas)) => {
            let schemas: Map<_, _> =
                schemas.into_iter().map(|(name, schema)| (name, without_prose(schema))).collect();
            Value::Object(schemas)
        }
        ("items", schema) => without_prose(schema),
        (_, other) => other,
    };
    (keyword, value)
}
