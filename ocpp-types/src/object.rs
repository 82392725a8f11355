//! How the objects of the schemas are read and written.
//!
//! serde's derive accepts more than the schemas do: a JSON array instead of an object, and `null`
//! for an absent member. The generated files therefore list their members for this macro, which
//! writes implementations that refuse both.

/// Implements `Serialize` and `Deserialize` for a struct, and `JsonSchema` with the feature
/// `schemars`.
///
/// `required` members have the field's own type. `optional` ones are `Option`s that are `None` if
/// the member is absent. `via` names a type with which a member is read before it is converted to
/// the field's type.
macro_rules! object {
    ($name:ident { $($field:ident: $kind:ident $member:literal $(via $via:ty)?),* $(,)? }) => {
        const _: () = {
            const MEMBERS: &[&str] = &[$($member),*];

            #[allow(non_camel_case_types, reason = "the variants have the names of the fields")]
            enum Member {
                $($field),*
            }

            struct MemberVisitor;

            impl serde_core::de::Visitor<'_> for MemberVisitor {
                type Value = Member;

                fn expecting(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                    formatter.write_str("the name of a member")
                }

                fn visit_str<E: serde_core::de::Error>(self, name: &str) -> Result<Member, E> {
                    match name {
                        $($member => Ok(Member::$field),)*
                        name => Err(E::unknown_field(name, MEMBERS)),
                    }
                }
            }

            impl<'de> serde_core::Deserialize<'de> for Member {
                fn deserialize<D: serde_core::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    deserializer.deserialize_identifier(MemberVisitor)
                }
            }

            struct ObjectVisitor;

            impl<'de> serde_core::de::Visitor<'de> for ObjectVisitor {
                type Value = $name;

                fn expecting(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                    formatter.write_str(concat!("an object, ", stringify!($name)))
                }

                fn visit_map<A: serde_core::de::MapAccess<'de>>(self, mut map: A) -> Result<$name, A::Error> {
                    $(let mut $field = None;)*
                    while let Some(member) = map.next_key::<Member>()? {
                        match member {
                            $(Member::$field => {
                                if $field.is_some() {
                                    return Err(serde_core::de::Error::duplicate_field($member));
                                }
                                $field = Some($crate::object!(@read map $($via)?));
                            })*
                        }
                    }
                    Ok($name { $($field: $crate::object!(@finish $kind $field $member)),* })
                }
            }

            impl<'de> serde_core::Deserialize<'de> for $name {
                fn deserialize<D: serde_core::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    deserializer.deserialize_struct(stringify!($name), MEMBERS, ObjectVisitor)
                }
            }

            impl serde_core::Serialize for $name {
                fn serialize<S: serde_core::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    use serde_core::ser::SerializeStruct as _;

                    let count = 0 $(+ $crate::object!(@count $kind self.$field))*;
                    #[allow(unused_mut, reason = "a message of OCPP 1.6 may have no member")]
                    let mut object = serializer.serialize_struct(stringify!($name), count)?;
                    $($crate::object!(@write $kind object $member self.$field);)*
                    object.end()
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

                fn json_schema(generator: &mut schemars::r#gen::SchemaGenerator) -> schemars::schema::Schema {
                    #[allow(unused_mut, reason = "as in serialize")]
                    let mut schema = $crate::json_schema::ObjectSchema::closed(generator);
                    $($crate::object!(@schema schema $kind $name $field $member $($via)?);)*
                    schema.finish()
                }
            }
        };
    };

    (@schema $schema:ident required $name:ident $field:ident $member:literal) => {
        $schema.required($member, |object: &$name| &object.$field)
    };
    (@schema $schema:ident optional $name:ident $field:ident $member:literal) => {
        $schema.optional($member, |object: &$name| &object.$field)
    };
    (@schema $schema:ident required $name:ident $field:ident $member:literal $via:ty) => {
        $schema.required_as::<$via>($member)
    };
    (@schema $schema:ident optional $name:ident $field:ident $member:literal $via:ty) => {
        $schema.optional_as::<$via>($member)
    };

    (@read $map:ident) => { $map.next_value()? };
    (@read $map:ident $via:ty) => { $map.next_value::<$via>()?.into() };

    (@finish required $field:ident $member:literal) => {
        match $field {
            Some(value) => value,
            None => return Err(serde_core::de::Error::missing_field($member)),
        }
    };
    (@finish optional $field:ident $member:literal) => { $field };

    (@count required $self:ident.$field:ident) => { 1 };
    (@count optional $self:ident.$field:ident) => { usize::from($self.$field.is_some()) };

    (@write required $object:ident $member:literal $self:ident.$field:ident) => {
        $object.serialize_field($member, &$self.$field)?
    };
    (@write optional $object:ident $member:literal $self:ident.$field:ident) => {
        match &$self.$field {
            Some(value) => $object.serialize_field($member, value)?,
            None => $object.skip_field($member)?,
        }
    };
}

pub(crate) use object;
