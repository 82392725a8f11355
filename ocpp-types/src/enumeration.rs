//! How the enumerations of the schemas are read and written.

use core::fmt;

/// Implements `ALL`, `as_str`, `Display`, `FromStr`, `Serialize`, `Deserialize` and, with its
/// feature, `JsonSchema` for an enum without data.
///
/// serde's derive would also accept `{"Accepted": null}` for `"Accepted"`.
macro_rules! enumeration {
    ($name:ident { $($variant:ident = $value:literal),* $(,)? }) => {
        impl $name {
            /// All values, in the order of the schema.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The value as it is written in JSON.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $value),*
                }
            }
        }

        const _: () = {
            const VALUES: &[&str] = &[$($value),*];

            fn find(text: &str) -> Option<$name> {
                match text {
                    $($value => Some($name::$variant),)*
                    _ => None,
                }
            }

            impl core::fmt::Display for $name {
                fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                    formatter.pad(self.as_str())
                }
            }

            impl core::str::FromStr for $name {
                type Err = $crate::UnknownValue;

                fn from_str(text: &str) -> Result<Self, Self::Err> {
                    find(text).ok_or($crate::UnknownValue { enumeration: stringify!($name), values: VALUES })
                }
            }

            struct ValueVisitor;

            impl serde_core::de::Visitor<'_> for ValueVisitor {
                type Value = $name;

                fn expecting(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                    formatter.write_str(concat!("a string, one of the values of ", stringify!($name)))
                }

                fn visit_str<E: serde_core::de::Error>(self, text: &str) -> Result<$name, E> {
                    find(text).ok_or_else(|| E::unknown_variant(text, VALUES))
                }
            }

            impl<'de> serde_core::Deserialize<'de> for $name {
                fn deserialize<D: serde_core::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    deserializer.deserialize_str(ValueVisitor)
                }
            }

            impl serde_core::Serialize for $name {
                fn serialize<S: serde_core::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.serialize_str(self.as_str())
                }
            }

            #[cfg(feature = "schemars")]
            impl schemars::JsonSchema for $name {
                fn schema_name() -> alloc::string::String {
                    alloc::string::String::from(stringify!($name))
                }

                fn schema_id() -> alloc::borrow::Cow<'static, str> {
                    alloc::borrow::Cow::Borrowed(concat!(module_path!(), "::", stringify!($name)))
                }

                fn json_schema(_: &mut schemars::r#gen::SchemaGenerator) -> schemars::schema::Schema {
                    $crate::json_schema::enumeration(VALUES)
                }
            }
        };
    };
}

pub(crate) use enumeration;

/// A text that is not a value of an enumeration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownValue {
    pub(crate) enumeration: &'static str,
    pub(crate) values: &'static [&'static str],
}

impl fmt::Display for UnknownValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "not a value of {}; use one of ", self.enumeration)?;
        for (index, value) in self.values.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(formatter, "{separator}{value}")?;
        }
        Ok(())
    }
}

impl core::error::Error for UnknownValue {}
