//! One schema file, parsed into a model that knows every keyword.
//!
//! typify ignores unknown keywords, and with them the rules that they state. This reader refuses
//! them instead and reports the file and the JSON pointer, so that the generated types never lose a
//! rule of a new edition unnoticed.

use indexmap::IndexMap;
use serde_json::{Map, Value};

/// A schema file: the message's own object, and the definitions in the file.
#[derive(Clone, Debug)]
pub struct Document {
    /// The file's name without `.json`: `SignCertificateRequest`, or `SignCertificate` in OCPP 1.6.
    pub file: String,
    /// `$id`, such as `urn:OCPP:Cp:2:2020:3:SignCertificateRequest`; `id` in draft-04.
    pub id: String,
    /// The message itself.
    pub root: Node,
    /// Shared types by name, in the file's order.
    pub definitions: IndexMap<String, Node>,
}

/// A place in a schema: its rule, and the annotations of the rule.
#[derive(Clone, Debug)]
pub struct Node {
    /// What a value must be.
    pub rule: Rule,
    /// The value that an absent member stands for. It is documented and never inserted.
    pub default: Option<Value>,
    /// The name in the specification's own class model.
    pub java_type: Option<String>,
    /// The prose of an official file; the files of the project have none.
    pub description: Option<String>,
}

impl PartialEq for Node {
    /// Two places are equal if rule and default are equal: `javaType` is only a name, and prose is
    /// not a rule.
    fn eq(&self, other: &Self) -> bool {
        self.rule == other.rule && self.default == other.default
    }
}

/// The rules that a schema can contain.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// `$ref` to a definition of this name.
    Reference(String),
    /// An object.
    Object {
        /// Members in the file's order.
        properties: IndexMap<String, Node>,
        /// Names of the required members.
        required: Vec<String>,
        /// Whether members that are not listed are allowed (`CustomDataType` only).
        openness: Openness,
    },
    /// One of a list of strings.
    Enumeration(Vec<String>),
    /// A string, with its maximum number of characters.
    Text {
        /// `maxLength`.
        max_length: Option<u64>,
    },
    /// A string of the format `date-time`.
    DateTime,
    /// A string of the format `uri`.
    Uri,
    /// A whole number within bounds, both inclusive.
    Integer {
        /// `minimum`.
        minimum: Option<i64>,
        /// `maximum`.
        maximum: Option<i64>,
        /// The allowed spelling.
        spelling: Spelling,
    },
    /// A number within bounds, both inclusive. The official files contain whole bounds only.
    Number {
        /// `minimum`.
        minimum: Option<i64>,
        /// `maximum`.
        maximum: Option<i64>,
    },
    /// A number with one decimal: `multipleOf: 0.1`.
    Tenths,
    /// `true` or `false`.
    Boolean,
    /// A list.
    Array {
        /// The rule of every item.
        items: Box<Node>,
        /// `minItems`.
        min_items: u64,
        /// `maxItems`.
        max_items: Option<u64>,
    },
    /// Any JSON value, `null` too (`DataTransfer.data`).
    Any,
}

/// The spellings of an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// In digits only: in draft-04, `17.0` is not an integer.
    Digits,
    /// In any form of a number without a fraction, including `17.0` and `1e2` (since draft-06).
    AnyForm,
}

/// Whether an object may have members that its schema does not list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Openness {
    /// `additionalProperties: false`.
    Closed,
    /// The keyword is absent.
    Open,
}

/// Why a schema file cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file is not JSON.
    #[error("{file} is not JSON")]
    NotJson {
        /// The file's name.
        file: String,
        /// The parser's error.
        #[source]
        source: serde_json::Error,
    },
    /// An unknown keyword, or a known keyword with an unknown value.
    #[error(
        "{file}, at {pointer}: {problem}; add its meaning to codegen/src/document.rs before you generate from it"
    )]
    Unknown {
        /// The file's name.
        file: String,
        /// The place in the file.
        pointer: String,
        /// The problem at this place.
        problem: String,
    },
}

/// Reads one schema file. `name` is the file's name, with or without `.json`.
///
/// # Errors
/// [`ReadError`] if the text is not JSON, or contains something that this reader does not know.
pub fn read(name: &str, text: &str) -> Result<Document, ReadError> {
    let file = name.strip_suffix(".json").unwrap_or(name).to_owned();
    let mut reader = Reader { file: format!("{file}.json"), spelling: Spelling::AnyForm };
    let value: Value = serde_json::from_str(without_bom(text))
        .map_err(|source| ReadError::NotJson { file: reader.file.clone(), source })?;
    let Value::Object(mut root) = value else {
        return Err(reader.unknown("", "a schema file is an object"));
    };
    let identifier = match root.remove("$schema").as_ref().and_then(Value::as_str) {
        Some(DRAFT_04) => {
            reader.spelling = Spelling::Digits;
            "id"
        }
        Some(DRAFT_06) => "$id",
        other => {
            return Err(reader.unknown("/$schema", format!("draft {}", other.unwrap_or("nothing"))));
        }
    };
    let Some(Value::String(id)) = root.remove(identifier) else {
        return Err(reader.unknown(&format!("/{identifier}"), "no identifier"));
    };
    let mut definitions = IndexMap::new();
    match root.remove("definitions") {
        None => {}
        Some(Value::Object(members)) => {
            for (definition, value) in members {
                let node = reader.node(&format!("/definitions/{}", escape(&definition)), value)?;
                definitions.insert(definition, node);
            }
        }
        Some(_) => return Err(reader.unknown("/definitions", "not an object")),
    }
    let root = reader.node("", Value::Object(root))?;
    if !matches!(root.rule, Rule::Object { .. }) {
        return Err(reader.unknown("", "a message is an object"));
    }
    Ok(Document { file, id, root, definitions })
}

/// The draft of OCPP 1.6 without its security extension. It differs from the later draft in two
/// points that matter here: `$id` has another name, and an integer is written in digits.
const DRAFT_04: &str = "http://json-schema.org/draft-04/schema#";

/// The draft of all other files.
const DRAFT_06: &str = "http://json-schema.org/draft-06/schema#";

/// Keywords whose values are prose and not rules.
pub(crate) const PROSE: &[&str] = &["description", "comment", "$comment", "title", "examples"];

/// The text without a leading byte order mark, which the files of the withdrawn OCPP 2.0 contained.
pub(crate) fn without_bom(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// One segment of a JSON pointer (RFC 6901).
pub(crate) fn escape(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}

/// A value in the form for an error.
pub(crate) fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), Value::to_string)
}

struct Reader {
    file: String,
    spelling: Spelling,
}

impl Reader {
    fn node(&self, pointer: &str, value: Value) -> Result<Node, ReadError> {
        let Value::Object(mut members) = value else {
            return Err(self.unknown(pointer, "a schema is an object"));
        };
        let description = members.get("description").and_then(Value::as_str).map(str::to_owned);
        for prose in PROSE {
            members.remove(*prose);
        }
        let java_type = match members.remove("javaType") {
            None => None,
            Some(Value::String(name)) => Some(name),
            Some(_) => return Err(self.unknown(&format!("{pointer}/javaType"), "not a string")),
        };
        let default = members.remove("default");
        let rule = self.rule(pointer, &mut members)?;
        if let Some((keyword, value)) = members.iter().next() {
            let problem = format!("keyword {keyword:?} with the value {value} is not known in this place");
            return Err(self.unknown(&format!("{pointer}/{}", escape(keyword)), problem));
        }
        Ok(Node { rule, default, java_type, description })
    }

    /// Removes the keywords of the rule from `members`.
    fn rule(&self, pointer: &str, members: &mut Map<String, Value>) -> Result<Rule, ReadError> {
        if let Some(reference) = members.remove("$ref") {
            let name = reference.as_str().and_then(|text| text.strip_prefix("#/definitions/"));
            return match name {
                Some(name) => Ok(Rule::Reference(name.to_owned())),
                None => Err(self.unknown(&format!("{pointer}/$ref"), format!("reference {reference}"))),
            };
        }
        let Some(kind) = members.remove("type") else {
            return Ok(Rule::Any);
        };
        match kind.as_str() {
            Some("object") => self.object(pointer, members),
            Some("array") => self.array(pointer, members),
            Some("string") => self.text(pointer, members),
            // Draft-04 files have no bounds of integers. If one has them, they stay in `members`
            // and are refused below.
            Some("integer") if self.spelling == Spelling::Digits => {
                Ok(Rule::Integer { minimum: None, maximum: None, spelling: Spelling::Digits })
            }
            Some("integer") => Ok(Rule::Integer {
                minimum: self.whole(pointer, members, "minimum")?,
                maximum: self.whole(pointer, members, "maximum")?,
                spelling: Spelling::AnyForm,
            }),
            Some("number") => self.number(pointer, members),
            Some("boolean") => Ok(Rule::Boolean),
            _ => Err(self.unknown(&format!("{pointer}/type"), format!("type {kind}"))),
        }
    }

    fn object(&self, pointer: &str, members: &mut Map<String, Value>) -> Result<Rule, ReadError> {
        let mut properties = IndexMap::new();
        match members.remove("properties") {
            None => {}
            Some(Value::Object(listed)) => {
                for (name, value) in listed {
                    let node = self.node(&format!("{pointer}/properties/{}", escape(&name)), value)?;
                    properties.insert(name, node);
                }
            }
            Some(_) => return Err(self.unknown(&format!("{pointer}/properties"), "not an object")),
        }
        let required = self.strings(pointer, members, "required")?.unwrap_or_default();
        if let Some(stray) = required.iter().find(|name| !properties.contains_key(*name)) {
            return Err(self.unknown(&format!("{pointer}/required"), format!("{stray:?} is not a property")));
        }
        let openness = match members.remove("additionalProperties") {
            None => Openness::Open,
            Some(Value::Bool(false)) => Openness::Closed,
            Some(other) => {
                return Err(self.unknown(&format!("{pointer}/additionalProperties"), other.to_string()));
            }
        };
        Ok(Rule::Object { properties, required, openness })
    }

    fn array(&self, pointer: &str, members: &mut Map<String, Value>) -> Result<Rule, ReadError> {
        // `additionalItems` has a meaning only beside a list of schemas under `items`.
        match members.remove("additionalItems") {
            None | Some(Value::Bool(false)) => {}
            Some(other) => return Err(self.unknown(&format!("{pointer}/additionalItems"), other.to_string())),
        }
        let Some(items) = members.remove("items") else {
            return Err(self.unknown(pointer, "an array without items"));
        };
        Ok(Rule::Array {
            items: Box::new(self.node(&format!("{pointer}/items"), items)?),
            min_items: self.count(pointer, members, "minItems")?.unwrap_or(0),
            max_items: self.count(pointer, members, "maxItems")?,
        })
    }

    fn text(&self, pointer: &str, members: &mut Map<String, Value>) -> Result<Rule, ReadError> {
        if let Some(values) = self.strings(pointer, members, "enum")? {
            // On a string the keyword has no meaning, but every enumeration of the official files
            // contains it.
            if members.get("additionalProperties") == Some(&Value::Bool(false)) {
                members.remove("additionalProperties");
            }
            return Ok(Rule::Enumeration(values));
        }
        match members.remove("format") {
            None => Ok(Rule::Text { max_length: self.count(pointer, members, "maxLength")? }),
            Some(Value::String(format)) if format == "date-time" => Ok(Rule::DateTime),
            Some(Value::String(format)) if format == "uri" => Ok(Rule::Uri),
            Some(other) => Err(self.unknown(&format!("{pointer}/format"), format!("format {other}"))),
        }
    }

    fn number(&self, pointer: &str, members: &mut Map<String, Value>) -> Result<Rule, ReadError> {
        match members.remove("multipleOf") {
            None => Ok(Rule::Number {
                minimum: self.whole(pointer, members, "minimum")?,
                maximum: self.whole(pointer, members, "maximum")?,
            }),
            Some(step) if step == serde_json::json!(0.1) => Ok(Rule::Tenths),
            Some(other) => Err(self.unknown(&format!("{pointer}/multipleOf"), format!("steps of {other}"))),
        }
    }

    fn strings(
        &self,
        pointer: &str,
        members: &mut Map<String, Value>,
        keyword: &str,
    ) -> Result<Option<Vec<String>>, ReadError> {
        let Some(value) = members.remove(keyword) else {
            return Ok(None);
        };
        serde_json::from_value(value)
            .map(Some)
            .map_err(|_| self.unknown(&format!("{pointer}/{keyword}"), "not a list of strings"))
    }

    fn count(
        &self,
        pointer: &str,
        members: &mut Map<String, Value>,
        keyword: &str,
    ) -> Result<Option<u64>, ReadError> {
        match members.remove(keyword) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(count) => Ok(Some(count)),
                None => Err(self.unknown(&format!("{pointer}/{keyword}"), format!("{value} is not a count"))),
            },
        }
    }

    /// A whole bound; the official files write some of them as `0.0`.
    fn whole(
        &self,
        pointer: &str,
        members: &mut Map<String, Value>,
        keyword: &str,
    ) -> Result<Option<i64>, ReadError> {
        let Some(value) = members.remove(keyword) else {
            return Ok(None);
        };
        let whole = value.as_i64().or_else(|| {
            let float = value.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < EXACT)?;
            Some(float as i64)
        });
        whole.map(Some).ok_or_else(|| {
            self.unknown(&format!("{pointer}/{keyword}"), format!("{value} as a bound, which is not whole"))
        })
    }

    fn unknown(&self, pointer: &str, problem: impl Into<String>) -> ReadError {
        let pointer = if pointer.is_empty() { "/".to_owned() } else { pointer.to_owned() };
        ReadError::Unknown { file: self.file.clone(), pointer, problem: problem.into() }
    }
}

/// Below this value (2^53), every whole floating point number represents exactly one integer.
const EXACT: f64 = 9_007_199_254_740_992.0;
