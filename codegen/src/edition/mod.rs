//! The editions of OCPP whose schemas are part of the project.

mod description;
mod v16;
mod v201;
mod v21;

pub use self::description::{Edition, MessageName, PlaceName, SchemaSet, Sender, Times};

/// All editions, oldest first.
pub const EDITIONS: &[Edition] = &[v16::V16, v201::V201, v21::V21];

/// The edition and the set to which a schema with this `$id` belongs, and the name of its message.
#[must_use]
pub fn edition_of(id: &str) -> Option<(&'static Edition, &'static SchemaSet, String)> {
    EDITIONS.iter().find_map(|edition| {
        edition.sets.iter().find_map(|set| set.message(id).map(|message| (edition, set, message)))
    })
}
