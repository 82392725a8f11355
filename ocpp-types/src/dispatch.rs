//! Finds the payload's type for the action in a frame.

use core::fmt;

use crate::{DecodeError, RpcErrorCode, Sender, Version};

/// Implements an enumeration of payloads by action.
///
/// The table contains the actions of this kind of frame with their senders. `not` names the table
/// of another kind, so that a misplaced action is distinguished from an unknown one. The functions
/// are inline, so that only crates that call them compile them: they contain the decoders of all
/// messages.
macro_rules! dispatch {
    ($name:ident: $table:ident $(, not $other:ident)? { $($action:ident($payload:ident)),* $(,)? }) => {
        impl $name {
            /// Decodes the payload of a frame directly into the type that belongs to its action.
            ///
            /// # Errors
            /// [`DispatchError`](crate::DispatchError) distinguishes an unknown action from one
            /// that the other side sends, and both from a payload that breaks its schema.
            #[inline]
            pub fn decode(action: &str, payload: &str) -> Result<Self, $crate::DispatchError> {
                match action {
                    $(stringify!($action) => match $crate::decode::<$payload>(payload) {
                        Ok(payload) => Ok(Self::$action(payload)),
                        Err(error) => Err($crate::DispatchError::Payload(error)),
                    },)*
                    action => Err($crate::DispatchError::misplaced(action, $table, &[$($other)?])),
                }
            }

            /// Encodes the payload.
            ///
            /// # Errors
            /// As [`encode`](crate::encode).
            #[inline]
            pub fn encode(&self) -> Result<alloc::string::String, $crate::EncodeError> {
                match self {
                    $(Self::$action(payload) => $crate::encode(payload),)*
                }
            }

            /// The complete JSON schema of the payload of an action; `None` if `decode` does not
            /// accept the action.
            #[cfg(feature = "schemars")]
            #[inline]
            #[must_use]
            pub fn payload_schema(action: &str) -> Option<schemars::schema::RootSchema> {
                match action {
                    $(stringify!($action) => {
                        Some(schemars::r#gen::SchemaGenerator::default().into_root_schema_for::<$payload>())
                    })*
                    _ => None,
                }
            }

            /// The action's name on the wire.
            #[must_use]
            pub const fn action(&self) -> &'static str {
                match self {
                    $(Self::$action(_) => stringify!($action),)*
                }
            }
        }

        $(impl From<$payload> for $name {
            #[inline]
            fn from(payload: $payload) -> Self {
                Self::$action(payload)
            }
        })*
    };
}

pub(crate) use dispatch;

/// Why the payload of a frame was not decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DispatchError {
    /// The version has no such action.
    UnknownAction,
    /// The action exists, but the other side sends it.
    WrongDirection {
        /// Who may send it.
        sender: Sender,
    },
    /// The action exists, but not in a frame of this type: a CALL of an action that is only sent
    /// (SEND), or the reverse.
    WrongMessageType,
    /// The payload breaks the schema of its action.
    Payload(DecodeError),
}

impl DispatchError {
    /// The error code with which this version answers such a CALL.
    #[must_use]
    pub fn rpc_code(&self, version: Version) -> RpcErrorCode {
        match self {
            Self::UnknownAction => RpcErrorCode::NotImplemented,
            Self::WrongDirection { .. } | Self::WrongMessageType => RpcErrorCode::NotSupported,
            Self::Payload(error) => error.rpc_code(version),
        }
    }

    /// The error for an action that does not belong to a frame: `table` contains the actions of its
    /// type from both sides, `others` those of other types.
    pub(crate) fn misplaced(action: &str, table: &[(&str, Sender)], others: &[&[(&str, Sender)]]) -> Self {
        let find = |table: &[(&str, Sender)]| {
            table.iter().find(|(name, _)| *name == action).map(|(_, sender)| *sender)
        };
        match find(table) {
            Some(sender) => Self::WrongDirection { sender },
            None if others.iter().any(|table| find(table).is_some()) => Self::WrongMessageType,
            None => Self::UnknownAction,
        }
    }
}

impl fmt::Display for DispatchError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownAction => formatter.write_str("the action is unknown"),
            Self::WrongDirection { sender } => write!(formatter, "only {sender} sends this action"),
            Self::WrongMessageType => formatter.write_str("the action is not sent in a message of this type"),
            Self::Payload(_) => formatter.write_str("the payload breaks the schema of its action"),
        }
    }
}

impl core::error::Error for DispatchError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Payload(error) => Some(error),
            _ => None,
        }
    }
}
