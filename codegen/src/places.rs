//! Names for the types that a schema defines inline.
//!
//! The schemas of OCPP 1.6 have no definitions: an object or an enumeration is defined in each
//! place that uses it, and has no name. The specification does name them, and the names cannot be
//! derived from the structure alone (`Accepted` or `Rejected` is five different types). The
//! edition's table contains the names by property and enclosing type. This module turns each such
//! place into a definition with that name.

use std::collections::BTreeSet;

use indexmap::IndexMap;

use crate::{
    document::{Document, Node, Rule},
    edition::PlaceName,
};

/// Why a place could not be named.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// A place that is missing in the table.
    #[error(
        "{file}.json writes out the type of {enclosing}.{property}, which the edition's table of places does not name"
    )]
    Unnamed {
        /// The file.
        file: String,
        /// The type or message that has the property.
        enclosing: String,
        /// The property.
        property: String,
    },
    /// A row of the table that matches no place.
    #[error(
        "no schema writes out the type of {enclosing}.{property}: remove it from the edition's table of places"
    )]
    Unused {
        /// The type or message that has the property.
        enclosing: &'static str,
        /// The property.
        property: &'static str,
    },
    /// One name, two structures in one file.
    #[error("{name} means two things in {file}.json: give its places different names")]
    Conflict {
        /// The name.
        name: &'static str,
        /// The file.
        file: String,
    },
}

/// Creates a definition for every type that `documents` define inline, with the names in `places`.
///
/// # Errors
/// [`PlaceError`] if schemas and table do not match.
pub(crate) fn name_all(
    places: &'static [PlaceName],
    documents: &mut [(String, Document)],
) -> Result<(), PlaceError> {
    let mut used = BTreeSet::new();
    for (message, document) in documents {
        let mut naming = Naming { places, file: &document.file, named: IndexMap::new(), used: &mut used };
        naming.members(message, &mut document.root)?;
        for (name, node) in &mut document.definitions {
            naming.members(name, node)?;
        }
        let named = naming.named;
        for (name, node) in named {
            match document.definitions.get(name) {
                Some(present) if *present != node => {
                    return Err(PlaceError::Conflict { name, file: document.file.clone() });
                }
                _ => document.definitions.insert(name.to_owned(), node),
            };
        }
    }
    match places.iter().find(|place| !used.contains(&(place.enclosing, place.property))) {
        Some(PlaceName { enclosing, property, .. }) => Err(PlaceError::Unused { enclosing, property }),
        None => Ok(()),
    }
}

struct Naming<'a> {
    places: &'static [PlaceName],
    file: &'a str,
    named: IndexMap<&'static str, Node>,
    used: &'a mut BTreeSet<(&'static str, &'static str)>,
}

impl Naming<'_> {
    /// Names the inline types of a type's members, from the inside to the outside.
    fn members(&mut self, enclosing: &str, node: &mut Node) -> Result<(), PlaceError> {
        let Rule::Object { properties, .. } = &mut node.rule else {
            return Ok(());
        };
        for (property, node) in properties {
            let place = match &mut node.rule {
                Rule::Array { items, .. } => items.as_mut(),
                _ => node,
            };
            if !matches!(place.rule, Rule::Object { .. } | Rule::Enumeration(_)) {
                continue;
            }
            let name = self.name(enclosing, property)?;
            self.members(name, place)?;
            let reference = Node {
                rule: Rule::Reference(name.to_owned()),
                default: place.default.take(),
                java_type: None,
                description: place.description.take(),
            };
            let definition = std::mem::replace(place, reference);
            match self.named.get(name) {
                Some(present) if *present != definition => {
                    return Err(PlaceError::Conflict { name, file: self.file.to_owned() });
                }
                _ => self.named.insert(name, definition),
            };
        }
        Ok(())
    }

    fn name(&mut self, enclosing: &str, property: &str) -> Result<&'static str, PlaceError> {
        let place =
            self.places.iter().find(|place| place.enclosing == enclosing && place.property == property);
        let Some(place) = place else {
            return Err(PlaceError::Unnamed {
                file: self.file.to_owned(),
                enclosing: enclosing.to_owned(),
                property: property.to_owned(),
            });
        };
        self.used.insert((place.enclosing, place.property));
        Ok(place.name)
    }
}
