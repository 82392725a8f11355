//! The kinds of faults in a payload.

/// The kind of fault in a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Violation {
    /// The text is not JSON, or has more than 127 nested values.
    NotJson,
    /// The payload is JSON, but not an object.
    NotAnObject,
    /// A member that the schema does not have.
    UnknownMember,
    /// A member that occurs twice.
    DuplicateMember,
    /// A value of another JSON type, including `null` for an absent member.
    WrongType,
    /// A string that is not a value of the enumeration.
    UnknownValue,
    /// A string that is too long or is not a date-time, or a number out of range.
    Constraint,
    /// A required member that is absent.
    MissingMember,
    /// An array with too few or too many items.
    ItemCount,
}
