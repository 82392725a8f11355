//! The kinds of faults in a payload.

/// What is wrong with a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Violation {
    /// The text is not JSON, or has more than 127 values within one another.
    NotJson,
    /// The payload is JSON, but not an object.
    NotAnObject,
    /// A member that the schema does not have.
    UnknownMember,
    /// A member that is there twice.
    DuplicateMember,
    /// A value of another JSON type, `null` for an absent member among them.
    WrongType,
    /// A string that the enumeration does not have.
    UnknownValue,
    /// A string that is too long or no date-time, a number out of range.
    Constraint,
    /// A required member that is absent.
    MissingMember,
    /// An array with too few or too many items.
    ItemCount,
}
