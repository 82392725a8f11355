//! One definition per name.
//!
//! Every schema file contains its own copy of each shared type. Rust needs one type, so the copies
//! must mean the same.

use indexmap::IndexMap;

use crate::document::{Document, Node};

/// The documents of one edition, with their definitions merged.
#[derive(Debug)]
pub struct Merged {
    /// Messages, sorted by name.
    pub messages: Vec<Message>,
    /// Shared types by name, sorted.
    pub types: IndexMap<String, Shared>,
}

/// One message.
#[derive(Debug)]
pub struct Message {
    /// `SignCertificateRequest`.
    pub name: String,
    /// The file's name without `.json`.
    pub file: String,
    /// `$id`.
    pub id: String,
    /// Its object.
    pub node: Node,
}

/// One shared type.
#[derive(Debug)]
pub struct Shared {
    /// Its schema.
    pub node: Node,
    /// Names of the messages that contain it, directly or indirectly.
    pub used_by: Vec<String>,
    /// The first file that contains it.
    first: String,
}

/// Two files that disagree.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// One name, two structures.
    #[error(
        "{name} means one thing in {first}.json and another in {second}.json; decide with a fix-up which one holds"
    )]
    Conflict {
        /// The definition.
        name: String,
        /// The first file that contains it.
        first: String,
        /// The file that differs.
        second: String,
    },
    /// A message and a definition, or two messages, with the same name.
    #[error("{name} is defined twice: as a message and in {file}.json")]
    Clash {
        /// The name.
        name: String,
        /// The file.
        file: String,
    },
}

/// Merges the definitions of `documents`. Each document comes with the name of its message.
///
/// # Errors
/// [`MergeError`] if one name has two meanings.
pub fn merge(documents: Vec<(String, Document)>) -> Result<Merged, MergeError> {
    let mut types: IndexMap<String, Shared> = IndexMap::new();
    let mut messages: Vec<Message> = Vec::new();
    for (message, document) in documents {
        for (name, node) in document.definitions {
            match types.get_mut(&name) {
                None => {
                    let (used_by, first) = (vec![message.clone()], document.file.clone());
                    types.insert(name, Shared { node, used_by, first });
                }
                Some(shared) if shared.node == node => {
                    shared.used_by.push(message.clone());
                    // Not every copy contains names and prose.
                    shared.node.java_type = shared.node.java_type.take().or(node.java_type);
                    shared.node.description = shared.node.description.take().or(node.description);
                }
                Some(shared) => {
                    return Err(MergeError::Conflict {
                        name,
                        first: shared.first.clone(),
                        second: document.file,
                    });
                }
            }
        }
        messages.push(Message { name: message, file: document.file, id: document.id, node: document.root });
    }
    messages.sort_by(|one, other| one.name.cmp(&other.name));
    types.sort_keys();
    for pair in messages.windows(2) {
        if let [one, other] = pair
            && one.name == other.name
        {
            return Err(MergeError::Clash { name: one.name.clone(), file: other.file.clone() });
        }
    }
    for message in &messages {
        if let Some(shared) = types.get(&message.name) {
            return Err(MergeError::Clash { name: message.name.clone(), file: shared.first.clone() });
        }
    }
    Ok(Merged { messages, types })
}
